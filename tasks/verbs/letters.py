"""Write to people: each letter once, in the language of whoever reads it, by mail.

A letter that cannot be sent now is sent by the next run; who has no address is named, so that somebody passes the page
on. No error of one letter keeps the others from being written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from configs.people import PeopleFile, Person
from configs.people_file import accounts_of
from tasks.errors import MailError, MailUncertain, RecipientRefused
from tasks.events import Reporter, Warned, silent
from tasks.mail.letter import Letter, Sender
from tasks.mail.smtp import Mailer, MailServer
from tasks.records.store import RecordStore
from tasks.records.told import Attempt, begin_letter, letter_digest, letter_stands
from tasks.reports.html_page import html_page
from tasks.reports.maintenance_model import Reader
from tasks.reports.plain_text import plain_line, plain_text
from tasks.reports.templates import Page, Templates
from tasks.verbs.accounts import same_account
from tasks.verbs.context import Context
from tasks.verbs.maintenance_plan import people_of, zone_of
from tasks.verbs.site_ledger import ledger_location
from tasks.verbs.site_repository import repository_backend

#: ``already``: sent by an earlier run; ``later``: the next run tries again; ``unknown``: it may have been sent, twice
#: nobody heard, and somebody should ask; ``no-address`` and ``no-mail``: the page has to be passed on by hand.
Outcome = Literal["sent", "already", "later", "refused", "under-way", "unknown", "no-address", "no-mail"]

_WORDS: dict[Outcome, str] = {
    "later": "the letter to {name} could not be sent now; the next run sends it",
    "refused": "the letter to {name} is refused by the mail server",
    "unknown": "nobody knows whether {name} got the letter: ask, or pass the page on",
    "no-address": "{name} has no mail address in people.yaml: pass the page on",
}


@dataclass(frozen=True, slots=True)
class Addressee:
    """Somebody to be told: ``key`` in ``people.yaml``, or the account where nobody is known for it."""

    key: str
    person: Person

    @property
    def address(self) -> str:
        """Return where mail goes; empty where nobody knows."""
        return self.person.email


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one letter. The page may hold a code."""

    person: str
    name: str
    kind: str
    outcome: Outcome
    text: str = ""
    page: Page | None = field(default=None, repr=False)


class Post:
    """The post of one run and school: templates, people, records of who was told, and the mail server."""

    def __init__(
        self,
        context: Context,
        site: str,
        store: RecordStore,
        people: PeopleFile,
        mailer: Mailer | None,
        report: Reporter,
    ) -> None:
        self.context = context
        self.site = site
        self.templates = templates_of(context)
        self.people = people
        #: What keeps letters from being sent: the next run has to try again.
        self.trouble: MailError | None = None
        self._store = store
        self._mailer = mailer
        self._down = False
        self._report = report
        self._warned: set[str] = set()

    def reader(self, person: Person) -> Reader:
        """Return how somebody reads a page."""
        return reader_of(self.context, self.site, name=person.name, language=person.language)

    def of_account(self, account: str) -> Addressee:
        """Return the person of an account; where nobody is known for it, one without an address."""
        found = [
            (key, person)
            for key, person in self.people.people.items()
            if _belongs(person, self.site) and any(same_account(account, own) for own in accounts_of(key, person))
        ]
        key, person = found[0] if len(found) == 1 else (account, Person(name=account))
        return Addressee(key, person)

    def with_role(self, role: str) -> list[Addressee]:
        """Return everybody of this school with a role."""
        return [
            Addressee(key, one)
            for key, one in self.people.people.items()
            if role in one.roles and _belongs(one, self.site)
        ]

    def is_settled(self, to: Addressee, kind: str, about: Sequence[str]) -> bool:
        """Return whether there is nothing to send: it was sent, or cannot be. Spares making a page for nothing."""
        if self._mailer is None or not to.address:
            return True
        return letter_stands(self._store, self._digest(to, kind, about)) is not None

    def _digest(self, to: Addressee, kind: str, about: Sequence[str]) -> str:
        return letter_digest(self.site, kind, *about, to.key, to.address.casefold())

    def send(
        self,
        to: Addressee,
        kind: str,
        about: Sequence[str],
        page: Page,
        *,
        again_after: timedelta | None = None,
        first: Callable[[], None] | None = None,
    ) -> Told:
        """Send a page, unless that was done; ``about`` tells this letter from others of its kind to the same person.

        ``first`` is done right before the letter goes out. Raises what that raises, or a ``BackendError``: then it was
        not sent.
        """
        self._tell_notes(page)
        if self._mailer is None:
            self._warn("no mail server is configured ('mail.server'): pass the pages on by hand")
            return self._told(to, kind, "no-mail", page)
        if not to.address:
            return self._told(to, kind, "no-address", page)
        if self._down:
            return self._told(to, kind, "later", page)
        digest = self._digest(to, kind, about)
        data = {"site": self.site, "about": kind, "of": list(about), "person": to.key}
        found = begin_letter(self._store, digest, data, again_after=again_after)
        if not isinstance(found, Attempt):
            outcome: Outcome = "already" if found.standing == "sent" else found.standing
            return self._told(to, kind, outcome, page, found.text)
        # The same thing on another day is another letter.
        thing = f"firstbell.{digest}" + (f".{self._store.clock():%Y%m%d}" if again_after else "")
        return self._hand_over(self._mailer, found, to, kind, page, thing, first)

    def _hand_over(
        self,
        mailer: Mailer,
        attempt: Attempt,
        to: Addressee,
        kind: str,
        page: Page,
        thing: str,
        first: Callable[[], None] | None,
    ) -> Told:
        letter = letter_of(page, name=to.person.name, address=to.address, thing=thing)
        try:
            try:
                mailer.open()
            except MailError:
                # No other letter will pass either; and a wrong password tried again and again locks the account.
                self._down = True
                raise
            if first is not None:
                first()
        except BaseException as error:
            attempt.end("later", error.message if isinstance(error, MailError) else "")
            if not isinstance(error, MailError):
                raise
            self.trouble = error
            return self._told(to, kind, "later", page, error.message)
        try:
            mailer.send(letter)
        except RecipientRefused as error:
            attempt.end("refused", error.message)
            return self._told(to, kind, "refused", page, error.message)
        except MailError as error:
            attempt.end("uncertain" if isinstance(error, MailUncertain) else "later", error.message)
            self.trouble = error
            return self._told(to, kind, "later", page, error.message)
        attempt.end("sent")
        return self._told(to, kind, "sent", page)

    def _told(self, to: Addressee, kind: str, outcome: Outcome, page: Page, text: str = "") -> Told:
        if outcome in _WORDS:
            words = _WORDS[outcome].format(name=to.person.name)
            self._warn(f"{words} ({text})" if text else words)
        return Told(to.key, to.person.name, kind, outcome, text, page)

    def _tell_notes(self, page: Page) -> None:
        for note in page.notes:
            self._warn(f"templates: {note}")

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self._report(Warned("", text))


