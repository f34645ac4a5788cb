"""What a walk over a Windows host tells: every name, attributes, rules, and what cannot be read."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.archiver.excludes import default_rules
from tasks.entries import Directory, Rule, WalkRequest
from tasks.errors import HelperFailed
from tasks.remote.filesystem import RemoteHost
from tasks.repository.tree import Node
from tests.support.helper_host import walk
from tests.support.windows_helper import windows_host
from tests.support.wine import WinePrefix

AWKWARD = (
    "plain",
    " leading space",
    "trailing space ",
    "trailing dot.",
    "..two dots",
    "-dash",
    "🎒 emoji",
    "\uffeeafter surrogates in UTF-16",
    "café",
    "cafe\u0301",
    "スケジュール",
    "#hash % [x] {y} & ' ^ !",
    "CON",
    "nul.txt",
    "n" * 255,
)


@pytest.fixture(scope="module")
def host(windows: WinePrefix) -> Iterator[RemoteHost]:
    with windows_host(windows) as host:
        yield host


@pytest.fixture
def folder(windows: WinePrefix) -> Iterator[Path]:
    """A folder of the drive, ``C:\\t`` to Windows."""
    path = windows.drive / "t"
    path.mkdir()
    yield path
    shutil.rmtree(path)


ROOT = b"/C/t"


def nodes(directory: Directory) -> dict[bytes, Node]:
    return {node.name: node for node in directory.children}


def mark(path: Path, attributes: int) -> None:
    """Set attributes of Windows where Wine keeps them: hidden 2, system 4."""
    try:
        os.setxattr(path, "user.DOSATTRIB", hex(attributes).encode())
    except OSError:
        pytest.skip("this file system keeps no attributes of Windows")


def test_the_folders_above_a_root_show_only_the_way(host: RemoteHost, folder: Path) -> None:
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "file").write_text("x")
    folders, skips = walk(host.source(), WalkRequest((ROOT + b"/a/b",)))
    assert skips == []
    assert list(folders) == [b"/", b"/C", ROOT, ROOT + b"/a", ROOT + b"/a/b"]
    assert [[node.name for node in found.children] for found in folders.values()] == [
        [b"C"],
        [b"t"],
        [b"a"],
        [b"b"],
        [],
    ]
    assert {node.type for found in folders.values() for node in found.children} == {"dir"}


def test_awkward_names_and_their_order(host: RemoteHost, folder: Path) -> None:
    for name in AWKWARD:
        (folder / name).write_text(name)
        (folder / f"d {name[:253]}").mkdir()
    folders, skips = walk(host.source(), WalkRequest((ROOT,)))
    assert skips == []
    expected = sorted([*(name.encode() for name in AWKWARD), *(b"d " + name[:253].encode() for name in AWKWARD)])
    assert [node.name for node in folders[ROOT].children] == expected
    assert {ROOT + b"/d " + name[:253].encode() for name in AWKWARD} <= set(folders)


def test_a_row_says_what_windows_says(host: RemoteHost, folder: Path) -> None:
    path = folder / "file"
    path.write_bytes(b"12345")
    path.chmod(0o444)
    (folder / "writable").write_bytes(b"")
    (folder / "dir").mkdir()
    os.utime(path, ns=(1, -1_234_567_891))
    found = nodes(walk(host.source(), WalkRequest((ROOT,)))[0][ROOT])
    entry = os.lstat(path)
    node = found[b"file"]
    assert (node.type, node.mode, node.uid, node.gid, node.size, node.links) == ("file", 0o100444, 0, 0, 5, 1)
    assert node.mtime_ns == -1_234_567_900  # of 100 ns each
    assert node.ctime_ns == entry.st_ctime_ns // 100 * 100
    assert node.inode == entry.st_ino
    assert node.generic_attributes["windows.file_attributes"] & 0x1
    assert set(node.generic_attributes["windows.creation_time"]) == {"LowDateTime", "HighDateTime"}
    assert (found[b"writable"].mode, found[b"writable"].size) == (0o100666, 0)
    assert (found[b"dir"].type, found[b"dir"].mode, found[b"dir"].size) == ("dir", 0o40777, 0)
    assert found[b"dir"].generic_attributes["windows.file_attributes"] & 0x10


def test_hidden_and_system_files_are_saved(host: RemoteHost, folder: Path) -> None:
    (folder / "desktop.ini").write_text("[.ShellClassInfo]")
    mark(folder / "desktop.ini", 0x6)
    (folder / "Projects").mkdir()
    mark(folder / "Projects", 0x2)
    folders, skips = walk(host.source(), WalkRequest((ROOT,)))
    assert skips == []
    found = nodes(folders[ROOT])
    assert found[b"desktop.ini"].generic_attributes["windows.file_attributes"] & 0x6 == 0x6
    assert found[b"Projects"].generic_attributes["windows.file_attributes"] & 0x2
    assert ROOT + b"/Projects" in folders


def test_long_paths(host: RemoteHost, folder: Path) -> None:
    deep = folder
    for _ in range(12):
        deep = deep / ("d" * 60)
    deep.mkdir(parents=True)
    (deep / "file").write_text("deep down")
    folders, skips = walk(host.source(), WalkRequest((ROOT,)))
    assert skips == []
    path = ROOT + (b"/" + b"d" * 60) * 12
    assert [node.name for node in folders[path].children] == [b"file"]
    assert [node.name for node in walk(host.source(), WalkRequest((path,)))[0][path].children] == [b"file"]


def test_roots_have_their_real_names(host: RemoteHost, folder: Path) -> None:
    (folder / "Unterricht" / "8b").mkdir(parents=True)
    folders, skips = walk(host.source(), WalkRequest((b"/c/T/UNTERRICHT",)))
    assert skips == []
    assert [node.name for node in folders[ROOT].children] == [b"Unterricht"]
    assert [node.name for node in folders[ROOT + b"/Unterricht"].children] == [b"8b"]


def test_roots_that_lead_nowhere(host: RemoteHost, folder: Path) -> None:
    (folder / "file").write_text("x")
    missing = (
        ROOT + b"/missing/deep",
        ROOT + b"/file/below",
        b"/Q/x",
        b"/home/a.ito",
        ROOT + b"/no*such",
        b"/C/t/\x01",
    )
    folders, skips = walk(host.source(), WalkRequest((*missing, ROOT + b"/file")))
    assert {(skip.path, skip.reason) for skip in skips} == {(path, "vanished") for path in missing}
    assert [node.name for node in folders[ROOT].children] == [b"file"]


def test_paths_that_windows_takes_otherwise_are_refused(host: RemoteHost, folder: Path) -> None:
    for path in (b"/C/t\\x", b"/C/t/file:stream", b"/C/t/../x", b"/C/t/a\0b", b"C:/t"):
        with pytest.raises(HelperFailed, match="bad-request"):
            walk(host.source(), WalkRequest((path,)))
    assert walk(host.source(), WalkRequest((ROOT,)))[1] == []


def test_roots_inside_roots_come_once(host: RemoteHost, folder: Path) -> None:
    (folder / "a" / "b" / "c").mkdir(parents=True)
    (folder / "a" / "b" / "c" / "file").write_text("x")
    folders, skips = walk(host.source(), WalkRequest((ROOT + b"/a/B", ROOT, ROOT + b"/a/b/c")))
    assert skips == []
    assert [node.name for node in folders[ROOT + b"/a/b/c"].children] == [b"file"]


def test_rules(host: RemoteHost, folder: Path) -> None:
    for name in ("node_modules/x", "keep/node_modules", "cached", "kept", "Upper"):
        (folder / name).mkdir(parents=True)
    (folder / "cached" / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\nmore")
    (folder / "kept" / "CACHEDIR.TAG").write_text("Signature: something else entirely, of the same length ...")
    (folder / "keep" / "node_modules" / "file").write_text("x")
    (folder / "big.iso").write_text("x" * 2000)
    (folder / "small.iso").write_text("x" * 1999)
    (folder / "a.tmp").write_text("x")
    (folder / "dir.tmp").mkdir()
    (folder / "upper.txt").write_text("x")
    rules = (
        Rule("nm", "", r"[\s\S]*/node_modules", dirs_only=True),
        Rule("iso", "", r".*\.iso", min_size=2000),
        Rule("tmp", "", r"(?:.*/)?[^/]*\.tmp"),
        Rule("case", "", r"(?i:.*/UPPER)", dirs_only=True),
        Rule("part", "", r".*/Upp"),
        Rule("tag", "", tag="CACHEDIR.TAG"),
    )
    folders, skips = walk(host.source(), WalkRequest((ROOT,), rules))
    assert {(skip.path[len(ROOT) + 1 :], skip.reason, skip.rule) for skip in skips} == {
        (b"node_modules", "excluded", "nm"),
        (b"keep/node_modules", "excluded", "nm"),
        (b"big.iso", "too-large", "iso"),
        (b"a.tmp", "excluded", "tmp"),
        (b"dir.tmp", "excluded", "tmp"),
        (b"Upper", "excluded", "case"),
        (b"cached", "excluded", "tag"),
    }
    assert [node.name for node in folders[ROOT].children] == [b"keep", b"kept", b"small.iso", b"upper.txt"]
    assert folders[ROOT + b"/keep"].children == []


def test_rules_do_not_hide_roots_that_lie_in_what_they_exclude(host: RemoteHost, folder: Path) -> None:
    (folder / "cache" / "wanted" / "deep").mkdir(parents=True)
    (folder / "cache" / "other").mkdir()
    rules = (Rule("cache", "", r".*/cache", dirs_only=True),)
    folders, skips = walk(host.source(), WalkRequest((ROOT, ROOT + b"/cache/wanted"), rules))
    assert [(skip.path, skip.rule) for skip in skips] == [(ROOT + b"/cache", "cache")]
    assert [node.name for node in folders[ROOT + b"/cache"].children] == [b"wanted"]
    assert [node.name for node in folders[ROOT + b"/cache/wanted"].children] == [b"deep"]


def test_the_standing_rules_of_windows_are_understood(host: RemoteHost, folder: Path) -> None:
    (folder / "AppData" / "Local" / "Temp" / "x").mkdir(parents=True)
    (folder / "NTUSER.DAT").write_text("x")
    folders, skips = walk(host.source(), WalkRequest((ROOT,), default_rules("windows")))
    assert {skip.path for skip in skips} == {ROOT + b"/AppData/Local/Temp", ROOT + b"/NTUSER.DAT"}
    assert all(skip.rule for skip in skips)
    assert [node.name for node in folders[ROOT].children] == [b"AppData"]


def test_a_rule_that_is_no_regex_is_refused(host: RemoteHost, folder: Path) -> None:
    with pytest.raises(HelperFailed, match="bad-rule"):
        walk(host.source(), WalkRequest((ROOT,), (Rule("bad", "", "("),)))
    assert walk(host.source(), WalkRequest((ROOT,)))[1] == []


def test_only_some_paths(host: RemoteHost, folder: Path) -> None:
    (folder / "a" / "b").mkdir(parents=True)
    for name in ("a/one", "a/two", "a/b/three"):
        (folder / name).write_text("x")
    only = (ROOT + b"/a/one", ROOT + b"/a/b", ROOT + b"/gone/deep", ROOT + b"/a/one/below")
    folders, skips = walk(host.source(), WalkRequest((ROOT,), (), only))
    assert [node.name for node in folders[ROOT].children] == [b"a"]
    assert [node.name for node in folders[ROOT + b"/a"].children] == [b"b", b"one"]
    assert folders[ROOT + b"/a/b"].children == []
    assert {(skip.path, skip.reason) for skip in skips} == {
        (ROOT + b"/gone/deep", "vanished"),
        (ROOT + b"/a/one/below", "vanished"),
    }


def test_many_paths_go_in_several_frames(host: RemoteHost, folder: Path) -> None:
    names = [b"%05d" % number + b"n" * 100 for number in range(6000)]
    (folder / names[5999].decode()).write_text("x")
    folders, skips = walk(host.source(), WalkRequest((), (), tuple(ROOT + b"/" + name for name in names)))
    assert [node.name for node in folders[ROOT].children] == [names[5999]]
    assert len(skips) == 5999


def test_a_large_folder_comes_in_pages_as_one(host: RemoteHost, folder: Path) -> None:
    names = sorted(b"%04d" % number + b"n" * 200 for number in range(3000))
    for name in names:
        os.close(os.open(os.fsencode(folder) + b"/" + name, os.O_CREAT))
    source = host.source()
    first = source.entries(WalkRequest((ROOT,)))
    next(first)
    # A second walk while the first is under way, and reads in between.
    folders, skips = walk(source, WalkRequest((ROOT,)))
    assert [node.name for node in folders[ROOT].children] == names
    assert skips == []
    rest = [item for item in first if isinstance(item, Directory) and item.path == ROOT]
    assert [node.name for node in rest[0].children] == names


def test_a_walk_that_is_given_up_disturbs_nobody(host: RemoteHost, folder: Path) -> None:
    for number in range(300):
        (folder / f"{number:03}" / "inner").mkdir(parents=True)
    source = host.source()
    for _ in range(3):
        walking = source.entries(WalkRequest((ROOT,)))
        next(walking)
        walking.close()
    folders, _ = walk(source, WalkRequest((ROOT,)))
    assert len([path for path in folders if path.startswith(ROOT)]) == 601


def test_all_fixed_drives_are_below_the_root(host: RemoteHost) -> None:
    rules = (Rule("all", "", r"/[A-Z]/[\s\S]*"),)
    folders, _ = walk(host.source(), WalkRequest((b"/",), rules))
    assert [node.name for node in folders[b"/"].children] == [b"C", b"Z"]


def test_a_shadow_copy_that_cannot_be_made_is_told(host: RemoteHost, folder: Path) -> None:
    (folder / "file").write_text("x")
    source = host.source()
    folders, skips = walk(source, WalkRequest((ROOT,), shadow=True))
    assert source.shadow_copies == {"C": "not available here"}
    assert skips == []
    assert [node.name for node in folders[ROOT].children] == [b"file"]


def test_20000_files_are_listed_well_within_15_seconds(host: RemoteHost, folder: Path) -> None:
    for number in range(40):
        (folder / str(number)).mkdir()
        for file in range(500):
            os.close(os.open(folder / str(number) / f"lesson {file}.docx", os.O_CREAT))
    rules = default_rules("windows")
    started = time.monotonic()
    folders, skips = walk(host.source(), WalkRequest((ROOT,), rules))
    assert time.monotonic() - started < 15
    assert skips == []
    assert sum(len(found.children) for path, found in folders.items() if path.startswith(ROOT)) == 20040


def test_what_may_not_be_listed_is_told(windows: WinePrefix, host: RemoteHost, folder: Path) -> None:
    # Wine has no access lists to speak of, and root may do everything: a folder that goes while it is walked.
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    for number in range(6000):
        os.close(os.open(folder / "a" / f"{number:05}", os.O_CREAT))
    walking = host.source().entries(WalkRequest((ROOT,)))
    # Two pages of 2,000 rows are asked for ahead: what comes behind them has not been looked at yet.
    next(walking)
    subprocess.run(["rmdir", str(folder / "b")], check=True)
    told = [item for item in walking if getattr(item, "path", b"") == ROOT + b"/b"]
    assert len(told) == 1
    assert getattr(told[0], "reason", "") == "vanished"
