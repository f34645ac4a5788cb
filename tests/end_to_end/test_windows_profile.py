"""A Windows teacher's computer through the command line: saved, wiped and brought back, over each way there is.

What runs behind is PowerShell 7 under Wine. It keeps no creation times, alternate streams, junctions or access lists
of its own, and makes no shadow copies: what those do only Windows shows (docs/windows-field-checklist.md).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import windows_teacher
from tests.support.command_run import host_result, wait_until
from tests.support.windows_computer import WindowsComputer, windows_computer
from tests.support.windows_site import WindowsSite
from tests.support.windows_teacher import differences, fingerprint, glance
from tests.support.wine import run_command_line, windows_path

pytestmark = [pytest.mark.wine, pytest.mark.s3]

#: How large the large file is, in MiB; 2048 is what the product promises.
LARGE = int(os.environ.get("FIRSTBELL_LARGE_MIB", "200"))
#: How many files are not read again; 20,000 is what the product promises, and takes 20 s longer.
MANY = int(os.environ.get("FIRSTBELL_MANY_FILES", "10000"))
MIB = 1024 * 1024
ACKNOWLEDGED = ("complete", "complete-with-acknowledged-skips")


@pytest.fixture
def computer(windows_site: WindowsSite, tmp_path: Path) -> Iterator[WindowsComputer]:
    # A name of its own: the repository is shared, and a snapshot begins with what is known of a computer of that name.
    name = tmp_path.name.replace("_", "-")
    with windows_computer(name, tmp_path / "pc", windows_site) as computer:
        yield computer


@pytest.mark.restic
def test_a_profile_comes_back_byte_for_byte(
    windows_site: WindowsSite, computer: WindowsComputer, tmp_path: Path
) -> None:
    windows_teacher.fill(computer.prefix, files=1_960, large_mib=LARGE)
    before = fingerprint(computer.prefix)
    files = {path: entry.sha256 for path, entry in before.items() if entry.type == "file"}
    size = sum(entry.size for entry in before.values())
    assert len(files) >= 2_000
    assert max(map(len, before)) > 300
    assert {entry.attributes for entry in before.values()} >= {0x10, 0x12, 0x20, 0x21, 0x22, 0x23, 0x26}
    assert glance(computer.prefix) == before

    spooled = windows_site.spooled()
    result = computer.snapshot()
    assert result["state"] in ACKNOWLEDGED
    assert result["files"] == len(files)
    assert sorted(skip["examples"][0]["path"].rpartition("/")[2] for skip in result["skips"]) == ["NTUSER.DAT", "Temp"]
    # The link carried the helper, and references.
    assert size > 100 * MIB
    assert computer.server.carried["stdout"] < 2 * MIB
    assert computer.server.carried["stdin"] < 2 * MIB
    assert windows_site.spooled() == spooled

    windows_site.restic("check", "--read-data")
    windows_site.restic("restore", "latest", "--host", computer.name, "--target", str(tmp_path / "stock"))
    assert windows_teacher.contents(tmp_path / "stock" / "C" / "users" / "a.ito") == files

    windows_teacher.wipe(computer.prefix)
    wiped = glance(computer.prefix)
    told = computer.restore()
    assert told["result"]["verified"]
    assert told["result"]["failed"] == 0
    assert differences(before, fingerprint(computer.prefix)) == []
    assert computer.server.carried["stdout"] < 4 * MIB
    assert computer.server.carried["stdin"] < 4 * MIB
    assert windows_site.spooled() == spooled

    windows_site.run("undo", computer.name, told["undo_id"], "--yes")
    assert {path: one.sha256 for path, one in glance(computer.prefix).items()} == {
        path: one.sha256 for path, one in wiped.items()
    }
    _nothing_secret(windows_site, computer)
    computer.expect_nothing_left()


def _nothing_secret(site: WindowsSite, computer: WindowsComputer) -> None:
    """No credential and no key in command lines or on the disk of the computer; not the spool's addresses either."""
    secrets = [site.password, site.winrm_password, site.s3.secret_key, site.s3.access_key, "X-Amz-Signature"]
    assert computer.lines
    for line in computer.lines:
        assert not [one for one in secrets if one in line]
        assert len(line) < 2_100
    for folder, _, names in os.walk(computer.prefix.folder):
        for name in names:
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink() and path.stat().st_nlink == 1:
                data = path.read_bytes()
                found = [one for one in secrets if one.encode() in data or one.encode("utf-16-le") in data]
                assert not found, path


