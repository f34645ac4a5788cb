from __future__ import annotations

import json
import stat
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.repository import file_mode
from tasks.repository.tree import Node, Tree
from tasks.repository.tree_json import decode_tree, encode_tree

ID_A = bytes(range(32))
ID_B = bytes(range(32, 64))

#: One node with every key, in the order of restic's ``internal/data/node.go``.
FULL = (
    '{"nodes":[{"name":"a\\\\xff","type":"file","mode":420,"mtime":"2023-11-14T22:13:20.000000001Z",'
    '"atime":"2023-11-14T22:13:20Z","ctime":"2023-11-14T22:13:20.5Z","uid":1000,"gid":1001,"user":"anna","group":"staff",'
    '"inode":7,"device_id":3,"size":11,"links":2,"linktarget":"\\ufffd\\u003c","linktarget_raw":"/zw=",'
    '"extended_attributes":[{"name":"user.x","value":"AAE="},{"name":"user.empty","value":""}],'
    '"generic_attributes":{"windows.file_attributes":32},"device":5,'
    f'"content":["{ID_A.hex()}","{ID_B.hex()}"],"subtree":"{ID_A.hex()}","error":"oops","future":{{"b":1,"a":"\\u003c"}}}}]}}\n'
)


def full_node() -> Node:
    second = 1_700_000_000_000_000_000
    return Node(
        name=b"a\xff",
        type="file",
        mode=stat.S_IFREG | 0o644,
        mtime_ns=second + 1,
        atime_ns=second,
        ctime_ns=second + 500_000_000,
        uid=1000,
        gid=1001,
        user="anna",
        group="staff",
        inode=7,
        device_id=3,
        size=11,
        links=2,
        linktarget=b"\xff<",
        xattrs=(("user.x", b"\0\1"), ("user.empty", b"")),
        device=5,
        content=(ID_A, ID_B),
        subtree=ID_A,
        generic_attributes={"windows.file_attributes": 32},
        extra={"error": "oops", "future": {"b": 1, "a": "<"}},
    )


def test_every_key_has_its_place_and_comes_back() -> None:
    assert encode_tree(Tree([full_node()])).decode() == FULL
    assert decode_tree(FULL.encode()) == Tree([full_node()])


def test_what_is_empty_is_left_out_but_for_content() -> None:
    bare = '{"name":"d","type":"dir","mtime":"1970-01-01T00:00:00Z","atime":"1970-01-01T00:00:00Z"'
    bare += ',"ctime":"1970-01-01T00:00:00Z","uid":0,"gid":0,"content":'
    nodes = [Node(b"d", "irregular"), Node(b"e", "irregular", content=())]
    text = encode_tree(Tree(nodes)).decode()
    assert text.startswith('{"nodes":[' + bare.replace('"dir"', '"irregular","mode":524288') + "null},")
    assert text.endswith('"content":[]}]}\n')
    assert decode_tree(text.encode()).nodes == nodes


def test_an_empty_tree() -> None:
    assert encode_tree(Tree([])) == b'{"nodes":[]}\n'
    assert decode_tree(b'{"nodes":[]}\n') == Tree([])
    assert decode_tree(b'{"nodes":null}\n') == Tree([])


@pytest.mark.parametrize("names", [(b"b", b"a"), (b"a", b"a"), (b"a\xff", b"a\xc3\xa9")])
def test_names_out_of_order_are_refused(names: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="out of order"):
        encode_tree(Tree([Node(name, "file") for name in names]))


def test_a_tree_with_more_than_nodes_is_refused() -> None:
    with pytest.raises(ValueError, match="newer client"):
        decode_tree(b'{"nodes":[],"chunking":"new"}')


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{}", b'{"nodes":[{}]}', b'{"nodes":[5]}', b'{"nodes":[{"name":"\\\\q","type":"file"}]}', b"\xff"],
)
def test_what_is_no_tree_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        decode_tree(text)


@given(
    st.lists(
        st.builds(
            Node,
            name=st.binary(min_size=1, max_size=12),
            type=st.sampled_from(["file", "symlink", "fifo"]),
            mtime_ns=st.integers(-(2**62), 2**62),
            user=st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
            uid=st.integers(0, 2**32 - 1),
            size=st.integers(0, 2**63),
            linktarget=st.binary(max_size=8),
            content=st.none() | st.lists(st.binary(min_size=32, max_size=32), max_size=3).map(tuple),
        ),
        unique_by=lambda node: node.name,
        max_size=4,
    )
)
def test_any_tree_comes_back_and_is_stable(nodes: list[Node]) -> None:
    tree = Tree(sorted(nodes, key=lambda node: node.name))
    text = encode_tree(tree)
    again = decode_tree(text)
    assert encode_tree(again) == text
    for before, after in zip(tree.nodes, again.nodes, strict=True):
        # The mode gains the type bits, all else is as it was.
        after.mode = before.mode
        assert after == before


@pytest.mark.parametrize(
    ("posix", "kind", "go"),
    [
        (0o100644, "file", 0o644),
        (0o104755, "file", 1 << 23 | 0o755),
        (0o42770, "dir", 1 << 31 | 1 << 22 | 0o770),
        (0o41777, "dir", 1 << 31 | 1 << 20 | 0o777),
        (0o120777, "symlink", 134218239),
        (0o10600, "fifo", 1 << 25 | 0o600),
        (0o140755, "socket", 1 << 24 | 0o755),
        (0o60660, "dev", 1 << 26 | 0o660),
        (0o20666, "chardev", 1 << 26 | 1 << 21 | 0o666),
    ],
)
def test_modes_are_gos(posix: int, kind: str, go: int) -> None:
    assert file_mode.to_go(posix, kind) == go
    assert file_mode.to_go(stat.S_IMODE(posix), kind) == go
    assert file_mode.from_go(go, kind) == posix


def test_a_folder_of_20000_entries_takes_no_time() -> None:
    start = 1_700_000_000_000_000_000
    nodes = [
        Node(b"file %05d.docx" % n, "file", 0o100644, start + n * 1_234_567_891, start + n, start - n * 77, 1000, 1000,
             "anna", "anna", n, 0, 12345, 1, content=(ID_A,))
        for n in range(20_000)
    ]  # fmt: skip
    # In processor time, for the machine may be busy, and with room for a slow one.
    begun = time.process_time()
    text = encode_tree(Tree(nodes))
    encoded = time.process_time()
    tree = decode_tree(text)
    decoded = time.process_time()
    assert json.loads(text)["nodes"][7]["name"] == "file 00007.docx"
    assert tree.nodes == nodes
    assert encoded - begun < 0.6
    assert decoded - encoded < 0.6
