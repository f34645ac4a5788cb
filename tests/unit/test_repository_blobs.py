from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from tasks.errors import Damaged, NotFound, RepositoryError, StoreUnavailable
from tasks.repository import blob_writer, packer
from tasks.repository.blob import BlobType
from tasks.repository.crypto import Key
from tasks.repository.file_type import FileType
from tasks.repository.ids import hash_of
from tasks.repository.pack_file import decode_header
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Node, Tree
from tests.support.flaky_backend import FlakyBackend

DATA = BlobType.DATA
TREE = BlobType.TREE
NOW = datetime(2026, 8, 24, 9, 0, tzinfo=UTC)


@pytest.fixture
def backend() -> FlakyBackend:
    return FlakyBackend()


@pytest.fixture
def repository(backend: FlakyBackend) -> Repository:
    return Repository.init(backend, "x", scrypt_n=16)


def reopened(backend: FlakyBackend) -> Repository:
    repository = Repository.open(backend, "x")
    repository.load_index()
    return repository


def key_of(repository: Repository) -> Key:
    return repository._files._key


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("content", [b"", b"x", os.urandom(1000), b"again and again " * 1000])
def test_what_is_saved_is_loaded_after_reopening(version: int, content: bytes) -> None:
    backend = FlakyBackend()
    repository = Repository.init(backend, "x", version=version, scrypt_n=16)
    saved = repository.save_blob(DATA, content)
    assert (saved.id, saved.known) == (hash_of(content), False)
    assert saved.stored <= len(content) + 32
    assert repository.save_blob(DATA, memoryview(content)).known
    repository.flush()
    again = reopened(backend)
    assert again.load_blob(DATA, saved.id) == content
    assert again.blob_length(saved.id) == len(content)
    assert again.has_blob(DATA, saved.id)
    assert not again.has_blob(TREE, saved.id)
    assert list(again.iter_blobs([saved.id])) == [content]


def test_what_does_not_shrink_is_stored_as_it_is_but_trees_always_compressed(
    repository: Repository, backend: FlakyBackend
) -> None:
    repository.save_blob(DATA, os.urandom(500))
    repository.save_blob(DATA, bytes(500))
    repository.save_tree(Tree([]))
    repository.flush()
    packs = [backend.load(name) for name in backend.names("data/")]
    kinds = {
        tuple((blob.type, bool(blob.uncompressed)) for blob in decode_header(pack, key_of(repository)))
        for pack in packs
    }
    assert kinds == {((DATA, False), (DATA, True)), ((TREE, True),)}


def test_packs_are_about_16_mib_named_by_their_hash_and_of_one_type(
    repository: Repository, backend: FlakyBackend
) -> None:
    for n in range(40):
        repository.save_blob(DATA, os.urandom(2**20))
        repository.save_tree(Tree([Node(b"%d" % n, "file", content=())]))
    repository.flush()
    sizes = []
    for name in backend.names("data/"):
        pack = backend.load(name)
        assert name == FileType.PACK.name_of(hash_of(pack))
        assert len({blob.type for blob in decode_header(pack, key_of(repository))}) == 1
        sizes.append(len(pack))
    assert sum(16 * 2**20 <= size < 18 * 2**20 for size in sizes) == 2
    assert len(sizes) == 4


def test_a_blob_not_yet_stored_can_be_asked_for_and_loaded(repository: Repository) -> None:
    saved = repository.save_blob(DATA, b"pending")
    assert repository.has_blob(DATA, saved.id)
    assert repository.blob_length(saved.id) == 7
    assert list(repository.iter_blobs([saved.id])) == [b"pending"]
    tree = repository.save_tree(Tree([Node(b"n", "file", content=(saved.id,))]))
    assert repository.load_tree(tree.id).nodes[0].name == b"n"
    with pytest.raises(NotFound, match="no index lists"):
        repository.load_blob(DATA, bytes(32))
    assert repository.blob_length(bytes(32)) is None
    with pytest.raises(NotFound):
        list(repository.iter_blobs([saved.id, bytes(32)]))


