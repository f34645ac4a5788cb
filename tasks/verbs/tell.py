"""Tell people of a maintenance: the announcement with their code, what is saved, what came back, what needs IT.

Each of these may be called again and again: a letter that was sent is not written twice (``records/told.py``). What
could not be sent now is raised at the end, when all others were, so that the step is done again by the next run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Literal

from configs.maintenance import MaintenancePlan
from configs.people import Person
from inventory.model import Host
from tasks.events import Reporter, Warned, silent
from tasks.policy.school_time import window_of
from tasks.reports.announcement import announcement_page
from tasks.reports.maintenance_model import (
    AnnouncedComputer,
    Announcement,
    Answer,
    Attention,
    NeedsSomebody,
    TeacherAfter,
    TeacherBefore,
)
from tasks.reports.model import TeacherPage
from tasks.reports.school_pages import attention_page
from tasks.reports.teacher_page import after_page, before_page, untouched_page
from tasks.verbs.alerts import LastSaved, last_saved, room_of
from tasks.verbs.codes import Invitation, note_handed_out
from tasks.verbs.context import Context
from tasks.verbs.decisions import invite
from tasks.verbs.letters import Addressee, Post, Told, open_post
from tasks.verbs.maintenance_plan import plan_digest, zone_of
from tasks.verbs.readiness import state_in
from tasks.verbs.saved_pages import came_back, saved_pages

Kind = Literal["announcement", "before", "after", "attention"]


def tell(
    context: Context,
    plan: MaintenancePlan,
    kind: Kind,
    hosts: Sequence[Host],
    *,
    now: datetime,
    text: str = "",
    snapshot: str = "",
    report: Reporter = silent,
) -> tuple[Told, ...]:
    """Tell everybody whom it concerns, once, and return what became of each letter.

    ``text`` says what is the matter, for ``attention``; ``snapshot`` (an ID in hex, for one host) which one is meant,
    the newest by default. Raises ``MailError`` when something could not be sent now, and whatever reading the facts
    raises: then nobody was told of that computer yet.
    """
    if kind == "announcement":
        return announce(context, plan, hosts, now, report)
    told: list[Told] = []
    for host in hosts:
        told += tell_host(context, plan, host, kind, text, now, report, snapshot=snapshot)
    return tuple(told)


def announce(
    context: Context, plan: MaintenancePlan, hosts: Sequence[Host], now: datetime, report: Reporter = silent
) -> tuple[Told, ...]:
    """Tell the teachers of these computers, and everybody who is asked, each with a code of their own."""
    if not hosts:
        return ()
    site = hosts[0].site
    saved = last_saved(context, site, now=now)
    invited = {one.person: one for one in invite(context, plan, hosts, now=now)}
    told: list[Told] = []
    with open_post(context, site, now=now, report=report) as post:
        for one in _concerned(post, hosts, invited):
            page = announcement_page(
                post.templates, _announcement(context, plan, post, one, saved), post.reader(one.to.person)
            )
            first = None
            if one.invitation is not None:
                # Before it is sent: a code that somebody may have seen is in the ledger.
                first = partial(note_handed_out, context, [one.invitation], "mailed", now=now)
            told.append(post.send(one.to, "announcement", (plan.name, plan_digest(plan)), page, first=first))
        if post.trouble is not None:
            raise post.trouble
    return tuple(told)


def tell_host(
    context: Context,
    plan: MaintenancePlan,
    host: Host,
    about: Literal["before", "after", "attention"],
    text: str,
    now: datetime,
    report: Reporter = silent,
    *,
    snapshot: str = "",
) -> tuple[Told, ...]:
    """Tell the teachers of one computer what is saved or what came back; or IT, that it needs somebody."""
    with open_post(context, host.site, now=now, report=report) as post:
        if about == "attention":
            needs = NeedsSomebody(host.name, room_of(context, host), now, _sentence(text))
            told = _tell_it(post, plan, (needs,), report)
        elif about == "before":
            told = _tell_before(context, plan, host, post, snapshot)
        else:
            told = _tell_after(context, plan, host, post, now, snapshot)
        if post.trouble is not None:
            raise post.trouble
    return told


@dataclass(slots=True)
class _Concerned:
    """Somebody whom a maintenance concerns: on which computers, and with which code, if they are asked."""

    to: Addressee
    hosts: list[Host] = field(default_factory=list)
    invitation: Invitation | None = None


def _concerned(post: Post, hosts: Sequence[Host], invited: dict[str, Invitation]) -> Iterable[_Concerned]:
    found: dict[str, _Concerned] = {}
    for key, invitation in invited.items():
        person = post.people.people.get(key) or Person(name=invitation.name)
        own = [host for host in hosts if host.name in invitation.hosts]
        found[key] = _Concerned(Addressee(key, person), own, invitation)
    for host in hosts:
        for account in host.teachers:
            to = post.of_account(account)
            one = found.setdefault(to.key, _Concerned(to))
            if host not in one.hosts:
                one.hosts.append(host)
    return found.values()


def _announcement(
    context: Context, plan: MaintenancePlan, post: Post, one: _Concerned, saved: Mapping[str, LastSaved]
) -> Announcement:
    window = window_of(plan, zone_of(context, plan.site))
    return Announcement(
        title=plan.title,
        kind=plan.kind,
        computers=tuple(
            AnnouncedComputer(host.name, room_of(context, host), saved.get(host.name, LastSaved()).good)
            for host in one.hosts
        ),
        start=window.start,
        end=window.end,
        answer=_answer(context, one.invitation),
        notes=plan.notes,
        on_behalf=_names(post, one.invitation),
    )


def _answer(context: Context, invitation: Invitation | None) -> Answer | None:
    if invitation is None:
        return None
    return Answer(invitation.code, invitation.agree_by, context.config.letters.answer_page)


def _names(post: Post, invitation: Invitation | None) -> tuple[str, ...]:
    """Return for whom a delegate decides, by name."""
    keys = invitation.on_behalf if invitation is not None else ()
    others = [key for key in keys if invitation is not None and key != invitation.person]
    people = post.people.people
    return tuple(people[key].name if key in people else key for key in others)


def _tell_before(context: Context, plan: MaintenancePlan, host: Host, post: Post, snapshot: str) -> tuple[Told, ...]:
    about = (plan.name, plan_digest(plan), host.name)
    if host.teachers and all(post.is_settled(post.of_account(one), "before", about) for one in host.teachers):
        # Asked again every few minutes: what a snapshot holds is not read for nothing.
        return ()
    start = window_of(plan, zone_of(context, plan.site)).start
    told = []
    for page in saved_pages(context, host, snapshot=snapshot):
        to = post.of_account(page.name)
        letter = before_page(post.templates, TeacherBefore(plan.kind, (page,), start), post.reader(_named(to, page)))
        told.append(post.send(to, "before", about, letter))
    return tuple(told)


def _tell_after(
    context: Context, plan: MaintenancePlan, host: Host, post: Post, now: datetime, snapshot: str
) -> tuple[Told, ...]:
    state = state_in(context, plan.name, host)
    if state.number and state.started is None:
        return _tell_untouched(plan, host, post)
    # The one that it was wiped on: there may be newer ones, of what was there before everything was back.
    snapshot = snapshot or (state.cleared.snapshot if state.cleared is not None else "")
    about = (plan.name, plan_digest(plan), host.name)
    waiting = state.put_off - state.brought

    def is_settled(account: str) -> bool:
        of = (*about, "waits") if account in waiting else about
        return post.is_settled(post.of_account(account), "after", of)

    users = state.cleared.users if state.cleared is not None else ()
    if waiting and all(is_settled(account) for account in users):
        # Asked again every few minutes until they have signed in: the computer is not compared for nothing.
        return ()
    told = []
    for page in saved_pages(context, host, snapshot=snapshot):
        to = post.of_account(page.name)
        back = came_back(context, host, snapshot or "latest", page.name, now)
        letter = after_page(post.templates, TeacherAfter(plan.kind, (back,)), post.reader(_named(to, page)))
        # Who had to sign in first is written to once more when the files are there.
        of = (*about, "waits") if back.state == "waits" else about
        told.append(post.send(to, "after", of, letter))
    return tuple(told)


def _tell_untouched(plan: MaintenancePlan, host: Host, post: Post) -> tuple[Told, ...]:
    told = []
    for account in host.teachers:
        to = post.of_account(account)
        letter = untouched_page(post.templates, host.name, plan.title, post.reader(to.person))
        told.append(post.send(to, "untouched", (plan.name, plan_digest(plan), host.name), letter))
    return tuple(told)


def _named(to: Addressee, page: TeacherPage) -> Person:
    """Return the person; one whom nobody knows is called as the computer does."""
    return to.person if to.address or not page.full_name else to.person.model_copy(update={"name": page.full_name})


def _tell_it(
    post: Post, plan: MaintenancePlan, computers: Sequence[NeedsSomebody], report: Reporter
) -> tuple[Told, ...]:
    people = post.with_role("it")
    if not people:
        report(Warned("", f"nobody at {post.site} has the role 'it' in people.yaml, so nobody is written to"))
    about = (plan.name, *sorted(f"{one.host}: {one.what}" for one in computers))
    title = plan.title or plan.name
    return tuple(
        post.send(
            one,
            "attention",
            about,
            attention_page(post.templates, Attention(title, tuple(computers)), post.reader(one.person)),
        )
        for one in people
    )


def _sentence(text: str) -> str:
    """Return a text as a sentence."""
    text = " ".join(text.split())
    return text if not text or text[-1] in ".!?" else f"{text[:1].upper()}{text[1:]}."
