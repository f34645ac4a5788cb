"""What checks share: the computer, the folder of their own on it, the helper, and the register of checks."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from tasks.entries import Directory, FileEnd, Piece, Skipped, WalkRequest, WriteResult
from tasks.remote.filesystem import Facts, RemoteHost
from tasks.repository.tree import Node
from tests.field.outcome import Outcome, Scrubber
from tests.field.pc import Pc
from tests.field.spool_trial import SpoolTrial

Check = Callable[["Bench"], Outcome]
#: Number -> the function that checks it.
CHECKS: dict[str, Check] = {}


def check(number: str) -> Callable[[Check], Check]:
    """Register a function as the check of a claim."""

    def register(function: Check) -> Check:
        if number in CHECKS:
            raise ValueError(f"{number} is checked twice")
        CHECKS[number] = function
        return function

    return register


@dataclass
class Bench:
    """One run. ``folder`` is the only place on the computer where anything is made, as Windows calls it."""

    pc: Pc
    scrubber: Scrubber
    #: An account to make a profile for, FC-82.
    account: str = ""
    #: Starts this program once more, as a run with a shadow copy that will be killed; None where that cannot be.
    hold: Callable[[str], subprocess.Popen[str]] | None = None
    #: How the store is tried; None without one.
    spool: SpoolTrial | None = None
    #: What the inventory says of the link: its ``auth``.
    auth: str = ""
    token: str = field(default_factory=lambda: secrets.token_hex(4))
    drive: str = "C:"
    _about: dict[str, Any] | None = field(default=None, repr=False)
    _helper: RemoteHost | None = field(default=None, repr=False)
    _stack: ExitStack = field(default_factory=ExitStack, repr=False)
    _facts: Facts | None = field(default=None, repr=False)

    @property
    def folder(self) -> str:
        """The folder of this run."""
        return f"{self.drive}\\firstbell-field-{self.token}"

    def inside(self, *names: str) -> str:
        """Return a path in that folder, as Windows writes it."""
        return "\\".join((self.folder, *names))

    def wire(self, *names: str) -> bytes:
        """Return a path in that folder, as frames have it."""
        return wire_path(self.inside(*names))

    def about(self) -> dict[str, Any]:
        """Return what the computer says of itself; asked once."""
        if self._about is None:
            about = self.pc.ask("about")
            self.scrubber.learn(str(about.get(key) or "") for key in ("user", "domain", "computer"))
            self.drive = str(about.get("drive") or "C:")
            self._about = about
        return self._about

    def helper(self) -> RemoteHost:
        """Return the helper that checks share; it may write into the folder of this run, and read everywhere."""
        if self._helper is None:
            remote = self._stack.enter_context(self.pc.connect())
            self._helper = remote
            self.scrubber.learn([remote.hello.user, remote.hello.hostname, remote.hello.serial])
            profile = str(self.about().get("profile") or "")
            roots = [wire_path(self.folder)]
            if profile:
                roots.append(wire_path(f"{profile}\\firstbell-field-{self.token}"))
            remote.sink().allow(hashlib.sha256(self.token.encode()).hexdigest(), roots)
        return self._helper

    def facts(self) -> Facts:
        """Return the helper's facts; names in them are scrubbed from then on."""
        if self._facts is None:
            self._facts = self.helper().facts(None)
            for user in self._facts.users:
                self.scrubber.learn([user.name, *([user.full_name] if user.full_name else [])])
                self.scrubber.learn([user.home.rsplit(b"/", 1)[-1].decode("utf-8", "replace")])
            self.scrubber.learn([self._facts.hostname, self._facts.serial, self._facts.machine_id])
        return self._facts

    def end_helper(self) -> None:
        """End the helper; the next check that wants one starts it anew."""
        self._helper = None
        stack, self._stack = self._stack, ExitStack()
        stack.close()

    def close(self) -> None:
        """End what runs. Never raises."""
        for end in (self.end_helper, self.pc.close):
            # What is broken already is told by the checks.
            with contextlib.suppress(Exception):
                end()


def wire_path(path: str) -> bytes:
    """Return how frames call a path of Windows."""
    drive, rest = path[0].upper(), path[2:].replace("\\", "/")
    return f"/{drive}{rest}".encode("utf-8", "surrogatepass")


@dataclass
class Walk:
    """What a walk of a folder has told."""

    nodes: dict[bytes, Node]
    skips: dict[bytes, Skipped]
    shadow: dict[str, str]


def walk(remote: RemoteHost, folder: bytes, *, shadow: bool = False) -> Walk:
    """Walk a folder."""
    source = remote.source()
    found = Walk({}, {}, {})
    for entry in source.entries(WalkRequest(roots=(folder,), shadow=shadow)):
        if isinstance(entry, Skipped):
            found.skips[entry.path] = entry
        elif entry.path == folder or entry.path.startswith(folder + b"/"):
            found.nodes.update((entry.path + b"/" + node.name, node) for node in entry.children)
    found.shadow = dict(source.shadow_copies)
    return found


def list_folder(remote: RemoteHost, folder: bytes) -> Iterator[Directory | Skipped]:
    """Yield what a walk of a folder tells, lazily: whoever has seen enough stops."""
    yield from remote.source().entries(WalkRequest(roots=(folder,)))


def read(remote: RemoteHost, path: bytes) -> bytes | Skipped:
    """Return the content of a small file, or why there is none."""
    content = bytearray()
    for piece in remote.source().read([path]):
        match piece:
            case Piece():
                content += bytes(piece.zero) if piece.zero else bytes(piece.data)
            case FileEnd():
                return bytes(content)
            case Skipped():
                return piece
    raise AssertionError("the answer to read did not end")


def write(
    remote: RemoteHost, files: Sequence[tuple[bytes, Node, bytes]], folders: Sequence[bytes] = ()
) -> list[WriteResult]:
    """Write files and set what their nodes say; return the results that are not good."""
    sink = remote.sink()
    for folder in folders:
        sink.make(folder, Node(folder.rsplit(b"/", 1)[-1], "dir", mode=0o40777))
    for path, node, content in files:
        sink.write_file(path, node, None, [content] if content else [])
    results = sink.commit()
    results += sink.set_metadata([(path, node) for path, node, _ in files])
    return [result for result in results if not result.ok]


def copy_of(node: Node, name: bytes) -> Node:
    """Return a node with another name, all else alike."""
    values = {key: getattr(node, key) for key in Node.__dataclass_fields__}
    return Node(**{**values, "name": name})


def plain(name: bytes, size: int) -> Node:
    """Return the node of an ordinary file."""
    return Node(name, "file", mode=0o100666, size=size, mtime_ns=1_700_000_000_000_000_000)


def why(results: Sequence[WriteResult]) -> str:
    """Return the reasons of bad results, without their paths."""
    return ", ".join(dict.fromkeys(f"{result.reason} {result.detail}".strip() for result in results))