@contextmanager
def held_open(computer: WindowsComputer, path: Path, share: str) -> Iterator[None]:
    """Let a program of that computer have a file open meanwhile."""
    ready = computer.prefix.folder / f"held-{share}"
    script = computer.prefix.folder / f"hold-{share}.ps1"
    script.write_text(
        f"$file = [IO.File]::Open('{windows_path(path)}', 'Open', 'ReadWrite', '{share}')\n"
        f"[IO.File]::WriteAllText('{windows_path(ready)}', 'x')\n"
        "$null = [Console]::OpenStandardInput().ReadByte()\n"
    )
    line = f"powershell.exe -NoProfile -NonInteractive -InputFormat None -File {windows_path(script)}".replace(
        "powershell.exe", r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe", 1
    )
    with run_command_line(computer.prefix, line) as process:
        try:
            wait_until(ready.exists, what="the program that holds a file")
            yield
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)


def test_a_locked_file_is_told_and_one_in_use_is_saved(computer: WindowsComputer) -> None:
    windows_teacher.fill(computer.prefix, files=10, large_mib=1)
    locked, used = computer.home / "Desktop" / "locked.docx", computer.home / "Desktop" / "in use.docx"
    for path in (locked, used):
        path.write_bytes(path.name.encode() * 1000)
    with held_open(computer, locked, "None"), held_open(computer, used, "Read"):
        result = computer.snapshot()
    assert result["state"] == "partial"
    (told,) = [skip for skip in result["skips"] if not skip["acknowledged"]]
    assert told["reason"] == "unreadable"
    assert told["count"] == 1
    assert "locked.docx" in str(told)
    assert result["files"] == sum(entry.type == "file" for entry in glance(computer.prefix).values()) - 1
    again = computer.snapshot()
    assert again["state"] in ACKNOWLEDGED
    assert again["files"] - again["files_unchanged"] == 1


def test_an_unchanged_profile_is_not_read(computer: WindowsComputer) -> None:
    for folder in range(100):
        below = computer.home / "Documents" / f"class {folder}"
        below.mkdir(parents=True)
        for index in range(MANY // 100):
            (below / f"{index}.txt").write_bytes(b"%d %d" % (folder, index))
    first = computer.snapshot()
    assert first["files"] == MANY
    second = computer.snapshot()
    assert second["files"] == MANY
    assert second["files_unchanged"] == MANY
    assert second["bytes_added"] < 2 * MIB
    assert second["seconds"] < 60, "15 s on a computer that does nothing else"


def test_openssh_takes_the_same_helper(windows_site: WindowsSite, computer: WindowsComputer) -> None:
    windows_teacher.fill(computer.prefix, files=60, large_mib=4)
    windows_site.add_openssh("lab4-02", computer.prefix)
    try:
        before = glance(computer.prefix)
        result = host_result(windows_site.run("snapshot", "lab4-02", "--json").stdout)
        assert result["state"] in ACKNOWLEDGED
        windows_teacher.wipe(computer.prefix)
        windows_site.run("restore", "lab4-02", "--yes")
        assert differences(before, glance(computer.prefix)) == []
        computer.expect_nothing_left()
    finally:
        windows_site.hosts.pop("lab4-02")


def test_without_a_spool_everything_passes_the_link(windows_site: WindowsSite, computer: WindowsComputer) -> None:
    windows_teacher.fill(computer.prefix, files=60, large_mib=4)
    before = glance(computer.prefix)
    with windows_site.other_spool(spool=False):
        done = windows_site.run("snapshot", computer.name)
        assert "there is no spool" in done.stderr
        assert "a second" in done.stdout
        windows_teacher.wipe(computer.prefix)
        windows_site.run("restore", computer.name, "--yes")
    assert computer.server.carried["stdout"] > 4 * MIB
    assert differences(before, glance(computer.prefix)) == []