def test_a_hole_is_hashed_once_and_stored_once(repository: Repository, backend: FlakyBackend) -> None:
    chunker = repository.chunker()
    ids = [repository.save_blob(DATA, chunk).id for chunk in (*chunker.zeros(100 * 2**20 + 5), *chunker.finish())]
    repository.flush()
    assert sum(len(backend.load(name)) for name in backend.names("data/")) < 10_000
    sizes = [len(content) for content in reopened(backend).iter_blobs(ids)]
    assert sum(sizes) == 100 * 2**20 + 5
    assert ids[0] == hash_of(bytes(sizes[0]))


# -- several threads ----------------------------------------------------------------------------------------------


def test_many_savers_of_the_same_blobs_store_each_once(repository: Repository, backend: FlakyBackend) -> None:
    contents = [os.urandom(3000) for _ in range(60)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: [repository.save_blob(DATA, content) for content in contents], range(8)))
    repository.flush()
    for saves in zip(*results, strict=True):
        assert [save.known for save in saves].count(False) == 1
    stored = [blob for name in backend.names("data/") for blob in decode_header(backend.load(name), key_of(repository))]
    assert sorted(blob.id for blob in stored) == sorted(map(hash_of, contents))
    again = reopened(backend)
    assert list(again.iter_blobs([hash_of(content) for content in contents])) == contents


