"""In which state a run ends, and with which sentence: what people read in the list of runs."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from configs.errors import FirstbellError
from tasks.reports.model import HostReport, SiteReport
from tasks.reports.units import count_of, size

#: The name of the state of a run in which some computers need somebody. Its type is COMPLETED: automations that list
#: states by name have to know it.
PARTLY_DONE = "PartlyDone"
#: How many computers a message names.
_NAMED = 3


def site_state(report: SiteReport) -> State[Any]:
    """Return Completed, PartlyDone or Failed: failed is a run in which no computer was saved at all."""
    bad = [host for host in report.worst_first if host.needs_attention]
    if not report.hosts:
        return Failed(message="No computer was saved: there is none to save")
    if not bad:
        return Completed(message=_saved(report.hosts[0]) if len(report.hosts) == 1 else report.headline)
    named = "; ".join(_problem(host) for host in bad[:_NAMED])
    if len(bad) > _NAMED:
        named += f"; and {len(bad) - _NAMED} more"
    if report.in_state("failed") == len(report.hosts):
        if len(bad) > 1 and len({host.message for host in bad}) == 1:
            return Failed(message=f"No computer was saved: {bad[0].message}")
        return Failed(message=named if len(bad) <= _NAMED else f"No computer was saved. {named}")
    if len(report.hosts) == 1:
        return Completed(name=PARTLY_DONE, message=named)
    verb = "needs" if len(bad) == 1 else "need"
    return Completed(name=PARTLY_DONE, message=f"{len(bad)} of {len(report.hosts)} {verb} attention. {named}")


def _saved(host: HostReport) -> str:
    return f"{host.host}: saved, {count_of(host.files, 'file')}, {size(host.bytes_added)} new"


def _problem(host: HostReport) -> str:
    return f"{host.host}: {host.what_happened}" if host.what_happened else host.host


def failed(error: FirstbellError) -> State[Any]:
    """Return the state of a run that an error ended: what happened, and the cure."""
    text = " ".join(str(error).split())
    cure = " ".join(error.hint.split())
    if cure and not text.endswith((".", "?", "!")):
        text += "."
    return Failed(message=f"{text} {cure}".rstrip())