@contextmanager
def open_post(context: Context, site: str, *, now: datetime | None = None, report: Reporter = silent) -> Iterator[Post]:
    """Open what is needed to write to the people of a school; the mail server is called for the first letter only.

    Raises ``ConfigError``, or a ``BackendError``.
    """
    people = people_of(context)
    mailer = mailer_of(context)
    with closing(repository_backend(context, ledger_location(context, site))) as backend:
        store = RecordStore(backend, report) if now is None else RecordStore(backend, report, clock=lambda: now)
        try:
            yield Post(context, site, store, people, mailer, report)
        finally:
            if mailer is not None:
                mailer.close()


def mailer_of(context: Context) -> Mailer | None:
    """Return the mail server of the configuration, not yet called; None when there is none. Raises ``ConfigError``."""
    mail = context.config.mail
    if mail.server is None:
        return None
    server = MailServer(
        host=mail.server,
        port=mail.port_used,
        security=mail.security,
        user=mail.user,
        password=context.secret(mail.password) if mail.password is not None else None,
        ca_file=mail.ca_file,
        timeout=float(mail.timeout_seconds),
    )
    return Mailer(server, Sender(mail.sender, mail.sender_name, mail.reply_to))


def templates_of(context: Context) -> Templates:
    """Return the templates: the school's own, where it has any, over those of firstbell."""
    own = context.config.letters.templates
    return Templates(context.folder / Path(own).expanduser() if own else None)


def reader_of(context: Context, site: str, *, name: str = "", language: str = "") -> Reader:
    """Return a reader of a page of a school; one who is nobody in particular by default."""
    zone: ZoneInfo = zone_of(context, site)
    language = language or context.config.letters.language
    return Reader(name, language, context.config.site(site).title or site, zone, context.config.contact_for(site))


def letter_of(page: Page, *, name: str, address: str, thing: str) -> Letter:
    """Return a page as a letter; its heading is the subject."""
    title = plain_line(page.heading)
    return Letter(
        name=name,
        address=address,
        subject=title,
        text=plain_text(page.markdown),
        html=html_page(page.markdown, title=title, language=page.language),
        thing=thing,
        language=page.language,
    )


def _belongs(person: Person, site: str) -> bool:
    return not person.sites or site in person.sites
