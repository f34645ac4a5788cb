"""Writing a Windows host's files: as on other hosts, and by the rules that only Windows has.

Wine has no junctions or symbolic links of its own; links of this computer lead elsewhere in just the same way, and the
helper finds out by where a path really ends. Access lists, alternate streams and creation times it does not keep.
"""

from __future__ import annotations

import hashlib
import os
import random
import select
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasks.entries import Expected, WriteResult, Zeros
from tasks.errors import FirstbellError, HelperFailed
from tasks.remote.filesystem import RemoteHost, RemoteSink
from tasks.repository.tree import Node
from tests.support.windows_helper import windows_host
from tests.support.wine import POWERSHELL, WinePrefix, run_command_line, windows_path

MIB = 1024 * 1024
ROOT = os.geteuid() == 0
MTIME = 1_500_000_000_123_456_700
READ_ONLY, HIDDEN, SYSTEM, FOLDER, ARCHIVE = 0x1, 0x2, 0x4, 0x10, 0x20

pytestmark = pytest.mark.wine


@pytest.fixture(scope="module")
def host(windows: WinePrefix) -> Iterator[RemoteHost]:
    profile = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-1-2-3-1001"
    windows.registry(profile, "ProfileImagePath", r"C:\users\colleague", "REG_EXPAND_SZ")
    with windows_host(windows) as host:
        yield host


@pytest.fixture
def folder(windows: WinePrefix, request: pytest.FixtureRequest) -> Path:
    """Give the folder that a test may write to, as this computer sees it."""
    folder = windows.drive / "users" / "teacher" / request.node.name[:60].replace("[", "-").replace("]", "")
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def root(windows: WinePrefix, folder: Path) -> bytes:
    """Give the same folder as frames call it."""
    return b"/C/" + os.fsencode(folder.relative_to(windows.drive))


@pytest.fixture
def sink(host: RemoteHost, root: bytes) -> RemoteSink:
    sink = host.sink()
    sink.allow("digest", [root])
    return sink


def file_node(attributes: int | None = ARCHIVE, **fields: object) -> Node:
    values: dict[str, object] = {"mode": stat.S_IFREG | 0o666, "mtime_ns": MTIME}
    node = Node(b"name", "file", **(values | fields))  # type: ignore[arg-type]
    if attributes is not None:
        node.generic_attributes = {"windows.file_attributes": attributes}
    return node


def folder_node(attributes: int = FOLDER) -> Node:
    node = Node(b"name", "dir", mode=stat.S_IFDIR | 0o777, mtime_ns=1_400_000_000_000_000_100)
    node.generic_attributes = {"windows.file_attributes": attributes}
    return node


def the(results: list[WriteResult]) -> WriteResult:
    (result,) = results
    return result


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def seen(sink: RemoteSink, path: bytes) -> Expected:
    (node,) = sink.stat([path])
    assert node is not None
    return Expected(node.type, node.size, node.mtime_ns)


@contextmanager
def running(windows: WinePrefix, script: str) -> Iterator[None]:
    """Run a script in another PowerShell of the same Windows meanwhile."""
    file = windows.folder / "meanwhile.ps1"
    file.write_text(script)
    line = f"{POWERSHELL} -NoLogo -NoProfile -NonInteractive -File {windows_path(file)}"
    with run_command_line(windows, line) as process:
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def cut_off(windows: WinePrefix, host: RemoteHost) -> Iterator[bytes]:
    """Give content, and end the helper in the middle of it."""
    yield b"x" * MIB
    yield b"y" * MIB
    host.sink().stat([b"/C"])  # what was given before has arrived
    windows.run("taskkill", "/F", "/PID", str(host.hello.pid))
    yield b"x" * MIB


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        select.select([], [], [], 0.02)


