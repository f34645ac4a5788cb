"""A walk over a host's folders by SFTP. ``run`` is a generator that yields the rows it has sent."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any, Final, NamedTuple

from tasks.errors import TransportError
from tasks.remote.frames import MAX_PAYLOAD, encode_path
from tasks.remote.sftp.mounts import Mounts
from tasks.remote.sftp.paths import decode_path, join, parts_of, split
from tasks.remote.sftp.replies import SOFT_PAYLOAD, Reply, Skip, dump, skip_of
from tasks.remote.sftp.rows import Accounts, kind_of, row
from tasks.remote.sftp.rules import TAG_SIGNATURE, Rule, Rules
from tasks.transports.sftp_client import READ, Entry, Pending, SftpClient, SftpError
from tasks.transports.sftp_packet import Attributes

#: Folders that are opened ahead.
_AHEAD: Final = 8
#: As many symlinks in one path as systems follow.
_MOST_LINKS: Final = 40


class Asked:
    """A path that was asked for (``root``), or that leads to some."""

    def __init__(self) -> None:
        self.below: dict[bytes, Asked] = {}
        self.root = False

    def add(self, parts: list[bytes]) -> None:
        """Ask for a path."""
        node = self
        for part in parts:
            node = node.below.setdefault(part, Asked())
        node.root = True

    def roots(self, path: bytes) -> list[bytes]:
        """Return the paths asked for at and below this one."""
        found = [path] if self.root else []
        for name in sorted(self.below):
            found.extend(self.below[name].roots(join(path, name)))
        return found


class _Folder(NamedTuple):
    path: bytes
    asked: Asked | None
    #: Whether all of it is walked, or only the way to what was asked for.
    whole: bool


class Walk:
    """One walk over the roots."""

    def __init__(self, reply: Reply, client: SftpClient, accounts: Accounts, document: Mapping[str, Any]) -> None:
        self._reply = reply
        self._client = client
        self._accounts = accounts
        self._rules = Rules(())
        self._mounts = Mounts(client)
        self._asked = Asked()
        self._early: list[tuple[bytes, Skip]] = []
        self._opened: dict[bytes, Pending[bytes]] = {}
        only = document.get("only")
        self._deep = only is None
        if only is not None:
            for path in only:
                self._asked.add(parts_of(decode_path(path)))
            return
        self._rules = Rules(document.get("rules") or ())
        self._seen: set[bytes] = set()
        for path in document.get("roots") or ():
            self._add_root(decode_path(path))

    def _add_root(self, path: bytes) -> None:
        """Ask for a root, and when it leads through a symlink, for the real place too."""
        parts = parts_of(path)
        step = b"/"
        for index, part in enumerate(parts):
            step = join(step, part)
            try:
                attributes = self._client.lstat(step).result()
            except SftpError as error:
                skip = skip_of(error, step)
                if skip.reason == "vanished":
                    break  # found missing, and told, by the walk
                self._early.append((path, skip))
                return
            if kind_of(attributes) == "symlink":
                self._asked.add(parts[: index + 1])
                self._add_target(path)
                return
        self._asked.add(parts)

    def _add_target(self, path: bytes) -> None:
        real = self._real(path)
        if real is None:
            self._early.append((path, Skip("loop", "too many symlinks")))
        elif real not in self._seen:
            self._seen.add(real)
            self._add_root(real)

    def _real(self, path: bytes) -> bytes | None:
        """Return where a path leads, what is not there kept, or None for a loop; SFTP has one answer for both."""
        done, todo, links = b"/", parts_of(path), 0
        while todo:
            name = todo.pop(0)
            if name == b"..":
                done = split(done)[0]
                continue
            step = join(done, name)
            try:
                target = self._client.readlink(step).result()
            except SftpError:
                done = step
                continue
            links += 1
            if links > _MOST_LINKS:
                return None
            done = b"/" if target.startswith(b"/") else done
            todo[:0] = [part for part in target.split(b"/") if part not in (b"", b".")]
        return done

    def _skip(self, path: bytes, skip: Skip, rule: str = "") -> None:
        self._reply.skip({"path": encode_path(path), **({"rule": rule} if rule else {})}, skip)

    def _skip_asked(self, path: bytes, asked: Asked, skip: Skip) -> None:
        for root in asked.roots(path):
            self._skip(root, skip)

    def run(self) -> Generator[int, None, None]:
        """Send everything."""
        for path, skip in self._early:
            self._skip(path, skip)
        stack = [_Folder(b"/", self._asked, self._deep and self._asked.root)]
        try:
            while stack:
                folder = stack.pop()
                for coming in (folder, *stack[: -_AHEAD - 1 : -1]):
                    if coming.whole and coming.path not in self._opened:
                        self._opened[coming.path] = self._client.opendir(coming.path)
                below = yield from (self._folder(folder) if folder.whole else self._way(folder))
                stack.extend(reversed(below))
        finally:
            self._close_opened()

    def _close_opened(self) -> None:
        for pending in self._opened.values():
            try:
                self._client.give_up(pending.result())
            except (SftpError, TransportError):
                continue  # it could not be opened either
        self._opened = {}

    def _send(self, path: bytes, rows: list[str], *, last: bool) -> None:
        name = dump(encode_path(path))
        text = f'{{"path":{name},"rows":[{",".join(rows)}],"last":{"true" if last else "false"}}}'
        self._reply.send("entry", self._accounts.header(), text.encode("ascii"))

    def _way(self, folder: _Folder) -> Generator[int, None, list[_Folder]]:
        """Send the rows of a folder that lead to what was asked for; return its folders among them."""
        below = folder.asked.below if folder.asked is not None else {}
        looked = [(name, self._client.lstat(join(folder.path, name))) for name in sorted(below)]
        entries: list[Entry] = []
        folders: list[_Folder] = []
        for name, pending in looked:
            child, asked = join(folder.path, name), below[name]
            try:
                attributes = pending.result()
            except SftpError as error:
                self._skip_asked(child, asked, skip_of(error, child))
                continue
            whole = self._deep and asked.root
            if kind_of(attributes) != "dir":
                for further in sorted(asked.below):
                    self._skip_asked(join(child, further), asked.below[further], Skip("vanished", "Not a directory"))
            elif whole and self._mounts.virtual_around(child):
                self._skip(child, Skip("excluded"), "virtual-filesystem")
                continue
            else:
                folders.append(_Folder(child, asked, whole))
            entries.append(Entry(name, attributes))
        yield from self._rows(folder.path, entries)
        return folders

    def _folder(self, folder: _Folder) -> Generator[int, None, list[_Folder]]:
        """Send all rows of a folder that no rule excludes; return its folders among them."""
        path = folder.path
        try:
            found = {entry.name: entry for entry in self._client.listing(self._opened.pop(path).result())}
        except SftpError as error:
            self._skip(path, skip_of(error, path))
            return []
        asked = folder.asked.below if folder.asked is not None else {}
        for name in sorted(asked.keys() - found.keys()):
            self._skip_asked(join(path, name), asked[name], Skip("vanished"))
        tagged = self._tagged(path, found)
        entries: list[Entry] = []
        folders: list[_Folder] = []
        for name in sorted(found):
            child, entry, wanted = join(path, name), found[name], asked.get(name)
            is_dir = kind_of(entry.attributes) == "dir"
            whole = True
            rule, reason = self._excluded(child, entry.attributes, tagged.get(name), is_dir=is_dir)
            if reason and (wanted is None or not wanted.root or rule == "virtual-filesystem"):
                self._skip(child, Skip(reason), rule)
                if wanted is None or wanted.root:
                    continue
                whole = False  # only the way to the root in it
            entries.append(entry)
            if is_dir:
                folders.append(_Folder(child, wanted, whole))
        yield from self._rows(path, entries)
        return folders

    def _excluded(self, child: bytes, attributes: Attributes, tag: Rule | None, *, is_dir: bool) -> tuple[str, str]:
        """Return rule and reason when an entry is left out, else two empty texts."""
        if is_dir and (mounted := self._mounts.rule_for(child)):
            return mounted, "excluded"
        rule = self._rules.find(child, attributes.size or 0, is_dir=is_dir) or tag
        return (rule.id, rule.reason) if rule is not None else ("", "")

    def _tagged(self, path: bytes, found: Mapping[bytes, Entry]) -> dict[bytes, Rule]:
        """Return the rules whose tag files the folders in this one hold, by the folders' names."""
        looked = [
            (name, rule, self._client.lstat(join(join(path, name), rule.tag)))
            for name, entry in found.items()
            if self._rules.tags and kind_of(entry.attributes) == "dir"
            for rule in self._rules.tags
        ]
        tagged: dict[bytes, Rule] = {}
        for name, rule, pending in looked:
            try:
                if kind_of(pending.result()) == "file" and self._has_signature(join(join(path, name), rule.tag)):
                    tagged.setdefault(name, rule)
            except SftpError:
                continue
        return tagged

    def _has_signature(self, path: bytes) -> bool:
        handle = self._client.open(path, READ).result()
        try:
            return self._client.data_of(self._client.read(handle, 0, len(TAG_SIGNATURE))) == TAG_SIGNATURE
        finally:
            self._client.give_up(handle)

    def _rows(self, path: bytes, entries: list[Entry]) -> Iterator[int]:
        """Send the rows of a folder in as few frames as they fit."""
        targets = {
            entry.name: self._client.readlink(join(path, entry.name))
            for entry in entries
            if kind_of(entry.attributes) == "symlink"
        }
        self._accounts.learn(entry.attributes for entry in entries)
        rows: list[str] = []
        size = 0
        for name, attributes in entries:
            try:
                text = row(name, attributes, targets[name].result() if name in targets else None)
            except SftpError as error:
                self._skip(join(path, name), skip_of(error, join(path, name)))
                continue
            if rows and size + len(text) > MAX_PAYLOAD - SOFT_PAYLOAD:
                self._send(path, rows, last=False)
                yield len(rows)
                rows, size = [], 0
            rows.append(text)
            size += len(text) + 1
        self._send(path, rows, last=True)
        yield len(rows) + 1
