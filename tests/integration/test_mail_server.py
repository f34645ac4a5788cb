"""Letters through a real mail server, over TLS, with a login."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from tasks.errors import MailError, MailUnavailable, MailUncertain, RecipientRefused
from tasks.mail.letter import Letter, Sender, checked_address, message_of
from tasks.mail.smtp import Mailer
from tasks.mail.smtp import MailServer as Server
from tests.support.mail_server import PASSWORD, USER, MailServer

SENDER = Sender("firstbell@north.example", "Computer care, Nörth", "it-desk@north.example")
LETTER = Letter(
    name="Aiko Itō",
    address="a.ito@north.example",
    subject="Your files are saved : 1 204 files",
    text="Saved.\n.\nA line with a dot alone is above.\n" + "x" * 1200 + "\nÄ\n",
    html="<p>Saved. Ä</p>",
    thing="firstbell.1234",
    language="de",
)


@pytest.fixture(scope="module", params=["starttls", "tls"])
def mail(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    server = MailServer.start(tmp_path_factory.mktemp("mail"), request.param)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def starttls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    server = MailServer.start(tmp_path_factory.mktemp("starttls"))
    yield server
    server.stop()


def reached(mail: MailServer, security: Any = "starttls", **changes: Any) -> Server:
    values = {
        "user": USER,
        "password": SecretStr(PASSWORD),
        "ca_file": str(mail.certificate),
        "timeout": 10.0,
        **changes,
    }
    return Server("127.0.0.1", mail.port, security, **values)


def test_a_letter_arrives_whole_over_tls_and_after_a_login(mail: MailServer, request: pytest.FixtureRequest) -> None:
    security = request.node.callspec.params["mail"]
    with Mailer(reached(mail, security), SENDER) as mailer:
        mailer.send(LETTER)
        # Over the same connection.
        mailer.send(replace(LETTER, address="m.okafor@north.example", name="M. Okafor, B.Ed."))
    first, second = mail.letters
    assert mail.notes[0] == {
        "sender": SENDER.address,
        "recipients": [LETTER.address],
        "tls": security == "starttls",
        "login": True,
    }
    assert str(first["To"]) == "Aiko Itō <a.ito@north.example>"
    assert first["From"].addresses[0].display_name == SENDER.name
    assert first["Reply-To"].addresses[0].addr_spec == SENDER.reply_to
    assert first["Subject"] == LETTER.subject
    assert first["Message-ID"] == "<firstbell.1234@north.example>"
    assert first["Auto-Submitted"] == "auto-generated"
    assert first.get_content_type() == "multipart/alternative"
    text, html = first.iter_parts()
    assert text.get_content().replace("\r\n", "\n") == LETTER.text
    assert html.get_content().strip() == LETTER.html
    assert second["To"].addresses[0].display_name == "M. Okafor, B.Ed."


def test_a_certificate_that_nobody_vouches_for_ends_it_before_the_password(starttls: MailServer) -> None:
    before = len(starttls.notes)
    with Mailer(reached(starttls, ca_file=None), SENDER) as mailer, pytest.raises(MailError) as caught:
        mailer.send(LETTER)
    assert "certificate" in str(caught.value)
    assert not caught.value.transient
    # Nor one for another name.
    named = replace(reached(starttls), host="localhost")
    with Mailer(named, SENDER) as mailer, pytest.raises(MailError, match="certificate"):
        mailer.send(LETTER)
    assert len(starttls.notes) == before


def test_a_wrong_password_is_told_without_it(starttls: MailServer) -> None:
    server = reached(starttls, password=SecretStr("battery staple"))
    with Mailer(server, SENDER) as mailer, pytest.raises(MailError) as caught:
        mailer.send(LETTER)
    assert not caught.value.transient
    assert "refuses the login" in str(caught.value)
    assert "battery" not in f"{caught.value!r}{caught.value.hint}{server!r}"


@pytest.mark.parametrize(
    ("name", "error", "transient"),
    [("unknown", RecipientRefused, False), ("busy", MailUnavailable, True), ("spam", RecipientRefused, False)],
)
def test_what_a_server_says_to_one_letter_keeps_no_other(
    starttls: MailServer, name: str, error: type[MailError], transient: bool
) -> None:
    with Mailer(reached(starttls), SENDER) as mailer:
        with pytest.raises(error) as caught:
            mailer.send(replace(LETTER, address=f"{name}@north.example"))
        assert caught.value.transient is transient
        assert "north.example" not in str(caught.value)
        before = len(starttls.notes)
        mailer.send(LETTER)
        assert len(starttls.notes) == before + 1


def test_an_answer_that_is_lost_is_not_taken_for_a_failure(starttls: MailServer) -> None:
    with Mailer(reached(starttls), SENDER) as mailer:
        with pytest.raises(MailUncertain):
            mailer.send(replace(LETTER, address="cut@north.example"))
        assert len(starttls.to("cut@north.example")) == 1
        # The next letter goes over a new connection.
        before = len(starttls.notes)
        mailer.send(LETTER)
        assert len(starttls.notes) == before + 1


def test_a_server_that_is_not_there_or_says_nothing_is_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for security in ("starttls", "tls"):
            server = Server("127.0.0.1", port, security, timeout=0.3)  # type: ignore[arg-type]
            with Mailer(server, SENDER) as mailer, pytest.raises(MailUnavailable):
                mailer.send(LETTER)
    with Mailer(Server("127.0.0.1", port, "starttls"), SENDER) as mailer, pytest.raises(MailUnavailable):
        mailer.send(LETTER)
    nowhere = Server("127.0.0.1", port, "tls", ca_file=str(tmp_path / "none.pem"))
    with Mailer(nowhere, SENDER) as mailer, pytest.raises(MailError, match="ca_file"):
        mailer.send(LETTER)


def test_a_server_without_starttls_gets_neither_password_nor_letter(tmp_path: Path) -> None:
    plain = MailServer.start(tmp_path / "plain", "plain")
    try:
        with Mailer(reached(plain), SENDER) as mailer, pytest.raises(MailError) as caught:
            mailer.send(LETTER)
        assert not isinstance(caught.value, MailUnavailable)
        assert plain.notes == []
        # On this computer itself it may be asked for.
        with Mailer(reached(plain, "none", user=None, password=None), SENDER) as mailer:
            mailer.send(LETTER)
        assert plain.notes[0]["login"] is False
    finally:
        plain.stop()


# --- Nothing in a letter becomes a header or a recipient ------------------------------------------------------------

_NASTY = ["\r\nBcc: all@north.example", "\n\n", "\r", "\x00", "a@b.example", "<x@y.example>", ",", ";", '"', "\\", ":",
          "=?utf-8?q?x?=", "\u2028", "\u202e", "(", ")", "Ä", "x", " ", "@"]  # fmt: skip
_TEXT = st.lists(st.sampled_from(_NASTY) | st.text(max_size=3), max_size=6).map("".join)


@settings(max_examples=60, deadline=None)
@given(_TEXT, _TEXT, _TEXT)
def test_no_name_subject_or_address_adds_a_header_or_a_recipient(name: str, subject: str, local: str) -> None:
    letter = replace(LETTER, name=name, subject=subject, thing=f"firstbell.{subject}")
    calm = message_of(LETTER, SENDER, datetime(2026, 7, 1, tzinfo=UTC))
    raw = message_of(letter, SENDER, datetime(2026, 7, 1, tzinfo=UTC)).as_bytes()
    head = raw.partition(b"\r\n\r\n")[0].decode("ascii")
    names = [line.partition(":")[0] for line in head.split("\r\n") if line[:1] not in (" ", "\t")]
    assert names == list(calm.keys())
    assert "\n" not in head.replace("\r\n", "")
    message = message_of(letter, SENDER, datetime(2026, 7, 1, tzinfo=UTC))
    assert [one.addr_spec for one in message["To"].addresses] == [LETTER.address]
    try:
        found = checked_address(f"{local}@north.example")
    except RecipientRefused as error:
        assert not local or local not in error.message or len(local) < 3
    else:
        assert found == f"{local.strip()}@north.example"
        assert all(one.isascii() and one.isprintable() and one not in ' ,;<>()":\\[]' for one in found)


@pytest.mark.parametrize(
    "address", ["", "a", "@b.example", "a@", "a b@c.example", "a@b@c.example", "a@-b.example", "a@b..example",
                "ä@b.example", "a@b.example\nx", "a@b.example,c@d.example", "x" * 250 + "@b.example"]
)  # fmt: skip
def test_what_is_no_address_gets_no_letter(address: str) -> None:
    with pytest.raises(RecipientRefused):
        checked_address(address)


def test_a_domain_may_have_letters_of_any_language() -> None:
    assert checked_address("a.ito@bücher.example") == "a.ito@xn--bcher-kva.example"