def test_files_of_every_size_are_written(sink: RemoteSink, root: bytes, folder: Path) -> None:
    chance = random.Random(1)
    contents = [chance.randbytes(size) for size in (0, 1, MIB, MIB + 1, 5 * MIB + 3, 12 * MIB)]
    for number, content in enumerate(contents):
        pieces = [content[at : at + 3 * MIB] for at in range(0, len(content), 3 * MIB)]
        sink.write_file(root + b"/%d" % number, file_node(), None, pieces)
    results = sink.commit()
    for number, (content, result) in enumerate(zip(contents, results, strict=True)):
        path = root + b"/%d" % number
        assert result == WriteResult(path, True, sha256=hashlib.sha256(content).digest(), read_back=True)
        assert (folder / str(number)).read_bytes() == content
        (node,) = sink.stat([path])
        assert node is not None
        assert (node.mtime_ns, node.size) == (MTIME, len(content))
    assert len(names(folder)) == len(contents)


def test_nothing_is_in_place_before_the_commit(sink: RemoteSink, root: bytes, folder: Path) -> None:
    sink.write_file(root + b"/file", file_node(), None, [b"content"])
    # The helper answers in order: what it was told before has happened by now.
    assert sink.stat([root + b"/file"]) == [None]
    (temporary,) = names(folder)
    assert temporary.startswith(".firstbell-")
    assert temporary.endswith(".tmp")
    assert the(sink.commit()).ok
    assert names(folder) == ["file"]


def test_files_may_arrive_while_a_batch_is_committed(sink: RemoteSink, root: bytes, folder: Path) -> None:
    contents = {f"{batch}-{number}": os.urandom(40_000) for batch in range(4) for number in range(30)}
    results: list[WriteResult] = []
    take = None
    for batch in range(4):
        for name, content in contents.items():
            if name.startswith(f"{batch}-"):
                sink.write_file(root + b"/" + name.encode(), file_node(), None, [content])
        if take is not None:
            results += take()
        take = sink.begin_commit()
    assert take is not None
    results += take()
    assert [result.path for result in results] == [root + b"/" + name.encode() for name in contents]
    assert all(result.read_back for result in results)
    assert {name: (folder / name).read_bytes() for name in names(folder)} == contents


def test_zeros_are_written(sink: RemoteSink, root: bytes, folder: Path) -> None:
    content = [b"begin", Zeros(30 * MIB), b"middle" + bytes(4 * MIB) + b"end", Zeros(10 * MIB)]
    sink.write_file(root + b"/sparse", file_node(ARCHIVE | 0x200), None, content)
    sink.write_file(root + b"/plain", file_node(), None, content)
    assert [result.ok for result in sink.commit()] == [True, True]
    plain = b"begin" + bytes(30 * MIB) + b"middle" + bytes(4 * MIB) + b"end" + bytes(10 * MIB)
    assert (folder / "sparse").read_bytes() == plain
    assert (folder / "plain").read_bytes() == plain


def test_awkward_names_and_long_paths(sink: RemoteSink, root: bytes, folder: Path) -> None:
    chosen = [
        "trailing. ",
        "dots...",
        " blank",
        "CON",
        "nul.txt",
        "COM1",
        "\U0001f392 Überraschung",
        "e\u0301",
        "n" * 250,
    ]
    for name in chosen:
        sink.write_file(root + b"/" + name.encode(), file_node(), None, [name.encode()])
    assert [(result.ok, result.detail) for result in sink.commit()] == [(True, "")] * len(chosen)
    assert names(folder) == sorted(chosen)
    assert [(folder / name).read_text() for name in chosen] == chosen
    deep = root + b"/" + b"/".join([b"folder of a hundred characters ".ljust(100, b"x")] * 6)
    for end in range(len(root) + 1, len(deep) + 1):
        if end == len(deep) or deep[end : end + 1] == b"/":
            sink.make(deep[:end], folder_node())
    sink.write_file(deep + b"/file", file_node(), None, [b"deep"])
    sink.make(deep + b"/hard", file_node(), hardlink_to=deep + b"/file")
    assert all(result.ok for result in sink.commit())
    found = sink.stat([deep + b"/file", deep + b"/hard", deep])
    assert [node.type if node else None for node in found] == ["file", "file", "dir"]
    for name in (b"/hard", b"/file"):
        sink.remove(deep + name, seen(sink, deep + name))
    assert [result.ok for result in sink.commit()] == [True, True]


