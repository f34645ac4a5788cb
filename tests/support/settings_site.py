"""A school whose computer has a real person with settings: the whole command line, the real helper and the real dconf.

As root the person is ``nobody``, who owns the home; otherwise whoever runs this.
"""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from tasks.repository.blob import BlobType
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Tree
from tasks.restorer.undo_document import BEFORE_RESTORE
from tasks.restorer.walk import INTERNAL, node_at
from tasks.verbs.site_repository import open_repository
from tests.support.gate_site import HOST, GateSite

WALLPAPER = "/org/gnome/desktop/background/picture-uri"
#: What the school adds to the catalog: kinds of items, without the programs that real ones need.
CATALOG = """\
catalog: 1
platform: linux
items:
- id: north-printer
  name: Printer of the room
  why: It prints.
  desktop: any
  capture:
  - {kind: command, argv: [cat, '{home}/.printer'], apply: [sh, -c, 'cat > "$HOME/.printer"']}
  restore: by-itself
  order: 900
  after: nothing
- id: north-timetable
  name: Timetable
  why: It is arranged.
  desktop: any
  capture:
  - {kind: files, paths: ['{config}/timetable.conf']}
  restore: by-itself
  after: sign-in
- id: north-keys
  name: Keys of the register
  why: They open it.
  desktop: any
  capture:
  - {kind: files, paths: ['{config}/register.secret']}
  restore: by-itself
  sensitive: true
- id: north-certificate
  name: Certificate of the register
  why: It signs you in.
  desktop: any
  capture:
  - {kind: presence, paths: ['{config}/register.pem']}
  restore: cannot
  because: It belongs to this installation.
  do_first: Ask the office for a new certificate.
"""


