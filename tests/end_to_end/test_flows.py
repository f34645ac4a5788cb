"""The flows against a real Prefect server, a real sshd and a real S3 server, called in this process."""

from __future__ import annotations

import contextvars
import secrets
import shutil
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.support.loopback_site import LoopbackSite
from tests.support.prefect_records import artifacts_of, everything, flow_run_of, task_runs_of
from tests.support.prefect_stack import PrefectStack
from tests.support.teacher_home import differences, fingerprint

pytestmark = pytest.mark.prefect

NOBODY_THERE = {"address": "127.0.0.1", "port": 1, "transport": "ssh"}


@pytest.fixture(autouse=True)
def at_once(prefect: PrefectStack) -> Iterator[None]:
    """Try again without waiting."""
    from tasks import restore, snapshot

    tasks = (snapshot.snapshot_host, restore.restore_host, restore.undo_restore)
    delays = [task.retry_delay_seconds for task in tasks]
    for task in tasks:
        task.retry_delay_seconds = [0.01]
    yield
    for task, delay in zip(tasks, delays, strict=True):
        task.retry_delay_seconds = delay


def run(flow: Any, **parameters: Any) -> Any:
    """Run a flow here and return the state it ends in."""
    return flow(**parameters, return_state=True)


def test_one_computer_that_is_off_stops_no_other(prefect: PrefectStack, school: LoopbackSite, home: Path) -> None:
    from flows.snapshot import snapshot_site

    school.add_host("lab3-08", "m.okafor", home, **NOBODY_THERE)
    school.add_host("lab3-09", "j.berg", home)
    state = run(snapshot_site, site="north")

    assert (state.type.value, state.name) == ("COMPLETED", "PartlyDone")
    assert state.message.startswith("1 of 3 needs attention. lab3-08: ")
    assert flow_run_of(state).name == "nightly-north"
    tasks = task_runs_of(state)
    assert {name: task.state.type.value for name, task in tasks.items()} == {
        "snapshot lab3-07": "COMPLETED",
        "snapshot lab3-08": "FAILED",
        "snapshot lab3-09": "COMPLETED",
    }
    # Who is off may be on a moment later: three attempts.
    assert tasks["snapshot lab3-08"].run_count == 3
    assert tasks["snapshot lab3-08"].state.message.startswith("lab3-08: ")
    pages = artifacts_of(state)
    assert set(pages) == {
        "snapshot-north",
        "progress-lab3-07",
        "progress-lab3-09",
        "teacher-lab3-07-a-ito",
        "teacher-lab3-09-j-berg",
    }
    rows = [line for line in pages["snapshot-north"].data.splitlines() if line.startswith("| lab3-")]
    assert [row.split(" | ")[0] for row in rows] == ["| lab3-08", "| lab3-07", "| lab3-09"]
    assert pages["progress-lab3-07"].data == 100
    assert "Your files were saved" in pages["teacher-lab3-07-a-ito"].data


