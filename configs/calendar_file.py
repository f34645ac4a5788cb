"""Reading a calendar file, and writing one that was imported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

from pydantic import ValidationError

from configs.errors import ConfigError
from configs.problems import Problem, problems_of, render
from configs.school_calendar import Period, SchoolCalendar
from configs.yaml_file import read_mapping

#: What imported days can be.
Kind = Literal["terms", "holidays", "closed", "extra_class_days", "exams", "events"]
KINDS: Final[tuple[Kind, ...]] = ("terms", "holidays", "closed", "extra_class_days", "exams", "events")
#: What an imported file may hold: its days and where they are from, no rules.
_PARTS: Final = frozenset({"title", *KINDS})
_HINT: Final = "Correct the file; configs/calendars/example.yaml shows every key."


def load_calendar(path: Path, *, imported: bool = False) -> SchoolCalendar:
    """Return the calendar in a file; one that was ``imported`` must not have rules of its own.

    Raises:
        ConfigError: it cannot be read, or something in it is wrong; every problem stands in the message.
    """
    try:
        document = read_mapping(path, what="the calendar", begins="'terms:' with indented lines below", hint=_HINT)
    except FileNotFoundError:
        raise ConfigError(f"there is no calendar {path}", hint="Check that this account may read it.") from None
    problems = [
        Problem(
            key, "an imported calendar has days only; this belongs into the school's own file", document.line((key,))
        )
        for key in document.content
        if imported and key not in _PARTS
    ]
    if not problems:
        try:
            return SchoolCalendar.model_validate(document.content)
        except ValidationError as error:
            problems = [
                Problem(".".join(where), text, document.line(where))
                for where, text in problems_of(error, SchoolCalendar)
            ]
    raise ConfigError(render(str(path), problems), hint=_HINT)


def calendar_text(title: str, kind: Kind, periods: Iterable[Period]) -> str:
    """Return the content of a file with imported days."""
    import yaml

    days: Sequence[dict[str, str]] = [
        {"name": one.name, "first": one.first.isoformat(), **({"last": one.last.isoformat()} if one.last else {})}
        for one in periods
    ]
    return yaml.safe_dump({"title": title, kind: list(days)}, sort_keys=False, allow_unicode=True, width=1000)