def test_names_that_windows_cannot_hold_are_told(sink: RemoteSink, root: bytes, folder: Path) -> None:
    bad = [b"what?", b"a<b", b'"', b"new\nline", b"pipe|", b"*", b"n" * 256, b"\xff\xfe"]
    bad += [b"file:stream", b"back\\slash", b"..\\outside", b"C:/windows", b"C:"]
    for name in bad:
        sink.write_file(root + b"/" + name, file_node(), None, [b"x"])
    assert [result.reason for result in sink.commit()] == ["unsupported"] * len(bad)
    assert names(folder) == []


def test_existing_files_are_replaced_only_as_the_plan_saw_them(sink: RemoteSink, root: bytes, folder: Path) -> None:
    for name in ("same", "newer", "longer", "there", "folder"):
        (folder / name).write_bytes(b"old")
    sink.set_metadata([(root + b"/same", file_node(READ_ONLY | HIDDEN | ARCHIVE))])
    expected = {name: seen(sink, root + b"/" + name.encode()) for name in names(folder)}
    os.utime(folder / "newer", ns=(1, expected["newer"].mtime_ns + 100))
    (folder / "longer").write_bytes(b"older")
    os.utime(folder / "longer", ns=(1, expected["longer"].mtime_ns))
    (folder / "folder").unlink()
    (folder / "folder").mkdir()
    for name, expect in expected.items():
        sink.write_file(root + b"/" + name.encode(), file_node(), None if name == "there" else expect, [b"new"])
    sink.write_file(root + b"/gone", file_node(), Expected("file", 3, 5), [b"new"])
    results = {result.path[len(root) + 1 :].decode(): result.reason for result in sink.commit()}
    assert results.pop("same") == ""
    assert set(results.values()) == {"conflict"}
    assert len(results) == 5
    assert (folder / "same").read_bytes() == b"new"
    assert [(folder / name).read_bytes() for name in ("newer", "longer", "there")] == [b"old", b"older", b"old"]
    assert names(folder) == ["folder", "longer", "newer", "same", "there"]


def test_a_file_that_comes_into_being_meanwhile_is_left_alone(sink: RemoteSink, root: bytes, folder: Path) -> None:
    sink.write_file(root + b"/file", file_node(), None, [b"restored"])
    sink.stat([root])
    (folder / "file").write_bytes(b"just saved by the teacher")
    result = the(sink.commit())
    assert (result.ok, result.reason) == (False, "conflict")
    assert (folder / "file").read_bytes() == b"just saved by the teacher"
    assert names(folder) == ["file"]


def test_a_name_of_other_case_is_the_same_name(sink: RemoteSink, root: bytes, folder: Path) -> None:
    (folder / "A.TXT").write_bytes(b"there")
    sink.write_file(root + b"/a.txt", file_node(), None, [b"restored"])
    result = the(sink.commit())
    assert (result.reason, result.detail) == (
        "conflict",
        "a file is there that the plan did not see, called 'A.TXT'",
    )
    sink.write_file(root + b"/a.txt", file_node(), seen(sink, root + b"/a.txt"), [b"restored"])
    assert the(sink.commit()).ok
    assert [(folder / name).read_bytes() for name in names(folder)] == [b"restored"]


def test_the_second_of_two_names_that_differ_in_case_is_a_conflict(sink: RemoteSink, root: bytes, folder: Path) -> None:
    (folder / "OLD").write_bytes(b"old")
    expected = seen(sink, root + b"/old")
    # As if the plan had seen one file for both, and the first leaves it just as it was.
    as_before = file_node(mtime_ns=expected.mtime_ns)
    for name, content in ((b"old", b"1st"), (b"Old", b"2nd"), (b"new", b"1st"), (b"NEW", b"2nd")):
        sink.write_file(root + b"/" + name, as_before, expected if name.lower() == b"old" else None, [content])
    sink.make(root + b"/Folder", folder_node())
    sink.make(root + b"/FOLDER", folder_node())
    sink.make(root + b"/Folder", folder_node())
    results = sink.commit()
    assert [result.reason for result in results] == ["", "conflict", "", "", "conflict", "", "conflict"]
    assert all("same name" in result.detail for result in results if result.reason)
    assert sorted((folder / name).read_bytes() for name in names(folder) if name != "Folder") == [b"1st", b"1st"]


