"""What putting settings back would do, entry by entry, before anything is written. Pure: facts in, a plan out.

A value is never thrown away that the teacher chose after the snapshot. Settings carry no dates that could be trusted,
so that is told from what is known:

* what stands nowhere on the host comes back: nothing is lost by that;
* on the very profile that was captured, a value that differs now was changed since, and is newer;
* on another profile (a fresh image), a value that differs is the image's default, and is replaced, except where
  firstbell itself put a value there before, and it is another one now: that is the teacher's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Literal

from configs.catalog_item import CatalogItem
from tasks.settings.document import Item, Settings
from tasks.settings.rehome import rehome
from tasks.settings.values import Change, Entry, Place, Value

#: What to do with a value that is newer on the host.
NewerPolicy = Literal["keep", "ask", "replace"]


class Outcome(Enum):
    """What becomes of one entry, or of a whole item."""

    SET = "set"
    SAME = "same"
    #: Newer on the host, and kept.
    KEEP = "keep"
    #: Newer on the host, and somebody has to say.
    ASK = "ask"
    FIRST_SIGN_IN = "first-sign-in"
    NEEDS_IT = "needs-it"
    CANNOT = "cannot"
    #: Kept in the snapshot until the program is installed.
    NO_PROGRAM = "no-program"
    OTHER_VERSION = "other-version"
    #: A program that would write over it runs: it waits until that is closed.
    CLOSE_FIRST = "close-first"
    #: The catalog has it no longer: kept in the snapshot, never applied.
    UNKNOWN = "unknown"
    #: Its file comes back with the files.
    WITH_FILES = "with-files"
    NOT_CAPTURED = "not-captured"


@dataclass(frozen=True, slots=True)
class Step:
    """One entry: what would be written at which place, what stands there now, and what becomes of it."""

    item: str
    #: As a teacher would call it.
    name: str
    outcome: Outcome
    place: Place | None = None
    value: Value | None = None
    current: Value | None = None
    #: In words, for a person.
    reason: str = ""

    @property
    def change(self) -> Change | None:
        """Return the change to make, of a step that sets a value."""
        if self.outcome is Outcome.SET and self.place is not None:
            return Change(self.place, self.value, self.current)
        return None


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of the host and the person now."""

    #: Where the variables of paths lead now, and whether paths are those of Windows.
    variables: Mapping[str, str]
    windows: bool
    #: Whether it is another profile than the captured one.
    fresh: bool
    #: What stands at the places of the document now; a place that could not be read is in ``unreadable``.
    current: Mapping[Place, Value]
    unreadable: Mapping[Place, str] = field(default_factory=dict)
    #: What firstbell wrote the last time that it put settings back on this profile.
    applied: Mapping[Place, Value] = field(default_factory=dict)
    #: Item -> which program is missing, or which version it has or the system has, in words.
    missing: Mapping[str, str] = field(default_factory=dict)
    other_version: Mapping[str, str] = field(default_factory=dict)
    #: Item -> which of the programs run now that must be closed, in words.
    running: Mapping[str, str] = field(default_factory=dict)
    #: None: the host does not know.
    signed_in: bool | None = None
    newer: NewerPolicy = "keep"
    #: Items that are replaced although newer, because a person named them.
    replace: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SettingsPlan:
    """All steps, in the order of the catalog."""

    steps: tuple[Step, ...]

    def of(self, *outcomes: Outcome) -> tuple[Step, ...]:
        """Return the steps with one of these outcomes."""
        return tuple(step for step in self.steps if step.outcome in outcomes)

    def changes(self) -> tuple[Change, ...]:
        """Return what would be written now, in order."""
        return tuple(change for step in self.steps if (change := step.change) is not None)

    def items(self, *outcomes: Outcome) -> tuple[str, ...]:
        """Return the items that have a step with one of these outcomes, each once, in order."""
        return tuple(dict.fromkeys(step.item for step in self.of(*outcomes)))

    @property
    def waits(self) -> bool:
        """Whether somebody has to do or say something before all of it can come back."""
        return bool(self.of(Outcome.ASK, Outcome.CLOSE_FIRST))