class SettingsSite(GateSite):
    """A school with one computer and one person; ``home`` is hers, and not in pytest's folder, which is closed."""

    def __init__(self, folder: Path, homes: Path, capture: Any) -> None:
        """Write it all below ``folder``, the homes below ``homes``."""
        super().__init__(folder, capture)
        self.homes = homes
        self.home = self.new_home("a.ito")
        (self.home / "Desktop").mkdir()
        (self.home / "Desktop" / "lesson.txt").write_text("lesson\n")
        (folder / "catalog.yaml").write_text(CATALOG)
        # Files of settings are not among the files that come back, so that settings have something to do.
        self.config["snapshot"] = {"include": ["{desktop}"]}
        self.config["settings"] = {"catalog": "catalog.yaml"}
        self.host["homes"] = {"a.ito": str(self.home)}
        self.write()

    def new_home(self, name: str) -> Path:
        """Make an empty home."""
        home = self.homes / name
        home.mkdir()
        self.own(home)
        return home

    def own(self, home: Path | None = None) -> None:
        """Give everything in a home to the person."""
        top = home or self.home
        if os.geteuid() == 0:
            found = pwd.getpwnam("nobody")
            for path in (top, *top.rglob("*")):
                os.chown(path, found.pw_uid, found.pw_gid, follow_symlinks=False)

    def put(self, name: str, content: str, home: Path | None = None) -> Path:
        """Write a file of the person."""
        path = (home or self.home) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        self.own(home)
        return path

    def dconf(self, *words: str, home: Path | None = None) -> str:
        """Run dconf as the person."""
        import subprocess

        environment = {"HOME": str(home or self.home), "PATH": os.environ["PATH"]}
        found = pwd.getpwnam("nobody")
        become = ["setpriv", f"--reuid={found.pw_uid}", f"--regid={found.pw_gid}", "--clear-groups"]
        argv = [*(become if os.geteuid() == 0 else []), "dbus-run-session", "--", "dconf", *words]
        return subprocess.run(argv, env=environment, check=True, capture_output=True, text=True, cwd="/").stdout.strip()

    def wipe(self) -> None:
        """Make a new and empty home, as a new image does."""
        # Made before the old one is gone, so that it cannot get its number.
        new = self.new_home("new")
        shutil.rmtree(self.home)
        new.rename(self.home)

    def settle(self) -> None:
        """Give the person a few settings."""
        self.dconf("write", WALLPAPER, f"'file://{self.home}/sea.jpg'")
        self.put(".config/timetable.conf", f"lessons={self.home}/Desktop\n")
        self.put(".printer", "Room 12")

    def text(self, name: str, home: Path | None = None) -> str | None:
        """Return the content of a file of the person, None when there is none."""
        path = (home or self.home) / name
        return path.read_text() if path.exists() else None

    def restore(self, *words: str, expect: int = 0) -> dict[str, Any]:
        """Restore and return what it said at last."""
        decided = () if "--plan" in words else ("--yes",)
        return self.last("restore", HOST, *decided, *words, expect=expect)

    def outcomes(self, *words: str, expect: int = 0) -> Mapping[str, list[str]]:
        """Return outcome -> ids of items, of the one person."""
        (one,) = self.restore(*words, expect=expect)["settings"]
        assert one["problem"] == "", one
        found: dict[str, list[str]] = one["outcomes"]
        return found

    def edit_host(self, **changes: Any) -> None:
        """Change the computer in the inventory."""
        self.host |= changes
        self.write()

    def add_host(self, name: str, **changes: Any) -> None:
        """Put another computer into the inventory, like the first one but for ``changes``."""
        path = self.folder / "inventory" / "hosts.yaml"
        known = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump({**known, name: {**self.host, **changes}}))

    @contextmanager
    def repository(self) -> Iterator[tuple[Repository, list[Snapshot]]]:
        """Open the repository."""
        with open_repository(self.context(), "north", host=HOST, lock=False) as opened:
            yield opened.repository, opened.snapshots()

    def documents(self) -> list[dict[str, bytes]]:
        """Return firstbell's documents of each snapshot, oldest first, by name."""
        found = []
        with self.repository() as (repository, snapshots):
            for snapshot in snapshots:
                folder = node_at(repository, snapshot, INTERNAL)
                assert folder is not None and folder.subtree is not None
                own = {
                    node.name.decode(): b"".join(repository.load_blob(BlobType.DATA, one) for one in node.content or ())
                    for node in repository.load_tree(folder.subtree).nodes
                }
                found.append(own)
        return found

    def damage(self, name: str, change: Callable[[bytes], bytes]) -> None:
        """Save the newest snapshot (no before-image) once more, with another text in one of firstbell's documents."""
        context = self.context()
        with open_repository(context, "north", host=HOST) as opened:
            repository = opened.repository
            newest = [one for one in opened.snapshots() if BEFORE_RESTORE not in one.tags][-1]
            root = repository.load_tree(newest.tree)
            own = next(node for node in root.nodes if node.name == INTERNAL.strip(b"/"))
            assert own.subtree is not None
            nodes = []
            for node in repository.load_tree(own.subtree).nodes:
                if node.name == name.encode():
                    data = change(b"".join(repository.load_blob(BlobType.DATA, one) for one in node.content or ()))
                    saved = repository.save_blob(BlobType.DATA, data)
                    nodes.append(replace(node, content=(saved.id,), size=len(data)))
                else:
                    nodes.append(node)
            inner = replace(own, subtree=repository.save_tree(Tree(nodes)).id)
            tree = repository.save_tree(Tree([inner if node is own else node for node in root.nodes])).id
            repository.flush()
            repository.save_snapshot(replace(newest, id=None, tree=tree, time=newest.time + timedelta(seconds=1)))


@contextmanager
def settings_site(folder: Path, capture: Any) -> Iterator[SettingsSite]:
    """Make a school with one person."""
    with tempfile.TemporaryDirectory(prefix="firstbell-school-") as homes:
        Path(homes).chmod(0o711)
        site = SettingsSite(folder, Path(homes), capture)
        site.init("secret enough")
        yield site