def test_nothing_outside_the_roots_is_touched(sink: RemoteSink, root: bytes, folder: Path) -> None:
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "victim").write_bytes(b"untouched")
    (folder / "out").symlink_to(outside)
    (folder / "relative").symlink_to("../outside")
    (folder / "above").symlink_to("..")
    there = root.rpartition(b"/")[0] + b"/outside"
    bad = [
        there + b"/file",
        root + b"/out/file",
        root + b"/out/victim",
        root + b"/relative/file",
        root + b"/above/outside/file",
        root + b"/../outside/file",
        root + b"/./../outside/file",
        root + b"x",
        b"/file",
        b"/C/file",
        b"/?/C/file",
        b"/UNC/server/share/file",
        b"relative",
        root + b"/nul\0",
    ]
    for path in bad:
        sink.write_file(path, file_node(), None, [b"bad"])
    results = sink.commit()
    assert [(result.path, result.reason) for result in results] == [(path, "outside") for path in bad]
    for path in bad[:4]:
        sink.make(path + b"dir", folder_node())
        sink.make(path + b"hard", file_node(), hardlink_to=root + b"/out/victim")
        sink.remove(path, Expected("file", 9, 0))
    sink.make(root + b"/stolen", file_node(), hardlink_to=there + b"/victim")
    assert {result.reason for result in sink.commit()} == {"outside"}
    results = sink.set_metadata([(there + b"/victim", file_node(READ_ONLY)), (root + b"/out/victim", file_node(1))])
    assert [result.reason for result in results] == ["outside", "outside"]
    assert names(outside) == ["victim"]
    assert (outside / "victim").read_bytes() == b"untouched"
    assert names(folder) == ["above", "out", "relative"]


def test_a_folder_that_becomes_a_link_meanwhile_leads_nowhere(sink: RemoteSink, root: bytes, folder: Path) -> None:
    outside = folder.parent / "elsewhere"
    outside.mkdir()
    (folder / "inner").mkdir()
    sink.write_file(root + b"/inner/file", file_node(), None, [b"x"])
    sink.stat([root])
    (folder / "inner").rename(folder / "moved")
    (folder / "inner").symlink_to(outside)
    assert not the(sink.commit()).ok
    assert names(outside) == []


def test_links_inside_the_roots_may_be_passed(sink: RemoteSink, root: bytes, folder: Path) -> None:
    (folder / "real").mkdir()
    (folder / "alias").symlink_to(folder / "real")
    (folder / "file").write_bytes(b"")
    sink.write_file(root + b"/alias/file", file_node(), None, [b"in"])
    sink.write_file(root + b"/missing/file", file_node(), None, [b"in"])
    sink.write_file(root + b"/file/file", file_node(), None, [b"in"])
    assert [result.reason for result in sink.commit()] == ["", "vanished", "vanished"]
    assert (folder / "real" / "file").read_bytes() == b"in"


def test_a_root_may_be_a_link_or_not_be_there_yet(host: RemoteHost, root: bytes, folder: Path) -> None:
    (folder / "real").mkdir()
    (folder / "home").symlink_to("real")
    sink = host.sink()
    sink.allow("digest", [root + b"/home", root + b"/new", root + b"/none/new"])
    for name in (b"/home", b"/new", b"/none/new"):
        sink.make(root + name, folder_node())
    sink.write_file(root + b"/home/file", file_node(), None, [b"1"])
    sink.write_file(root.upper() + b"/NEW/file", file_node(), None, [b"2"])
    results = {result.path[len(root) :]: result.reason for result in sink.commit()}
    assert results == {b"/home": "", b"/new": "", b"/none/new": "vanished", b"/home/file": "", b"/NEW/file": ""}
    assert ((folder / "real" / "file").read_bytes(), (folder / "new" / "file").read_bytes()) == (b"1", b"2")
    assert the(sink.set_metadata([(root + b"/new", folder_node(FOLDER | HIDDEN))])).ok


