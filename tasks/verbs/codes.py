"""Codes: given out, told again, and checked when somebody comes with one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

from configs.errors import ConfigError, FirstbellError
from configs.people import Person
from tasks.answers import Asked, Guessed, HandedOut, Purpose, Voided
from tasks.errors import AnswerRefused
from tasks.policy.approval import belongs
from tasks.policy.gate import CLOCK_TOLERANCE
from tasks.policy.school_time import aware
from tasks.records.code_book import Code, CodeBook
from tasks.records.codes import (
    REMEMBERED,
    SUSPICIOUS,
    code_text,
    is_proven,
    new_nonce,
    new_secret,
    nonce_of,
    note_wrong,
    wait_after,
)
from tasks.records.decisions import event_of, lines_of
from tasks.records.ledger import Build, Ledger, LedgerState
from tasks.records.store import RecordStore
from tasks.reports.units import local_day_time
from tasks.repository.owner import host_name, user_name
from tasks.verbs.context import Context
from tasks.verbs.maintenance_plan import people_of, zone_of
from tasks.verbs.site_ledger import open_ledger

_LAST_DAY: Final = timedelta(days=1)
_NEW: Final = "Ask IT for a new one; nothing was decided."
_START: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Invitation:
    """One person with their code: good until ``until``; agreeing and putting off end at ``agree_by``."""

    site: str
    person: str
    name: str
    code: str
    until: datetime
    agree_by: datetime
    plan: str = ""
    hosts: tuple[str, ...] = ()
    #: For whom they may decide, by key; somebody else than the person alone makes them a delegate.
    on_behalf: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return whose it is, without the code."""
        return f"Invitation({self.site}, {self.person}, {self.plan or self.hosts})"


@dataclass(slots=True)
class Presented:
    """A code that somebody came with, proven, and the ledger that knows it."""

    ledger: Ledger
    state: LedgerState
    code: Code
    site: str
    zone: ZoneInfo

    def fresh(self, state: LedgerState, now: datetime) -> Code:
        """Return the code as the ledger has it now. Raises ``AnswerRefused`` when it is no longer good."""
        found = book_of(state).codes.get(self.code.nonce)
        if found is None:
            raise AnswerRefused("this code is not known any more", hint=_NEW)
        check_good(found, now, self.zone)
        return found

    def append(self, build: Build, now: datetime) -> None:
        """Append the line that uses the code up."""
        _, self.state = self.ledger.append(build, now=now, state=self.state)

    def moment(self, until: datetime) -> datetime:
        """Return an aware moment; a time without a zone is one of the school's clock, and the later where it is two."""
        return until if until.tzinfo is not None else aware(until, self.zone, opens=True)

    @property
    def number(self) -> int:
        """Return the number of the last line."""
        return self.state.head.seq if self.state.head is not None else 0

    def following(self) -> Invitation:
        """Return the code that took the place of the one that was used up."""
        asked = self.code.asked
        live = book_of(self.state).live(asked.purpose, asked.plan, asked.person)
        if live is None:
            raise AnswerRefused("the next code cannot be found", hint="What was decided stands. Ask IT for a new code.")
        return invitation_of(self.ledger, live)


def check_good(code: Code, now: datetime, zone: ZoneInfo) -> None:
    """Raise ``AnswerRefused`` when a code is used, replaced, over, or of the future."""
    if code.used is not None:
        raise AnswerRefused(
            f"this code was used already, on {local_day_time(code.used.at, zone)}",
            hint="Each code is good once. The next one was shown then; else ask IT for it.",
        )
    if code.replaced:
        raise AnswerRefused("there is a newer code in place of this one", hint="Use the newest letter.")
    if code.asked.until <= now:
        raise AnswerRefused(f"this code was good until {local_day_time(code.asked.until, zone)}", hint=_NEW)
    if code.asked.at > now + CLOCK_TOLERANCE:
        raise AnswerRefused(
            "this code was given out in the future: a clock is wrong", hint="IT must set the clocks of the workers."
        )


