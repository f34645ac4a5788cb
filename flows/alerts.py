"""What somebody should know without asking: computers that were not saved, and whether the rooms are ready."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed

from configs.errors import FirstbellError
from flows.forms import SITE
from flows.outcome import PARTLY_DONE, failed
from tasks.events import Event, Warned
from tasks.reports.display import show_text
from tasks.reports.plain_text import plain_line
from tasks.reports.units import count_of
from tasks.run_page import artifact_key, publish
from tasks.verbs.alerts import alert, overdue, overdue_report
from tasks.verbs.readiness import readiness, render
from tasks.worker import load_context


@flow(name="alert-overdue", flow_run_name="overdue computers of {site}", persist_result=False)
def alert_overdue(site: str = SITE) -> State[Any]:
    """Find the computers of a school that were not saved for some days, and tell IT and their teachers by mail.

    How many days, and after how long they are told again, stands under `alerts` in the configuration.
    """
    try:
        context = load_context()
        now = datetime.now(UTC)
        page = overdue(context, site, now=now)
        text = overdue_report(context, site, page)
        publish(artifact_key("overdue", site), text.markdown, plain_line(text.heading))
        told = alert(context, site, page, now=now, report=_warn)
    except FirstbellError as error:
        return failed(error)
    if not page.computers:
        return Completed(message="Every computer was saved")
    sent = sum(one.outcome == "sent" for one in told)
    message = f"{count_of(len(page.computers), 'computer')} not saved for {count_of(page.days, 'day')} or more"
    return Completed(name=PARTLY_DONE, message=f"{message}; {count_of(sent, 'letter')} sent")


@flow(name="show-readiness", flow_run_name="are the rooms of {site} ready", persist_result=False)
def show_readiness(site: str = SITE) -> State[Any]:
    """Show which rooms of a school are ready for the next class day, and what keeps the others from it.

    No computer is reached: it is told from what is written down.
    """
    try:
        context = load_context()
        found = readiness(context, site, report=_warn)
        text = render(context, site, found)
    except FirstbellError as error:
        return failed(error)
    headline = plain_line(text.heading)
    publish(artifact_key("readiness", site), text.markdown, headline)
    return Completed(name=None if found.ready == len(found.rooms) else PARTLY_DONE, message=headline)


def _warn(event: Event) -> None:
    if isinstance(event, Warned):
        get_run_logger().warning("%s", show_text(event.message))
