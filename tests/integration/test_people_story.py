"""A computer that needs its teacher's word, on the command line: from the question to the clearance."""

from __future__ import annotations

import io
import json
import os
import pty
import socket
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiosmtpd.controller import Controller

from tasks.errors import GateHold
from tasks.policy.gate import CalendarFact
from tasks.verbs.clearance import issue_clearance
from tasks.verbs.decisions import Answer, decide, invite
from tests.support.gate_site import HOST
from tests.support.people_site import PeopleSite


@pytest.fixture
def site(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> PeopleSite:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "correct horse")
    made = PeopleSite(tmp_path, capsys, groups=["lab-3"])
    made.config["gate"]["approval"] = "required"
    made.write()
    (tmp_path / "inventory" / "groups.yaml").write_text("lab-3: {kind: room}\n")
    return made


@pytest.fixture
def saved(site: PeopleSite) -> PeopleSite:
    """Return the school with a computer that all but its teacher would let go."""
    site.init("correct horse")
    site.write_calendar()
    site.last("snapshot", HOST, expect=0)
    site.last("verify", HOST, expect=0)
    return site


def type_in(monkeypatch: pytest.MonkeyPatch, *codes: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{code}\n" for code in codes)))


def codes(site: PeopleSite, *arguments: str) -> dict[str, str]:
    code, found = site.run("codes", "print", *arguments)
    assert code == 0
    return {one["person"]: one["code"] for one in found}


def own(site: PeopleSite, *people: str) -> dict[str, str]:
    named = [part for person in people for part in ("--person", person)]
    return codes(site, "--own", "--site", "north", *named)


def test_from_the_question_to_the_clearance(saved: PeopleSite, monkeypatch: pytest.MonkeyPatch) -> None:
    assert saved.codes() == ["no-approval"]
    key = saved.folder / "clearance.key"
    saved.say("clearance", "keygen", str(key))
    saved.config["clearance"] = {"signing_key": f"file:{key}", "public_keys": [f"{key}.pub.pem"]}
    saved.write()
    given = codes(saved, HOST)
    assert set(given) == {"a.ito", "m.okafor"}
    assert saved.codes() == ["no-approval"]
    type_in(monkeypatch, given["a.ito"])
    answer = saved.last("approve", expect=0)
    assert (answer["person"], answer["hosts"], answer["cleared"]) == ("a.ito", [HOST], [])
    assert saved.codes(expect=0) == []
    saved.last("clearance", "issue", HOST, expect=0)
    # The same code again is nothing.
    type_in(monkeypatch, given["a.ito"])
    code, _, err = saved.say("refuse")
    assert (code, "used already" in err) == (1, True)
    # The next one takes the word back, and says whom it may be too late for.
    type_in(monkeypatch, answer["next_code"])
    code, out, _ = saved.say("refuse", "--reason", "marking until Friday")
    assert code == 0
    assert f"WARNING: {HOST} may be wiped at this very moment" in out
    assert saved.codes() == ["refused", "no-approval"]
    assert saved.say("clearance", "issue", HOST)[0] == 20


def test_a_no_said_while_a_clearance_is_signed_is_seen(saved: PeopleSite) -> None:
    key = saved.folder / "clearance.key"
    saved.say("clearance", "keygen", str(key))
    saved.config["clearance"] = {"signing_key": f"file:{key}"}
    saved.write()
    context = saved.context()
    given = {one.person: one.code for one in invite(context, None, [HOST])}
    following = decide(context, code=given["a.ito"], decision="approve").following.code
    asked: list[Answer] = []

    def calendar(site: str, moment: datetime) -> CalendarFact:
        # The gate has read what people said when the end of the clearance is worked out.
        if moment > now and not asked:
            asked.append(decide(context, code=following, decision="refuse"))
        return CalendarFact(covered=True)

    now = datetime.now(UTC) + timedelta(seconds=1)
    with pytest.raises(GateHold, match="Aiko Ito refused"):
        issue_clearance(context, HOST, calendar=calendar, now=now)
    assert len(asked) == 1


def test_a_hold_stops_the_gate_and_only_two_people_go_past_it(
    saved: PeopleSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved.config["gate"]["approval"] = "none"
    saved.write()
    assert saved.codes(expect=0) == []
    day = str((datetime.now(UTC) + timedelta(days=30)).date())
    type_in(monkeypatch, own(saved, "e.exam")["e.exam"])
    placed = saved.last("hold", "place", "--room", "lab-3", "--until", day, "--reason", "exam prep", expect=0)
    assert saved.codes() == ["educator-hold"]
    (listed,) = saved.run("hold", "list")[1]
    assert (listed["hold"], listed["by"], listed["hosts"]) == (placed["line"], "e.exam", [HOST])
    given = own(saved, "head", "deputy", "a.ito")
    type_in(monkeypatch, given["a.ito"])
    code, _, err = saved.say("hold", "lift", str(placed["line"]))
    assert (code, "who alone can lift it" in err) == (1, True)
    type_in(monkeypatch, given["head"], given["head"])
    assert saved.say("override", HOST, "--reason", "water damage")[0] == 1
    type_in(monkeypatch, given["head"], given["deputy"])
    told = saved.last("override", HOST, "--reason", "water damage", expect=0)
    assert told["past"] == ["Eva Exam holds the room lab-3: exam prep"]
    assert saved.codes(expect=0) == []
    assert {event["event"] for event in saved.run("ledger")[1][:-1]} == {
        "asked", "handed-out", "hold-placed", "overridden",
    }  # fmt: skip
    # The one who placed it can take it back with the next code.
    type_in(monkeypatch, placed["next_codes"]["e.exam"])
    assert saved.say("hold", "lift", str(placed["line"]))[0] == 0
    assert saved.run("hold", "list") == (0, [])


def test_a_refusal_in_a_plan_stops_the_gate_beyond_the_plan(saved: PeopleSite, monkeypatch: pytest.MonkeyPatch) -> None:
    saved.config["gate"]["approval"] = "none"
    saved.write()
    start = datetime.now(UTC) + timedelta(days=3)
    plan = {
        "name": "summer",
        "kind": "reimage",
        "site": "north",
        "hosts": {"hosts": [HOST]},
        "window": {"start": f"{start:%Y-%m-%d %H:%M}", "end": f"{start + timedelta(days=1):%Y-%m-%d %H:%M}"},
        "action": {"kind": "manual"},
    }
    (saved.folder / "maintenance").mkdir()
    (saved.folder / "maintenance" / "summer.yaml").write_text(yaml.safe_dump(plan))
    given = codes(saved, "--plan", "summer")
    assert saved.codes(expect=0) == []
    file = saved.folder / "code.txt"
    file.write_text(given["a.ito"] + "\n")
    assert saved.say("defer", "--code-file", str(file), "--until", "2020-01-01")[0] == 1
    assert saved.say("refuse", "--code-file", str(file), "--plan", "winter")[0] == 1
    code, out, _ = saved.say("refuse", "--code-file", str(file), "--plan", "summer")
    assert (code, "Aiko Ito refused: lab3-07 will not be wiped" in out) == (0, True)
    assert saved.codes() == ["refused"]
    in_plan = [one["code"] for one in saved.last("gate", HOST, "--plan", "summer", expect=20)["reasons"]]
    assert in_plan == ["refused", "no-approval"]
    file.write_text(codes(saved, "--plan", "summer")["a.ito"])
    assert saved.say("approve", "--code-file", str(file))[0] == 0
    assert saved.last("gate", HOST, "--plan", "summer", expect=0)["verdict"] == "open"
    assert saved.codes(expect=0) == []


def test_the_ledger_tells_everything_and_shows_harm(site: PeopleSite, monkeypatch: pytest.MonkeyPatch) -> None:
    given = codes(site, HOST)
    type_in(monkeypatch, given["a.ito"])
    site.last("approve", expect=0)
    code, out, _ = site.say("ledger", "--verify")
    assert code == 0
    assert "none changed, none missing" in out
    for text in ("Aiko Ito: was asked: lab3-07", "the code of a.ito was printed", "Aiko Ito: agreed: lab3-07"):
        assert text in out
    for given_code in given.values():
        assert given_code not in out
    site.lines()[1].unlink()
    code, out, _ = site.say("ledger", "--verify")
    assert (code, "NOT TO BE BELIEVED" in out) == (1, True)


def test_two_programs_with_one_code_at_once(site: PeopleSite) -> None:
    file = site.folder / "code.txt"
    file.write_text(codes(site, HOST)["a.ito"])
    where = ["--config", str(site.folder / "app.yaml"), "--inventory", str(site.folder / "inventory")]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "flows.cli", verb, "--code-file", str(file), *where],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for verb in ("approve", "refuse")
    ]
    said = [process.communicate(timeout=60) for process in running]
    assert sorted(process.returncode for process in running) == [0, 1], said
    (lost,) = (err for process, (_, err) in zip(running, said, strict=True) if process.returncode)
    assert "used already" in lost
    assert site.run("ledger", "--verify")[0] == 0