@contextmanager
def open_by_code(
    context: Context,
    code: str,
    *,
    purpose: Purpose | None,
    now: datetime,
    site: str = "",
    sleep: Callable[[float], None] | None = time.sleep,
) -> Iterator[Presented]:
    """Find the ledger that knows a code, and open it; without ``purpose`` one of either will do.

    Raises ``AnswerRefused``; a wrong code is counted, and its answer waits, unless there is no ``sleep``: then it was
    counted before.
    """
    where = _find(context, code, (site,) if site else context.inventory.sites())
    if where.found:
        with open_ledger(context, where.site) as ledger:
            state = ledger.read()
            found = proven(ledger, state, where.site, code)
            if found is not None:
                zone = zone_of(context, where.site)
                check_good(found, now, zone)
                _check_purpose(found, purpose)
                yield Presented(ledger, state, found, where.site, zone)
                return
    if sleep is not None:
        _count_wrong(context, where.site, now, sleep)
    if where.trouble is not None:
        # It may be a code of the school that cannot be asked.
        raise where.trouble
    raise AnswerRefused(
        "this is not one of our codes",
        hint="A code has 20 letters and digits, such as 7K3QH-9XWV2-M4T8R-C5ZPB. Look for a slip, or ask IT.",
    )


@dataclass(frozen=True, slots=True)
class _Where:
    site: str
    found: bool
    trouble: FirstbellError | None = None


def _find(context: Context, code: str, sites: Sequence[str]) -> _Where:
    """Return the school whose ledger knows a code, or else one that does not. A school without a key has no codes."""
    trouble: FirstbellError | None = None
    first = ""
    for site in sites:
        try:
            with open_ledger(context, site) as ledger:
                if proven(ledger, ledger.read(), site, code) is not None:
                    return _Where(site, found=True)
        except FirstbellError as error:
            trouble = trouble or error
        else:
            first = first or site
    if first:
        return _Where(first, found=False, trouble=trouble)
    if trouble is not None:
        raise trouble
    raise ConfigError("no school is known whose code this could be", hint="See 'firstbell inventory'.")


def _check_purpose(code: Code, purpose: Purpose | None) -> None:
    if purpose is not None and code.asked.purpose != purpose:
        raise AnswerRefused(_OTHER_PURPOSE[code.asked.purpose], hint=_NEW)


_OTHER_PURPOSE: Final = {
    "answer": "this code answers for computers; a hold or an override needs your own code",
    "own": "this is your own code, for holds; computers are answered for with the code of the letter about them",
}


def proven(ledger: Ledger, state: LedgerState, site: str, code: str) -> Code | None:
    """Return the code that somebody typed, when this ledger knows it and one of the keys made it."""
    nonce = nonce_of(code)
    found = book_of(state).codes.get(nonce) if nonce is not None else None
    # One that is not known takes as long.
    asked = found.asked if found is not None else Asked(0, _START, "answer", "", "", "", _START, _START)
    good = is_proven(code if nonce is not None else "0" * 20, ledger.keys, site, asked, nonce or "")
    return found if good else None


def give_out(ledger: Ledger, state: LedgerState, wanted: Asked, now: datetime) -> tuple[Invitation, LedgerState]:
    """Return a person's code for what is ``wanted``; the one that is good already, for more computers if need be."""

    def ask(at: LedgerState) -> tuple[str, dict[str, object]] | None:
        book = book_of(at)
        live = _usable(book, wanted, now)
        if live is not None and set(wanted.hosts) <= set(live.asked.hosts) and live.asked.agree_by == wanted.agree_by:
            return None
        if live is None:
            return event_of(replace(wanted, nonce=unused_nonce(at)))
        hosts = tuple(dict.fromkeys((*live.asked.hosts, *wanted.hosts)))
        behalf = tuple(dict.fromkeys((*live.asked.on_behalf, *wanted.on_behalf)))
        return event_of(replace(wanted, nonce=live.nonce, hosts=hosts, on_behalf=behalf, until=live.asked.until))

    _, state = ledger.append(ask, now=now, state=state)
    code = _usable(book_of(state), wanted, now)
    if code is None:
        raise AnswerRefused("the code could not be given out", hint="Try again.")
    return invitation_of(ledger, code), state


