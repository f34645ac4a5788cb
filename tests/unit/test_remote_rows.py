"""Rows of hosts as nodes, and nodes as what a helper is told to set."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tasks.errors import ProtocolError
from tasks.remote.rows import JUNCTION, NameTable, filetime_of, meta_of, ns_of
from tasks.repository.tree import Node, Tree
from tasks.repository.tree_json import decode_tree, encode_tree

#: 2015-03-04 05:06:07.1234567 UTC; as a FILETIME 130699191671234567, by .NET's DateTime.ToFileTimeUtc.
CREATED = 1_425_445_567_123_456_700


def row(extra: dict[str, Any] | None, **fields: Any) -> list[Any]:
    values = {"name": "lesson.docx", "type": "file", "mode": 0o100666, "uid": 0, "gid": 0, "size": 5, "mtime": 7}
    values |= {"ctime": 8, "inode": 9, "device": 0, "links": 1, "target": None, "xattrs": None} | fields
    return [*values.values(), extra]


def test_a_row_of_windows_becomes_what_restic_has_for_it() -> None:
    extra = {"attributes": 0x23, "created": CREATED, "sd": "AQAE", "streams": [["Zone.Identifier", "W1o="]]}
    node = NameTable().node(row(extra))
    assert node.generic_attributes == {
        "windows.file_attributes": 0x23,
        "windows.creation_time": {"LowDateTime": 3_959_332_871, "HighDateTime": 30_430_776},
        "windows.security_descriptor": "AQAE",
        "firstbell.streams": {"Zone.Identifier": "W1o="},
    }
    assert meta_of(node)["windows"] == extra


def test_it_survives_the_repository() -> None:
    extra = {"attributes": 0x20, "created": CREATED, "streams": [["b", "Yg=="], ["a", "YQ=="]]}
    node = NameTable().node(row(extra))
    node.content = ()
    (again,) = decode_tree(encode_tree(Tree([node]))).nodes
    assert meta_of(again)["windows"]["created"] == CREATED
    assert sorted(meta_of(again)["windows"]["streams"]) == [["a", "YQ=="], ["b", "Yg=="]]


def test_other_hosts_say_nothing_of_it() -> None:
    node = NameTable().node(row(None, xattrs=[["user.x", base64.b64encode(b"v").decode()]]))
    assert node.generic_attributes == {}
    assert "windows" not in meta_of(node)
    device = NameTable().node(row({"rdev": 259}, type="dev"))
    assert (device.device, device.generic_attributes) == (259, {})


def test_only_a_junction_is_told_from_a_symlink() -> None:
    junction = NameTable().node(row({"attributes": 0x410, "created": 5, "reparse": JUNCTION}, type="symlink"))
    symlink = NameTable().node(row({"attributes": 0x410, "created": 5, "reparse": 0xA000000C}, type="symlink"))
    assert meta_of(junction)["windows"]["reparse"] == JUNCTION
    assert "reparse" not in meta_of(symlink)["windows"]


@pytest.mark.parametrize("ns", [0, -1, CREATED, -11_644_473_600_000_000_000, 2**63 - 8])
def test_times_keep_their_100_ns(ns: int) -> None:
    filetime = filetime_of(ns)
    if ns <= -11_644_473_600_000_000_000:
        assert filetime is None  # 1601, which Windows takes for no time at all
    else:
        assert filetime is not None
        assert 0 <= filetime["LowDateTime"] < 2**32
        assert ns_of(filetime) == ns // 100 * 100


def test_what_another_program_wrote_otherwise_is_left_out() -> None:
    node = Node(b"x", "file", generic_attributes={"windows.file_attributes": "many", "windows.creation_time": 5})
    node.generic_attributes |= {"firstbell.streams": ["?"], "windows.security_descriptor": None, "darwin.flags": 1}
    assert "windows" not in meta_of(node)


def test_a_row_with_a_broken_extra_is_refused() -> None:
    for extra in ({"attributes": "many"}, {"streams": [["name"]]}, {"created": "now"}, ["x"]):
        with pytest.raises(ProtocolError):
            NameTable().node(row(extra))  # type: ignore[arg-type]