@pytest.mark.parametrize("harm", ["change", "remove"])
def test_the_gate_holds_where_the_ledger_was_harmed(
    saved: PeopleSite, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    type_in(monkeypatch, codes(saved, HOST)["a.ito"])
    saved.last("approve", expect=0)
    assert saved.codes(expect=0) == []
    # On another worker, which has not seen the ledger before.
    monkeypatch.setenv("XDG_CACHE_HOME", str(saved.folder / "another cache"))
    assert saved.codes(expect=0) == []
    line = saved.lines()[2]
    if harm == "remove":
        line.unlink()
    else:
        line.chmod(0o600)
        line.write_text(line.read_text().replace("printed", "mailed"))
    assert "unreadable" in saved.codes()
    monkeypatch.setenv("XDG_CACHE_HOME", str(saved.folder / "a third cache"))
    assert "unreadable" in saved.codes()


def test_on_a_terminal_the_code_is_asked_for(site: PeopleSite) -> None:
    code = codes(site, HOST)["a.ito"]
    where = ["--config", str(site.folder / "app.yaml"), "--inventory", str(site.folder / "inventory")]
    main, terminal = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "refuse", *where],
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.write(main, f"{code.lower()}\n".encode())
        out, err = process.communicate(timeout=60)
    finally:
        os.close(main)
        os.close(terminal)
    assert (process.returncode, err) == (0, "Your code: ")
    assert "Aiko Ito refused: lab3-07 will not be wiped" in out
    # What a terminal shows is the next code, in the same form.
    assert codes(site, HOST)["a.ito"] in out