def test_content_other_than_announced_is_refused(host: RemoteHost, sink: RemoteSink, root: bytes, folder: Path) -> None:
    session = host._session
    session.stream("write", {"file": 901, "path": root.decode() + "/file"}, b"damaged on the way")
    digest = hashlib.sha256(b"as it was").hexdigest().encode()
    session.stream("finish", {"file": 901}, b'{"sha256":"' + digest + b'","meta":{},"expect":null}')
    (frame,) = list(session.request("commit"))
    assert b'"ok":false' in bytes(frame.payload)
    assert b"SHA-256" in bytes(frame.payload)
    assert names(folder) == []


def test_content_that_breaks_off_leaves_nothing(sink: RemoteSink, root: bytes, folder: Path) -> None:
    class Damaged(Exception):
        pass

    def broken(pieces: int) -> Iterator[bytes]:
        for _ in range(pieces):
            yield b"x" * MIB
        raise Damaged

    for pieces in (0, 1, 5):
        with pytest.raises(Damaged):
            sink.write_file(root + b"/broken", file_node(), None, broken(pieces))
    sink.write_file(root + b"/good", file_node(), None, [b"good"])
    assert the(sink.commit()).path == root + b"/good"
    assert names(folder) == ["good"]


def test_folders_and_hard_links(sink: RemoteSink, root: bytes, folder: Path) -> None:
    sink.make(root + b"/dir", folder_node())
    sink.make(root + b"/dir/inner", folder_node())
    sink.write_file(root + b"/dir/inner/file", file_node(), None, [b"first"])
    sink.make(root + b"/dir/hard", file_node(), hardlink_to=root + b"/dir/inner/file")
    sink.make(root + b"/dir/fifo", Node(b"f", "fifo", mode=stat.S_IFIFO | 0o604))
    results = {result.path[len(root) :]: result for result in sink.commit()}
    assert results.pop(b"/dir/fifo").reason == "unsupported"
    assert all(result.ok and not result.detail for result in results.values()), results
    assert os.path.samefile(folder / "dir" / "hard", folder / "dir" / "inner" / "file")
    # Again: what stands there alike is left as it is.
    sink.make(root + b"/dir", folder_node())
    sink.make(root + b"/dir/hard", file_node(), hardlink_to=root + b"/dir/inner/file")
    assert all(result.ok for result in sink.commit())
    # Something else stands there.
    (folder / "dir" / "other").write_bytes(b"")
    sink.make(root + b"/dir/other", folder_node())
    sink.make(root + b"/dir/other", file_node(), hardlink_to=root + b"/dir/inner/file")
    assert [result.reason for result in sink.commit()] == ["conflict"] * 2
    # As expected, it is replaced.
    other = seen(sink, root + b"/dir/other")
    sink.make(root + b"/dir/other", file_node(), hardlink_to=root + b"/dir/inner/file", expected=other)
    assert [result.reason for result in sink.commit()] == [""]
    assert (folder / "dir" / "other").stat().st_nlink == 3
    assert names(folder / "dir") == ["hard", "inner", "other"]


def test_links_are_told_where_the_system_makes_none(sink: RemoteSink, root: bytes, folder: Path) -> None:
    sink.make(root + b"/link", Node(b"l", "symlink", linktarget=b"..\\x"))
    junction = Node(b"l", "symlink", linktarget=b"C:\\users", generic_attributes={"firstbell.reparse": 0xA0000003})
    sink.make(root + b"/junction", junction)
    assert [result.reason for result in sink.commit()] == ["unsupported", "unsupported"]
    assert names(folder) == []


def test_no_hard_link_is_made_to_what_was_not_written(sink: RemoteSink, root: bytes, folder: Path) -> None:
    (folder / "first").write_bytes(b"newer work")
    sink.write_file(root + b"/first", file_node(), None, [b"old"])
    sink.make(root + b"/second", file_node(), hardlink_to=root + b"/first")
    results = {result.path[len(root) + 1 :]: result.reason for result in sink.commit()}
    assert results == {b"first": "conflict", b"second": "conflict"}
    assert names(folder) == ["first"]


