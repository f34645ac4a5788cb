"""A computer that comes back from being wiped: who is accepted, by what, and who is told to look."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.load import load_config
from configs.maintenance import CommandAction
from flows.cli import main
from inventory.load import load_inventory
from tasks.actions.base import ActionOrder
from tasks.actions.registry import make_action
from tasks.backends.local import LocalBackend
from tasks.errors import ActionUnknown, AuthFailed, ConfigError, IdentityRefused
from tasks.records.clearance import sign
from tasks.records.identities import identities
from tasks.records.maintenance import MaintenanceRecord, open_maintenance_record
from tasks.records.store import RecordStore
from tasks.repository.repository import Repository
from tasks.transports.base import HostIdentity
from tasks.verbs.connection import connect
from tasks.verbs.context import Context
from tasks.verbs.returning import Away, Returned, accept_identity, accept_returned, look_for_return
from tests.support.classroom import Classroom, ClassroomComputer, wait_for_key
from tests.support.clearances import Issuer
from tests.support.sshd import make_key

pytestmark = [pytest.mark.ssh, pytest.mark.namespaces]

HOST = "lab3-07"
IMAGER = Path(__file__).resolve().parents[1] / "support" / "imager.py"
PASSWORD = "correct horse"


class School:
    """A classroom of two computers, a repository in a folder, and as many workers as a test needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.room = Classroom(folder / "room", [HOST, "lab3-08"])
        backend = LocalBackend(folder / "repository")
        Repository.init(backend, PASSWORD, scrypt_n=2**4).close()

    @property
    def computer(self) -> ClassroomComputer:
        return self.room[HOST]

    def worker(self, *, known_hosts: Path | None = None, **host: Any) -> Context:
        """Return the context of a worker with a known_hosts of its own."""
        defaults = {"site": "north", **self.room.defaults()}
        if known_hosts is not None:
            defaults["ssh"] = {**defaults["ssh"], "known_hosts": str(known_hosts)}
        hosts = self.room.hosts()
        hosts[HOST] |= host
        (self.folder / "app.yaml").write_text(
            yaml.safe_dump(
                {"repository": {"location": str(self.folder / "repository"), "password": "env:RETURN_PASSWORD"}}
            )
        )
        (self.folder / "defaults.yaml").write_text(yaml.safe_dump(defaults))
        (self.folder / "hosts.yaml").write_text(yaml.safe_dump(hosts))
        return Context(load_config(self.folder / "app.yaml", {}), load_inventory(self.folder, {}), folder=self.folder)

    def record(self, **changes: Any) -> MaintenanceRecord:
        """Return what was written down when the computer was cleared, an hour ago."""
        now = datetime.now(UTC)
        record = MaintenanceRecord(
            plan="lab3-summer",
            host=HOST,
            clearance="c1",
            snapshot="00" * 32,
            serial=self.computer.serial,
            identity=HostIdentity("ssh-host-key", "ssh-ed25519", self.computer.fingerprint),
            opened_at=now - timedelta(hours=1),
            until=now + timedelta(hours=4),
        )
        return replace(record, **changes)