def test_a_code_is_exchanged_for_another(site: PeopleSite, monkeypatch: pytest.MonkeyPatch) -> None:
    code = codes(site, HOST)["a.ito"]
    type_in(monkeypatch, code)
    following = site.last("codes", "void", expect=0)["code"]
    type_in(monkeypatch, code)
    assert site.say("approve")[0] == 1
    type_in(monkeypatch, following)
    assert site.say("approve")[0] == 0


def test_usage(site: PeopleSite, monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, "no code at all")
    code, _, err = site.say("approve")
    assert (code, "not one of our codes" in err) == (1, True)
    assert site.say("approve", "--code-file", str(site.folder / "none"))[0] == 1
    assert site.say("override", HOST, "--reason", "x", "--code-file", "-")[0] == 1
    assert site.say("codes", "print")[0] == 1
    assert site.say("codes", "print", "--own")[0] == 1
    assert site.say("codes", "print", "--own", "--site", "north", "--person", "nobody")[0] == 1
    with pytest.raises(SystemExit):
        site.say("defer", "--until", "soon")
    key = site.folder / "new.key"
    assert site.say("codes", "keygen", str(key))[0] == 0
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert site.say("codes", "keygen", str(key))[0] == 1
    assert "there is no mail server" in site.say("codes", "send", HOST)[2]


class _Mailbox:
    """What the mail server took: the recipients and the text of each letter."""

    def __init__(self) -> None:
        self.letters: list[tuple[list[str], str]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.letters.append((list(envelope.rcpt_tos), envelope.content.decode()))
        return "250 taken"


def test_codes_go_to_their_people_by_mail(site: PeopleSite) -> None:
    mailbox = _Mailbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        site.config["mail"] = {
            "server": "127.0.0.1", "port": port, "security": "none", "sender": "firstbell@north.example",
        }  # fmt: skip
        site.write()
        code, out, _ = site.say("codes", "send", HOST)
    finally:
        controller.stop()
    # Mary Okafor has no address.
    assert code == 1
    assert "Aiko Ito: sent" in out
    assert "Mary Okafor: Mary Okafor has no mail address" in out
    (letter,) = mailbox.letters
    given = codes(site, HOST)
    assert letter[0] == ["a.ito@north.example"]
    assert given["a.ito"] in letter[1]
    assert given["m.okafor"] not in letter[1]
    assert given["a.ito"] not in out
    assert "the code of a.ito was mailed" in site.say("ledger")[1]


def test_a_ledger_of_years_costs_the_gate_little(saved: PeopleSite) -> None:
    """Lines that this computer knows are not read again; the first time is a matter of reading files."""
    from tasks.answers import HandedOut
    from tasks.records.decisions import event_of
    from tasks.verbs.site_ledger import open_ledger

    context = saved.context()
    now = datetime.now(UTC)
    event = event_of(HandedOut(0, now, "a.ito", "0" * 8, "printed", "IT"))
    with open_ledger(context, "north") as ledger:
        state = ledger.read()
        for _ in range(300):
            _, state = ledger.append(lambda _: event, now=now, state=state)
    saved.codes()
    began = time.process_time()
    assert saved.codes() == ["no-approval"]
    took = time.process_time() - began
    assert took < 0.5, took
    assert json.loads(next((saved.folder / "cache" / "firstbell" / "ledger").iterdir()).read_text()).keys() >= {"300"}
