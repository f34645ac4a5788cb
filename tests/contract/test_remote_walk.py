"""What a walk over a real host tells: every name, every kind, every rule, and what cannot be read."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.entries import Directory, Rule, Skipped, WalkRequest
from tasks.errors import HelperFailed
from tasks.remote.filesystem import RemoteHost
from tasks.repository.tree import Node
from tests.support.helper_host import (
    NOBODY,
    can_be_nobody,
    helper_host,
    interpreters,
    make_deep,
    remove_deep,
    walk,
)

AWKWARD = (
    b"plain",
    b"new\nline",
    b'double"quote',
    b"single'quote",
    b"back\\slash",
    b"trailing space ",
    b" leading",
    b"-dash",
    b"\xf0\x9f\x8e\x92 emoji",
    b"caf\xc3\xa9",
    b"cafe\xcc\x81",
    b"invalid \xff\xfe utf-8",
    b"\x01control\x1f",
    b"#hash % ? * [x] {y}",
    b"n" * 255,
)


@pytest.fixture(scope="module", params=interpreters(), ids=lambda path: path.parent.parent.name)
def host(request: pytest.FixtureRequest) -> Iterator[RemoteHost]:
    with helper_host(request.param) as host:
        yield host


@pytest.fixture
def root(tmp_path: Path) -> bytes:
    return os.fsencode(tmp_path)


def write(path: bytes, content: bytes = b"x") -> None:
    with open(path, "wb") as file:
        file.write(content)


def nodes(directory: Directory) -> dict[bytes, Node]:
    return {node.name: node for node in directory.children}


def test_the_folders_above_a_root_show_only_the_way(host: RemoteHost, root: bytes) -> None:
    write(root + b"/file")
    folders, skips = walk(host.source(), WalkRequest((root,)))
    assert skips == []
    parts = root.split(b"/")[1:]
    for depth, part in enumerate(parts):
        path = b"/" + b"/".join(parts[:depth])
        assert [node.name for node in folders[path].children] == [part]
        assert folders[path].children[0].type == "dir"
    assert next(iter(folders)) == b"/"
    assert [node.name for node in folders[root].children] == [b"file"]


def test_awkward_names_and_their_order(host: RemoteHost, root: bytes) -> None:
    for name in AWKWARD:
        write(root + b"/" + name, name)
        os.mkdir(root + b"/d " + name[:253])
    folders, skips = walk(host.source(), WalkRequest((root,)))
    assert skips == []
    names = [node.name for node in folders[root].children]
    assert names == sorted([*AWKWARD, *(b"d " + name[:253] for name in AWKWARD)])
    assert {root + b"/d " + name[:253] for name in AWKWARD} <= set(folders)


def test_a_row_says_what_lstat_says(host: RemoteHost, root: bytes) -> None:
    path = root + b"/file"
    write(path, b"12345")
    os.chmod(path, 0o4751)
    os.link(path, root + b"/hard")
    os.utime(path, ns=(1, -1_234_567_891))
    os.symlink(b"no\xffwhere", root + b"/link")
    os.mkfifo(root + b"/fifo")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(root)
        server.bind("socket")
        os.chdir(here)
    folders, _ = walk(host.source(), WalkRequest((root,)))
    found = nodes(folders[root])
    for name, node in found.items():
        entry = os.lstat(root + b"/" + name)
        assert (node.mode, node.uid, node.gid) == (entry.st_mode, entry.st_uid, entry.st_gid)
        assert (node.mtime_ns, node.ctime_ns) == (entry.st_mtime_ns, entry.st_ctime_ns)
        assert (node.inode, node.device_id, node.links) == (entry.st_ino, entry.st_dev, entry.st_nlink)
        assert node.size == (entry.st_size if node.type == "file" else 0)
        assert node.user == "root" or os.geteuid() != 0
    assert {name: node.type for name, node in found.items()} == {
        b"file": "file",
        b"hard": "file",
        b"link": "symlink",
        b"fifo": "fifo",
        b"socket": "socket",
    }
    assert found[b"link"].linktarget == b"no\xffwhere"
    assert found[b"file"].links == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_devices_have_their_number(host: RemoteHost, root: bytes) -> None:
    os.mknod(root + b"/null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    folders, _ = walk(host.source(), WalkRequest((root,)))
    assert (folders[root].children[0].type, folders[root].children[0].device) == ("chardev", os.makedev(1, 3))


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="os.setxattr is Linux only")
def test_extended_attributes(host: RemoteHost, root: bytes) -> None:
    write(root + b"/file")
    os.mkdir(root + b"/dir")
    os.setxattr(root + b"/file", "user.one", b"\0\xff")
    os.setxattr(root + b"/file", "user.empty", b"")
    os.setxattr(root + b"/dir", "user.two", b"2")
    folders, skips = walk(host.source(), WalkRequest((root,)))
    found = nodes(folders[root])
    assert dict(found[b"file"].xattrs) == {"user.one": b"\0\xff", "user.empty": b""}
    assert found[b"dir"].xattrs == (("user.two", b"2"),)
    assert skips == []


def test_a_path_of_more_than_4000_characters(host: RemoteHost, root: bytes) -> None:
    path = make_deep(root, 40)
    try:
        folders, skips = walk(host.source(), WalkRequest((root,)))
        assert skips == []
        assert len(path) > 8000
        assert [node.name for node in folders[os.path.dirname(path)].children] == [b"file", b"link"]
        found = nodes(folders[os.path.dirname(path)])
        assert found[b"link"].linktarget == b"file"
        if hasattr(os, "setxattr"):
            assert found[b"file"].xattrs == (("user.deep", b"1"),)
    finally:
        remove_deep(root)


def test_a_path_of_2000_levels(host: RemoteHost, root: bytes) -> None:
    path = make_deep(root, 1300, b"d")
    try:
        folders, skips = walk(host.source(), WalkRequest((root,)))
        assert skips == []
        assert os.path.dirname(path) in folders
    finally:
        fd = os.open(root, os.O_RDONLY)
        os.rename(b"d", b"gone", src_dir_fd=fd, dst_dir_fd=fd)
        os.close(fd)
        os.system("rm -rf " + os.fsdecode(root) + "/gone")


def test_symlinks_are_not_followed(host: RemoteHost, root: bytes) -> None:
    os.mkdir(root + b"/dir")
    os.symlink(root, root + b"/dir/up")
    os.symlink(b"self", root + b"/self")
    os.symlink(b"/etc", root + b"/etc")
    folders, skips = walk(host.source(), WalkRequest((root,)))
    assert skips == []
    assert {path for path in folders if path.startswith(root)} == {root, root + b"/dir"}
    assert nodes(folders[root])[b"self"].linktarget == b"self"


def test_a_root_behind_a_symlink_is_told_and_walked(host: RemoteHost, root: bytes) -> None:
    os.makedirs(root + b"/data/home/inner")
    write(root + b"/data/home/file")
    os.symlink(b"data", root + b"/alias")
    folders, skips = walk(host.source(), WalkRequest((root + b"/alias/home",)))
    assert skips == []
    assert [node.name for node in folders[root].children] == [b"alias", b"data"]
    assert [node.name for node in folders[root + b"/data/home"].children] == [b"file", b"inner"]
    assert root + b"/alias" not in folders


def test_roots_that_lead_nowhere(host: RemoteHost, root: bytes) -> None:
    os.symlink(b"b", root + b"/a")
    os.symlink(b"a", root + b"/b")
    write(root + b"/file")
    asked = (root + b"/a/x", root + b"/missing/deep", root + b"/file/below", root + b"/file")
    folders, skips = walk(host.source(), WalkRequest(asked))
    assert {(skip.path, skip.reason) for skip in skips} == {
        (asked[0], "loop"),
        (asked[1], "vanished"),
        (asked[2], "vanished"),
    }
    assert [node.name for node in folders[root].children] == [b"a", b"file"]


def test_roots_inside_roots_come_once(host: RemoteHost, root: bytes) -> None:
    os.makedirs(root + b"/a/b/c")
    write(root + b"/a/b/c/file")
    folders, skips = walk(host.source(), WalkRequest((root + b"/a/b", root, root + b"/a/b/c")))
    assert skips == []
    assert [node.name for node in folders[root + b"/a/b/c"].children] == [b"file"]


def test_rules(host: RemoteHost, root: bytes) -> None:
    for name in (b"node_modules/x", b"keep/node_modules", b"cached", b"kept", b"Upper"):
        os.makedirs(root + b"/" + name)
    write(root + b"/cached/CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55\nmore")
    write(root + b"/kept/CACHEDIR.TAG", b"Signature: something else entirely, of the same length ...")
    write(root + b"/keep/node_modules/file")
    write(root + b"/big.iso", b"x" * 2000)
    write(root + b"/small.iso", b"x" * 1999)
    write(root + b"/a.tmp")
    write(root + b"/b\n.tmp")
    os.mkdir(root + b"/dir.tmp")
    write(root + b"/upper")
    rules = (
        Rule("nm", "", r"[\s\S]*/node_modules", dirs_only=True),
        Rule("iso", "", r".*\.iso", min_size=2000),
        Rule("tmp", "", r"(?:.*/)?[^/]*\.tmp"),
        Rule("case", "", r"(?i:.*/UPPER)", dirs_only=True),
        Rule("tag", "", tag="CACHEDIR.TAG"),
    )
    folders, skips = walk(host.source(), WalkRequest((root,), rules))
    assert {(skip.path[len(root) + 1 :], skip.reason, skip.rule) for skip in skips} == {
        (b"node_modules", "excluded", "nm"),
        (b"keep/node_modules", "excluded", "nm"),
        (b"big.iso", "too-large", "iso"),
        (b"a.tmp", "excluded", "tmp"),
        (b"b\n.tmp", "excluded", "tmp"),
        (b"dir.tmp", "excluded", "tmp"),
        (b"Upper", "excluded", "case"),
        (b"cached", "excluded", "tag"),
    }
    assert [node.name for node in folders[root].children] == [b"keep", b"kept", b"small.iso", b"upper"]
    assert [node.name for node in folders[root + b"/keep"].children] == []


def test_rules_do_not_hide_roots_that_lie_in_what_they_exclude(host: RemoteHost, root: bytes) -> None:
    os.makedirs(root + b"/.cache/wanted/deep")
    os.makedirs(root + b"/.cache/other")
    rules = (Rule("cache", "", r".*/\.cache", dirs_only=True),)
    folders, skips = walk(host.source(), WalkRequest((root, root + b"/.cache/wanted"), rules))
    assert [(skip.path, skip.rule) for skip in skips] == [(root + b"/.cache", "cache")]
    assert [node.name for node in folders[root + b"/.cache"].children] == [b"wanted"]
    assert [node.name for node in folders[root + b"/.cache/wanted"].children] == [b"deep"]


def test_a_rule_that_is_no_regex_is_refused(host: RemoteHost, root: bytes) -> None:
    with pytest.raises(HelperFailed, match="bad-rule"):
        walk(host.source(), WalkRequest((root,), (Rule("bad", "", "("),)))
    assert walk(host.source(), WalkRequest((root,)))[1] == []


def test_only_some_paths(host: RemoteHost, root: bytes) -> None:
    os.makedirs(root + b"/a/b")
    for name in (b"a/one", b"a/two", b"a/b/three"):
        write(root + b"/" + name)
    os.symlink(b"a", root + b"/link")
    only = (root + b"/a/one", root + b"/a/b", root + b"/gone/deep", root + b"/link/one")
    folders, skips = walk(host.source(), WalkRequest((root,), (), only))
    assert [node.name for node in folders[root].children] == [b"a", b"link"]
    assert [node.name for node in folders[root + b"/a"].children] == [b"b", b"one"]
    assert folders[root + b"/a/b"].children == []
    assert {(skip.path, skip.reason) for skip in skips} == {
        (root + b"/gone/deep", "vanished"),
        (root + b"/link/one", "vanished"),
    }


def test_many_paths_go_in_several_frames(host: RemoteHost, root: bytes) -> None:
    names = [b"%05d" % number + b"n" * 100 for number in range(6000)]
    write(root + b"/" + names[5999])
    folders, skips = walk(host.source(), WalkRequest((), (), tuple(root + b"/" + name for name in names)))
    assert [node.name for node in folders[root].children] == [names[5999]]
    assert len(skips) == 5999


def test_a_large_folder_comes_in_pages_as_one(host: RemoteHost, root: bytes) -> None:
    names = sorted(b"%04d" % number + b"n" * 200 for number in range(3000))
    for name in names:
        os.close(os.open(root + b"/" + name, os.O_CREAT))
    source = host.source()
    first = source.entries(WalkRequest((root,)))
    next(first)
    # A second walk while the first is under way, and reads in between.
    folders, skips = walk(source, WalkRequest((root,)))
    assert [node.name for node in folders[root].children] == names
    assert skips == []
    rest = [item for item in first if isinstance(item, Directory) and item.path == root]
    assert [node.name for node in rest[0].children] == names


def test_a_walk_that_is_given_up_disturbs_nobody(host: RemoteHost, root: bytes) -> None:
    for number in range(300):
        os.makedirs(root + b"/%03d/inner" % number)
    source = host.source()
    for _ in range(3):
        walking = source.entries(WalkRequest((root,)))
        next(walking)
        walking.close()
    folders, _ = walk(source, WalkRequest((root,)))
    assert len([path for path in folders if path.startswith(root)]) == 601


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="needs /proc")
def test_virtual_file_systems_are_not_entered(host: RemoteHost) -> None:
    folders, skips = walk(host.source(), WalkRequest((b"/proc", b"/sys/kernel")))
    assert {(skip.path, skip.rule) for skip in skips} == {
        (b"/proc", "virtual-filesystem"),
        (b"/sys/kernel", "virtual-filesystem"),
    }
    assert all(not path.startswith((b"/proc", b"/sys/kernel")) for path in folders)


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/proc/mounts").exists(), reason="only root mounts")
def test_other_file_systems_are_left_out_unless_asked(host: RemoteHost, root: bytes) -> None:
    os.makedirs(root + b"/home/disk")
    path = os.fsdecode(root + b"/home/disk")
    if os.system(f"mount -t tmpfs none '{path}' 2>/dev/null") != 0:
        pytest.skip("mounting is not permitted here")
    try:
        write(root + b"/home/disk/file")
        with helper_host() as fresh:
            folders, skips = walk(fresh.source(), WalkRequest((root,)))
            assert [(skip.path, skip.reason, skip.rule) for skip in skips] == [
                (root + b"/home/disk", "excluded", "other-filesystem")
            ]
            assert folders[root + b"/home"].children == []
            folders, skips = walk(fresh.source(), WalkRequest((root, root + b"/home/disk")))
            assert skips == []
            assert [node.name for node in folders[root + b"/home/disk"].children] == [b"file"]
    finally:
        os.system(f"umount '{path}'")


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/proc/mounts").exists(), reason="only root mounts")
def test_a_folder_that_contains_itself(host: RemoteHost, root: bytes) -> None:
    os.makedirs(root + b"/home/inner/again")
    path = os.fsdecode(root)
    if os.system(f"mount --bind '{path}/home' '{path}/home/inner/again' 2>/dev/null") != 0:
        pytest.skip("mounting is not permitted here")
    try:
        folders, skips = walk(host.source(), WalkRequest((root,)))
        assert [(skip.path, skip.reason) for skip in skips] == [(root + b"/home/inner/again", "loop")]
        assert root + b"/home/inner/again/inner" not in folders
    finally:
        os.system(f"umount '{path}/home/inner/again'")


@pytest.mark.skipif(not can_be_nobody(), reason="needs setpriv")
def test_what_may_not_be_read_is_told() -> None:
    base = tempfile.mkdtemp().encode()
    try:
        os.chmod(base, 0o755)
        for name in (b"closed", b"listed", b"open"):
            os.mkdir(base + b"/" + name)
            write(base + b"/" + name + b"/file")
        write(base + b"/secret")
        os.chmod(base + b"/secret", 0)
        os.chmod(base + b"/closed", 0o700 if os.geteuid() == 0 else 0)
        os.chmod(base + b"/listed", 0o744 if os.geteuid() == 0 else 0o444)
        with helper_host(uid=NOBODY) as host:
            assert host.hello.uid != 0
            asked = (base, base + b"/closed/file/deep")
            folders, skips = walk(host.source(), WalkRequest(asked))
            assert base + b"/closed" not in folders
            assert {(skip.path, skip.reason) for skip in skips} == {
                (base + b"/closed", "denied"),
                (base + b"/closed/file/deep", "denied"),
                (base + b"/listed/file", "denied"),
            }
            assert [node.name for node in folders[base].children] == [b"closed", b"listed", b"open", b"secret"]
            assert folders[base + b"/listed"].children == []
            (read,) = list(host.source().read([base + b"/secret"]))
            assert isinstance(read, Skipped)
            assert read.reason == "denied"
    finally:
        for name in (b"closed", b"listed"):
            os.chmod(base + b"/" + name, 0o755)
        shutil.rmtree(base)