def invitation_of(ledger: Ledger, code: Code) -> Invitation:
    """Return a code with its text."""
    asked = code.asked
    return Invitation(
        site=ledger.site,
        person=asked.person,
        name=asked.name,
        code=code_text(ledger.keys[0], ledger.site, asked, code.nonce),
        until=asked.until,
        agree_by=asked.agree_by,
        plan=asked.plan,
        hosts=asked.hosts,
        on_behalf=asked.on_behalf,
    )


def own_code(context: Context, site: str, person: str, *, now: datetime | None = None) -> Invitation:
    """Return somebody's own code for a school: for holds and overrides. Raises ``ConfigError``."""
    now = now or datetime.now(UTC)
    found = known_person(context, site, person)
    until = (now + timedelta(days=context.config.approval.valid_days)).replace(microsecond=0)
    with open_ledger(context, site) as ledger:
        wanted = Asked(0, now, "own", person, found.name, "", until, until)
        return give_out(ledger, ledger.read(), wanted, now)[0]


def void_code(context: Context, code: str, *, now: datetime | None = None) -> Invitation:
    """Make a code worthless that others may have seen, and return the one in its place. Raises ``AnswerRefused``."""
    now = now or datetime.now(UTC)
    with open_by_code(context, code, purpose=None, now=now, sleep=None) as shown:

        def void(state: LedgerState) -> tuple[str, dict[str, object]]:
            live = shown.fresh(state, now)
            asked = live.asked
            return event_of(Voided(0, now, asked.person, asked.name, live.nonce, unused_nonce(state)))

        shown.append(void, now)
        return shown.following()


def note_handed_out(
    context: Context, invitations: Sequence[Invitation], how: Literal["printed", "mailed"], *, now: datetime
) -> None:
    """Write down that codes were shown to whoever runs this, or sent; do it before they are."""
    by = acting()
    for one in invitations:
        nonce = nonce_of(one.code) or ""
        event = event_of(HandedOut(0, now, one.person, nonce, how, by))
        with open_ledger(context, one.site) as ledger:
            ledger.append(lambda _, event=event: event, now=now)  # type: ignore[misc]


def unused_nonce(state: LedgerState) -> str:
    """Return a nonce that no code of this ledger has."""
    known = book_of(state).codes
    nonce = new_nonce()
    while nonce in known:
        nonce = new_nonce()
    return nonce


def book_of(state: LedgerState) -> CodeBook:
    """Return the codes of a ledger."""
    return CodeBook(lines_of(state.entries)[0])


def acting() -> str:
    """Return which account of which computer does this."""
    return f"{user_name() or 'somebody'} at {host_name()}"


def known_person(context: Context, site: str, key: str) -> Person:
    """Return a person of a school. Raises ``ConfigError``."""
    person = people_of(context).people.get(key)
    if person is None:
        raise ConfigError(f"there is no '{key}' in people.yaml", hint="Add them there.")
    if not belongs(person, site):
        raise ConfigError(f"{person.name} does not belong to the school '{site}'", hint="See 'sites' in people.yaml.")
    return person


def new_code_key(path: Path) -> None:
    """Write a new key for codes to ``path``, readable by its owner only. Overwrites nothing."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(new_secret() + "\n")
    except FileExistsError:
        raise ConfigError(f"{path} is there already and was left alone", hint="Name another file.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", hint="Name another file.") from None


def _usable(book: CodeBook, wanted: Asked, now: datetime) -> Code | None:
    """Return the person's code that is good now; for what has no plan, one that is about to end is none."""
    live = book.live(wanted.purpose, wanted.plan, wanted.person)
    if live is None or live.asked.digest != wanted.digest or live.asked.until <= now:
        return None
    if not wanted.plan and live.asked.until <= now + _LAST_DAY:
        return None
    return live


def _count_wrong(context: Context, site: str, now: datetime, sleep: Callable[[float], None]) -> None:
    with open_ledger(context, site) as ledger:
        wrong = note_wrong(RecordStore(ledger.backend, clock=lambda: now), site, acting(), now)
        if wrong >= SUSPICIOUS:

            def tell(state: LedgerState) -> tuple[str, dict[str, object]] | None:
                told = any(isinstance(one, Guessed) and one.at > now - REMEMBERED for one in lines_of(state.entries)[0])
                return None if told else event_of(Guessed(0, now, wrong))

            ledger.append(tell, now=now)
    sleep(wait_after(wrong))
