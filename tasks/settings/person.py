"""What putting one person's settings back did, or would do: what verbs return and reports show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.settings.apply import SettingsResult
from tasks.settings.plan import SettingsPlan


@dataclass(frozen=True, slots=True)
class PersonSettings:
    """One person. Without a ``plan``, ``problem`` says why; ``result`` is None when nothing was written."""

    name: str
    plan: SettingsPlan | None = None
    result: SettingsResult | None = None
    problem: str = ""
    #: What could not be looked at, though the rest could: sealed settings without their key.
    notes: tuple[str, ...] = ()
    #: Item -> when what was put back shows, in words.
    shows: Mapping[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether everything that was to be changed was changed, and nothing waits for somebody."""
        if self.problem or self.notes or (self.plan is not None and self.plan.waits):
            return False
        return self.result is None or not self.result.failed


#: Asked before settings are written: it may show the plans, and False leaves all as it is.
ConfirmSettings = Callable[[Sequence[PersonSettings]], bool]


def always_settings(planned: Sequence[PersonSettings]) -> bool:
    """Put them back: the order itself was the decision."""
    return True
