"""The Windows helper's C# is C# 5, and its rules are right: run under Mono, fed from tables."""

from __future__ import annotations

import base64
import json
import re
import struct
from pathlib import Path
from typing import Any

import pytest

from tasks.archiver.excludes import default_rules, site_rules
from tasks.entries import Rule
from tasks.remote.frames import decode_path, encode_path
from tests.support.pure_parts import PureParts, compile_helper
from tests.support.registry_hive import expand, hive

pytestmark = pytest.mark.mono

MOUNT_POINT, SYMLINK, CLOUD, DEDUP, APP = 0xA0000003, 0xA000000C, 0x9000601A, 0x80000013, 0x8000001B
DIRECTORY, ARCHIVE, REPARSE, OFFLINE = 0x10, 0x20, 0x400, 0x1000
RECALL_ON_DATA_ACCESS, RECALL_ON_OPEN, PINNED, UNPINNED = 0x400000, 0x40000, 0x80000, 0x100000


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> PureParts:
    program = tmp_path_factory.mktemp("mono") / "parts.exe"
    assert compile_helper(program) == ""
    return PureParts(program)


def test_the_compiler_refuses_what_is_newer_than_csharp_5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = tmp_path / "Newer.cs"
    newer.write_text('class Newer { string Text(string a) => $"{a?.Length}"; }')
    monkeypatch.setattr("tests.support.pure_parts.sources", lambda: [newer])
    assert "error CS1644" in compile_helper(tmp_path / "newer.exe")


NAMES = [
    b"plain",
    "naïve 🎒 スケジュール".encode(),
    b"\xed\xa0\x80 half a pair",
    b"\xed\xb0\x80\xed\xa0\x80 two halves, the wrong way round",
    "\uffff\ue000".encode(),
    b"a\xed\xa0\x80",
    "a\U00010000".encode(),
    "a\ue000".encode(),
    b"a",
    b"",
    b"\x01 control",
]


def test_names_keep_their_bytes(parts: PureParts) -> None:
    found = parts.each("name", "name", [encode_path(name) for name in NAMES])
    assert [decode_path(name) for name in found] == NAMES


