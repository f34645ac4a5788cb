"""The manifest: what it says, and how it is found again."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.archiver.blob_pool import BlobPool
from tasks.archiver.manifest import (
    ManifestEntry,
    ManifestWriter,
    ParentManifest,
    child_head,
    path_head,
    read_manifest,
    saved_line,
    skipped_line,
)
from tasks.archiver.own_folder import OwnFolder
from tasks.archiver.parent_trees import ParentFolder, ParentTrees
from tasks.archiver.tally import Tally
from tasks.archiver.tree_builder import TreeBuilder
from tasks.backends.memory import MemoryBackend
from tasks.entries import Skipped
from tasks.errors import Damaged, NotFound
from tasks.events import silent
from tasks.repository.ids import hash_of
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Tree

NOW = datetime(2026, 8, 24, 18, 0, tzinfo=UTC)


@pytest.fixture
def repository() -> Repository:
    return Repository.init(MemoryBackend(), "correct horse", scrypt_n=1024)


def stored(repository: Repository, lines: list[str]) -> Snapshot:
    """Return a snapshot with just this manifest."""
    tally = Tally("lab3-07", silent)
    pool = BlobPool(repository, tally, workers=1)
    trees = TreeBuilder(pool, tally)
    writer = ManifestWriter(repository, pool)
    for line in lines:
        writer.write(line)
    own = OwnFolder(repository, pool, trees, ParentTrees(repository, tally))
    node = own.save(ParentFolder(), {}, writer, NOW)
    tree = repository.save_tree(Tree([node])).id
    trees.wait()
    pool.close()
    repository.flush()
    return Snapshot(NOW, tree, ("/",))


@given(st.lists(st.binary(min_size=1, max_size=20).filter(lambda name: b"/" not in name), min_size=1, max_size=4))
def test_heads_of_children_are_those_of_paths(names: list[bytes]) -> None:
    head, prefix = '{"path":""', b"/"
    for name in names:
        head = child_head(head, prefix, name)
        assert head == path_head(prefix + name)
        assert json.loads(head + "}")["path"]
        prefix += name + b"/"


def test_entries_come_back(repository: Repository) -> None:
    digest = hash_of(b"content")
    lines = [
        saved_line(path_head(b"/home"), "dir", 0, None),
        saved_line(path_head(b'/home/a "quoted"\n name'), "file", 7, digest),
        skipped_line(path_head(b"/home/\xff\xfe"), "file", 9, Skipped(b"/home/\xff\xfe", "denied", detail="no \u20ac")),
        skipped_line(path_head(b"/x"), "", 0, Skipped(b"/x", "excluded", "cache")),
        skipped_line(path_head(b"/y"), "file", 7, Skipped(b"/y", "changed"), status="changed", sha256=digest),
    ]
    snapshot = stored(repository, lines)

    assert list(read_manifest(repository, snapshot)) == [
        ManifestEntry(b"/home", 0, None, "saved", type="dir"),
        ManifestEntry(b'/home/a "quoted"\n name', 7, digest, "saved", type="file"),
        ManifestEntry(b"/home/\xff\xfe", 9, None, "skipped", "denied", type="file", detail="no \u20ac"),
        ManifestEntry(b"/x", 0, None, "skipped", "excluded", "cache"),
        ManifestEntry(b"/y", 7, digest, "changed", "changed", type="file"),
    ]


def test_a_snapshot_of_the_stock_client_has_no_manifest(repository: Repository) -> None:
    tree = repository.save_tree(Tree([])).id
    repository.flush()
    with pytest.raises(NotFound):
        list(read_manifest(repository, Snapshot(NOW, tree, ("/",), id=bytes(32))))
    assert ParentManifest(repository, Snapshot(NOW, tree, ("/",))).sha256(path_head(b"/a")) is None
    assert ParentManifest(repository, None).sha256(path_head(b"/a")) is None


def test_hashes_are_found_across_blobs(repository: Repository) -> None:
    paths = [b"/home/folder %d/file %d" % (index // 50, index) for index in range(20_000)]
    lines = [saved_line(path_head(path), "file", 1, hash_of(path)) for path in paths]
    snapshot = stored(repository, lines)
    manifest = ParentManifest(repository, snapshot)
    assert len(manifest._content) > 1

    for path in paths[::37]:
        assert manifest.sha256(path_head(path)) == hash_of(path)
    # A miss costs a pass, and going back is possible.
    assert manifest.sha256(path_head(b"/home/folder 0/file")) is None
    assert manifest.sha256(path_head(paths[5])) == hash_of(paths[5])
    assert manifest.sha256(path_head(paths[-1])) == hash_of(paths[-1])
    assert manifest.sha256(path_head(paths[0])) == hash_of(paths[0])


def test_a_part_is_not_taken_for_the_file(repository: Repository) -> None:
    head = path_head(b"/a")
    skip = Skipped(b"/a", "too-large", detail="extended attribute user.x of 70000 bytes")
    lines = [skipped_line(head, "part", 0, skip), saved_line(head, "file", 1, hash_of(b"a"))]
    snapshot = stored(repository, lines)
    assert ParentManifest(repository, snapshot).sha256(head) == hash_of(b"a")


@pytest.mark.parametrize("line", ["nonsense\n", '{"path":"/a"}\n', '{"path":"/a","size":1,"sha256":null', "[]\n"])
def test_a_damaged_manifest_is_told(repository: Repository, line: str) -> None:
    good = saved_line(path_head(b"/b"), "file", 1, hash_of(b"b"))
    snapshot = stored(repository, [good, line])
    with pytest.raises(Damaged):
        list(read_manifest(repository, snapshot))
    assert ParentManifest(repository, snapshot).sha256(path_head(b"/b")) == hash_of(b"b")
    assert ParentManifest(repository, snapshot).sha256(path_head(b"/a")) is None