@pytest.mark.restic
def test_hosts_of_one_run_share_one_repository(
    prefect: PrefectStack, school: LoopbackSite, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import snapshot

    opened = []

    def spy(*arguments: Any, **options: Any) -> Any:
        opened.append(arguments)
        return open_repository(*arguments, **options)

    open_repository = snapshot.open_repository
    monkeypatch.setattr(snapshot, "open_repository", spy)
    school.add_host("lab3-08", "m.okafor", home)
    state = run(snapshot.snapshot_site, site="north", hosts=["lab3-*"], reason="before upgrade")
    assert (state.name, state.message) == ("Completed", "2 computers: 2 saved")
    assert flow_run_of(state).name == "north before upgrade"
    assert len(opened) == 1
    assert school.restic("list", "locks").stdout == ""


def test_a_refused_login_is_not_tried_again(prefect: PrefectStack, school: LoopbackSite, home: Path) -> None:
    from flows.snapshot import snapshot_host

    if school.sshd is None:
        pytest.skip("no sshd here")
    school.add_host("lab3-07", "a.ito", home, ssh={"key_files": [], "password": "env:FIRSTBELL_PASSWORD"})
    state = run(snapshot_host, host="lab3-07")
    assert state.type.value == "FAILED"
    assert state.message.startswith("lab3-07: ")
    assert task_runs_of(state)["snapshot lab3-07"].run_count == 1


def test_no_repository_is_one_failure_with_its_cure(
    prefect: PrefectStack, school: LoopbackSite, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.snapshot import snapshot_site

    school.add_host("lab3-08", "m.okafor", home)
    monkeypatch.setenv("FIRSTBELL_REPOSITORY__LOCATION", f"{school.folder}/nowhere")
    state = run(snapshot_site, site="north")
    assert state.type.value == "FAILED"
    assert state.message.startswith("No computer was saved: ")
    assert task_runs_of(state) == {}


def test_a_desktop_that_gave_nothing_is_told_to_its_teacher(
    prefect: PrefectStack, school: LoopbackSite, home: Path
) -> None:
    from flows.snapshot import snapshot_host

    (home / "Desktop" / "marks.xlsx").write_text("x")
    school.add_host("lab3-07", "a.ito", home, exclude=["~/Desktop/"])
    state = run(snapshot_host, host="lab3-07")
    assert state.name == "PartlyDone", state.message
    page = artifacts_of(state)["teacher-lab3-07-a-ito"].data
    assert "nothing to do" not in page.split("##")[0]
    assert "Please tell the IT desk" in page


def test_a_mistyped_name_is_told_with_the_nearest(prefect: PrefectStack, home: Path) -> None:
    from flows.snapshot import snapshot_host, snapshot_site

    state = run(snapshot_host, host="lab3-70")
    assert state.type.value == "FAILED"
    assert "Did you mean 'lab3-07'?" in state.message
    state = run(snapshot_site, site="nort")
    assert state.type.value == "FAILED"
    assert "'north'" in state.message


def test_snapshot_wipe_restore_undo(prefect: PrefectStack, school: LoopbackSite, home: Path) -> None:
    from flows.restore import restore_host, undo_restore
    from flows.snapshot import snapshot_host

    before = fingerprint(home)
    state = run(snapshot_host, host="lab3-07", reason="before reimage")
    assert state.name == "Completed", state.message
    assert state.message.startswith("lab3-07: saved, ")
    assert flow_run_of(state).name == "lab3-07 before reimage"

    for path in home.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    wiped = fingerprint(home)
    wanted: dict[str, Any] = {"what": "everything that was saved", "where": "back to where they were"}

    planned = run(restore_host, computer="lab3-07", **wanted, step="only show what would happen")
    assert planned.type.value == "COMPLETED", planned.message
    assert differences(wiped, fingerprint(home)) == []
    assert flow_run_of(planned).name == "plan a restore to lab3-07"
    assert "What this restore would do" in artifacts_of(planned)["plan-lab3-07"].data

    restored = run(restore_host, computer="lab3-07", **wanted)
    assert restored.name == "Completed", restored.message
    assert differences(before, fingerprint(home)) == []
    assert flow_run_of(restored).name == "restore to lab3-07"
    pages = artifacts_of(restored)
    assert "What this restore will do" in pages["plan-lab3-07"].data
    undo_id = restored.message.rsplit(" ", 1)[1]
    assert undo_id in pages["restore-lab3-07"].data

    again = run(restore_host, computer="lab3-07", **wanted)
    assert (again.name, again.message) == ("Completed", "lab3-07: nothing had to be written")

    undone = run(undo_restore, host="lab3-07", undo_id=undo_id)
    assert undone.type.value == "COMPLETED", undone.message
    assert sum(path.is_file() for path in home.rglob("*")) == 0


def test_a_staged_restore_is_done_once(prefect: PrefectStack, home: Path) -> None:
    from flows.restore import restore_host
    from flows.snapshot import snapshot_host

    run(snapshot_host, host="lab3-07", reason="test")
    first = run(restore_host, teacher="a.ito")
    assert first.name == "Completed", first.message
    assert flow_run_of(first).name == "restore for a.ito"
    second = run(restore_host, teacher="a.ito")
    assert second.type.value == "COMPLETED"
    assert "not restored twice" in second.message
    assert len(list((home / "Desktop").glob("Restored *"))) == 1
    # Another ticket is another request.
    third = run(restore_host, teacher="a.ito", ticket="HD-1234")
    assert third.name == "Completed", third.message
    assert len(list((home / "Desktop").glob("Restored *"))) == 2


def test_newer_work_is_kept_unless_it_is_named(prefect: PrefectStack, home: Path) -> None:
    from flows.restore import restore_host
    from flows.snapshot import snapshot_host

    folder = home / "Documents" / "Class 4b"
    folder.mkdir(exist_ok=True)
    (folder / "marks.txt").write_text("saved")
    run(snapshot_host, host="lab3-07", reason="test")
    (folder / "marks.txt").write_text("newer work")
    wanted: dict[str, Any] = {
        "computer": "lab3-07",
        "teacher": "a.ito",
        "what": "one folder",
        "name": "Documents/Class 4b",
        "where": "back to where they were",
    }
    kept = run(restore_host, **wanted)
    assert kept.name == "PartlyDone"
    assert (folder / "marks.txt").read_text() == "newer work"
    assert "marks.txt" in artifacts_of(kept)["plan-lab3-07"].data

    replaced = run(restore_host, **wanted, replace_newer=["Documents/Class 4b/marks.txt"])
    assert replaced.name == "Completed", replaced.message
    assert (folder / "marks.txt").read_text() == "saved"


@pytest.mark.parametrize(
    ("request_", "cause"),
    [
        ({}, "names neither a computer nor a teacher"),
        ({"computer": "lab3-07", "what": "one folder"}, "Fill in the field 'Folder or pattern'"),
        ({"computer": "lab3-07", "name": "*.docx"}, "leave 'Folder or pattern' empty"),
        ({"computer": "lab3-70"}, "Did you mean 'lab3-07'?"),
        ({"teacher": "a.itoo"}, "a.itoo"),
        ({"computer": "lab3-07", "as_of": date(2001, 1, 1)}, "there is no snapshot of lab3-07 that old"),
    ],
)
def test_an_unclear_request_says_what_to_fill_in(
    prefect: PrefectStack, home: Path, request_: dict[str, Any], cause: str
) -> None:
    from flows.restore import restore_host
    from flows.snapshot import snapshot_host

    if "as_of" in request_:
        run(snapshot_host, host="lab3-07", reason="test")
    state = run(restore_host, **request_)
    assert state.type.value == "FAILED"
    assert cause in state.message


@pytest.mark.restic
def test_check_and_forget(prefect: PrefectStack, home: Path) -> None:
    from flows.maintain import check_repository, forget_and_prune
    from flows.snapshot import snapshot_host

    for _ in range(2):
        run(snapshot_host, host="lab3-07", reason="test")
    checked = run(check_repository, site="north")
    assert (checked.name, checked.message) == ("Completed", "The repository is sound")
    assert "sound" in artifacts_of(checked)["check-north"].data
    shown = run(forget_and_prune, site="north", dry_run=True)
    assert shown.name == "Completed"
    assert "would go" in shown.message
    assert "lab3-07" in artifacts_of(shown)["forget-north"].data


def test_looking_at_a_computer(prefect: PrefectStack, school: LoopbackSite, home: Path) -> None:
    from flows.maintain import probe_host

    state = run(probe_host, host="lab3-07")
    assert state.type.value == "COMPLETED", state.message
    assert "lab3-07 can be saved" in state.message
    school.add_host("lab3-08", "m.okafor", home, **NOBODY_THERE)
    state = run(probe_host, host="lab3-08")
    assert state.type.value == "FAILED"
    assert "**WRONG**" in artifacts_of(state)["doctor-lab3-08"].data


def test_a_secret_may_lie_in_a_prefect_block(
    prefect: PrefectStack, school: LoopbackSite, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.blocks.system import Secret

    from configs.errors import ConfigError
    from flows.snapshot import snapshot_host
    from tasks.secret_block import resolve_block

    Secret(value=school.password).save("north-repository", overwrite=True)
    Secret(value="12345").save("digits", overwrite=True)
    monkeypatch.setenv("FIRSTBELL_REPOSITORY__PASSWORD", "block:secret/{site}-repository")
    state = run(snapshot_host, host="lab3-07", reason="test")
    assert state.name == "Completed", state.message
    assert resolve_block("secret/digits") == "12345"
    for name in ("secret/missing", "json/x", "secret/"):
        with pytest.raises(ConfigError) as caught:
            resolve_block(name)
        assert f"block:{name}" in str(caught.value)


def test_prefect_learns_no_secret_and_no_file_name(prefect: PrefectStack, school: LoopbackSite, home: Path) -> None:
    from flows.restore import restore_host
    from flows.snapshot import snapshot_site

    (home / "Desktop" / "Elternbrief Klasse 4b.docx").write_text("x")
    school.add_host("lab3-08", "m.okafor", home, **NOBODY_THERE)
    run(snapshot_site, site="north")
    run(restore_host, computer="lab3-07")
    known = everything(prefect)
    assert "nightly-north" in known
    assert "Elternbrief" not in known
    for secret in (school.password, school.s3.secret_key):
        assert secret not in known
    if school.sshd is not None:
        assert "PRIVATE KEY" not in known


@pytest.mark.restic
def test_a_stopped_run_ends_its_hosts_before_it_gives_the_lock_back(
    prefect: PrefectStack, school: LoopbackSite, home: Path
) -> None:
    from configs.errors import FirstbellError
    from tasks import snapshot
    from tasks.events import Event, FileSaved
    from tasks.verbs.site_repository import open_repository
    from tasks.verbs.snapshot import snapshot_host
    from tasks.worker import load_context

    under_way, stopping = threading.Event(), threading.Event()
    ended: list[BaseException] = []

    def slow(event: Event) -> None:
        if isinstance(event, FileSaved):
            under_way.set()
            stopping.wait(30)

    context = load_context()
    # More than what may be under way between the host and us.
    (home / "Documents" / "large").write_bytes(secrets.token_bytes(128 << 20))

    def work() -> None:
        shared = snapshot._SHARED.get()
        assert shared is not None
        try:
            with shared.working():
                snapshot_host(context, "lab3-07", repository=shared.repository, report=slow)
        except BaseException as error:
            ended.append(error)

    newest = _newest(school)
    with open_repository(context, "north") as repository:
        with pytest.raises(KeyboardInterrupt), snapshot.sharing(context, repository):
            copied = contextvars.copy_context()
            thread = threading.Thread(target=copied.run, args=(work,))
            thread.start()
            assert under_way.wait(30)
            threading.Timer(0.2, stopping.set).start()
            raise KeyboardInterrupt
        # The lock is still held here, and nobody writes any more.
        assert not thread.is_alive()
        assert school.restic("list", "locks").stdout != ""
    # Cut off, or just through: either way nothing of it goes on without the lock.
    assert all(isinstance(error, FirstbellError) for error in ended), ended
    assert bool(ended) == (_newest(school) == newest)
    assert school.restic("list", "locks").stdout == ""


def _newest(school: LoopbackSite) -> str:
    """Return the ids of the newest snapshots, as the stock client lists them."""
    return school.restic("snapshots", "--json", "--latest", "1").stdout
