"""Parts of the helper that its frames show only on other systems: how rules are sorted, and how a rename is made."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tasks.archiver.excludes import default_rules, site_rules
from tasks.remote.launcher import helper_source


@pytest.fixture(scope="module")
def helper() -> dict[str, Any]:
    """The helper's names, without its last line, which would start it."""
    source = helper_source().decode("ascii")
    names: dict[str, Any] = {"__name__": "posix_helper"}
    exec(compile(source[: source.rindex("# The bootstrap of launcher.py")], "posix_helper", "exec"), names)
    return names


def test_the_joined_parts_name_nothing_that_is_not_there() -> None:
    ruff = Path(sys.executable).with_name("ruff")
    rules = ["--isolated", "--target-version", "py37", "--select", "F", "--stdin-filename", "helper.py"]
    done = subprocess.run([ruff, "check", *rules, "-"], input=helper_source(), capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"All checks passed!\n")


def test_every_part_is_sent() -> None:
    folder = Path(__file__).resolve().parents[2] / "tasks" / "remote" / "posix"
    heads = [file.read_bytes().splitlines()[0] for file in folder.glob("[a-z]*.py")]
    assert heads
    assert all(head in helper_source() for head in heads)


@pytest.mark.parametrize(
    ("regex", "tails"),
    [
        (r"[\s\S]*/node_modules", ["/node_modules"]),
        (r".*\.tmp", [".tmp"]),
        (r".*/(?:a|bb)", ["/a", "/bb"]),
        (r".*/(?:a|bb)c", ["/ac", "/bbc"]),
        (r".*/x(?:/.*)?", []),
        (r".*", []),
        (r"", []),
        (r"(?i:.*/Cache)", []),
        (r".*/cache$", ["/cache"]),
        (r".*[ab]", []),
        (r".*/(?:a|.*)", []),
    ],
)
def test_what_a_match_ends_with(helper: dict[str, Any], regex: str, tails: list[str]) -> None:
    found = helper["literal_tails"](regex)
    assert sorted(found) == sorted(tails) or (tails and found and all(t.endswith(tuple(found)) for t in tails))


def test_sorted_rules_find_what_plain_ones_do(helper: dict[str, Any]) -> None:
    patterns = ["*.bak", "/srv/**", "~/Games/", "tmp*", "Caf\u00e9?", "a/**/z"]
    rules = [*default_rules("linux", vm_limit=100), *default_rules("macos"), *site_rules(patterns)]
    rules += site_rules(patterns, platform="macos")
    documents = [
        {"id": rule.id, "regex": rule.regex, "dirs_only": rule.dirs_only, "min_size": rule.min_size, "tag": rule.tag}
        for rule in rules
    ]
    sorted_rules = helper["Rules"](documents)
    plain = [helper["Rule"](document) for document in documents if not document["tag"]]
    parts = [
        ".cache",
        "node_modules",
        "x.bak",
        "X.BAK",
        ".Trash-5",
        "Library",
        "Caches",
        "tmp1",
        "Games",
        "a",
        "b",
        "z",
    ]
    parts += [
        ".config",
        "chrome",
        "Default",
        "Cache",
        "Code Cache",
        "new\nline",
        "disk.vdi",
        ".firstbell-1.tmp",
        "\ufffd",
    ]
    matched = 0
    for first in ("/home/t", "/Users/t", "/srv"):
        for second in parts:
            for third in ("", *parts):
                path = "/".join(filter(None, (first, second, third)))
                for is_dir, size in ((True, 4096), (False, 10), (False, 5000)):
                    expected = next((rule for rule in plain if rule.agrees(path, is_dir, size)), None)
                    found = sorted_rules.find(path, is_dir, size)
                    assert (found and found.id) == (expected and expected.id), path
                    matched += found is not None
    assert matched > 500


@pytest.mark.parametrize("way", ["rename", "link", "neither"])
def test_a_new_name_is_never_taken_from_somebody(
    helper: dict[str, Any], tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = helper["Writer"]()
    writer.libc = helper["Libc"]()
    if way != "rename":
        writer.libc.rename_new = None
    if way == "neither":

        def no_links(*_: object, **__: object) -> None:
            raise PermissionError(1, "no hard links here")

        monkeypatch.setattr(os, "link", no_links)
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        (tmp_path / "temp").write_text("restored")
        writer.move(fd, b"temp", b"new", None)
        assert os.listdir(tmp_path) == ["new"]
        (tmp_path / "temp").write_text("restored again")
        with pytest.raises(helper["Refused"]):
            writer.move(fd, b"temp", b"new", None)
        assert (tmp_path / "new").read_text() == "restored"
        assert stat.S_ISREG((tmp_path / "temp").stat().st_mode)
    finally:
        os.close(fd)


def test_holes_are_found_where_they_are(helper: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.seek(1 << 20)
        file.write(b"x" * 4096)
        file.truncate(3 << 20)
    if path.stat().st_blocks * 512 > 1 << 20:
        pytest.skip("this file system has no holes")
    fd = os.open(path, os.O_RDONLY)
    try:
        found = list(helper["extents"](fd, os.fstat(fd)))
    finally:
        os.close(fd)
    assert found == [(0, 1 << 20, True), (1 << 20, 4096, False), ((1 << 20) + 4096, (2 << 20) - 4096, True)]


def test_a_setting_that_is_saved_by_the_person_while_ours_is_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = resources.files("tasks.remote").joinpath("posix_person.py").read_text()
    names: dict[str, Any] = {"__name__": "posix_person"}
    exec(compile(source, "posix_person", "exec"), names)
    path = tmp_path / "bookmarks"
    fsync = os.fsync

    def save_meanwhile(fd: int) -> None:
        fsync(fd)
        path.write_text("newer")

    monkeypatch.setattr(os, "fsync", save_meanwhile)
    for before in (None, "old"):
        path.unlink(missing_ok=True)
        if before is not None:
            path.write_text(before)
        expect = None if before is None else hashlib.sha256(before.encode()).hexdigest()
        with pytest.raises(names["Failed"], match="conflict"):
            names["on_put"]({"path": str(path), "content": "b3Vycw==", "expect": expect})
        assert path.read_text() == "newer"
        assert [one.name for one in tmp_path.iterdir()] == ["bookmarks"]