def test_bytes_that_no_name_of_windows_can_have_are_refused(parts: PureParts) -> None:
    for name in (b"\xff", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf4\x90\x80\x80", b"\xc3", b"\x80"):
        (answer,) = parts.each("name", "name", [{"b64": base64.b64encode(name).decode()}])
        assert answer == "refused: bad-request", name


def test_names_are_in_the_order_of_their_bytes(parts: PureParts) -> None:
    names = [*NAMES, *(name + b"x" for name in NAMES), b"\xed\xa0\x80\xed\xa0\x80", "\ud7ff".encode()]
    (found,) = parts.do({"do": "sort", "names": [encode_path(name) for name in names]})
    assert [decode_path(name) for name in found] == sorted(names)


def test_paths_on_both_sides(parts: PureParts) -> None:
    assert parts.each("live", "path", ["/C/Users/a.ito", "/d", "/C/", "/", "/home", "/C/a*b", "/C/a?b", "/C/\x01"]) == [
        r"\\?\C:\Users\a.ito",
        "\\\\?\\D:\\",
        "\\\\?\\C:\\",
        *[None] * 5,
    ]
    assert parts.each("shadow", "path", ["/C/Users/a.ito", "/c", "/D/x"]) == [
        r"\\?\GLOBALROOT\Device\HarddiskVolumeShadowCopy7\Users\a.ito",
        "\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy7\\",
        r"\\?\D:\x",
    ]
    assert (
        parts.each("live", "path", ["C/x", "/C/a\\b", "/C/a:b", "/C/a\0b", "/C/..", "/C/./x"])
        == ["refused: bad-request"] * 6
    )
    found = parts.each(
        "from-windows",
        "path",
        ["c:\\Users\\a.ito\\", "\\??\\C:\\x", "\\\\?\\C:\\x\\..\\y", "\\\\server\\home\\a.ito", "C:x", "", "C:"],
    )
    assert found == ["/C/Users/a.ito", "/C/x", "/C/y", None, None, None, "/C"]


def test_where_links_lead(parts: PureParts) -> None:
    targets = ["C:\\Users\\b", "..\\b", "b", "\\b", "\\\\server\\x", "\\\\?\\Volume{1}\\", "..\\..\\..\\.."]
    found = parts.do(*({"do": "resolve", "folder": "/C/Users/a", "target": target} for target in targets))
    assert found == ["/C/Users/b", "/C/Users/b", "/C/Users/a/b", "/C/b", None, None, None]


@pytest.mark.parametrize(
    ("attributes", "tag", "verdict"),
    [
        (ARCHIVE, 0, "File"),
        (0x80, 0, "File"),
        (DIRECTORY, 0, "Folder"),
        (DIRECTORY | REPARSE, MOUNT_POINT, "Link"),
        (DIRECTORY | REPARSE, SYMLINK, "Link"),
        (ARCHIVE | REPARSE, SYMLINK, "Link"),
        # OneDrive as it was seen in the field: REPARSE, OFFLINE and SPARSE are masked.
        (RECALL_ON_DATA_ACCESS | ARCHIVE, 0, "Left cloud-only"),
        (RECALL_ON_DATA_ACCESS | ARCHIVE | REPARSE | UNPINNED, CLOUD, "Left cloud-only"),
        (RECALL_ON_OPEN | ARCHIVE, 0, "Left cloud-only"),
        (OFFLINE | ARCHIVE, 0, "Left cloud-only"),
        (PINNED | RECALL_ON_DATA_ACCESS, CLOUD, "Left cloud-only"),
        # Intent alone: these were on two files whose content was there.
        (PINNED | UNPINNED | 0x26, 0, "File"),
        (ARCHIVE | REPARSE, CLOUD, "File"),
        (DIRECTORY | REPARSE | RECALL_ON_DATA_ACCESS, CLOUD, "Folder"),
        (DIRECTORY | REPARSE, 0x9000F01A, "Folder"),
        (ARCHIVE | REPARSE, DEDUP, "File"),
        (ARCHIVE | REPARSE, APP, "Left special"),
        (ARCHIVE | REPARSE, 0x80000023, "Left special"),
        (ARCHIVE | REPARSE, 0xA000001D, "Left special"),
        (DIRECTORY | REPARSE, 0xA0001234, "Left special"),  # a name surrogate that nobody knows
        (ARCHIVE | REPARSE, 0x80000017, "File"),  # compressed by Windows
        (ARCHIVE | 0x4000, 0, "Left unreadable"),
        (DIRECTORY | 0x4000, 0, "Folder"),
        (0x40, 0, "Left special"),
    ],
)
def test_attributes_and_tags(parts: PureParts, attributes: int, tag: int, verdict: str) -> None:
    assert parts.do({"do": "judge", "attributes": attributes, "tag": tag}) == [verdict]


def test_times_of_any_year(parts: PureParts) -> None:
    base = {"do": "row", "name": "x", "attributes": 0x21, "size": 3}
    zero, epoch, late = parts.do(
        {**base, "written": 0, "created": 1},
        {**base, "written": 116444736000000000, "created": 116444736000000001},
        {**base, "written": 2**63 - 1, "created": 133_000_000_000_000_007},
    )
    assert json.loads(zero) == [
        *["x", "file", 0o100444, 0, 0, 3, -11644473600 * 10**9, 0, 0, 0, 1, None, None],
        {"attributes": 0x21, "created": -11644473600 * 10**9 + 100},
    ]
    assert (json.loads(epoch)[6], json.loads(epoch)[13]["created"]) == (0, 100)
    assert json.loads(late)[6] == (2**63 - 1 - 116444736000000000) * 100


def document(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "regex": rule.regex,
        "dirs_only": rule.dirs_only,
        "min_size": rule.min_size,
        "tag": rule.tag,
    }


def test_rules_exclude_what_they_exclude_in_python(parts: PureParts) -> None:
    rules = [
        *default_rules("windows"),
        *site_rules([r"~\Downloads\*.iso", "**/Cache*/", "/D/Scratch", "Übung ?.tmp"], platform="windows"),
    ]
    home = "/C/Users/a.ito"
    local = f"{home}/AppData/Local"
    paths = [
        *(f"{local}/{name}" for name in ("Temp", "TEMP", "temp", "Temporary", "Microsoft/Windows/INetCache")),
        *(
            f"{local}/Google/Chrome/User Data/Default/{name}"
            for name in ("Cache", "Code Cache", "Bookmarks", "History")
        ),
        *(
            f"{home}/{name}"
            for name in ("NTUSER.DAT", "ntuser.dat.LOG1", "ntuser.ini", "NTUSER.DAT{1}.TM.blf", "Desktop")
        ),
        *(f"{home}/Downloads/{name}" for name in ("a.iso", "A.ISO", "a.iso.txt", "x/a.iso")),
        *("/C/$Recycle.Bin", "/C/pagefile.sys", "/C/x/pagefile.sys", "/D/scratch", "/D/scratch/x", "/E/Scratch"),
        *(f"{home}/Documents/{name}" for name in ("node_modules", "übung 1.TMP", "übung 12.tmp", "Caches", "a\nb.ova")),
        *(f"{home}/Desktop/{name}" for name in (".firstbell-0123.tmp", "disk.vhdx", "Thumbs.db")),
    ]
    questions = [(path, folder, size) for path in paths for folder in (True, False) for size in (10, 5 * 1024**3)]

    def expected(path: str, folder: bool, size: int) -> str | None:
        for rule in rules:
            if rule.tag or (rule.dirs_only and not folder) or (rule.min_size and (folder or size < rule.min_size)):
                continue
            if re.fullmatch(rule.regex, path, re.DOTALL) or not rule.regex:
                return rule.id
        return None

    (found,) = parts.do({"do": "exclude", "rules": [document(rule) for rule in rules], "paths": questions})
    assert found == [expected(*question) for question in questions]
    assert len(set(found)) > 8


def frames(answer: list[Any]) -> list[tuple[dict[str, Any], Any]]:
    data = base64.b64decode(answer[0])
    found = []
    while data:
        line, _, data = data.partition(b"\n")
        header = json.loads(line)
        length = header.get("length", 0)
        found.append((header, json.loads(data[:length]) if length else None))
        data = data[length:]
    return found


def test_10000_cloud_only_files_cost_little_and_are_not_touched(parts: PureParts) -> None:
    root = "/C/Users/a.ito/OneDrive - North"
    table: list[list[Any]] = [
        ["/C", "Users", DIRECTORY, 0, 0, None],
        ["/C/Users", "a.ito", DIRECTORY, 0, 0, None],
        ["/C/Users/a.ito", "OneDrive - North", DIRECTORY | REPARSE, CLOUD, 0, None],
    ]
    for number in range(100):
        cloud = DIRECTORY | REPARSE | RECALL_ON_DATA_ACCESS
        table.append([root, f"class {number}", cloud, CLOUD, 0, None])
        for file in range(100):
            table.append([f"{root}/class {number}", f"{file}.docx", 0x400020 | UNPINNED, 0, 1000 + file, None])
        table.append([f"{root}/class {number}", "here.docx", ARCHIVE | REPARSE, CLOUD, 7, None])
    rules = [document(rule) for rule in default_rules("windows")]
    request = {"roots": [root], "rules": rules, "only": None}
    (answer,) = parts.do({"do": "walk", "table": table, "request": request})
    found = frames(answer)
    skips = [header for header, _ in found if header["t"] == "skip"]
    assert len(skips) == 10_000
    assert {skip["reason"] for skip in skips} == {"cloud-only"}
    assert "1005 bytes in the cloud, set free by its owner" in {skip["detail"] for skip in skips}
    files = [row for header, payload in found if header["t"] == "entry" for row in payload["rows"] if row[1] == "file"]
    assert [row[0] for row in files] == ["here.docx"] * 100
    touched, milliseconds = answer[1:]
    assert touched == []
    assert milliseconds < 10_000


def test_junctions_are_told_and_never_followed(parts: PureParts) -> None:
    junction = DIRECTORY | REPARSE | 0x6
    home = "/C/Users/a.ito"
    local = f"{home}/AppData/Local"
    table: list[list[Any]] = [
        ["/C", "Users", DIRECTORY, 0, 0, None],
        ["/C", "Documents and Settings", junction, MOUNT_POINT, 0, "C:\\Users"],
        ["/C/Users", "a.ito", DIRECTORY, 0, 0, None],
        [home, "AppData", DIRECTORY, 0, 0, None],
        [f"{home}/AppData", "Local", DIRECTORY, 0, 0, None],
        # The classic that contains itself.
        [local, "Application Data", junction, MOUNT_POINT, 0, "C:\\Users\\a.ito\\AppData\\Local"],
        [f"{local}/Application Data", "trap", ARCHIVE, 0, 1, None],
        [local, "file", ARCHIVE, 0, 1, None],
        ["/C", "loop", junction, MOUNT_POINT, 0, "C:\\loop"],
        ["/C", "share", junction, SYMLINK, 0, "\\\\server\\share"],
    ]
    roots = ["/c/documents AND settings/A.ITO", "/C/loop/x", "/C/share"]
    request = {"roots": roots, "rules": [], "only": None}
    (answer,) = parts.do({"do": "walk", "table": table, "request": request})
    found = frames(answer)
    entries = {payload["path"]: payload["rows"] for header, payload in found if header["t"] == "entry"}
    assert list(entries) == ["/", "/C", "/C/Users", home, f"{home}/AppData", local]
    assert [(row[0], row[1], row[11]) for row in entries["/C"]] == [
        ("Documents and Settings", "symlink", "C:\\Users"),
        ("Users", "dir", None),
        ("loop", "symlink", "C:\\loop"),
        ("share", "symlink", "\\\\server\\share"),
    ]
    assert [(row[0], row[1]) for row in entries[local]] == [("Application Data", "symlink"), ("file", "file")]
    assert entries[local][0][13]["reparse"] == MOUNT_POINT
    skips = {(header["path"], header["reason"]) for header, _ in found if header["t"] == "skip"}
    assert skips == {("/C/loop/x", "loop"), ("/C/share", "unreadable")}


def reparse(tag: int, substitute: str, printed: str) -> str:
    """Return REPARSE_DATA_BUFFER as FSCTL_GET_REPARSE_POINT gives it, in base64."""
    names = [name.encode("utf-16-le") for name in (substitute, printed)]
    body = struct.pack("<HHHH", 0, len(names[0]), len(names[0]) + 2, len(names[1]))
    body += (b"\0\0\0\0" if tag == SYMLINK else b"") + names[0] + b"\0\0" + names[1] + b"\0\0"
    return base64.b64encode(struct.pack("<IHH", tag, len(body), 0) + body).decode()


def test_targets_of_links(parts: PureParts) -> None:
    found = parts.each(
        "reparse",
        "data",
        [
            reparse(MOUNT_POINT, "\\??\\C:\\Users\\a.ito", "C:\\Users\\a.ito"),
            reparse(SYMLINK, "..\\lessons", "..\\lessons"),
            reparse(SYMLINK, "\\??\\UNC\\server\\share", "\\\\server\\share"),
            reparse(MOUNT_POINT, "\\??\\Volume{12}\\", ""),
            base64.b64encode(struct.pack("<IHHHHHH", MOUNT_POINT, 8, 0, 0, 500, 0, 0)).decode(),
        ],
    )
    assert found == [
        "C:\\Users\\a.ito",
        "..\\lessons",
        "\\\\server\\share",
        "\\\\?\\Volume{12}\\",
        "skip: unreadable",
    ]


def sid(*parts: int) -> bytes:
    return (
        struct.pack("<BB", 1, len(parts)) + (5).to_bytes(6, "big") + b"".join(struct.pack("<I", part) for part in parts)
    )


def descriptor(owner: bytes, aces: list[tuple[int, bytes]] | None) -> str:
    """Return a self-relative security descriptor with allowing entries of these flags, in base64."""
    entries = b"".join(struct.pack("<BBHI", 0, flags, 8 + len(who), 0x1F01FF) + who for flags, who in aces or [])
    acl = struct.pack("<BBHHH", 2, 0, 8 + len(entries), len(aces or []), 0) + entries
    at = 20 + len(owner)
    head = struct.pack("<BBHIIII", 1, 0, 0x8004, 20, 0, 0, 0 if aces is None else at)
    return base64.b64encode(head + owner + acl).decode()


def test_access_lists_with_entries_of_their_own(parts: PureParts) -> None:
    teacher, system = sid(21, 1, 2, 3, 1001), sid(18)
    found = parts.each(
        "descriptor",
        "data",
        [
            descriptor(teacher, [(0x10, system), (0x13, teacher)]),
            descriptor(teacher, [(0x10, system), (0, teacher)]),
            descriptor(system, []),
            descriptor(system, None),  # no list at all: everybody may do everything
            base64.b64encode(b"short").decode(),
        ],
    )
    assert found == [
        [False, "S-1-5-21-1-2-3-1001"],
        [True, "S-1-5-21-1-2-3-1001"],
        [False, "S-1-5-18"],
        [True, "S-1-5-18"],
        [True, ""],
    ]


def stream_info(*streams: tuple[str, int]) -> str:
    """Return FILE_STREAM_INFO of these streams, in base64."""
    data = b""
    for index, (name, size) in enumerate(streams):
        text = name.encode("utf-16-le")
        length = 24 + len(text) + -(24 + len(text)) % 8
        following = 0 if index == len(streams) - 1 else length
        data += (struct.pack("<IIqq", following, len(text), size, size) + text).ljust(length, b"\0")
    return base64.b64encode(data).decode()


def test_alternate_streams(parts: PureParts) -> None:
    found = parts.each(
        "streams",
        "data",
        [
            stream_info(("::$DATA", 5)),
            stream_info(("::$DATA", 5), (":Zone.Identifier:$DATA", 26), (":Ümläut 🎒:$DATA", 0), (":x:$OTHER", 1)),
        ],
    )
    assert found == [[], [["Zone.Identifier", 26], ["Ümläut 🎒", 0]]]


def firmware(*structures: tuple[int, list[str], int]) -> str:
    """Return RawSMBIOSData of structures (type, strings, which of them is the serial number), in base64."""
    table = b""
    for kind, strings, serial in structures:
        body = bytes([kind, 27, 0, 0, 1, 2, 3, serial]).ljust(27, b"\0")
        table += body + (b"".join(text.encode() + b"\0" for text in strings) or b"\0") + b"\0"
    return base64.b64encode(bytes(8) + table + bytes([127, 4, 0, 0, 0, 0])).decode()


def test_serial_numbers(parts: PureParts) -> None:
    assert parts.each(
        "serial",
        "data",
        [
            firmware((0, ["Vendor"], 0), (1, ["Maker", "PC", "1.0", "5CG1234XYZ"], 4)),
            firmware((1, ["Maker", "To Be Filled By O.E.M."], 2), (2, ["Board", "B-77"], 2), (3, [], 0)),
            firmware((1, ["Maker", "Default string"], 2)),
            base64.b64encode(bytes(8)).decode(),
        ],
    ) == ["5CG1234XYZ", "B-77", "", ""]


SHELL = "Software\\Microsoft\\Windows\\CurrentVersion\\Explorer\\User Shell Folders"


def nested(path: str, content: dict[str, Any]) -> dict[str, Any]:
    for part in reversed(path.split("\\")):
        content = {part: content}
    return content


def test_values_of_somebody_who_is_not_signed_in(parts: PureParts) -> None:
    keys = nested(SHELL, {"Desktop": expand("%USERPROFILE%\\OneDrive\\Schreibtisch"), "Personal": "D:\\Bürö", "x": ""})
    keys["Software"] |= {"Zoë": {}, "Another": {}, "Fourth": {"a": "1"}}
    data = base64.b64encode(hive(keys)).decode()

    def ask(key: str, value: str, data: str = data) -> list[Any]:
        (answer,) = parts.do({"do": "hive", "data": data, "key": key, "value": value})
        return list(answer)

    assert ask(SHELL, "desktop")[0] == "%USERPROFILE%\\OneDrive\\Schreibtisch"
    assert ask(SHELL.upper(), "Personal")[0] == "D:\\Bürö"
    assert ask(SHELL, "x")[0] == ""
    assert ask(SHELL, "missing") == [None, []]
    assert ask("software\\ZOË", "x") == [None, []]
    assert ask("No\\Such", "x") == [None, []]
    assert ask("Software", "x")[1] == ["Microsoft", "Zoë", "Another", "Fourth"]
    whole = hive(keys)
    for cut in (4200, 4500, 5000):
        assert ask(SHELL, "Desktop", base64.b64encode(whole[:cut]).decode())[0] in (None, ask(SHELL, "Desktop")[0])
