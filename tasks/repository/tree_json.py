"""Trees to and from the JSON of a tree blob, byte for byte as the stock client writes it.

Written by hand, key by key: a folder of 20,000 entries is one tree, and the general encoder took most of a run that had
nothing to save.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any, Final

from tasks.backends.base import Buffer
from tasks.repository import file_mode, gojson
from tasks.repository.tree import Node, Tree

_KNOWN: Final = {
    "name", "type", "mode", "mtime", "atime", "ctime", "uid", "gid", "user", "group", "inode", "device_id", "size",
    "links", "linktarget", "linktarget_raw", "extended_attributes", "generic_attributes", "device", "content",
    "subtree",
}  # fmt: skip


def encode_tree(tree: Tree) -> bytes:
    """Return the tree blob. The nodes must be in byte order of their names, each name once, else ``ValueError``."""
    previous: bytes | None = None
    parts = []
    for node in tree.nodes:
        if previous is not None and node.name <= previous:
            raise ValueError(f"nodes out of order, or one name twice: {previous!r}, {node.name!r}")
        previous = node.name
        parts.append(_encode(node))
    # A name is the one thing that could hold what UTF-8 cannot; gojson has escaped that.
    return f'{{"nodes":[{",".join(parts)}]}}\n'.encode()


def decode_tree(data: Buffer) -> Tree:
    """Return the tree in a tree blob. Raises ``ValueError`` when it is none."""
    try:
        document = json.loads(bytes(data))
        nodes = document["nodes"] or []
        if len(document) > 1:
            # Saving such a tree again would drop what we do not know.
            raise ValueError(
                f"a tree with unknown keys {sorted(document.keys() - {'nodes'})}: written by a newer client"
            )
        return Tree([_decode(node) for node in nodes])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a tree: {error!r}") from error


def _encode(node: Node) -> str:  # noqa: PLR0912 - one branch per optional key
    mode = file_mode.to_go(node.mode, node.type)
    mtime = gojson.time(node.mtime_ns)
    atime = mtime if node.atime_ns == node.mtime_ns else gojson.time(node.atime_ns)
    ctime = mtime if node.ctime_ns == node.mtime_ns else gojson.time(node.ctime_ns)
    text = f'{{"name":{gojson.quoted(node.name)},"type":"{node.type}"'
    if mode:
        text += f',"mode":{mode}'
    text += f',"mtime":"{mtime}","atime":"{atime}","ctime":"{ctime}","uid":{node.uid},"gid":{node.gid}'
    if node.user:
        text += f',"user":{gojson.string(node.user)}'
    if node.group:
        text += f',"group":{gojson.string(node.group)}'
    if node.inode:
        text += f',"inode":{node.inode}'
    if node.device_id:
        text += f',"device_id":{node.device_id}'
    if node.size:
        text += f',"size":{node.size}'
    if node.links:
        text += f',"links":{node.links}'
    if node.linktarget:
        text += _encode_target(node.linktarget)
    if node.xattrs:
        pairs = (f'{{"name":{gojson.string(k)},"value":"{b64encode(v).decode()}"}}' for k, v in node.xattrs)
        text += f',"extended_attributes":[{",".join(pairs)}]'
    if node.generic_attributes:
        pairs = (f"{gojson.string(k)}:{gojson.value(v)}" for k, v in sorted(node.generic_attributes.items()))
        text += f',"generic_attributes":{{{",".join(pairs)}}}'
    if node.device:
        text += f',"device":{node.device}'
    if node.content is None:
        text += ',"content":null'
    else:
        ids = '","'.join(map(bytes.hex, node.content))
        text += f',"content":["{ids}"]' if ids else ',"content":[]'
    if node.subtree is not None:
        text += f',"subtree":"{node.subtree.hex()}"'
    if node.extra:
        text += "".join(f",{gojson.string(key)}:{gojson.value(data)}" for key, data in node.extra.items())
    return text + "}"


def _encode_target(target: bytes) -> str:
    text = target.decode("utf-8", "surrogateescape")
    encoded = f',"linktarget":{gojson.string(text)}'
    if text.isascii():
        return encoded
    try:
        target.decode()
    except UnicodeDecodeError:
        encoded += f',"linktarget_raw":"{b64encode(target).decode()}"'
    return encoded


def _decode(data: dict[str, Any]) -> Node:
    get = data.get
    node_type = data["type"]
    content = get("content")
    subtree = get("subtree")
    raw_target = get("linktarget_raw")
    mtime = data["mtime"]
    atime = data["atime"]
    ctime = data["ctime"]
    mtime_ns = gojson.parse_time(mtime)
    node = Node(
        gojson.unquoted(data["name"]),
        node_type,
        file_mode.from_go(get("mode", 0), node_type),
        mtime_ns,
        mtime_ns if atime == mtime else gojson.parse_time(atime),
        mtime_ns if ctime == mtime else gojson.parse_time(ctime),
        data["uid"],
        data["gid"],
        get("user", ""),
        get("group", ""),
        get("inode", 0),
        get("device_id", 0),
        get("size", 0),
        get("links", 0),
        gojson.utf8(get("linktarget", "")) if raw_target is None else b64decode(raw_target),
        (),
        get("device", 0),
        None if content is None else tuple(map(bytes.fromhex, content)),
        None if subtree is None else bytes.fromhex(subtree),
    )
    if xattrs := get("extended_attributes"):
        # Go writes an empty value as null when it was nil.
        node.xattrs = tuple((pair["name"], b64decode(pair["value"] or "")) for pair in xattrs)
    if attributes := get("generic_attributes"):
        node.generic_attributes = attributes
    if not _KNOWN.issuperset(data):
        node.extra = {key: item for key, item in data.items() if key not in _KNOWN}
    return node