def test_who_waits_for_a_blob_takes_over_when_the_first_fails(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = repository._writer
    seal = writer._seal
    begun, go_on = threading.Event(), threading.Event()
    first = True

    def fail_once(kind: BlobType, data: bytes) -> tuple[bytearray, int]:
        nonlocal first
        if first:
            first = False
            begun.set()
            assert go_on.wait(30)
            raise MemoryError
        return seal(kind, data)

    monkeypatch.setattr(writer, "_seal", fail_once)
    with ThreadPoolExecutor(2) as pool:
        failing = pool.submit(repository.save_blob, DATA, b"wanted twice")
        assert begun.wait(30)
        waiting = pool.submit(repository.save_blob, DATA, b"wanted twice")
        go_on.set()
        with pytest.raises(MemoryError):
            failing.result(30)
        assert not waiting.result(30).known
    assert repository.load_blob(DATA, hash_of(b"wanted twice")) == b"wanted twice"


def test_savers_wait_while_the_store_is_slow(repository: Repository, backend: FlakyBackend) -> None:
    backend.gate = threading.Event()
    taken = 0

    def save() -> None:
        nonlocal taken
        for n in range(40):
            repository.save_blob(DATA, n.to_bytes(4, "big") + os.urandom(4 * 2**20))
            taken += 1

    saver = threading.Thread(target=save)
    saver.start()
    # Full packs for every upload thread, one that waits for a thread, and then nothing more is taken.
    limit = 4 * (packer.UPLOADS + 1)
    waited = threading.Event()
    while taken < limit - 1:
        assert saver.is_alive()
        waited.wait(0.01)
    saver.join(0.3)
    assert saver.is_alive()
    assert taken == limit - 1
    backend.gate.set()
    saver.join(60)
    repository.flush()
    assert len(backend.names("data/")) == 10


# -- a store that fails -------------------------------------------------------------------------------------------


def snapshot_of(repository: Repository, content: bytes) -> Snapshot:
    blob = repository.save_blob(DATA, content)
    tree = repository.save_tree(Tree([Node(b"f", "file", size=len(content), content=(blob.id,))]))
    return Snapshot(NOW, tree.id, ("/home",), "lab3-07")


def test_a_failed_upload_is_told_and_no_snapshot_is_written(repository: Repository, backend: FlakyBackend) -> None:
    snapshot = snapshot_of(repository, b"lost?")
    backend.fails = lambda name: name.startswith("data/")
    with pytest.raises(StoreUnavailable, match="a pack could not be stored"):
        repository.flush()
    # Neither the next saver nor one of the same blob hears that all is well.
    for content in (b"other", b"lost?"):
        with pytest.raises(StoreUnavailable):
            repository.save_blob(DATA, content)
    with pytest.raises(StoreUnavailable):
        repository.save_snapshot(snapshot)
    assert not backend.names("snapshots/")
    assert not backend.names("index/")


def test_once_the_store_is_back_a_flush_recovers(repository: Repository, backend: FlakyBackend) -> None:
    snapshot = snapshot_of(repository, b"kept in memory")
    backend.fails = lambda name: name.startswith("data/")
    with pytest.raises(StoreUnavailable):
        repository.flush()
    backend.fails = lambda name: False
    saved = repository.save_snapshot(snapshot)
    assert saved.id is not None
    again = reopened(backend)
    tree = again.load_tree(again.find_snapshot("latest").tree)
    assert list(again.iter_blobs(tree.nodes[0].content or ())) == [b"kept in memory"]


def test_after_a_while_a_saver_tries_again_by_itself(
    repository: Repository, backend: FlakyBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.save_blob(DATA, b"one")
    backend.fails = lambda name: name.startswith("data/")
    with pytest.raises(StoreUnavailable):
        repository.flush()
    backend.fails = lambda name: False
    with pytest.raises(StoreUnavailable):
        repository.save_blob(DATA, b"two")
    monkeypatch.setattr(blob_writer, "_TRY_AGAIN", -1.0)
    assert not repository.save_blob(DATA, b"two").known
    repository.flush()
    assert reopened(backend).load_blob(DATA, hash_of(b"one")) == b"one"


def test_an_index_that_could_not_be_stored_is_stored_by_the_next_flush(
    repository: Repository, backend: FlakyBackend
) -> None:
    snapshot = snapshot_of(repository, b"stored, not listed")
    backend.fails = lambda name: name.startswith("index/")
    with pytest.raises(StoreUnavailable):
        repository.save_snapshot(snapshot)
    assert not backend.names("snapshots/")
    backend.fails = lambda name: False
    repository.save_snapshot(snapshot)
    assert reopened(backend).load_blob(DATA, hash_of(b"stored, not listed"))


def test_a_snapshot_waits_for_an_index_that_another_thread_writes(
    repository: Repository, backend: FlakyBackend
) -> None:
    snapshot = snapshot_of(repository, b"content")
    begun, go_on = threading.Event(), threading.Event()

    def hold(name: str) -> bool:
        if name.startswith("index/"):
            begun.set()
            assert go_on.wait(30)
        return False

    backend.fails = hold
    with ThreadPoolExecutor(2) as pool:
        flushing = pool.submit(repository.flush)
        assert begun.wait(30)
        saving = pool.submit(repository.save_snapshot, snapshot)
        with pytest.raises(TimeoutError):
            saving.result(0.2)
        assert not backend.names("snapshots/")
        go_on.set()
        flushing.result(30)
        assert saving.result(30).id is not None
    assert [name.partition("/")[0] for name in backend.saved[-2:]] == ["index", "snapshots"]


def test_the_snapshot_is_the_last_write(repository: Repository, backend: FlakyBackend) -> None:
    snapshot = snapshot_of(repository, b"content")
    backend.saved.clear()
    repository.save_snapshot(snapshot)
    kinds = [name.partition("/")[0] for name in backend.saved]
    assert sorted(kinds[:2]) == ["data", "data"]
    assert kinds[2:] == ["index", "snapshots"]


def test_a_snapshot_of_a_tree_that_was_never_saved_is_refused(repository: Repository, backend: FlakyBackend) -> None:
    blob = repository.save_blob(DATA, b"not a tree")
    for tree in (bytes(32), blob.id):
        with pytest.raises(RepositoryError, match="is not stored"):
            repository.save_snapshot(Snapshot(NOW, tree, ("/home",)))
    assert not backend.names("snapshots/")


def test_a_run_that_is_cut_off_leaves_an_index_so_that_the_next_knows_its_blobs(
    repository: Repository, backend: FlakyBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob_writer, "_INDEX_MIN", 0.0)
    contents = [os.urandom(4 * 2**20) for _ in range(9)]
    for content in contents:
        repository.save_blob(DATA, content)
    done = threading.Event()
    while not backend.names("index/"):
        done.wait(0.01)
    # No flush and no close: the process died here.
    again = reopened(backend)
    assert sum(again.has_blob(DATA, hash_of(content)) for content in contents) >= 4


def test_many_blobs_are_listed_by_several_index_files(
    repository: Repository, backend: FlakyBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob_writer, "INDEX_BLOBS", 100)
    monkeypatch.setattr(packer, "PACK_BLOBS", 50)
    for n in range(500):
        repository.save_blob(DATA, b"%d" % n)
    repository.flush()
    assert len(backend.names("index/")) >= 4
    again = reopened(backend)
    assert all(again.has_blob(DATA, hash_of(b"%d" % n)) for n in range(500))


def test_a_superseded_index_does_not_count(repository: Repository, backend: FlakyBackend) -> None:
    repository.save_blob(DATA, b"old")
    repository.flush()
    old = backend.names("index/")[0].partition("/")[2]
    repository.save_blob(DATA, b"new")
    repository.flush()
    repository._files.save(FileType.INDEX, b'{"supersedes":["%s"],"packs":[]}' % old.encode())
    again = reopened(backend)
    assert not again.has_blob(DATA, hash_of(b"old"))
    assert again.has_blob(DATA, hash_of(b"new"))


def test_hosts_that_share_a_failing_store_lose_nothing(
    repository: Repository, backend: FlakyBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each host tries until its snapshot is written; whatever failed in between, every snapshot can be restored."""
    monkeypatch.setattr(blob_writer, "_TRY_AGAIN", 0.0)
    monkeypatch.setattr(blob_writer, "_INDEX_MIN", 0.0)
    monkeypatch.setattr(packer, "PACK_SIZE", 50_000)
    chance = random.Random(5)
    backend.fails = lambda name: not name.startswith("snapshots/") and chance.random() < 0.3
    contents = [os.urandom(3000) for _ in range(150)]

    def back_up(host: int) -> int:
        failures = 0
        for _ in range(200):
            try:
                ids = [repository.save_blob(DATA, content).id for content in contents[host * 10 : host * 10 + 100]]
                tree = repository.save_tree(Tree([Node(b"f", "file", content=tuple(ids))])).id
                repository.save_snapshot(Snapshot(NOW, tree, ("/",), str(host)))
            except StoreUnavailable:
                failures += 1
            else:
                return failures
        raise AssertionError("never done")

    with ThreadPoolExecutor(5) as pool:
        failures = list(pool.map(back_up, range(5)))
    assert sum(failures) > 0
    again = reopened(backend)
    for host in range(5):
        tree = again.load_tree(again.find_snapshot("latest", hostname=str(host)).tree)
        assert list(again.iter_blobs(tree.nodes[0].content or ())) == contents[host * 10 : host * 10 + 100]


# -- reading ------------------------------------------------------------------------------------------------------


def test_neighbours_are_read_as_one_range(repository: Repository, backend: FlakyBackend) -> None:
    contents = [os.urandom(20_000) for _ in range(30)]
    ids = [repository.save_blob(DATA, content).id for content in contents]
    repository.flush()
    again = reopened(backend)
    backend.reads.clear()
    assert list(again.iter_blobs(ids)) == contents
    assert len(backend.reads) == 1
    # Gaps of three blobs are read over, of five are not; and order is the caller's.
    backend.reads.clear()
    assert list(again.iter_blobs([ids[0], ids[4], ids[10]])) == [contents[0], contents[4], contents[10]]
    assert len(backend.reads) == 2
    assert list(again.iter_blobs([ids[3], ids[1], ids[1], ids[3]])) == [contents[n] for n in (3, 1, 1, 3)]
    assert list(again.iter_blobs([])) == []


def test_neighbours_asked_for_in_another_order_are_read_as_one_range(
    repository: Repository, backend: FlakyBackend
) -> None:
    contents = [os.urandom(20_000) for _ in range(60)]
    ids = [repository.save_blob(DATA, content).id for content in contents]
    repository.flush()
    again = reopened(backend)
    backend.reads.clear()
    # As two files have them that were saved at the same time, and one that shares a blob with both.
    order = [*range(0, 60, 2), 7, *range(1, 60, 2), 8, 7]
    assert list(again.iter_blobs([ids[n] for n in order])) == [contents[n] for n in order]
    assert len(backend.reads) == 1


def test_a_damaged_blob_takes_no_neighbour_along(repository: Repository, backend: FlakyBackend) -> None:
    contents = [os.urandom(20_000) for _ in range(5)]
    ids = [repository.save_blob(DATA, content).id for content in contents]
    repository.flush()
    [name] = backend.names("data/")
    flip(backend, name, 50_000)
    with pytest.raises(Damaged, match=ids[2].hex()[:8]):
        list(reopened(backend).iter_blobs(ids))
    blobs = reopened(backend).iter_blobs(ids)
    assert [next(blobs), next(blobs)] == contents[:2]
    with pytest.raises(Damaged):
        next(blobs)
    unknown = reopened(backend).iter_blobs([ids[0], bytes(32)])
    assert next(unknown) == contents[0]
    with pytest.raises(NotFound):
        next(unknown)


def test_the_window_bounds_what_is_held(repository: Repository, backend: FlakyBackend) -> None:
    ids = [repository.save_blob(DATA, os.urandom(2**20)).id for _ in range(40)]
    repository.flush()
    again = reopened(backend)
    backend.reads.clear()
    blobs = again.iter_blobs(ids, window=12 * 2**20)
    next(blobs)
    # A run of 9 blobs takes 9 MiB stored and 9 MiB plain, more than the window already: nothing is read ahead of it.
    assert len(backend.reads) == 1
    blobs.close()  # type: ignore[attr-defined]
    backend.reads.clear()
    blobs = again.iter_blobs(ids, window=70 * 2**20)
    next(blobs)
    held = threading.Event()
    # Of runs of 18, 14, 18, 14 and 16 MiB, four fit.
    while len(backend.reads) < 4:
        held.wait(0.01)
    held.wait(0.1)
    assert len(backend.reads) == 4
    assert sum(1 for _ in blobs) == 39


def test_trees_are_read_in_blocks(repository: Repository, backend: FlakyBackend) -> None:
    trees = [Tree([Node(b"%d" % n, "file", user=os.urandom(400).hex())]) for n in range(300)]
    ids = [repository.save_tree(tree).id for tree in trees]
    repository.flush()
    again = reopened(backend)
    backend.reads.clear()
    assert [again.load_tree(id_).nodes[0].name for id_ in reversed(ids)] == [b"%d" % n for n in reversed(range(300))]
    assert len(backend.reads) < 5
    assert [tree.nodes[0].name for tree in again.iter_trees(ids)] == [b"%d" % n for n in range(300)]


def flip(backend: FlakyBackend, name: str, position: int) -> None:
    data = bytearray(backend.load(name))
    data[position] ^= 0x40
    backend.save(name, data)


def cut(backend: FlakyBackend, name: str) -> None:
    backend.save(name, backend.load(name)[:50])


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda backend, name: flip(backend, name, 100), "the MAC does not fit"),
        (lambda backend, name: flip(backend, name, 3), "the MAC does not fit"),
        (cut, "pack"),
        (lambda backend, name: backend.remove(name), "the file is missing"),
    ],
)
def test_a_damaged_pack_gives_an_error_that_names_it(
    repository: Repository, backend: FlakyBackend, harm: Callable[[FlakyBackend, str], None], words: str
) -> None:
    content = os.urandom(5000)
    saved = repository.save_blob(DATA, content)
    tree = repository.save_tree(Tree([Node(b"f", "file", user=os.urandom(300).hex(), content=(saved.id,))]))
    repository.flush()
    packs = backend.names("data/")
    for name in packs:
        harm(backend, name)
    again = reopened(backend)
    for load in (
        lambda: again.load_blob(DATA, saved.id),
        lambda: list(again.iter_blobs([saved.id])),
        lambda: again.load_tree(tree.id),
    ):
        with pytest.raises(Damaged, match=words) as caught:
            load()
        assert any(name.rpartition("/")[2][:8] in str(caught.value) for name in packs)
        assert "firstbell check" in caught.value.hint


def test_content_with_another_hash_is_refused(repository: Repository, backend: FlakyBackend) -> None:
    # Sealed with the right key, but not what the index promises: no MAC tells.
    repository._writer.save(DATA, b"something else", hash_of(b"promised"))
    repository.flush()
    with pytest.raises(Damaged, match="another hash"):
        reopened(backend).load_blob(DATA, hash_of(b"promised"))
    with pytest.raises(Damaged, match="another hash"):
        list(reopened(backend).iter_blobs([hash_of(b"promised")]))
    # Whoever compares hashes himself gets it as it is.
    assert list(reopened(backend).iter_blobs([hash_of(b"promised")], hashed=False)) == [b"something else"]


def test_another_copy_serves_when_one_is_damaged(backend: FlakyBackend) -> None:
    content = os.urandom(3000)
    first = Repository.init(backend, "x", scrypt_n=16)
    second = Repository.open(backend, "x")
    for repository in (first, second):
        # Neither knows of the other: both store it.
        repository.save_blob(DATA, content)
        repository.flush()
    for name in backend.names("data/"):
        pack = backend.load(name)
        flip(backend, name, 50)
        again = reopened(backend)
        assert again.load_blob(DATA, hash_of(content)) == content
        assert list(again.iter_blobs([hash_of(content)])) == [content]
        backend.save(name, pack)


@pytest.mark.parametrize("kind", ["index", "snapshots"])
def test_damaged_index_and_snapshot_files_are_told(repository: Repository, backend: FlakyBackend, kind: str) -> None:
    repository.save_snapshot(snapshot_of(repository, b"content"))
    name = backend.names(f"{kind}/")[0]
    whole = backend.load(name)
    for broken in (whole[:40], whole[:-1] + bytes([whole[-1] ^ 1]), whole + b"x"):
        backend.save(name, broken)
        again = Repository.open(backend, "x")
        with pytest.raises(Damaged, match=name[: len(kind) + 9]) as caught:
            (again.load_index if kind == "index" else again.snapshots)()
        assert "firstbell check" in caught.value.hint


def test_a_store_that_does_not_answer_is_not_called_damage(
    repository: Repository, backend: FlakyBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = repository.save_blob(DATA, b"fine")
    repository.flush()

    def refuse(name: str, *, offset: int = 0, length: int | None = None) -> bytes:
        raise StoreUnavailable("down")

    monkeypatch.setattr(backend, "load", refuse)
    with pytest.raises(StoreUnavailable):
        repository.load_blob(DATA, saved.id)
    with pytest.raises(StoreUnavailable):
        list(repository.iter_blobs([saved.id]))


# -- snapshots ----------------------------------------------------------------------------------------------------


def test_snapshots_are_found_by_prefix_and_by_what_they_are(repository: Repository, backend: FlakyBackend) -> None:
    tree = repository.save_tree(Tree([])).id
    made = [
        repository.save_snapshot(
            Snapshot(NOW.replace(hour=hour), tree, paths, host, tags=tags, username="ü", parent=tree, summary={"x": 1})
        )
        for hour, host, paths, tags in [
            (3, "lab1", ("/home/a",), ()),
            (1, "lab2", ("/home/a", "/srv"), ("nightly",)),
            (2, "lab2", ("/home/b",), ("nightly", "held")),
        ]
    ]
    again = reopened(backend)
    assert again.snapshots() == [made[1], made[2], made[0]]
    assert again.find_snapshot("latest") == made[0]
    assert again.find_snapshot("latest", hostname="lab2") == made[2]
    assert again.find_snapshot("latest", paths=["/srv"]) == made[1]
    assert again.find_snapshot("latest", tags=["held"]) == made[2]
    for snapshot in made:
        assert snapshot.id is not None
        assert again.find_snapshot(snapshot.id.hex()[:12].upper()) == snapshot
    with pytest.raises(NotFound, match="no snapshot") as caught:
        again.find_snapshot("latest", hostname="lab9")
    assert "firstbell snapshots" in caught.value.hint
    for nothing in ("ffffffffffff", "", "zz", "latest "):
        with pytest.raises(NotFound):
            again.find_snapshot(nothing)


def test_a_prefix_that_fits_several_is_refused(repository: Repository) -> None:
    tree = repository.save_tree(Tree([])).id
    ids = [repository.save_snapshot(Snapshot(NOW.replace(second=n), tree, ("/",))).id for n in range(20)]
    digits = [(id_ or b"").hex()[0] for id_ in ids]
    twice = next(digit for digit in digits if digits.count(digit) > 1)
    with pytest.raises(RepositoryError, match="fits"):
        repository.find_snapshot(twice)


def test_what_a_newer_client_wrote_in_a_snapshot_stays(repository: Repository) -> None:
    tree = repository.save_tree(Tree([])).id
    repository.save_snapshot(Snapshot(NOW, tree, ("/",), extra={"future": [1, "<"]}))
    found = repository.find_snapshot("latest")
    assert found.extra == {"future": [1, "<"]}
    with pytest.raises(ValueError, match="aware"):
        repository.save_snapshot(Snapshot(datetime(2026, 1, 1), tree, ("/",)))  # noqa: DTZ001


def test_closing_twice_is_fine(repository: Repository) -> None:
    repository.close()
    repository.close()
