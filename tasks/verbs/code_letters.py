"""Mail people their codes: a letter to each, to the address in ``people.yaml`` and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from configs.errors import ConfigError, FirstbellError
from tasks.mail.letter import Letter
from tasks.records.codes import nonce_of
from tasks.reports.code_page import CodeLetter, code_page
from tasks.verbs.codes import Invitation, known_person, note_handed_out
from tasks.verbs.context import Context
from tasks.verbs.letters import letter_of, mailer_of, reader_of, templates_of


def mail_codes(
    context: Context, invitations: Sequence[Invitation], *, now: datetime | None = None
) -> list[tuple[str, str]]:
    """Send each person their code, and return each name with why it was not sent, empty where it was.

    Each is written into the ledger before it goes. Raises ``ConfigError`` when there is no mail server.
    """
    now = now or datetime.now(UTC)
    mailer = mailer_of(context)
    if mailer is None:
        raise ConfigError(
            "there is no mail server", hint="Set 'mail.server', or hand codes over in person: firstbell codes print."
        )
    found: list[tuple[str, str]] = []
    with mailer:
        for one in invitations:
            try:
                letter = code_letter(context, one)
                note_handed_out(context, [one], "mailed", now=now)
                mailer.send(letter)
            except FirstbellError as error:
                found.append((one.name, error.message))
            else:
                found.append((one.name, ""))
    return found


def code_letter(context: Context, invitation: Invitation) -> Letter:
    """Return the letter with a code. Raises ``ConfigError`` when the person has no address."""
    person = known_person(context, invitation.site, invitation.person)
    if not person.email:
        raise ConfigError(f"{person.name} has no mail address in people.yaml", hint="Hand the code over in person.")
    text = CodeLetter(
        code=invitation.code,
        until=invitation.until,
        agree_by=invitation.agree_by,
        computers=invitation.hosts,
        plan=invitation.plan,
        page=context.config.letters.answer_page,
    )
    reader = reader_of(context, invitation.site, name=person.name, language=person.language)
    page = code_page(templates_of(context), text, reader)
    # The part of the code that is no secret: the same letter twice can so be taken for one.
    thing = f"firstbell.code.{invitation.site}.{nonce_of(invitation.code)}"
    return letter_of(page, name=person.name, address=person.email, thing=thing)