def test_only_what_is_as_expected_is_removed(sink: RemoteSink, root: bytes, folder: Path) -> None:
    for name in ("ours", "edited", "locked", "full/file"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"ours")
    (folder / "empty").mkdir()
    sink.set_metadata([(root + b"/locked", file_node(READ_ONLY | SYSTEM)), (root + b"/empty", folder_node(0x11))])
    expected = {name: seen(sink, root + b"/" + name.encode()) for name in names(folder)}
    (folder / "edited").write_bytes(b"edited since")
    for name, expect in expected.items():
        sink.remove(root + b"/" + name.encode(), expect)
    sink.remove(root + b"/gone", Expected("file", 1, 1))
    results = {result.path[len(root) + 1 :].decode(): result.reason for result in sink.commit()}
    gone = {"ours": "", "empty": "", "locked": ""}
    assert results == {**gone, "edited": "conflict", "full": "conflict", "gone": "vanished"}
    assert names(folder) == ["edited", "full"]


def test_attributes_and_times_are_kept(sink: RemoteSink, root: bytes, folder: Path) -> None:
    # Wine calls every file an archive, and no folder read-only.
    wanted = {b"archive": 0x20, b"hidden": 0x22, b"system": 0x27, b"fixed": 0x21}
    for name, attributes in wanted.items():
        # What tells how a file is stored is not set: compressed, encrypted, offline, pinned.
        sink.write_file(root + b"/" + name, file_node(attributes | 0x85800), None, [b"x" * 100_000])
    sink.make(root + b"/desktop", folder_node(0x16))
    sink.write_file(root + b"/desktop/desktop.ini", file_node(0x26), None, [b"[.ShellClassInfo]"])
    sink.write_file(root + b"/linux", file_node(None, mode=stat.S_IFREG | 0o440), None, [b"x"])
    assert [(result.ok, result.detail) for result in sink.commit()] == [(True, "")] * 7
    assert the(sink.set_metadata([(root + b"/desktop", folder_node(0x16))])) == WriteResult(root + b"/desktop", True)
    paths = [root + b"/" + name for name in (*wanted, b"desktop", b"desktop/desktop.ini", b"linux")]
    nodes = [node for node in sink.stat(paths) if node is not None]
    attributes = [node.generic_attributes["windows.file_attributes"] for node in nodes]
    assert attributes == [0x20, 0x22, 0x27, 0x21, 0x16, 0x26, 0x21]
    assert [node.mtime_ns for node in nodes] == [MTIME] * 4 + [1_400_000_000_000_000_100] + [MTIME] * 2


def test_what_this_file_system_cannot_keep_is_named(sink: RemoteSink, root: bytes, folder: Path) -> None:
    node = file_node(xattrs=(("user.colour", b"red"),))
    node.generic_attributes["firstbell.streams"] = {"Zone.Identifier": "W1pvbmVUcmFuc2Zlcl0="}
    sink.write_file(root + b"/file", node, None, [b"x"])
    result = the(sink.commit())
    assert result.ok
    assert result.detail == "not set: stream Zone.Identifier, extended attribute user.colour"
    assert names(folder) == ["file"]


def test_an_owner_that_is_not_kept_is_told(windows: WinePrefix, host: RemoteHost) -> None:
    home = windows.drive / "users" / "colleague"
    home.mkdir()
    sink = host.sink()
    sink.allow("digest", [b"/C/Users/Colleague"])
    sink.make(b"/C/Users/Colleague/Desktop", folder_node())
    sink.write_file(b"/C/Users/Colleague/Desktop/file", file_node(), None, [b"x"])
    # The owner is the person of the profile. Wine says that it has set one, but everything stays this user's.
    assert [(result.ok, result.detail) for result in sink.commit()] == [(True, "not set: owner")] * 2
    assert (home / "Desktop" / "file").read_bytes() == b"x"


def test_what_another_program_has_open_is_left_alone(
    windows: WinePrefix, sink: RemoteSink, root: bytes, folder: Path
) -> None:
    (folder / "open.docx").write_bytes(b"being edited")
    expected = seen(sink, root + b"/open.docx")
    path = "C:\\" + str(folder.relative_to(windows.drive)).replace("/", "\\")
    script = f"""
        $file = [IO.File]::Open('{path}\\open.docx', 'Open', 'ReadWrite', 'Read')
        $flag = [IO.File]::Create('{path}\\held'); $flag.Close()
        while (-not (Test-Path '{path}\\enough')) {{ Start-Sleep -Milliseconds 50 }}
    """
    with running(windows, script):
        wait_for(folder / "held")
        sink.write_file(root + b"/open.docx", file_node(), expected, [b"restored"])
        sink.remove(root + b"/open.docx", expected)
        removed, written = sink.commit()
        (folder / "enough").write_bytes(b"")
    assert (removed.reason, written.reason) == ("denied", "denied")
    assert "another program has it open" in removed.detail
    assert (folder / "open.docx").read_bytes() == b"being edited"
    assert names(folder) == ["enough", "held", "open.docx"]


