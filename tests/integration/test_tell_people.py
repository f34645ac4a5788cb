"""Teachers and IT are written to, through a real mail server, each once."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from configs.maintenance import MaintenancePlan
from inventory.model import Host
from tasks.errors import MailError, MailUnavailable
from tasks.events import Event, Warned
from tasks.records import told
from tasks.records.codes import new_secret
from tasks.verbs.context import Context
from tasks.verbs.letters import Told
from tasks.verbs.tell import announce, tell_host
from tests.support.gate_site import HOST, GateSite
from tests.support.mail_server import PASSWORD, MailServer
from tests.support.people_site import NOW, codes_of, plan_for, say

ITO, IT = "a.ito@north.example", "it@north.example"
PEOPLE = {
    "a.ito": {"name": "Aiko Ito", "email": ITO, "language": "de", "delegates": ["m.okafor"]},
    "m.okafor": {"name": "Mary Okafor", "email": "m.okafor@north.example"},
    "it-desk": {"name": "IT desk", "email": IT, "roles": ["it"]},
    "elsewhere": {"name": "Else", "email": "else@south.example", "roles": ["it"], "sites": ["south"]},
}
CODE = re.compile(r"[0-9A-Z]{5}(?:-[0-9A-Z]{5}){3}")


class Letters(GateSite):
    """``GateSite`` with people, codes and a mail server."""

    def __init__(self, folder: Path, capture: Any, mail: MailServer) -> None:
        super().__init__(folder, capture, groups=["lab-3"])
        self.mail = mail
        (folder / "code.key").write_text(new_secret())
        (folder / "code.key").chmod(0o600)
        self.config["approval"] = {"code_key": f"file:{folder / 'code.key'}"}
        self.config["sites"]["south"] = {"repository": {"location": str(folder / "south")}}
        self.config["mail"] = mail.config()
        self.config["letters"] = {"answer_page": "https://firstbell.north.example/answer"}
        (folder / "people.yaml").write_text(json.dumps({"people": PEOPLE}))
        self.write()
        (folder / "inventory" / "groups.yaml").write_text("lab-3: {title: Lab 3, kind: room}\n")
        self.events: list[Event] = []

    @property
    def warned(self) -> list[str]:
        return [one.message for one in self.events if isinstance(one, Warned)]

    def announce(self, plan: MaintenancePlan | None = None, **later: float) -> dict[str, Told]:
        context, host = self.parts()
        found = announce(context, plan or plan_for(HOST), [host], NOW + timedelta(**later), self.events.append)
        return {one.person: one for one in found}

    def parts(self) -> tuple[Context, Host]:
        context = self.context()
        return context, context.host(HOST)

    def tell(self, about: Any, text: str = "", plan: MaintenancePlan | None = None) -> dict[str, str]:
        context, host = self.parts()
        found = tell_host(context, plan or plan_for(HOST), host, about, text, datetime.now(UTC), self.events.append)
        return {one.person: one.outcome for one in found}


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[MailServer]:
    server = MailServer.start(tmp_path / "mail")
    yield server
    server.stop()


@pytest.fixture
def site(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch, mail: MailServer) -> Letters:
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "secret enough")
    monkeypatch.setenv("FIRSTBELL_MAIL_PASSWORD", PASSWORD)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "site").mkdir()
    found = Letters(tmp_path / "site", capsys, mail)
    found.init("secret enough")
    return found


def records(site: Letters) -> str:
    return "".join(path.read_text() for path in (site.folder / "repository" / "records").rglob("*.json"))


def body(message: Any) -> str:
    # Where its lines end does not matter.
    return " ".join(str(message.get_body(("plain",)).get_content()).split())


def test_everybody_who_decides_gets_a_code_of_their_own_and_once_only(site: Letters) -> None:
    first = site.announce()
    assert {key: one.outcome for key, one in first.items()} == {"a.ito": "sent", "m.okafor": "sent"}
    (ito,), (okafor,) = site.mail.to(ITO), site.mail.to("m.okafor@north.example")
    codes = [found[0] for one in (ito, okafor) if (found := CODE.search(body(one)))]
    assert len(set(codes)) == 2
    # Each in their own language, by the clock of the school.
    assert "Montag, 6. Juli 2026, 17:00 Uhr" in body(ito)
    assert "decide for Aiko Ito" in body(okafor)
    again = site.announce(hours=2)
    assert {one.outcome for one in again.values()} == {"already"}
    assert len(site.mail.notes) == 2
    # The code is good, and stands nowhere else; what was told does not show it either.
    assert not any(code in records(site) for code in codes)
    assert not any(code in repr(first) for code in codes)
    assert '"mailed"' in records(site)
    assert say(site.context(), codes[0], "approve").decision == "approve"


def test_a_teacher_who_is_not_asked_is_told_all_the_same(site: Letters) -> None:
    plan = plan_for(HOST, approvals={"by": "none"}, kind="upgrade")
    assert {key: one.outcome for key, one in site.announce(plan).items()} == {"a.ito": "sent"}
    assert CODE.search(body(site.mail.letters[0])) is None
    assert "Sie müssen nicht antworten" in body(site.mail.letters[0])


def test_a_worker_that_dies_right_after_sending_doubles_one_letter_and_loses_none(
    site: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(told.Attempt, "end", die)
        with pytest.raises(KeyboardInterrupt):
            site.announce()
    assert len(site.mail.notes) == 1
    # The worker may be at it still, as far as another one can tell.
    assert sorted(one.outcome for one in site.announce().values()) == ["sent", "under-way"]
    monkeypatch.setattr(told, "is_running", lambda _pid: False)
    assert sorted(one.outcome for one in site.announce().values()) == ["already", "sent"]
    assert sorted(one.outcome for one in site.announce().values()) == ["already", "already"]
    doubled = [one["Message-ID"] for one in site.mail.to(ITO)]
    assert len(doubled) == 2
    assert len(set(doubled)) == 1
    assert len(site.mail.notes) == 3


def test_a_mail_server_that_is_down_makes_it_later_not_never(site: Letters) -> None:
    port = site.mail.port
    site.config["mail"]["port"] = 1
    site.write()
    with pytest.raises(MailUnavailable):
        site.announce()
    assert any("the next run sends it" in text for text in site.warned)
    assert "handed-out" not in records(site)
    site.config["mail"]["port"] = port
    site.write()
    assert {one.outcome for one in site.announce(minutes=10).values()} == {"sent"}


def test_a_wrong_password_is_tried_once_for_all_letters(site: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTBELL_MAIL_PASSWORD", "battery staple")
    with pytest.raises(MailError, match="refuses the login"):
        site.announce()
    assert "battery" not in records(site) + " ".join(site.warned)


def test_who_cannot_be_written_to_is_named_and_keeps_nobody_waiting(site: Letters) -> None:
    people = {key: dict(one) for key, one in PEOPLE.items()}
    people["a.ito"]["email"] = "unknown@north.example"
    people["m.okafor"]["email"] = ""
    (site.folder / "people.yaml").write_text(json.dumps({"people": people}))
    found = {key: one.outcome for key, one in site.announce().items()}
    assert found == {"a.ito": "refused", "m.okafor": "no-address"}
    assert any("Aiko Ito is refused" in text for text in site.warned)
    assert any("Mary Okafor has no mail address" in text for text in site.warned)
    # Once the address is right, the letter goes out.
    (site.folder / "people.yaml").write_text(json.dumps({"people": PEOPLE}))
    assert {one.outcome for one in site.announce().values()} == {"sent"}


def test_without_a_mail_server_everybody_is_named(site: Letters) -> None:
    del site.config["mail"]
    site.write()
    assert {one.outcome for one in site.announce().values()} == {"no-mail"}
    assert any("pass the pages on by hand" in text for text in site.warned)


def test_pages_before_and_after_tell_what_is_saved_and_what_is_back(site: Letters) -> None:
    (site.home / "Desktop" / "marks |*.ods").write_text("A+")
    assert site.run("snapshot", HOST)[0] == 0
    assert site.tell("before") == {"a.ito": "sent"}
    assert site.tell("before") == {}
    (before,) = site.mail.to(ITO)
    assert "31 Dateien" in body(before)
    assert before["Subject"] == "Was von Ihren Dateien gesichert ist"
    saved = {path: path.read_bytes() for path in (site.home / "Desktop").iterdir()}
    shutil.rmtree(site.home / "Desktop")
    assert site.run("restore", HOST, "--yes")[0] == 0
    assert {path: path.read_bytes() for path in (site.home / "Desktop").iterdir()} == saved
    lesson = site.home / "Desktop" / "lesson 03.txt"
    lesson.write_text("newer work")
    (site.home / "Desktop" / "marks |*.ods").unlink()
    assert site.tell("after") == {"a.ito": "sent"}
    assert site.tell("after") == {"a.ito": "already"}
    after = site.mail.to(ITO)[1]
    assert after["Subject"] == "Ihre Dateien sind wieder da, mit Ausnahmen"
    assert "Desktop/lesson 03.txt" in body(after)
    assert "Desktop/marks |*.ods" in body(after)
    assert "29 Dateien" in body(after)


def test_it_is_told_of_a_computer_that_needs_somebody_once(site: Letters) -> None:
    for _ in range(2):
        site.tell("attention", "it has not come back")
    # Another thing is another letter.
    assert site.tell("attention", "its serial number is another one") == {"it-desk": "sent"}
    assert [str(one["Subject"]) for one in site.mail.to(IT)] == ["summer: 1 computer needs somebody"] * 2
    assert "It has not come back." in body(site.mail.to(IT)[0])
    assert len(site.mail.notes) == 2


def test_computers_that_were_not_saved_are_told_to_it_and_their_teachers(site: Letters) -> None:
    assert site.last("overdue", "--site", "north", expect=3)["computers"][0]["last_good"] is None
    code, out, _ = site.say("overdue", "--site", "north", "--tell")
    assert code == 3
    assert "Northfield Primary School: 1 computer not saved for 3 days or more" in out
    assert "Computer: lab3-07\nRoom: Lab 3\nLast saved: never" in out
    site.say("overdue", "--site", "north", "--tell")
    assert sorted(one["recipients"][0] for one in site.mail.notes) == [ITO, IT]
    assert site.run("snapshot", HOST)[0] == 0
    assert site.last("overdue", "--site", "north", expect=0)["computers"] == []


def test_the_ledger_is_a_page_without_codes(site: Letters) -> None:
    context = site.context()
    codes = codes_of(context, plan_for(HOST), [HOST])
    say(context, codes["a.ito"], "refuse", reason="my <b>thesis</b>")
    page = site.folder / "ledger.html"
    assert site.say("ledger", "--site", "north", "--html", str(page))[0] == 0
    text = page.read_text(encoding="utf-8")
    assert "1 entry, complete and unchanged" in text
    assert "<strong>said no</strong>" in text
    assert "my &lt;b&gt;thesis&lt;/b&gt;" in text
    assert not any(code in text for code in codes.values())


def test_a_school_that_is_ready_says_so_in_one_file(site: Letters) -> None:
    site.write_calendar(class_days=["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"])
    assert site.run("snapshot", HOST)[0] == 0
    page = site.folder / "ready.html"
    code, _, _ = site.say("readiness", "--site", "north", "--html", str(page), "--language", "de")
    assert code == 0
    assert "1 von 1 Raum bereit für" in page.read_text(encoding="utf-8")
    assert "http" not in re.sub(r"http-equiv", "", page.read_text(encoding="utf-8"))
    found = site.last("readiness", "--site", "north", expect=0)
    assert found["rooms"] == [{"room": "Lab 3", "computers": 1, "not_ready": []}]
    assert found["next_class_day"] is not None
