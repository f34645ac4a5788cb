"""A repository in restic's format: the one door to blobs, trees and snapshots."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from tasks.backends.base import Backend, Buffer
from tasks.errors import Damaged, NoRepository, NotFound, RepositoryError, WrongPassword
from tasks.repository.blob import BlobType, SavedBlob
from tasks.repository.blob_reader import BlobReader, Reading
from tasks.repository.blob_writer import BlobWriter
from tasks.repository.chunker import Chunker, ChunkerFactory
from tasks.repository.compression import Zstd
from tasks.repository.config_file import VERSIONS, ConfigFile
from tasks.repository.crypto import Key, NotAuthentic
from tasks.repository.file_store import FileStore, damaged
from tasks.repository.file_type import FileType
from tasks.repository.ids import ID, hash_of, short
from tasks.repository.index import Index, Place
from tasks.repository.index_file import decode_index
from tasks.repository.key_file import open_key, seal_key
from tasks.repository.lock import Lock
from tasks.repository.snapshot_file import Snapshot, decode_snapshot, encode_snapshot
from tasks.repository.tree import Tree
from tasks.repository.tree_json import decode_tree, encode_tree

#: Key files that are tried with a password (restic's limit).
_MAX_KEYS: Final = 20
_WINDOW: Final = 64 * 1024 * 1024


class Repository:
    """An open repository. Thread-safe; one serves all hosts of a run."""

    def __init__(self, backend: Backend, config: ConfigFile, key: Key) -> None:
        self.backend = backend
        self.config = config
        self._key = key
        zstd = Zstd()
        self._files = FileStore(backend, key, version=config.version, zstd=zstd)
        self._index = Index()
        self._chunkers = ChunkerFactory(config.chunker_polynomial)
        self._locks: list[Lock] = []
        self._index_loaded = False
        self._snapshots: dict[ID, Snapshot] = {}
        self._reader = BlobReader(backend, key, self._index, zstd)
        self._writer = BlobWriter(
            backend, self._files, key, self._index, zstd, version=config.version, check_locks=self._check_locks
        )
        self._closed = False

    @classmethod
    def init(cls, backend: Backend, password: str, *, version: int = 2, scrypt_n: int = 2**15) -> Repository:
        """Create a repository and open it. Raises ``RepositoryError`` where there is one already."""
        if version not in VERSIONS:
            raise ValueError(f"no repository format {version}")
        _check_password(password)
        backend.ensure_location()
        if _exists(backend, "config"):
            raise RepositoryError(
                f"{backend.location}: there is a repository already",
                hint="Use it as it is, or choose another location; nothing was changed.",
            )
        if _has_keys(backend):
            raise RepositoryError(
                f"{backend.location}: there are key files already, though no config",
                hint="If `firstbell init` was cut off here, remove the folder keys and try again. If there are packs"
                " below data, it is a repository that lost its config: put that back from a copy.",
            )
        key = Key.random()
        config = ConfigFile.new(version)
        key_file = seal_key(key, password, scrypt_n=scrypt_n)
        backend.save(FileType.KEY.name_of(hash_of(key_file)), key_file)
        backend.save("config", key.seal(config.encode()), overwrite=False)
        return cls(backend, config, key)

    @classmethod
    def open(cls, backend: Backend, password: str) -> Repository:
        """Open a repository. Raises ``NoRepository``, ``WrongPassword`` or ``Damaged``."""
        _check_password(password)
        try:
            sealed = backend.load("config")
        except NotFound as error:
            if _has_keys(backend):
                hint = "Put it back from a copy; if `firstbell init` was cut off here, remove the folder keys."
                raise damaged(f"{backend.location}: the repository", "its config is missing", hint) from error
            raise NoRepository(
                f"{backend.location}: there is no repository",
                hint="Check the location; `firstbell init` creates a repository.",
            ) from error
        key = _find_key(backend, password)
        try:
            config = ConfigFile.decode(key.open(sealed))
        except (NotAuthentic, ValueError) as error:
            raise damaged(f"{backend.location}: config", error) from error
        if config.version not in VERSIONS:
            raise RepositoryError(
                f"{backend.location}: the repository has format version {config.version}, known are 1 and 2",
                hint="It was made by a newer client: a newer firstbell is needed.",
            )
        return cls(backend, config, key)

    def seal(self, text: bytes) -> bytes:
        """Return ``text`` sealed with the repository's key: for what lies beside it, and must not be forged there."""
        return bytes(self._key.seal(text))

    def unseal(self, sealed: bytes) -> bytes:
        """Return what ``seal`` has sealed. Raises ``ValueError`` when it was not this repository's key, or damaged."""
        try:
            return self._key.open(sealed)
        except NotAuthentic as error:
            raise ValueError(str(error)) from None

    def load_index(self) -> None:
        """Read all index files, under a lock. Raises ``Damaged``."""
        self._index.clear()
        self._index_loaded = True
        ids = self._files.ids(FileType.INDEX)
        superseded = self._add_indexes(ids) & set(ids)
        if superseded:
            # Rare: an old client was cut off between writing an index file and removing those that it replaces.
            self._index.clear()
            self._add_indexes([id_ for id_ in ids if id_ not in superseded])

    def _add_indexes(self, ids: Sequence[ID]) -> set[ID]:
        """Add index files to the index, and return the IDs that they supersede."""
        superseded: set[ID] = set()
        for found in self._files.load_all(FileType.INDEX, ids, self._add_index):
            superseded |= found
        return superseded

    def _add_index(self, data: bytes, id_: ID) -> frozenset[ID]:
        found = decode_index(data, id_)
        for pack in found.packs:
            self._index.add(pack.id, pack.blobs)
        return found.supersedes

    def lock(self, *, exclusive: bool = False, wait: bool = True) -> Lock:
        """Take a lock, which refreshes itself until it is released or its ``with`` block ends. Raises ``Locked``.

        With ``wait=False`` the last look for others, 0.2 s later, is left to whoever writes first: reading may begin.
        Releasing it stores and lists first what was saved so far, so that the next run finds it. A repository whose
        lock was lost takes no other: open it anew.
        """
        self._check_locks()
        self._locks = [lock for lock in self._locks if not lock.released]
        lock = Lock.acquire(self._files, self._settle, exclusive=exclusive, wait=wait)
        if self._index_loaded and not self._locks:
            # Nothing kept others from pruning since it was read, and blobs that are gone must not count as known.
            try:
                self.load_index()
            except BaseException:
                lock.release()
                raise
        self._locks.append(lock)
        return lock

    def chunker(self) -> Chunker:
        """Return a chunker for one file."""
        return self._chunkers.chunker()

    def has_blob(self, type: BlobType, id: ID) -> bool:
        """Return whether a blob is stored, or will be by the next ``flush``."""
        return self._index.has(type, id) or self._writer.pending_length(type, id) is not None

    def blob_length(self, id: ID) -> int | None:
        """Return the length of a blob's content in bytes, or None when it is not known."""
        place = self._index.find(None, id)
        return place.blob.plain_length if place else self._writer.pending_length(None, id)

    def blob_place(self, id: ID) -> Place | None:
        """Return pack and offset of a stored blob: who reads many does well to ask for them in that order."""
        return self._index.find(None, id)

    def save_blob(self, type: BlobType, data: Buffer, id: ID | None = None) -> SavedBlob:
        """Take a blob: hash, compress and encrypt it in this thread, and add it to a pack.

        ``id`` may be given when it is known to be the SHA-256 of ``data``. It is durable after the next ``flush``. An
        upload that failed is raised here or there.
        """
        if id is None:
            id = self._chunkers.zero_id if self._chunkers.is_zero_chunk(data) else hash_of(data)
        return self._writer.save(type, data, id)

    def flush(self) -> None:
        """Store every blob taken so far, and list it in a stored index."""
        self._check_locks()
        self._writer.flush()

    def load_blob(self, type: BlobType, id: ID) -> bytes:
        """Return a blob's content. Raises ``Damaged`` or ``NotFound``."""
        self._store_if_pending(type, (id,))
        return self._reader.load(type, id)

    def iter_blobs(self, ids: Sequence[ID], *, window: int = _WINDOW, hashed: bool = True) -> Reading:
        """Return contents in the order asked, read ahead on threads from now on; about ``window`` bytes are in memory.

        Neighbours in a pack are joined into one range read. ``hashed=False`` is for who compares their SHA-256 himself
        before he trusts them: they are just known to be what somebody with the repository's key has stored.
        """
        self._store_if_pending(None, ids)
        return self._reader.iterate(ids, window, hashed=hashed)

    def save_tree(self, tree: Tree) -> SavedBlob:
        """Take a tree; its nodes must be in byte order of their names."""
        return self.save_blob(BlobType.TREE, encode_tree(tree))

    def load_tree(self, id: ID) -> Tree:
        """Return a tree. Raises ``Damaged`` or ``NotFound``."""
        return self._decode_tree(self.load_blob(BlobType.TREE, id), id)

    def iter_trees(self, ids: Sequence[ID]) -> Iterator[Tree]:
        """Yield trees in the order asked, read ahead on threads."""
        self._store_if_pending(None, ids)
        with contextlib.closing(self._reader.iterate(ids, _WINDOW // 4)) as contents:
            for id_, content in zip(ids, contents, strict=True):
                yield self._decode_tree(content, id_)

    def save_snapshot(self, snapshot: Snapshot) -> Snapshot:
        """Write a snapshot file and return the snapshot with its ID. It is the last write of a run.

        Everything taken so far is flushed first, whoever brought it: with several hosts in one repository nobody can
        tell which of the pending blobs are his. So a snapshot file never stands for what is not stored.

        Raises:
            RepositoryError: the root tree was never saved.
            Locked: a lock was lost meanwhile.
        """
        if not self._writer.is_clean:
            self.flush()
        if not self._index.has(BlobType.TREE, snapshot.tree):
            raise RepositoryError(f"the root tree {short(snapshot.tree)} of the snapshot is not stored")
        for lock in self._locks:
            lock.verify()
        return replace(snapshot, id=self._files.save(FileType.SNAPSHOT, encode_snapshot(snapshot)))

    def snapshots(self) -> list[Snapshot]:
        """Return all snapshots, newest last."""
        ids = self._files.ids(FileType.SNAPSHOT)
        # A file never changes, so each is read once.
        known = self._snapshots
        missing = [id_ for id_ in ids if id_ not in known]
        for id_, snapshot in self._load_snapshots(missing):
            known[id_] = snapshot
        found = (known[id_] for id_ in ids if id_ in known)
        return sorted(found, key=lambda snapshot: (snapshot.time, snapshot.id))

    def snapshot_ids(self) -> list[ID]:
        """Return the IDs of all snapshots, in no order, without reading one."""
        return self._files.ids(FileType.SNAPSHOT)

    def load_snapshots(self, ids: Sequence[ID]) -> list[Snapshot]:
        """Return the snapshots with these IDs, without those that are gone by now."""
        return [snapshot for _, snapshot in self._load_snapshots(ids)]

    def find_snapshot(
        self,
        spec: str,
        *,
        hostname: str | None = None,
        paths: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
    ) -> Snapshot:
        """Return the newest snapshot that has hostname, paths and tags, for ``latest``; else the one of an ID prefix.

        Raises ``NotFound`` for none, ``RepositoryError`` when the prefix fits several.
        """
        if spec == "latest":
            for snapshot in reversed(self.snapshots()):
                if (
                    hostname in (None, snapshot.hostname)
                    and set(paths or ()) <= set(snapshot.paths)
                    and set(tags or ()) <= set(snapshot.tags)
                ):
                    return snapshot
            raise self._no_snapshot("that fits")
        prefix = spec.lower()
        fitting = [id_ for id_ in self._files.ids(FileType.SNAPSHOT) if prefix and id_.hex().startswith(prefix)]
        if len(fitting) > 1:
            names = ", ".join(sorted(map(short, fitting)))
            raise RepositoryError(f"{spec!r} fits {len(fitting)} snapshots: {names}", hint="Give more digits.")
        if not fitting:
            raise self._no_snapshot(f"{spec!r}")
        for _, snapshot in self._load_snapshots(fitting):
            return snapshot
        raise self._no_snapshot(f"{spec!r}")

    def close(self) -> None:
        """End the threads and the backend; what was not flushed is given up. A second time does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            for lock in self._locks:
                lock.release()
        finally:
            self._writer.close()
            self._reader.close()
            self.backend.close()

    def _load_snapshots(self, ids: Sequence[ID]) -> Iterator[tuple[ID, Snapshot]]:
        """Yield the snapshots that are still there."""
        return self._files.load_all(
            FileType.SNAPSHOT, ids, lambda data, id_: (id_, decode_snapshot(data, id_)), ignore_missing=True
        )

    def _settle(self) -> None:
        self._check_locks()
        self._writer.settle()

    def _check_locks(self) -> None:
        for lock in self._locks:
            lock.check()

    def _store_if_pending(self, kind: BlobType | None, ids: Sequence[ID]) -> None:
        if not self._writer.is_clean and any(self._writer.pending_length(kind, id_) is not None for id_ in ids):
            self.flush()

    def _decode_tree(self, content: bytes, id_: ID) -> Tree:
        try:
            return decode_tree(content)
        except ValueError as error:
            raise damaged(f"{self.backend.location}: tree {short(id_)}", error) from error

    def _no_snapshot(self, which: str) -> NotFound:
        return NotFound(
            f"{self.backend.location}: no snapshot {which}", hint="`firstbell snapshots` lists the ones there are."
        )


def _exists(backend: Backend, name: str) -> bool:
    try:
        backend.stat(name)
    except NotFound:
        return False
    return True


def _has_keys(backend: Backend) -> bool:
    return next(backend.list(FileType.KEY.prefix), None) is not None


def _check_password(password: str) -> None:
    if not password:
        raise WrongPassword("the repository password is empty", hint="Set repository.password in the configuration.")


def _find_key(backend: Backend, password: str) -> Key:
    problem: Damaged | None = None
    names = sorted(info.name for info in backend.list(FileType.KEY.prefix))
    for name in names[:_MAX_KEYS]:
        id_ = FileType.KEY.id_of(name)
        if id_ is None:
            continue
        try:
            data = backend.load(name)
        except NotFound:
            # Removed by somebody since it was listed.
            continue
        if hash_of(data) != id_:
            problem = damaged(f"{backend.location}: key {short(id_)}", "it has another hash than its name says")
            continue
        try:
            return open_key(data, password)
        except NotAuthentic:
            continue
        except ValueError as error:
            problem = damaged(f"{backend.location}: key {short(id_)}", error)
    if problem:
        raise problem
    if not names:
        raise damaged(
            f"{backend.location}: the repository", "it has no key file", "Put the key file back from a copy of keys/."
        )
    raise WrongPassword(
        f"{backend.location}: the password opens none of the repository's {len(names)} keys",
        hint="Check repository.password in the configuration; the password is that of `firstbell init`.",
    )
