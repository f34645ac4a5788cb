"""From a snapshot to a clearance, on real parts: what opens the gate, what holds it, and what is written down."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from tasks.backends.local import LocalBackend
from tasks.policy.gate import CalendarFact
from tasks.records.clearance import check
from tasks.records.clearance_keys import load_public
from tasks.remote.filesystem import RemoteHost
from tasks.verbs.clearance import issue_clearance
from tasks.verbs.gate import gate_hosts
from tasks.verbs.maintain import forget
from tests.support.gate_site import HOST, GateSite
from tests.support.sshd import SshServer

Make = Callable[..., GateSite]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Make:
    for name in [name for name in os.environ if name.startswith("FIRSTBELL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "secret enough")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def site(**host: object) -> GateSite:
        made = GateSite(tmp_path / "school", capsys, **host)
        made.init("secret enough")
        return made

    return site


@pytest.fixture
def site(make: Make) -> GateSite:
    """A school whose computer has a snapshot, and whose calendar lets it be wiped."""
    made = make()
    made.write_calendar()
    made.last("snapshot", HOST, expect=0)
    return made


@pytest.fixture
def open_site(site: GateSite) -> GateSite:
    """The same, verified: its gate is open."""
    site.last("verify", HOST, expect=0)
    return site


def test_the_whole_way(make: Make) -> None:
    site = make()
    assert site.codes() == ["no-snapshot", "no-calendar"]
    site.last("snapshot", HOST, expect=0)
    assert site.codes() == ["not-verified", "no-calendar"]
    found = site.last("verify", HOST, expect=0)
    assert (found["type"], found["good"], found["method"]) == ("verification", True, "spot")
    assert (found["read_back"], found["compared"], found["files"], found["complete"]) == (20, 20, 30, False)
    assert found["users"] == ["a.ito"]
    assert len(found["manifest"]) == 64
    assert site.codes() == ["no-calendar"]
    site.write_calendar()
    opened = site.last("gate", HOST, expect=0)
    assert (opened["verdict"], opened["reasons"], opened["method"]) == ("open", [], "spot")
    assert opened["snapshot"] == found["snapshot"]
    assert site.last("gate", "--site", "north", "LAB3-*", expect=0)["host"] == HOST

    key = site.last("clearance", "keygen", str(site.folder / "clearance.key"), expect=0)
    assert (site.folder / "clearance.key").stat().st_mode & 0o077 == 0
    site.config["clearance"] = {"signing_key": f"file:{key['private']}", "public_keys": [key["public"]]}
    site.write()
    issued = site.last("clearance", "issue", HOST, expect=0)
    assert issued["host"] == HOST
    assert (issued["users"], issued["method"], issued["skips"]) == (["a.ito"], "spot", 0)
    assert (issued["snapshot"], issued["manifest"]) == (found["snapshot"], f"sha256:{found['manifest']}")
    # Offline: another folder, no configuration, only the public key.
    offline = ["clearance", "verify", issued["token"], "--key", key["public"]]
    assert site.last(*offline, "--host", "LAB3-07", "--profile", "a.ito", expect=0)["valid"] is True
    assert site.run(*offline, "--host", "lab3-08")[0] == 20
    assert site.run(*offline, "--host", HOST, "--profile", "b.new")[0] == 20
    # What was issued is written down, without the token.
    (record,) = (site.folder / "repository" / "records" / "clearance").iterdir()
    data = json.loads(record.read_text())["data"]
    assert (data["id"], data["host"], data["kid"], data["expiry"]) == (
        issued["id"],
        HOST,
        key["id"],
        issued["expiry"],
    )
    assert issued["token"].split(".")[2] not in record.read_text()
    private = Path(key["private"]).read_text().splitlines()[1]
    for words in (["clearance", "issue", HOST, "--debug"], ["clearance", "issue", "none", "--debug"], ["gate", HOST]):
        assert private not in "".join(map(str, site.say(*words)))


def test_one_computer_that_cannot_be_verified_does_not_stop_the_others(open_site: GateSite) -> None:
    other = {**open_site.host, "homes": {}}
    (open_site.folder / "inventory" / "hosts.yaml").write_text(json.dumps({"lab3-06": other, HOST: open_site.host}))
    code, lines = open_site.run("verify", "--site", "north")
    assert code == 1
    failed = next(line for line in lines if line["type"] == "host_failed")
    assert (failed["host"], failed["message"]) == ("lab3-06", "there is no snapshot to verify")
    assert (lines[-1]["type"], lines[-1]["host"], lines[-1]["good"]) == ("verification", HOST, True)
    code, lines = open_site.run("gate", "lab3-06", HOST)
    assert (code, [line["verdict"] for line in lines]) == (20, ["hold", "open"])


def test_words_for_people(site: GateSite) -> None:
    code, out, _ = site.say("gate", HOST)
    assert code == 20
    assert out == (
        "lab3-07  HOLD  do not wipe\n    the newest snapshot was never verified\n        -> firstbell verify lab3-07\n"
    )
    code, out, _ = site.say("verify", HOST, "--all")
    assert code == 0
    assert out.startswith("lab3-07  good  snapshot ")
    assert "30 files all read back" in out
    code, out, _ = site.say("gate", HOST)
    assert code == 0
    assert out.startswith("lab3-07  open  snapshot ")
    assert "verified (spot)" in out
    code, out, err = site.say("clearance", "issue", HOST)
    assert (code, out) == (1, "")
    assert "there is no key to sign a clearance with" in err
    assert "keygen" in err


def test_newer_work_on_the_computer_fails_and_holds_until_it_is_saved(open_site: GateSite) -> None:
    changed = open_site.home / "Desktop" / "lesson 07.txt"
    changed.write_text("new work")
    found = open_site.last("verify", HOST, "--all", expect=1)
    assert (found["good"], found["problem"]) == (False, "1 file changed on the computer since the snapshot")
    assert [miss["kind"] for miss in found["mismatches"]] == ["changed"]
    # The record counts it, and does not name it.
    records = open_site.folder / "repository" / "records" / "verification" / HOST
    assert "lesson" not in "".join(record.read_text() for record in records.iterdir())
    assert open_site.codes() == ["verification-failed"]
    # Put back, a sample is not enough any more; a look at everything is.
    changed.write_text("lesson 7\n" * 50)
    open_site.last("verify", HOST, expect=0)
    assert open_site.codes() == ["verification-failed"]
    open_site.last("verify", HOST, "--all", expect=0)
    assert open_site.codes(expect=0) == []
    # A new snapshot begins anew.
    changed.write_text("newer work")
    open_site.last("snapshot", HOST, expect=0)
    assert open_site.codes() == ["not-verified"]


def test_damage_in_the_repository_fails_and_holds(site: GateSite) -> None:
    packs = [path for path in (site.folder / "repository" / "data").rglob("*") if path.is_file()]
    largest = max(packs, key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[40] ^= 1
    largest.chmod(0o600)
    largest.write_bytes(bytes(data))
    found = site.last("verify", HOST, "--all", expect=1)
    assert found["method"] == "read-back"
    assert "damaged" in found["problem"]
    assert "verification-failed" in site.codes()


def test_a_computer_that_is_off_is_read_back_only(make: Make) -> None:
    site = make()
    site.write_calendar()
    site.last("snapshot", HOST, expect=0)
    key = site.folder / "none"
    site.host |= {"transport": "ssh", "user": "x", "address": "127.0.0.1", "port": 1, "ssh": {"key_files": [str(key)]}}
    site.write()
    found = site.last("verify", HOST, expect=3)
    assert (found["good"], found["method"], found["compared"]) == (True, "read-back", 0)
    assert "not compared with the computer" in found["problem"]
    assert site.codes() == ["method", "profiles-unknown"]
    # Where reading back is enough, and the snapshot covers whoever had a profile when it was made.
    site.config["gate"]["min_method"] = "read-back"
    del site.host["teachers"]
    site.write()
    assert site.codes(expect=0) == []


def test_a_profile_that_is_not_in_the_snapshot_holds(make: Make) -> None:
    site = make()
    site.write_calendar()
    site.last("snapshot", HOST, expect=0)
    found = site.last("verify", HOST, expect=0)
    site.config["gate"] = {}
    site.write()
    there = [name for name in found["profiles"] if name != "a.ito"]
    assert site.codes(expect=20 if there else 0) == (["not-covered"] if there else [])


def test_a_partial_snapshot_holds(site: GateSite) -> None:
    site.host["include"] = ["{home}", str(site.folder / "nowhere")]
    site.write()
    site.last("snapshot", HOST, expect=3)
    site.last("verify", HOST, expect=0)
    assert site.codes() == ["partial"]


def test_what_cannot_be_read_holds(open_site: GateSite, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_site.codes(expect=0) == []
    records = open_site.folder / "repository" / "records" / "verification" / HOST
    odd = records / "20991231T000000.000000Z-ffffffffffffffff.json"
    odd.write_text("{")
    assert open_site.codes() == ["unreadable"]
    odd.unlink()
    assert open_site.codes(expect=0) == []
    odd = open_site.folder / "repository" / "records" / "clearance"
    odd.mkdir()
    (odd / "20991231T000000.000000Z-ffffffffffffffff.json").write_text("{}")
    assert open_site.codes() == ["unreadable"]
    (odd / "20991231T000000.000000Z-ffffffffffffffff.json").unlink()
    calendar = open_site.write_calendar(terms="all year")
    assert set(open_site.codes()) == {"unreadable", "no-calendar"}
    calendar.unlink()
    assert open_site.codes() == ["no-calendar"]
    open_site.write_calendar()
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "not this one")
    told = open_site.last("gate", HOST, expect=20)
    assert told["reasons"][0]["code"] == "unreadable"
    assert "not this one" not in json.dumps(told)
    for wrong in ([HOST, "no-such-host"], [], ["--site", "nort"]):
        assert open_site.run("gate", *wrong)[0] == 1, wrong


def test_a_store_that_does_not_answer_holds_in_time(open_site: GateSite, monkeypatch: pytest.MonkeyPatch) -> None:
    never = Event()

    class Hangs(LocalBackend):
        def list(self, prefix: str = "") -> Iterator[object]:  # type: ignore[override]
            never.wait(60)
            return super().list(prefix)

    open_site.config["gate"]["deadline_seconds"] = 1
    open_site.write()
    monkeypatch.setattr(
        "tasks.verbs.gate.repository_backend", lambda context, location: Hangs(open_site.folder / "repository")
    )
    try:
        told = open_site.last("gate", HOST, expect=20)
    finally:
        never.set()
    assert told["reasons"][0]["text"] == "the repository did not answer within 1 second"


def with_key(site: GateSite) -> bytes:
    """Give the school a key, and return the public half."""
    made = site.last("clearance", "keygen", str(site.folder / "key"), expect=0)
    site.config["clearance"] = {"signing_key": f"file:{made['private']}", "public_keys": [made["public"]]}
    site.write()
    return Path(made["public"]).read_bytes()


def covered(site: str, moment: datetime) -> CalendarFact:
    return CalendarFact(covered=True)


def test_no_clearance_while_the_gate_holds(site: GateSite) -> None:
    with_key(site)
    error = site.last("clearance", "issue", HOST, expect=20)
    assert (error["error"], error["host"]) == ("GateHold", HOST)
    assert "never verified" in error["message"]
    assert not (site.folder / "repository" / "records" / "clearance").exists()


def test_a_clearance_ends_before_a_protected_time_begins(open_site: GateSite) -> None:
    public = with_key(open_site)
    context = open_site.context()
    now = datetime.now(UTC).replace(microsecond=0)
    bell = now + timedelta(minutes=47, seconds=30)

    def calendar(site: str, moment: datetime) -> CalendarFact:
        return CalendarFact(covered=True, protected=("quiet hours",) if moment >= bell else ())

    issued = issue_clearance(context, HOST, calendar=calendar, now=now)
    assert issued.clearance.expiry == now + timedelta(minutes=47)
    assert check(issued.token, load_public([("k", public)]), host=HOST, now=now) == issued.clearance
    # Nor does it outlive the time for which the snapshot counts as fresh.
    late = issued.clearance.captured_at + timedelta(hours=11, minutes=50)
    assert issue_clearance(context, HOST, calendar=covered, now=late).clearance.expiry <= late + timedelta(minutes=11)
    # Both are known, and no more than the rules allow are given out at once.
    (found,) = gate_hosts(context, [HOST], calendar=covered, now=now)
    assert found.facts.cleared == 0
    other = {**open_site.host, "homes": {}}
    open_site.config["gate"]["max_hosts"] = 1
    open_site.write()
    (open_site.folder / "inventory" / "hosts.yaml").write_text(json.dumps({HOST: open_site.host, "lab3-08": other}))
    (found,) = gate_hosts(open_site.context(), ["lab3-08"], calendar=covered, now=now)
    assert found.facts.cleared == 1
    assert "too-many" in [reason.code for reason in found.verdict.reasons]


def test_a_snapshot_that_a_computer_was_wiped_on_is_not_forgotten(open_site: GateSite) -> None:
    with_key(open_site)
    issued = open_site.last("clearance", "issue", HOST, expect=0)
    # The fresh image is saved night after night.
    open_site.config["retention"] = {"keep_last": 1, "keep_daily": 0, "keep_weekly": 0, "keep_monthly": 0}
    open_site.write()
    for night in range(2):
        (open_site.home / "Desktop" / "fresh.txt").write_text(str(night))
        open_site.last("snapshot", HOST, expect=0)
    decisions = {
        (one.snapshot.id or b"").hex(): one for one in forget(open_site.context(), "north", dry_run=True).decisions
    }
    assert len(decisions) == 3
    assert decisions[issued["snapshot"]].reasons == ("held: lab3-07 was cleared to be wiped on it",)
    later = datetime.now(UTC) + timedelta(days=100)
    kept = {
        (one.snapshot.id or b"").hex(): one.keep
        for one in forget(open_site.context(), "north", dry_run=True, now=later).decisions
    }
    assert kept[issued["snapshot"]] is False


def test_a_key_that_nobody_would_accept_signs_nothing(open_site: GateSite) -> None:
    with_key(open_site)
    other = open_site.last("clearance", "keygen", str(open_site.folder / "other"), expect=0)
    assert open_site.run("clearance", "keygen", str(open_site.folder / "other"))[0] == 1
    open_site.config["clearance"]["public_keys"] = [other["public"]]
    open_site.write()
    error = open_site.last("clearance", "issue", HOST, expect=1)
    assert "is not among 'clearance.public_keys'" in error["message"]
    # While keys are changed, both are valid.
    open_site.config["clearance"]["public_keys"] = [other["public"], str(open_site.folder / "key.pub.pem")]
    open_site.write()
    token = open_site.last("clearance", "issue", HOST, expect=0)["token"]
    assert open_site.last("clearance", "verify", token, "--host", HOST, expect=0)["valid"] is True
    assert open_site.run("clearance", "verify", token, "--host", HOST, "--key", other["public"])[0] == 20


def test_another_computer_behind_the_name_fails(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hardware tells its serial number; here it is told for it, since not every test machine has one."""
    site = make()
    ask, serial = RemoteHost.facts, "ONE-1"
    monkeypatch.setattr(RemoteHost, "facts", lambda self, users: replace(ask(self, users), serial=serial))
    site.last("snapshot", HOST, expect=0)
    assert site.last("verify", HOST, expect=0)["serial"] == "ONE-1"
    serial = "TWO-2"
    found = site.last("verify", HOST, expect=1)
    assert (found["good"], found["compared"]) == (False, 0)
    assert "another computer answers under this name" in found["problem"]


@pytest.mark.ssh
def test_over_ssh(make: Make, sshd: SshServer) -> None:
    ssh = {"key_files": [str(sshd.client_key)], "known_hosts": str(sshd.known_hosts), "use_agent": False}
    site = make(transport="ssh", address="127.0.0.1", port=sshd.port, user=sshd.user, ssh=ssh)
    site.write_calendar()
    site.last("snapshot", HOST, expect=0)
    assert site.last("verify", HOST, expect=0)["compared"] == 20
    assert site.codes(expect=0) == []
