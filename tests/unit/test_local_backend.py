"""backends.local beyond the contract: restic's layout, modes, leftovers, what the system refuses."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.backends.local import LocalBackend
from tasks.errors import BackendError, NotFound

PACK = "data/4f/" + "4f" * 32


def run_python(code: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_layout_and_modes_are_restics(tmp_path: Path) -> None:
    root = tmp_path / "new" / "repository"
    backend = LocalBackend(root)
    assert list(backend.list()) == []
    assert not root.exists()
    backend.save("config", b"x")
    assert sorted(path.name for path in root.iterdir()) == ["config", "data", "index", "keys", "locks", "snapshots"]
    backend.save(PACK, b"pack")
    assert (root / PACK).read_bytes() == b"pack"
    assert mode(root / "config") == mode(root / PACK) == 0o400
    assert {mode(root), mode(root / "data"), mode((root / PACK).parent)} == {0o700}


def test_a_place_for_records_gets_no_repository_folders(tmp_path: Path) -> None:
    LocalBackend(tmp_path / "records").save("undo/2026-08-24", b"x")
    assert [path.name for path in (tmp_path / "records").iterdir()] == ["undo"]


def test_modes_follow_config_as_with_restic(tmp_path: Path) -> None:
    LocalBackend(tmp_path).save("config", b"x")
    (tmp_path / "config").chmod(0o440)
    LocalBackend(tmp_path).save(PACK, b"pack")
    assert mode(tmp_path / PACK) == 0o440
    assert mode((tmp_path / PACK).parent) == 0o750


def test_foreign_names_are_left_out(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path)
    backend.save(PACK, b"pack")
    for name in (
        ".DS_Store",
        "data/4f/.firstbell-abc",
        f"{PACK}-tmp-2731",
        "config-tmp-1",
        "data/a b",
        "ä",
        "data/x\ny",
    ):
        (tmp_path / name).write_bytes(b"foreign")
    (tmp_path / "data" / ".snapshots").mkdir()
    (tmp_path / "data" / ".snapshots" / "x").write_bytes(b"foreign")
    os.mkfifo(tmp_path / "data" / "fifo")
    assert [found.name for found in backend.list()] == [PACK]
    for call in (backend.load, backend.stat):
        with pytest.raises(NotFound):
            call("data/fifo")
    with pytest.raises(ValueError, match="temporary"):
        backend.save(f"{PACK}-tmp-2731", b"")


def test_leftovers_of_dead_processes_are_swept(tmp_path: Path) -> None:
    LocalBackend(tmp_path).save(PACK, b"pack")
    folder = (tmp_path / PACK).parent
    old, fresh = folder / ".firstbell-old", folder / ".firstbell-fresh"
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    LocalBackend(tmp_path).save("data/4f/" + "4e" * 32, b"pack")
    assert not old.exists()
    assert fresh.exists()  # may be somebody's who writes now


def test_nothing_temporary_stays(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path)
    backend.save("locks/x", b"1")
    backend.save("locks/x", b"2")
    with pytest.raises(FileExistsError):
        backend.save("locks/x", b"3", overwrite=False)
    assert [path.name for path in (tmp_path / "locks").iterdir()] == ["x"]


def test_a_failed_save_leaves_nothing(tmp_path: Path) -> None:
    """A file size limit stands for a full disk: the write fails in the middle."""
    code = (
        "import resource, signal, sys; from pathlib import Path; from tasks.backends.local import LocalBackend\n"
        "from tasks.errors import BackendError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "backend = LocalBackend(Path(sys.argv[1])); backend.save('data/aa/small', b'x' * 1000)\n"
        "try: backend.save('data/aa/large', b'x' * 200_000)\n"
        "except BackendError as error: print(type(error).__name__, error)\n"
    )
    said = run_python(code, tmp_path)
    assert said.startswith("BackendError")
    assert "data/aa/large: File too large" in said
    assert [path.name for path in (tmp_path / "data" / "aa").iterdir()] == ["small"]


def test_denied_has_a_cure(tmp_path: Path) -> None:
    """Another user may neither read nor write; root, who may everything, becomes ``nobody``."""
    LocalBackend(tmp_path / "store").save("config", b"x")
    (tmp_path / "store" / "config").chmod(0)
    (tmp_path / "store" / "locks").chmod(0)
    (tmp_path / "store").chmod(0o555)
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):  # pytest makes them for the owner alone
        folder.chmod(mode(folder) | 0o011)
    code = (
        "import os, sys; from pathlib import Path; from tasks.backends.local import LocalBackend\n"
        "from tasks.errors import Denied\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "store = LocalBackend(Path(sys.argv[1]))\n"
        "for call in (lambda: store.load('config'), lambda: store.save('x/y', b''), lambda: [*store.list('locks/')]):\n"
        "    try: call()\n"
        "    except Denied as error: print(error.hint)\n"
    )
    said = run_python(code, tmp_path / "store")
    assert said == "Check owner and permissions of the repository's directory.\n" * 3


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")
    with pytest.raises(BackendError):
        LocalBackend(tmp_path / "store").ensure_location()
    with pytest.raises(BackendError):
        LocalBackend(tmp_path / "store").save("config", b"x")


def test_ensure_location_makes_the_folders_above(tmp_path: Path) -> None:
    for _ in range(2):
        LocalBackend(tmp_path / "a" / "b").ensure_location()
    assert (tmp_path / "a" / "b").is_dir()
