"""Repositories that the stock client wrote, read by us."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.backends.local import LocalBackend
from tasks.errors import Damaged, RepositoryError, WrongPassword
from tasks.repository.blob import BlobType
from tasks.repository.ids import ID
from tasks.repository.opened import opened
from tasks.repository.repository import Repository
from tasks.repository.tree import Node
from tasks.repository.tree_json import decode_tree, encode_tree
from tests.support.plain_folder import make_folder
from tests.support.stock_restic import PASSWORD, StockRestic

pytestmark = pytest.mark.restic


def walk(repository: Repository, tree: ID, path: bytes = b"") -> Iterator[tuple[bytes, Node]]:
    for node in repository.load_tree(tree).nodes:
        yield path + b"/" + node.name, node
        if node.subtree is not None:
            yield from walk(repository, node.subtree, path + b"/" + node.name)


@pytest.fixture(scope="module", params=[1, 2])
def theirs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder and the repository that restic saved it to."""
    scratch = tmp_path_factory.mktemp("theirs")
    make_folder(scratch / "home", target_utf8_only=True)
    os.chmod(scratch / "home" / "no entry", 0o700)
    restic = StockRestic(scratch / "repository", scratch).init(request.param)
    restic.run("backup", "--quiet", "--tag", "one", "--tag", "two", "--exclude", "*.tmp", str(scratch / "home"))
    return scratch / "home", scratch / "repository"


def test_everything_is_there(theirs: tuple[Path, Path]) -> None:
    home, location = theirs
    with opened(LocalBackend(location), PASSWORD) as repository:
        snapshot = repository.find_snapshot("latest")
        assert (snapshot.paths, snapshot.tags, snapshot.excludes) == ((str(home),), ("one", "two"), ("*.tmp",))
        assert snapshot.time.tzinfo is not None
        files = 0
        for path, node in walk(repository, snapshot.tree):
            about = os.lstat(path)
            assert (node.mode, node.uid, node.gid) == (about.st_mode, about.st_uid, about.st_gid)
            if path.startswith(os.fsencode(home) + b"/"):
                assert node.mtime_ns == about.st_mtime_ns, path
            if node.type == "file":
                files += 1
                content = b"".join(repository.iter_blobs(node.content or ()))
                with open(path, "rb") as file:
                    assert content == file.read()
                assert sum(repository.blob_length(id_) or 0 for id_ in node.content or ()) == node.size
            if node.type == "symlink":
                assert node.linktarget == os.readlink(path)
            if node.name == b"plain.txt":
                assert node.xattrs == (("user.note", b"\0<binary>\xff"),)
                assert node.links == 2
        assert files > 30


def test_every_tree_is_written_again_byte_for_byte(theirs: tuple[Path, Path]) -> None:
    _, location = theirs
    with opened(LocalBackend(location), PASSWORD) as repository:
        snapshot = repository.find_snapshot("latest")
        trees = [snapshot.tree, *(node.subtree for _, node in walk(repository, snapshot.tree) if node.subtree)]
        assert len(trees) > 5
        for id_ in trees:
            blob = repository.load_blob(BlobType.TREE, id_)
            assert encode_tree(decode_tree(blob)) == blob
            assert repository.save_tree(repository.load_tree(id_)).known


def test_other_keys_and_a_wrong_password(theirs: tuple[Path, Path], tmp_path: Path) -> None:
    _, location = theirs
    (tmp_path / "new").write_text("another password")
    StockRestic(location, tmp_path).run("key", "add", "--new-password-file", str(tmp_path / "new"))
    for password in (PASSWORD, "another password"):
        Repository.open(LocalBackend(location), password).close()
    with pytest.raises(WrongPassword):
        Repository.open(LocalBackend(location), "neither of them")


def test_init_leaves_theirs_alone(theirs: tuple[Path, Path]) -> None:
    _, location = theirs
    before = sorted(location.rglob("*"))
    with pytest.raises(RepositoryError, match="already"):
        Repository.init(LocalBackend(location), PASSWORD)
    assert sorted(location.rglob("*")) == before


def backup_of(folder: Path, content: bytes) -> None:
    """Let restic write into a repository with a cheap key, which it would not make itself."""
    (folder / "file").write_bytes(content)
    Repository.init(LocalBackend(folder / "repository"), PASSWORD, scrypt_n=1024).close()
    StockRestic(folder / "repository", folder).run("backup", "--quiet", str(folder / "file"))


def harm(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    path.chmod(0o600)
    if how == "flip":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif how == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.unlink()


@pytest.mark.parametrize("how", ["flip", "cut", "missing"])
def test_damaged_packs_are_never_read_as_content(tmp_path: Path, how: str) -> None:
    backup_of(tmp_path, os.urandom(100_000))
    packs = [path for path in (tmp_path / "repository" / "data").rglob("*") if path.is_file()]
    data_pack = max(packs, key=lambda path: path.stat().st_size)
    harm(data_pack, how)
    with opened(LocalBackend(tmp_path / "repository"), PASSWORD) as repository:
        nodes = [node for _, node in walk(repository, repository.find_snapshot("latest").tree) if node.content]
        with pytest.raises(Damaged, match=data_pack.name[:8]):
            list(repository.iter_blobs(nodes[0].content or ()))


@pytest.mark.parametrize(("folder", "how"), [("index", "flip"), ("index", "cut"), ("snapshots", "flip")])
def test_damaged_files_are_told(tmp_path: Path, folder: str, how: str) -> None:
    backup_of(tmp_path, b"content")
    (path,) = (tmp_path / "repository" / folder).iterdir()
    harm(path, how)
    with (
        pytest.raises(Damaged, match=path.name[:8]),
        opened(LocalBackend(tmp_path / "repository"), PASSWORD) as repository,
    ):
        repository.snapshots()
