"""A Windows teacher's files through WinRM and the spool: snapshot, a fresh image, a profile that comes later."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.archiver.manifest import read_manifest
from tasks.events import Event, Warned
from tasks.policy.snapshot_state import SnapshotState
from tasks.verbs.deliver import deliver
from tasks.verbs.maintain import forget, init_repository
from tasks.verbs.orders import RestoreOrder
from tasks.verbs.pending import waiting
from tasks.verbs.restore import restore_host
from tasks.verbs.site_repository import open_repository
from tasks.verbs.snapshot import snapshot_host
from tests.support.hive_file import hive
from tests.support.seaweed import SeaweedServer
from tests.support.wine import WinePrefix
from tests.support.winrm_school import HOST, WinRmSchool, winrm_school

pytestmark = [pytest.mark.wine, pytest.mark.s3]

OLD_SID, NEW_SID = "S-1-5-21-1-2-3-1001", "S-1-5-21-4-5-6-1001"
# Nobody here resolves a SID, so the account is called as the folder is.
HOME, NEW_HOME = r"C:\users\a.ito", r"C:\users\NORTH\a.ito"
ONEDRIVE = rf"{HOME}\OneDrive - North"
TIME_NS = 1_700_000_000_123_456_700
_PROFILES = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList"


@pytest.fixture(scope="module")
def school(
    tmp_path_factory: pytest.TempPathFactory, windows: WinePrefix, s3_server: SeaweedServer
) -> Iterator[WinRmSchool]:
    folder = tmp_path_factory.mktemp("windows-school")
    with pytest.MonkeyPatch.context() as patch, winrm_school(folder, windows, s3_server) as school:
        for name, value in school.environment().items():
            patch.setenv(name, value)
        init_repository(school.context(), "north")
        yield school


def add_profile(windows: WinePrefix, sid: str, home: str, desktop: str) -> Path:
    """Let somebody have signed in, who is not signed in now; return the home."""
    windows.registry(rf"{_PROFILES}\{sid}", "ProfileImagePath", home, "REG_EXPAND_SZ")
    local = windows.local(home)
    for path in (home, desktop.replace("%USERPROFILE%", home), rf"{home}\Documents"):
        windows.local(path).mkdir(parents=True, exist_ok=True)
    explorer = {"CurrentVersion": {"Explorer": {"User Shell Folders": {"Desktop": desktop}}}}
    accounts = {"Accounts": {"Business1": {"UserFolder": ONEDRIVE, "UserEmail": "a.ito@north.example"}}}
    keys = {"Microsoft": {"Windows": explorer, "OneDrive": accounts}}
    (local / "NTUSER.DAT").write_bytes(hive({"Software": keys}))
    return local


def write(folder: Path, name: str, content: bytes) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    os.utime(file, ns=(TIME_NS, TIME_NS))


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_story_of_a_reimage(school: WinRmSchool, windows: WinePrefix) -> None:
    large = os.urandom(3_000_000)
    home = add_profile(windows, OLD_SID, HOME, rf"{ONEDRIVE}\Desktop")
    write(home, "OneDrive - North/Desktop/Stundenplan Ä.docx", b"plan")
    write(home, "OneDrive - North/Desktop/Exams/7b.pptx", large)
    write(home, "Documents/letter.docx", b"letter")
    write(home, "AppData/Local/Temp/x.tmp", b"temporary")
    school.write(teachers=["NORTH\\A.Ito"])
    context = school.context()

    events: list[Event] = []
    run = snapshot_host(context, HOST, report=events.append)
    assert run.result.state is SnapshotState.ACKNOWLEDGED
    (person,) = run.people
    assert (person.person.name, person.person.account) == ("NORTH\\A.Ito", "a.ito")
    assert person.folders["Desktop"] == (2, len(large) + 4)
    assert {(skip.path.rpartition(b"/")[2], skip.rule) for skip in run.result.skips} == {
        (b"NTUSER.DAT", "registry-hive"),
        (b"Temp", "temporary"),
    }
    assert not [event for event in events if isinstance(event, Warned)]
    with open_repository(context, "north", lock=False) as opened:
        assert run.result.snapshot is not None
        saved = {entry.path: entry for entry in read_manifest(opened.repository, run.result.snapshot)}
        assert saved["/C/users/a.ito/OneDrive - North/Desktop/Stundenplan Ä.docx".encode()].size == 4

    # A fresh image: the account has never signed in, and its new SID has no profile.
    shutil.rmtree(home)
    windows.run("reg", "delete", rf"{_PROFILES}\{OLD_SID}", "/f")
    everything = RestoreOrder(host=HOST, teacher="a.ito", mode="apply")
    put_off = restore_host(context, everything)
    assert not put_off.complete
    assert put_off.plan is None
    assert "NORTH\\A.Ito has no profile on lab4-01 yet" in put_off.message
    (still,) = waiting(context)
    assert (still.host, still.teacher) == (HOST, "NORTH\\A.Ito")
    assert any(
        "held: a restore for" in reason
        for one in forget(context, "north", dry_run=True).decisions
        for reason in one.reasons
    )
    assert not home.exists()

    # The teacher signs in: another home, and a Desktop of another name; OneDrive has brought one file back already.
    new = add_profile(windows, NEW_SID, NEW_HOME, r"%USERPROFILE%\Bureaublad")
    write(new, "Bureaublad/Stundenplan Ä.docx", b"plan")
    delivered = list(deliver(context))
    assert [one.waiting for one in delivered] == [False], delivered
    assert waiting(context) == []
    (new / "NTUSER.DAT").unlink()
    assert files_in(new) == {
        "Bureaublad/Stundenplan Ä.docx": b"plan",
        "Bureaublad/Exams/7b.pptx": large,
        "Documents/letter.docx": b"letter",
    }
