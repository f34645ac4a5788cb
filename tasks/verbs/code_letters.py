"""Mail people their codes: a letter to each, to the address in ``people.yaml`` and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from configs.errors import ConfigError, FirstbellError
from tasks.mail.letter import Letter, Sender
from tasks.mail.smtp import Mailer, MailServer
from tasks.records.codes import nonce_of
from tasks.reports.code_page import CodeLetter, code_page
from tasks.reports.html_page import html_page
from tasks.reports.maintenance_model import Reader
from tasks.reports.plain_text import plain_line, plain_text
from tasks.reports.templates import Templates
from tasks.verbs.codes import Invitation, known_person, note_handed_out
from tasks.verbs.context import Context
from tasks.verbs.maintenance_plan import zone_of


def mail_codes(
    context: Context, invitations: Sequence[Invitation], *, now: datetime | None = None
) -> list[tuple[str, str]]:
    """Send each person their code, and return each name with why it was not sent, empty where it was.

    Each is written into the ledger before it goes. Raises ``ConfigError`` when there is no mail server.
    """
    now = now or datetime.now(UTC)
    found: list[tuple[str, str]] = []
    with _mailer(context) as mailer:
        for one in invitations:
            try:
                letter = letter_of(context, one)
                note_handed_out(context, [one], "mailed", now=now)
                mailer.send(letter)
            except FirstbellError as error:
                found.append((one.name, error.message))
            else:
                found.append((one.name, ""))
    return found


def letter_of(context: Context, invitation: Invitation) -> Letter:
    """Return the letter with a code. Raises ``ConfigError`` when the person has no address."""
    person = known_person(context, invitation.site, invitation.person)
    if not person.email:
        raise ConfigError(f"{person.name} has no mail address in people.yaml", hint="Hand the code over in person.")
    site, letters = context.config.site(invitation.site), context.config.letters
    own = context.folder / Path(letters.templates).expanduser() if letters.templates else None
    reader = Reader(
        person.name, person.language, site.title or invitation.site, zone_of(context, invitation.site), letters.contact
    )
    text = CodeLetter(
        code=invitation.code,
        until=invitation.until,
        agree_by=invitation.agree_by,
        computers=invitation.hosts,
        plan=invitation.plan,
        page=letters.answer_page,
    )
    page = code_page(Templates(own), text, reader)
    subject = plain_line(page.heading)
    return Letter(
        name=person.name,
        address=person.email,
        subject=subject,
        text=plain_text(page.markdown),
        html=html_page(page.markdown, title=subject, language=page.language),
        # The part of the code that is no secret: the same letter twice can be taken for one.
        thing=f"code-{invitation.site}-{nonce_of(invitation.code)}",
        language=page.language,
    )


def _mailer(context: Context) -> Mailer:
    config = context.config.mail
    if config.server is None:
        raise ConfigError(
            "there is no mail server", hint="Set 'mail.server', or hand codes over in person: firstbell codes print."
        )
    server = MailServer(
        host=config.server,
        port=config.port_used,
        security=config.security,
        user=config.user,
        password=context.secret(config.password) if config.password else None,
        ca_file=config.ca_file,
        timeout=float(config.timeout_seconds),
    )
    return Mailer(server, Sender(config.sender, config.sender_name, config.reply_to))
