"""Pages of the weekly work on a school's repository."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from tasks.reports.display import md
from tasks.reports.markdown import table
from tasks.reports.units import count_of, local_short


@dataclass(frozen=True, slots=True)
class Decided:
    """What becomes of one snapshot by the retention, and why."""

    host: str
    time: datetime
    keep: bool
    reasons: tuple[str, ...]


def forget_page(site: str, decided: Sequence[Decided], zone: tzinfo, *, dry_run: bool) -> str:
    """Return which snapshots went and how many stayed, by computer."""
    gone = [one for one in decided if not one.keep]
    kept = len(decided) - len(gone)
    verb = "would go" if dry_run else "went"
    lines = [f"## {md(site)}: {count_of(len(gone), 'snapshot')} {verb}, {kept:,} kept", ""]
    hosts = sorted({one.host for one in decided})
    rows = []
    for host in hosts:
        own = [one for one in decided if one.host == host]
        stay = [one.time for one in own if one.keep]
        rows.append(
            (
                md(host),
                f"{len(stay):,}",
                f"{len(own) - len(stay):,}",
                local_short(min(stay), zone) if stay else "",
                local_short(max(stay), zone) if stay else "",
            )
        )
    if rows:
        lines += table(("Computer", "Kept", verb.capitalize(), "Oldest kept", "Newest kept"), rows, right=(1, 2))
    return "\n".join(lines) + "\n"


def check_page(site: str, *, sound: bool, read_data: bool, messages: Sequence[str]) -> str:
    """Return whether a school's repository is sound, and what to do when it is not."""
    how = "Every stored byte was read again." if read_data else "The index and all snapshots were followed."
    if sound:
        return f"## {md(site)}: the repository is sound\n\n{how}\n"
    lines = [
        f"## {md(site)}: the repository is DAMAGED",
        "",
        "**Do not reimage any computer of this school, and let no snapshot go.** docs/errors.md says how to repair it.",
        "",
        *(f"- {md(message)}" for message in messages),
    ]
    return "\n".join(lines) + "\n"
