"""What the Windows helper's writing side decides by itself: its C# compiled as C# 5 and run under Mono."""

from __future__ import annotations

import base64
import json
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.mono

Call = Callable[..., Any]

_ROOT = Path(__file__).parents[2]
READ_ONLY, HIDDEN, FOLDER, ARCHIVE, SPARSE, REPARSE = 0x1, 0x2, 0x10, 0x20, 0x200, 0x400
JUNCTION, SYMLINK, CLOUD = 0xA0000003, 0xA000000C, 0x9000601A
#: 2017-07-14 02:40:00.1234567 UTC, in ns since 1970 and in 100 ns since 1601.
NS, FILETIME = 1_500_000_000_123_456_700, 131_444_736_001_234_567


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Call]:
    program = tmp_path_factory.mktemp("mono") / "write-parts.exe"
    sources = sorted((_ROOT / "tasks" / "remote" / "windows").glob("*.cs"))
    sources.append(_ROOT / "tests" / "support" / "WriteParts.cs")
    done = subprocess.run(
        ["mcs", "-langversion:5", f"-out:{program}", *map(str, sources)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with subprocess.Popen(["mono", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def call(*arguments: Any) -> Any:
            stdin.write(json.dumps(arguments) + "\n")
            stdin.flush()
            return json.loads(stdout.readline())

        yield call
        stdin.close()


def path(rest: str) -> str:
    return "\\\\?\\C:\\" + rest


def test_paths_become_those_of_windows(call: Call) -> None:
    assert call("local", "/C") == path("")
    assert call("local", "/c/Users/a.ito") == path("Users\\a.ito")
    assert call("local", "//C///x//") == path("x")
    lone = base64.b64encode(b"/C/a\xed\xa0\x80").decode()  # half a surrogate pair, as WTF-8
    assert call("local", {"b64": lone}) == path("a\ud800")
    for odd in ("trailing. ", "nul", "CON.txt", "...", "\U0001f392"):
        assert call("local", "/C/" + odd) == path(odd)


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        ("", "outside"),
        ("C/x", "outside"),
        ("/", "outside"),
        ("/CC/x", "outside"),
        ("/?/C/x", "outside"),
        ("/C/../x", "outside"),
        ("/C/./x", "outside"),
        ("/C/x\0", "outside"),
        ("/C:/x", "outside"),
        ("/C/a:b", "unsupported"),
        ("/C/a\\b", "unsupported"),
        ("/C/a\tb", "unsupported"),
        ("/C/" + "n" * 256, "unsupported"),
        ({"b64": "/0Mv/w=="}, "unsupported"),
        (None, "unsupported"),
    ],
)
def test_paths_that_are_none_are_refused(call: Call, wire: object, reason: str) -> None:
    assert call("local", wire)[0] == reason


def test_paths_are_taken_apart(call: Call) -> None:
    assert [call("parent", path(rest)) for rest in ("a\\b\\c", "a", "")] == [path("a\\b"), path(""), path("")]
    assert [call("name", path(rest)) for rest in ("a\\b", "a", "")] == ["b", "a", ""]
    assert call("within", path("Users\\Anna\\x"), path("users\\anna"))
    assert call("within", path("users"), path(""))
    assert not call("within", path("Users\\Annabelle"), path("Users\\Anna"))
    assert call("moved", path("Home\\X\\y"), path("home"), "\\\\?\\D:\\") == "\\\\?\\D:\\X\\y"
    assert call("moved", path("home"), path("home"), path("real")) == path("real")


def test_errors_of_windows_have_their_reasons(call: Call) -> None:
    reasons = {2: "vanished", 5: "denied", 32: "denied", 112: "no-space", 145: "conflict", 183: "conflict"}
    reasons |= {123: "unsupported", 1314: "denied", 1295: "no-space", 87: "unreadable"}
    assert {code: call("reason", code) for code in reasons} == reasons


def test_only_our_temporary_files_are_known(call: Call) -> None:
    assert call("run-of", ".firstbell-0123456789abcdef-0000001f.tmp") == "0123456789abcdef"
    for other in (".firstbell-0123456789abcdef-1f.tmp", "x.firstbell-0123456789abcdef-0000001f.tmp", "a.tmp"):
        assert call("run-of", other) is None
    assert call("run-of", ".firstbell-0123456789abcdef-0000001f.tmp\n") is None


def test_a_name_belongs_to_who_asked_first(call: Call) -> None:
    call("claim", path("Docs"), path("Docs"))
    assert not call("other", path("Docs"), path("Docs"))
    assert call("other", path("Docs"), path("DOCS"))
    # What stood there under a third name was asked for as the first.
    call("claim", path("OLD"), path("old"))
    assert not call("other", path("OLD"), path("old"))
    assert call("other", path("OLD"), path("OLD"))
    call("forget", path("OLD"))
    assert not call("other", path("OLD"), path("OLD"))


def test_what_stands_there_is_compared_with_what_the_plan_saw(call: Call) -> None:
    file, folder = [ARCHIVE, 0, 5, FILETIME], [FOLDER, 0, 0, FILETIME]
    link = [FOLDER | REPARSE, JUNCTION, 0, FILETIME]
    assert call("agrees", None, None)
    assert call("agrees", file, ["file", 5, NS])
    assert call("agrees", folder, ["dir", 0, 1])
    assert call("agrees", link, ["symlink", 0, NS])
    for there, expect in [
        (None, ["file", 5, NS]),
        (file, None),
        (file, ["file", 6, NS]),
        (file, ["file", 5, NS + 100]),
        (file, ["dir", 0, NS]),
        (link, ["dir", 0, NS]),
        (link, ["symlink", 0, NS - 100]),
    ]:
        assert not call("agrees", there, expect)


def test_what_leads_elsewhere_is_no_folder(call: Call) -> None:
    kinds = {
        "file": [[ARCHIVE, 0], [0x400420, CLOUD], [REPARSE, 0x80000013], [REPARSE, 0x80000017]],
        "dir": [[FOLDER, 0], [FOLDER | REPARSE, CLOUD]],
        "symlink": [[REPARSE, SYMLINK], [FOLDER | REPARSE, JUNCTION]],
        "other": [[REPARSE, 0xA000001D], [FOLDER | REPARSE, 0xA000001F], [FOLDER | REPARSE, 0]],
    }
    for kind, marks in kinds.items():
        assert [call("kind", [*mark, 0, 0]) for mark in marks] == [kind] * len(marks)


def test_times_are_rounded_down_to_100_ns(call: Call) -> None:
    assert call("filetime", NS) == FILETIME
    assert call("filetime", NS + 99) == FILETIME
    assert call("filetime", 0) == 116_444_736_000_000_000
    assert call("filetime", -1) == 116_444_735_999_999_999
    assert call("filetime", -100) == 116_444_735_999_999_999
    assert call("filetime", -(2**63)) > 0


def test_only_some_attributes_are_set(call: Call) -> None:
    def attributes(now: int, told: int | None, mode: int | None = None) -> int:
        meta: dict[str, Any] = {} if told is None else {"windows": {"attributes": told}}
        if mode is not None:
            meta["mode"] = mode
        return int(call("attributes", now, meta))

    assert attributes(ARCHIVE, 0x2027) == 0x2027
    assert attributes(ARCHIVE, HIDDEN | 0x5D800 | SPARSE) == HIDDEN  # compressed, encrypted, offline, ...
    assert attributes(ARCHIVE | 0x400800 | 0x80000, READ_ONLY) == READ_ONLY | 0x80000  # pinned stays
    assert attributes(ARCHIVE, 0x80) == 0x80  # "normal" stands for none
    assert attributes(FOLDER, HIDDEN | FOLDER) == HIDDEN
    # From a computer without them.
    assert attributes(ARCHIVE, None, 0o100644) == ARCHIVE
    assert attributes(ARCHIVE | READ_ONLY, None, 0o100644) == ARCHIVE
    assert attributes(ARCHIVE, None, 0o100444) == ARCHIVE | READ_ONLY
    assert attributes(FOLDER, None, 0o40555) == 0x80
    assert attributes(ARCHIVE, 0, 0o100444) == 0x80


def test_a_junction_is_written_and_known_again(call: Call) -> None:
    data = base64.b64decode(call("junction", "C:\\Users\\Öl"))
    real, shown = "\\??\\C:\\Users\\Öl".encode("utf-16-le"), "C:\\Users\\Öl".encode("utf-16-le")
    # REPARSE_DATA_BUFFER (ntifs.h): tag, length, reserved, then offset and length of both names.
    header = struct.pack("<IHHHHHH", JUNCTION, 12 + len(real) + len(shown), 0, 0, len(real), len(real) + 2, len(shown))
    assert data == header + real + b"\0\0" + shown + b"\0\0"

    def leads(target: str, windows: dict[str, int]) -> bool:
        return bool(call("leads-to", target, base64.b64encode(data).decode(), windows))

    assert leads("c:\\users\\Öl", {"reparse": JUNCTION})
    assert leads("\\??\\C:\\Users\\Öl", {"reparse": JUNCTION})
    assert leads("/C/Users/Öl", {"reparse": JUNCTION})  # as frames spell it
    assert not leads("C:\\Users\\Other", {"reparse": JUNCTION})
    assert not leads("C:\\Users\\Öl", {})  # a symlink is wanted


def sid(text: str) -> bytes:
    _, revision, authority, *parts = text.split("-")
    count = len(parts)
    return struct.pack(f">BBHI{0}s", int(revision), count, 0, int(authority), b"") + struct.pack(
        f"<{count}I", *map(int, parts)
    )


OLD, NEW, STRANGER = "S-1-5-21-1-2-3-1001", "S-1-5-21-9-9-9-1003", "S-1-5-21-1-2-3-1044"
SYSTEM, EVERYONE = "S-1-5-18", "S-1-1-0"
INHERITED, DENY = 0x10, 1


def ace(who: str, mask: int, *, kind: int = 0, flags: int = 0) -> bytes:
    body = struct.pack("<I", mask) + sid(who)
    return struct.pack("<BBH", kind, flags, 4 + len(body)) + body


def acl(*entries: bytes) -> bytes:
    body = b"".join(entries)
    return struct.pack("<BBHHH", 2, 0, 8 + len(body), len(entries), 0) + body


def descriptor(owner: str, dacl: bytes | None, *, closed: bool = False) -> str:
    """A self-relative security descriptor, MS-DTYP 2.4.6."""
    who = sid(owner)
    control = 0x8000 | (0x4 if dacl is not None else 0) | (0x1000 if closed else 0)
    header = struct.pack("<BBHIIII", 1, 0, control, 20, 0, 0, 20 + len(who) if dacl is not None else 0)
    return base64.b64encode(header + who + (dacl or b"")).decode()


def test_only_explicit_entries_are_set(call: Call) -> None:
    allow, deny = ace(SYSTEM, 0x1F01FF), ace(EVERYONE, 0x2, kind=DENY)
    inherited = ace(EVERYONE, 0x1200A9, flags=INHERITED)
    text = descriptor(OLD, acl(deny, allow, inherited))
    entries, closed, unknown = call("access", text, NEW, [SYSTEM, EVERYONE])
    assert base64.b64decode(entries) == acl(deny, allow)
    assert (closed, unknown) == (False, [])
    assert call("access", descriptor(OLD, acl(inherited)), NEW, [EVERYONE]) == [None, False, []]
    assert call("access", descriptor(OLD, None), NEW, []) == [None, False, []]


def test_the_old_owner_becomes_the_new_one_and_strangers_are_left_out(call: Call) -> None:
    text = descriptor(OLD, acl(ace(OLD, 0x1F01FF), ace(STRANGER, 0x1200A9)), closed=True)
    entries, closed, unknown = call("access", text, NEW, [])
    assert base64.b64decode(entries) == acl(ace(NEW, 0x1F01FF))
    assert (closed, unknown) == (False, [STRANGER])
    # An account of the domain is the same as before.
    entries, closed, unknown = call("access", text, NEW, [OLD, STRANGER])
    assert base64.b64decode(entries) == acl(ace(OLD, 0x1F01FF), ace(STRANGER, 0x1200A9))
    assert (closed, unknown) == (True, [])