def test_what_a_killed_helper_leaves_is_swept_by_the_next(
    windows: WinePrefix, host: RemoteHost, root: bytes, folder: Path
) -> None:
    bystander = host.sink()
    bystander.allow("digest", [root])
    bystander.write_file(root + b"/other", file_node(), None, [b"other"])
    bystander.stat([root])
    (own,) = names(folder)
    with windows_host(windows) as victim:
        sink = victim.sink()
        sink.allow("digest", [root])
        sink.write_file(root + b"/done", file_node(), None, [b"done"])
        assert the(sink.commit()).ok
        sink.write_file(root + b"/whole", file_node(), None, [b"w" * 5000])
        sink.write_file(root + b"/fixed", file_node(READ_ONLY | HIDDEN), None, [b"f" * 5000])
        sink.write_file(root + b"/half", file_node(), None, cut_off(windows, victim))
        with pytest.raises(FirstbellError):
            sink.commit()
    left = set(names(folder)) - {own, "done"}
    assert len(left) == 3
    assert all(name.startswith(".firstbell-") and name.endswith(".tmp") for name in left)
    with windows_host(windows) as third:
        sink = third.sink()
        # Nothing may be written before it is allowed.
        sink.write_file(root + b"/early", file_node(), None, [b"x"])
        with pytest.raises(HelperFailed, match="not allowed"):
            sink.commit()
        assert len(names(folder)) == 5
        sink.allow("digest", [root])
        sink.write_file(root + b"/third", file_node(), None, [b"third"])
        assert all(result.ok for result in sink.commit() if result.path == root + b"/third")
        sink.write_file(root + b"/given up", file_node(), None, [b"never committed"])
        sink.stat([root])
        assert len(names(folder)) == 4
    # Those of a helper that still works are not for others to sweep.
    assert names(folder) == sorted([own, "done", "third"])
    assert the(bystander.commit()).ok
    assert names(folder) == ["done", "other", "third"]


def test_a_full_disk_is_told(host: RemoteHost, windows: WinePrefix, folder: Path, root: bytes) -> None:
    small = folder / "small"
    small.mkdir()
    if not ROOT or os.system(f"mount -t tmpfs -o size=4m none '{small}' 2>/dev/null") != 0:
        pytest.skip("mounting is not permitted here")
    try:
        sink = host.sink()
        sink.allow("digest", [root])
        sink.write_file(root + b"/small/large", file_node(), None, [b"x" * MIB] * 9)
        sink.write_file(root + b"/small/fits", file_node(), None, [b"x"])
        assert [result.reason for result in sink.commit()] == ["no-space", ""]
        assert names(small) == ["fits"]
    finally:
        os.system(f"umount '{small}'")


def test_thousands_of_small_files(sink: RemoteSink, root: bytes, folder: Path) -> None:
    for number in range(12):
        sink.make(root + b"/%d" % number, folder_node())
        for file in range(90):  # more in all than the helper keeps open
            sink.write_file(root + b"/%d/%d" % (number, file), file_node(), None, [b"%d" % file])
    results = sink.commit()
    assert len(results) == 1092
    assert all(result.ok for result in results)
    assert (folder / "11" / "89").read_bytes() == b"89"


def test_a_profile_is_made_only_for_an_account(host: RemoteHost, windows: WinePrefix) -> None:
    me = windows.powershell("[Environment]::UserName").strip()
    found = host.make_profile(me)
    assert (found.home.lower(), found.made, found.reason) == (b"/c/users/" + me.encode().lower(), False, "")
    unknown = host.make_profile("SCHOOL\\nobody.at.all")
    assert (unknown.home, unknown.reason) == (b"", "no-account")
    assert "nobody.at.all" in unknown.detail
