"""A home full of awkward things, there and back, by our command line and by the stock client, both ways."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.awkward_home import make_awkward_home, make_deep, remove
from tests.support.command_run import host_result, json_lines
from tests.support.deep_fingerprint import blocks, deep_fingerprint
from tests.support.loopback_site import LoopbackSite
from tests.support.sshd import make_key
from tests.support.teacher_home import Entry, differences

pytestmark = [pytest.mark.ssh, pytest.mark.s3]


@pytest.fixture
def awkward(school: LoopbackSite, tmp_path: Path) -> Iterator[Path]:
    """The home of one teacher on the computer ``odd``; no deeper than the stock client can restore it elsewhere."""
    home = tmp_path / "a.ito"
    home.mkdir()
    make_awkward_home(home, deep=3_600)
    school.add_host("odd", "a.ito", home)
    yield home
    remove(home)


def saved(tree: dict[bytes, Entry]) -> dict[bytes, Entry]:
    """Return what a snapshot holds of a tree: no FIFO, no device, and symlinks each by itself."""
    kept = {path: entry for path, entry in tree.items() if entry.type not in ("fifo", "device")}
    return {path: _alone(entry) if entry.type == "symlink" else entry for path, entry in kept.items()}


def _alone(entry: Entry) -> Entry:
    values = {name: getattr(entry, name) for name in Entry.__slots__}
    return Entry(**{**values, "links": ()})


def readable_by_restic(tree: dict[bytes, Entry]) -> dict[bytes, Entry]:
    """Leave out what restic 0.14 itself cannot hold: the target of a symlink that is not UTF-8."""
    return {path: entry for path, entry in tree.items() if not path.endswith(b"/raw target")}


def test_everything_comes_back_from_our_restore(school: LoopbackSite, awkward: Path) -> None:
    before = deep_fingerprint(awkward)
    sparse = blocks(awkward / "Documents" / "kinds" / "sparse")
    result = host_result(school.run("snapshot", "odd", "--json").stdout)
    assert result["state"] in ("complete", "complete-with-acknowledged-skips")
    reasons = {skip["reason"] for skip in result["skips"]}
    assert reasons <= {"special"}, "nothing but sockets, FIFOs and devices may be missing"
    listed = json_lines(school.run("ls", "odd", "-r", "--json").stdout)
    assert len(listed) >= len(saved(before))
    remove(awkward)
    school.run("restore", "odd", "--yes")
    assert differences(saved(before), saved(deep_fingerprint(awkward))) == []
    assert blocks(awkward / "Documents" / "kinds" / "sparse") <= sparse + (1 << 20), "holes must stay holes"
    # It stands there now: a second restore finds nothing to do, a second snapshot nothing to read.
    again = json_lines(school.run("restore", "odd", "--yes", "--json").stdout)[-1]
    assert again["message"] == "nothing had to be written"


@pytest.mark.restic
def test_the_stock_client_restores_it_alike(school: LoopbackSite, awkward: Path, tmp_path: Path) -> None:
    before = deep_fingerprint(awkward)
    school.run("snapshot", "odd")
    school.restic("check", "--read-data")
    target = tmp_path / "restic"
    try:
        school.restic("restore", "latest", "--host", "odd", "--target", str(target))
        after = deep_fingerprint(target / str(awkward).removeprefix("/"))
        assert differences(readable_by_restic(saved(before)), readable_by_restic(saved(after))) == []
    finally:
        remove(target)


def test_a_path_that_no_system_call_takes_comes_back(school: LoopbackSite, tmp_path: Path) -> None:
    home = tmp_path / "deep"
    home.mkdir()
    try:
        assert len(make_deep(home, 5_000)) > 4_096
        school.add_host("well", "a.ito", home)
        before = deep_fingerprint(home)
        school.run("snapshot", "well")
        remove(home)
        school.run("restore", "well", "--yes")
        assert differences(before, deep_fingerprint(home)) == []
    finally:
        remove(home)


@pytest.mark.restic
@pytest.mark.parametrize("version", ["1", "2"])
def test_what_the_stock_client_saved_comes_back(
    school: LoopbackSite, awkward: Path, tmp_path: Path, version: str
) -> None:
    repository = tmp_path / "stock"
    environment = {**school.restic_environment(), "RESTIC_REPOSITORY": str(repository)}

    def restic(*arguments: str) -> None:
        subprocess.run(["restic", *arguments], env=environment, check=True, capture_output=True, timeout=120)

    for path in (awkward / "Documents" / "kinds").iterdir():
        if stat.S_ISCHR(path.lstat().st_mode) or stat.S_ISBLK(path.lstat().st_mode):
            path.unlink()  # told as not restorable: a device is the system's, not the teacher's
    restic("init", "--repository-version", version)
    restic("backup", "--host", "odd", str(awkward))
    before = deep_fingerprint(awkward)
    settings = yaml.safe_load((school.folder / "app.yaml").read_text())
    settings["repository"]["location"] = str(repository)
    config = tmp_path / "app.yaml"
    config.write_text(yaml.safe_dump(settings))
    remove(awkward)
    school.run("restore", "odd", "--yes", "--config", str(config))
    after = deep_fingerprint(awkward)
    assert before[b"Documents/kinds/fifo"].mode == after[b"Documents/kinds/fifo"].mode
    assert differences(readable_by_restic(saved(before)), readable_by_restic(saved(after))) == []
    # And we go on in it.
    school.run("snapshot", "odd", "--config", str(config))
    restic("check", "--read-data")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root signs in as somebody else")
def test_another_teachers_files_are_told_as_missing_to_an_ordinary_account(
    school: LoopbackSite, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A forced command of the key leads down to an ordinary account."""
    home = Path(tempfile.mkdtemp(prefix="firstbell-shared-"))  # pytest's folders are closed to others
    request.addfinalizer(lambda: remove(home))
    (home / "Desktop" / "closed").mkdir(parents=True)
    (home / "Desktop" / "closed" / "inside.txt").write_text("not seen")
    (home / "Desktop" / "mine.txt").write_text("seen")
    (home / "Desktop" / "secret.txt").write_text("not seen")
    for path in (home, home / "Desktop"):
        path.chmod(0o755)
    (home / "Desktop" / "secret.txt").chmod(0o600)
    (home / "Desktop" / "closed").chmod(0o700)
    server = school.sshd
    assert server is not None
    forced = tmp_path / "as_nobody"
    forced.write_text(
        '#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    forced.chmod(0o755)
    key = make_key(tmp_path / "key")
    server.authorize(key, options=f'command="{forced}"')
    ssh = {"key_files": [str(key)], "known_hosts": str(server.known_hosts), "use_agent": False}
    school.add_host("shared", "a.ito", home, ssh=ssh)
    done = school.run("snapshot", "shared", "--json", check=False)
    result = host_result(done.stdout)
    assert done.returncode == 3
    assert result["state"] == "partial"
    denied = [skip for skip in result["skips"] if skip["reason"] == "denied"]
    assert sum(skip["count"] for skip in denied) == 2
    assert "secret.txt" in str(denied)
    assert "closed" in str(denied)
    assert result["files"] == 1, "what may be read is saved all the same"
