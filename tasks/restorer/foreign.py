r"""What it means for a restore that the computer, or the one the snapshot is of, runs Windows.

A node is brought into the form that the computer would tell of it once it stands there, so that a restore that is
repeated finds everything alike: Windows knows no owners by number and keeps times to 100 ns, POSIX knows no read-only
attribute. What cannot be held at all is told path by path. Names that Windows takes for one and the same share a
``key``.

Sources: learn.microsoft.com "Naming Files, Paths, and Namespaces"; restic's ``internal/fs/node_windows.go`` for modes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from tasks.repository.tree import Node

WINDOWS: Final = "windows"
#: Longest name: in UTF-16 units on Windows, in bytes elsewhere.
_LONGEST: Final = 255
#: What no name on Windows can have, however its path is written.
_FORBIDDEN: Final = re.compile(r'[<>:"|?*\\\x00-\x1f]')
#: dwFileAttributes of a file whose content is not on the disk: RECALL_ON_DATA_ACCESS, RECALL_ON_OPEN, OFFLINE.
PLACEHOLDER: Final = 0x400000 | 0x40000 | 0x1000
#: Hidden and system: the attributes that change what a person sees. Read-only is in the mode.
_SEEN: Final = 0x2 | 0x4
_TICK: Final = 100
_FILE, _READ_ONLY, _FOLDER = 0o100666, 0o100444, 0o40777
_OWNER_MAY_WRITE: Final = 0o200
_OTHERS_MAY_WRITE: Final = 0o022


def attributes(node: Node) -> int | None:
    """Return a node's ``dwFileAttributes``, or None where the host told none."""
    value = node.generic_attributes.get("windows.file_attributes")
    return value if isinstance(value, int) else None


def is_placeholder(node: Node | None) -> bool:
    """Return whether a file stands there whose content is in the cloud: to read it would bring it down."""
    return node is not None and node.type == "file" and bool((attributes(node) or 0) & PLACEHOLDER)


def attributes_differ(node: Node, there: Node) -> bool:
    """Return whether one of two is hidden, or a system file, and the other is not; as far as both tell."""
    wanted, found = attributes(node), attributes(there)
    return wanted is not None and found is not None and bool((wanted ^ found) & _SEEN)


def folded(path: bytes) -> bytes:
    """Return what two paths have in common that Windows takes for one: each letter by its one capital."""
    if path.isascii():
        return path.upper()
    try:
        text = path.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return path.upper()
    capitals = (one.upper() for one in text)
    plain = "".join(big if len(big) == 1 else one for one, big in zip(text, capitals, strict=True))
    return plain.encode("utf-8", "surrogatepass")


def _windows_node(node: Node) -> Node:
    if node.type == "dir":
        mode = _FOLDER
    elif node.type == "file":
        mode = _FILE if node.mode & _OWNER_MAY_WRITE else _READ_ONLY
    else:
        mode = node.mode
    return replace(
        node,
        mode=mode,
        mtime_ns=node.mtime_ns // _TICK * _TICK,
        atime_ns=node.atime_ns // _TICK * _TICK,
        uid=0,
        gid=0,
        user="",
        group="",
        xattrs=(),
    )


class Crossing:
    """From the platform that a snapshot is ``of`` to the one it is restored ``onto``; an empty text is any POSIX."""

    def __init__(self, of: str, onto: str) -> None:
        self.onto_windows = onto == WINDOWS
        self.of_windows = of == WINDOWS
        self.abroad = bool(of) and self.onto_windows != self.of_windows
        self.key: Callable[[bytes], bytes] = folded if self.onto_windows else bytes

    def node(self, node: Node) -> Node:
        """Return a node as the computer would tell of it."""
        if self.onto_windows:
            return _windows_node(node)
        if not self.of_windows:
            return node
        # A mode of Windows would let everybody on the computer write.
        keep: dict[str, Any] = {
            name: value for name, value in node.generic_attributes.items() if not name.startswith(("windows.", "first"))
        }
        return replace(node, mode=node.mode & ~_OTHERS_MAY_WRITE, generic_attributes=keep)

    def problem(self, node: Node) -> str:
        """Return why the computer cannot hold this node, or an empty text."""
        if node.type == "symlink" and self.abroad:
            where = "Windows" if self.of_windows else "Linux or macOS"
            return f"a link made on {where} leads nowhere here"
        return self._name_problem(node.name)

    def _name_problem(self, name: bytes) -> str:
        if not self.onto_windows:
            too_long = len(name) > _LONGEST
            return f"the name has {len(name)} bytes, more than the {_LONGEST} possible here" if too_long else ""
        try:
            text = name.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return "the name is no text, and Windows has no other names"
        found = _FORBIDDEN.search(text)
        if found:
            shown = found[0] if found[0].isprintable() else ascii(found[0])[1:-1]
            return f"no name on Windows can have the character {shown}"
        units = len(text.encode("utf-16-le", "surrogatepass")) // 2
        return (
            f"the name has {units} characters, more than the {_LONGEST} possible on Windows" if units > _LONGEST else ""
        )

    def link(self, node: Node | None) -> Node | None:
        r"""Return what stands at a path, the target of a link of Windows in our spelling: ``\??\D:\x`` is ``/D/x``."""
        if node is None or node.type != "symlink" or not self.onto_windows:
            return node
        target = re.sub(rb"\A\\(?:\?\?|\\\?)\\", b"", node.linktarget)
        if re.match(rb"[A-Za-z]:(?:\\|/|\Z)", target):
            return replace(node, linktarget=b"/" + target[:1].upper() + target[2:].replace(b"\\", b"/").rstrip(b"/"))
        # Another computer's share, or a volume without a letter: it is not followed.
        return replace(node, linktarget=b"" if target.startswith(b"\\") else target.replace(b"\\", b"/"))