@pytest.fixture
def school(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[School]:
    monkeypatch.setenv("RETURN_PASSWORD", PASSWORD)
    school = School(tmp_path)
    with school.room:
        yield school


def look(context: Context, record: MaintenanceRecord) -> Away | Returned:
    return look_for_return(context, context.host(HOST), record)


def accept(context: Context, record: MaintenanceRecord) -> Away | Returned:
    return accept_returned(context, context.host(HOST), record)


def serial(context: Context) -> str:
    with connect(context, context.host(HOST)) as remote:
        return remote.hello.serial


def logins(computer: ClassroomComputer) -> int:
    return computer.sshd.log.count("Accepted publickey")


def wait_until(holds: Callable[[], bool], timeout: float = 5.0) -> None:
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def test_off_and_still_running_is_not_back(school: School) -> None:
    worker, record = school.worker(), school.record()
    assert look(worker, record) == Returned(record.identity, school.computer.serial, fresh=False)
    school.computer.stop()
    found = look(worker, record)
    assert isinstance(found, Away)
    assert "127.0.0.1" in found.why


def test_a_reimaged_computer_is_known_again_to_every_worker(school: School, tmp_path: Path) -> None:
    worker, record = school.worker(), school.record()
    new = school.computer.change_host_key()
    school.computer.wipe()
    found = look(worker, record)
    assert isinstance(found, Returned)
    assert (found.identity.fingerprint, found.serial, found.fresh) == (new, "SN-LAB3-07", True)
    # A look alone changes nothing.
    with pytest.raises(IdentityRefused, match="but known is"):
        serial(worker)
    assert accept(worker, record) == found
    assert serial(worker) == "SN-LAB3-07"
    # One who has never seen it, and one who knows the old key.
    (tmp_path / "empty").write_text("")
    assert serial(school.worker(known_hosts=tmp_path / "empty")) == "SN-LAB3-07"
    # Again, by another worker: nothing is written twice.
    assert accept(school.worker(known_hosts=tmp_path / "empty"), record) == found
    assert len(list((school.folder / "repository/records/host-identity" / HOST).iterdir())) == 1


def test_another_computer_under_its_name_is_left_at_once(school: School) -> None:
    worker, record = school.worker(), school.record()
    school.computer.change_host_key()
    school.computer.serial = "ANOTHER"
    with pytest.raises(IdentityRefused, match="serial number is another one") as caught:
        accept(worker, record)
    assert f"accept-identity {HOST} --by YOUR-NAME --fingerprint {school.computer.fingerprint}" in caught.value.hint
    wait_until(lambda: not school.computer.sshd.sessions())
    assert not (school.folder / "repository/records/host-identity").exists()


def test_the_known_key_on_another_computer_is_refused_too(school: School) -> None:
    worker, record = school.worker(), school.record()
    school.computer.serial = "ANOTHER"
    with pytest.raises(IdentityRefused, match="serial number is another one"):
        look(worker, record)


def test_the_inventory_knows_the_serial_number_better(school: School) -> None:
    record = school.record(serial="FORGED")
    school.computer.change_host_key()
    school.computer.serial = "FORGED"
    with pytest.raises(IdentityRefused, match="serial number is another one"):
        look(school.worker(serial="SN-LAB3-07"), record)
    assert isinstance(look(school.worker(), record), Returned)


@pytest.mark.parametrize("who", ["record", "computer"])
def test_without_a_serial_number_a_person_must_accept(school: School, who: str) -> None:
    worker = school.worker()
    record = school.record(serial="" if who == "record" else school.computer.serial)
    new = school.computer.change_host_key()
    if who == "computer":
        school.computer.serial = ""
    before = logins(school.computer)
    with pytest.raises(IdentityRefused, match="serial number"):
        accept(worker, record)
    if who == "record":
        assert logins(school.computer) == before
    host = worker.host(HOST)
    with pytest.raises(IdentityRefused, match=r"it shows SHA256:.* \(ssh-ed25519\), not SHA256:AAAA"):
        accept_identity(worker, host, f"SHA256:{'A' * 43}", by="it.meier")
    with pytest.raises(ConfigError, match="this is no SHA-256"):
        accept_identity(worker, host, "SHA256:AAAA", by="it.meier")
    accepted = accept_identity(worker, host, new, by="it.meier")
    assert (accepted.identity.fingerprint, accepted.by) == (new, "it.meier")
    found = accept(worker, record)
    assert isinstance(found, Returned)
    assert found.fresh
    assert serial(worker) == ("" if who == "computer" else "SN-LAB3-07")


def test_only_once_in_a_maintenance(school: School, capsys: pytest.CaptureFixture[str]) -> None:
    worker, record = school.worker(), school.record()
    school.computer.change_host_key()
    assert isinstance(accept(worker, record), Returned)
    third = school.computer.change_host_key()
    with pytest.raises(IdentityRefused, match="a second time"):
        look(worker, record)
    with pytest.raises(IdentityRefused, match="accepted last") as caught:
        serial(worker)
    assert third in caught.value.hint
    # A person may.
    where = ["--config", str(school.folder / "app.yaml"), "--inventory", str(school.folder)]
    verb = ["maintenance", "accept-identity", HOST, "--by", "it.meier", "--fingerprint", third, "--json"]
    assert main([*verb, *where]) == 0
    assert json.loads(capsys.readouterr().out)["fingerprint"] == third
    found = look(worker, record)
    assert isinstance(found, Returned)
    assert found.identity.fingerprint == third
    assert serial(worker) == "SN-LAB3-07"


def test_only_while_a_maintenance_is_open(school: School) -> None:
    worker, record = school.worker(), school.record()
    school.computer.change_host_key()
    for late in (replace(record, open=False), replace(record, until=datetime.now(UTC) - timedelta(seconds=1))):
        before = logins(school.computer)
        with pytest.raises(IdentityRefused, match="maintenance"):
            look(worker, late)
        assert logins(school.computer) == before


def test_the_identity_of_the_old_disk_is_no_longer_accepted(school: School, tmp_path: Path) -> None:
    worker, record = school.worker(), school.record()
    saved = tmp_path / "old"
    saved.mkdir()
    keys = list(school.computer.sshd.folder.glob("host_*"))
    for path in keys:
        (saved / path.name).write_bytes(path.read_bytes())
    school.computer.change_host_key()
    assert isinstance(accept(worker, record), Returned)
    # Whoever has the old disk answers with its key, which known_hosts still has.
    school.computer.stop()
    for path in keys:
        path.write_bytes((saved / path.name).read_bytes())
    school.computer.start()
    with pytest.raises(IdentityRefused, match="was its identity before it was set up anew") as caught:
        serial(worker)
    assert "known_hosts" in caught.value.hint
    with pytest.raises(IdentityRefused, match="from before it was set up anew"):
        look(worker, record)
    # Whatever else a worker was told by hand counts.
    school.computer.change_host_key()
    school.room.learn()
    assert serial(worker) == "SN-LAB3-07"


def test_no_password_is_sent_before_the_serial_number_was_seen(
    school: School, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_SECRET", "hunter2 hunter2")
    record = school.record()
    (tmp_path / "empty").write_text("")
    school.computer.change_host_key()
    school.computer.stop()
    school.computer.sshd.authorized_keys.write_text("")
    school.computer.sshd._extra = (*school.computer.sshd._extra, "PasswordAuthentication yes")
    school.computer.start()
    for known in (None, tmp_path / "empty"):
        worker = school.worker(known_hosts=known, ssh={"password": "env:SSH_SECRET"})
        found = look(worker, record)
        assert isinstance(found, Away)
        assert "does not let us in yet" in found.why
    assert "Failed password" not in school.computer.sshd.log
    # A person has compared it: then it is known as any other is.
    accept_identity(worker, worker.host(HOST), school.computer.fingerprint, by="it.meier")
    with pytest.raises(AuthFailed):
        serial(school.worker(ssh={"password": "env:SSH_SECRET"}))
    assert school.computer.sshd.log.count("Failed password") == 1
    # Where nothing has changed, a refused login is told, so that nobody tries again and again.
    school.room.learn()
    with pytest.raises(AuthFailed):
        look(school.worker(ssh={"password": "env:SSH_SECRET"}), school.record())
    assert school.computer.sshd.log.count("Failed password") == 2


def test_what_a_person_accepts_ends_the_identity_from_before(school: School, tmp_path: Path) -> None:
    worker, record = school.worker(), school.record(serial="")
    with closing(LocalBackend(school.folder / "repository")) as backend:
        open_maintenance_record(RecordStore(backend), record)
    old = {path: path.read_bytes() for path in school.computer.sshd.folder.glob("host_*")}
    accept_identity(worker, worker.host(HOST), school.computer.change_host_key(), by="it.meier")
    assert serial(worker) == "SN-LAB3-07"
    school.computer.stop()
    for path, content in old.items():
        path.write_bytes(content)
    school.computer.start()
    with pytest.raises(IdentityRefused, match="was its identity before it was set up anew"):
        serial(worker)


def test_from_the_clearance_to_the_return(school: School, tmp_path: Path) -> None:
    """An imager in a process of its own, started by the action of a plan, with a clearance that it checks."""
    issuer = Issuer(datetime.now(UTC).replace(microsecond=0))
    clearance = issuer.clearance(host=HOST)
    (tmp_path / "keys.pem").write_bytes(issuer.pem)
    (school.computer.home / "lesson.odt").write_text("fractions")
    worker, record = school.worker(), school.record()
    imager = [sys.executable, str(IMAGER), str(school.room.folder / "{host}")]
    config = CommandAction(
        kind="command", argv=(*imager, "--clearance", "{clearance_file}", "--key", str(tmp_path / "keys.pem"))
    )
    action = make_action(config, worker.secret)

    def order(host: str) -> ActionOrder:
        token = sign(clearance, issuer.key)
        return ActionOrder("lab3-summer", "north", host, "127.0.0.1", "", "", clearance=token, expiry=clearance.expiry)

    before = school.room["lab3-08"].fingerprint
    with pytest.raises(ActionUnknown, match="exit code 20"):
        action.start(order("lab3-08"))
    assert school.room["lab3-08"].fingerprint == before
    assert action.start(
        order(HOST)
    ).text == f"good: {HOST} may be wiped until {clearance.expiry:%Y-%m-%dT%H:%M:%SZ}\n" + (f"{HOST}: imaged")
    assert list(school.computer.home.iterdir()) == []
    wait_for_key(school.computer)
    found = accept(worker, record)
    assert isinstance(found, Returned)
    assert found.fresh
    assert serial(worker) == "SN-LAB3-07"


def test_a_forged_or_foreign_record_does_not_count(school: School) -> None:
    worker, record = school.worker(), school.record()
    school.computer.change_host_key()
    accept(worker, record)
    folder = school.folder / "repository/records/host-identity"
    (file,) = (folder / HOST).iterdir()
    assert serial(worker)
    text = file.read_text()
    # The sealed part of another computer's record, under this one's name.
    other = folder / "lab3-08" / file.name
    other.parent.mkdir()
    other.write_text(text.replace(HOST, "lab3-08"))
    told: list[Any] = []
    with closing(Repository.open(LocalBackend(school.folder / "repository"), PASSWORD)) as repository:
        store = RecordStore(repository.backend, told.append)
        assert len(identities(store, repository, HOST)) == 1
        assert identities(store, repository, "lab3-08") == ()
        assert "another computer" in told[-1].message
        file.chmod(0o600)
        file.write_text(text.replace('"sealed": "', '"sealed": "AAAA'))
        assert identities(store, repository, HOST) == ()
    with pytest.raises(IdentityRefused, match="but known is"):
        serial(worker)


def test_a_store_that_cannot_be_read_forbids_no_host_that_is_known(school: School, tmp_path: Path) -> None:
    (school.folder / "repository").rename(tmp_path / "elsewhere")
    worker = school.worker()
    assert serial(worker) == "SN-LAB3-07"
    school.computer.change_host_key()
    with pytest.raises(IdentityRefused, match="but known is"):
        serial(worker)


def test_a_host_with_keys_of_several_kinds(school: School, tmp_path: Path) -> None:
    computer = school.computer
    computer.stop()
    computer.sshd.host_keys = (*computer.sshd.host_keys, make_key(computer.sshd.folder / "host_ecdsa", "ecdsa"))
    computer.start()
    worker, record = school.worker(), school.record()
    computer.change_host_key()
    assert isinstance(accept(worker, record), Returned)
    # This worker knows the host by its ECDSA key of before, so that this one is shown first.
    only_ecdsa = tmp_path / "ecdsa"
    line = computer.sshd.known_line(computer.sshd.host_keys[1])
    only_ecdsa.write_text(line.replace(line.split()[2], line.split()[2][:-12] + "AAAAAAAAAAA="))
    assert serial(school.worker(known_hosts=only_ecdsa)) == "SN-LAB3-07"
    assert isinstance(look(school.worker(known_hosts=only_ecdsa), record), Returned)