def plan_settings(settings: Settings, catalog: Sequence[CatalogItem], situation: Situation) -> SettingsPlan:
    """Return what putting ``settings`` back would do; ``catalog`` is in the order in which items come back."""
    saved = {item.id: item for item in settings.items}
    steps: list[Step] = []
    held: dict[str, Step] = {}
    for entry in catalog:
        item = saved.pop(entry.id, None)
        if item is not None:
            own = list(_item(item, entry, settings, situation))
            first = next((held[one] for one in entry.requires if one in held), None)
            if first is not None:
                own = [_waiting(step, first) for step in own]
            for step in own:
                if step.outcome in _HELD:
                    held[entry.id] = step
            steps += own
    for item in saved.values():
        if item.state == "captured":
            text = f"'{item.name}' is not in the catalog any more: it stays in the snapshot and is not put back"
            steps.append(Step(item.id, item.name, Outcome.UNKNOWN, reason=text))
    return SettingsPlan(tuple(steps))


#: What has not come back although it might; what requires it waits for it.
_HELD = (Outcome.CLOSE_FIRST, Outcome.NO_PROGRAM, Outcome.OTHER_VERSION)


def _waiting(step: Step, first: Step) -> Step:
    if step.outcome is not Outcome.SET:
        return step
    return replace(step, outcome=first.outcome, reason=f"it needs '{first.name}' first: {first.reason}")


def _item(item: Item, known: CatalogItem, settings: Settings, situation: Situation) -> Iterator[Step]:
    whole = _whole(item, known, situation)
    if whole is not None:
        yield whole
    elif item.state == "captured":
        for entry in item.entries:
            yield _entry(item, entry, known, settings, situation)


def _whole(item: Item, known: CatalogItem, situation: Situation) -> Step | None:
    """Return what becomes of an item of which no entry is looked at."""
    if item.state == "absent":
        return None
    if item.state != "captured":
        return Step(item.id, item.name, Outcome.NOT_CAPTURED, reason=item.reason)
    if known.restore == "cannot":
        return Step(item.id, item.name, Outcome.CANNOT, reason=known.because or "")
    if (program := situation.missing.get(item.id)) is not None:
        return Step(item.id, item.name, Outcome.NO_PROGRAM, reason=program)
    if (version := situation.other_version.get(item.id)) is not None:
        return Step(item.id, item.name, Outcome.OTHER_VERSION, reason=version)
    return None if known.comes_back else Step(item.id, item.name, Outcome.NEEDS_IT, reason=known.because or "")


def _entry(item: Item, entry: Entry, known: CatalogItem, settings: Settings, situation: Situation) -> Step:
    place = entry.place
    if entry.value.kind == "file-reference":
        return Step(item.id, item.name, Outcome.WITH_FILES, place, entry.value)
    value = rehome(entry.value, settings.variables, situation.variables, windows=situation.windows)
    if (why := situation.unreadable.get(place)) is not None:
        # What stands there is not known, so it may be newer.
        return Step(item.id, item.name, Outcome.KEEP, place, value, reason=why)
    current = situation.current.get(place)
    step = Step(item.id, item.name, Outcome.SET, place, value, current)
    if current == value:
        return replace(step, outcome=Outcome.SAME)
    if current is not None and _is_newer(place, current, situation) and item.id not in situation.replace:
        step = _newer(step, situation.newer)
    if step.outcome is Outcome.SET and (why := situation.running.get(item.id)) is not None:
        return replace(step, outcome=Outcome.CLOSE_FIRST, reason=why)
    if step.outcome is not Outcome.SET or known.restore == "by-itself":
        return step
    if known.restore == "first-sign-in":
        return _at_sign_in(step, situation)
    return replace(step, outcome=Outcome.NEEDS_IT, reason=known.because or "")


def _at_sign_in(step: Step, situation: Situation) -> Step:
    """Return what becomes of a value that needs the person's own session.

    Windows has a step of its own for it. Elsewhere nothing of ours stays behind on the host, so a restore does it that
    is made while they are signed in, or that names the item.
    """
    if situation.windows:
        return replace(step, outcome=Outcome.FIRST_SIGN_IN)
    if situation.signed_in or step.item in situation.replace:
        return step
    text = "restore the settings once more when they have signed in"
    return replace(step, outcome=Outcome.FIRST_SIGN_IN, reason=text)


def _is_newer(place: Place, current: Value, situation: Situation) -> bool:
    ours = situation.applied.get(place)
    if ours is not None:
        return ours != current
    return not situation.fresh


def _newer(step: Step, policy: NewerPolicy) -> Step:
    if policy == "replace":
        return step
    outcome = Outcome.ASK if policy == "ask" else Outcome.KEEP
    return replace(step, outcome=outcome, reason="it was changed after the snapshot")
