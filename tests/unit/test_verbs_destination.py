"""To whom files go on a computer, into which folders, and what happens to those who have no profile there yet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from configs.load import load_config
from inventory.load import load_inventory
from inventory.model import Host
from tasks.entries import Directory, FileEnd, Piece, Skipped, WalkRequest
from tasks.errors import FirstbellError, RestoreRefused
from tasks.remote.facts import Facts, Hello, UserProfile, WindowsFacts
from tasks.remote.filesystem import NewProfile, RemoteHost
from tasks.repository.blob import BlobType
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Node, Tree
from tasks.verbs.browse import list_folder
from tasks.verbs.context import Context
from tasks.verbs.destination import find_people, newer_paths, target_of
from tasks.verbs.early_link import EarlyLink
from tasks.verbs.maintain import init_repository
from tasks.verbs.orders import RestoreOrder, SavedHost, saved_host, wanted, whom
from tasks.verbs.pending import waiting
from tasks.verbs.people import Person
from tasks.verbs.restore import RestoreOutcome, _Restore
from tasks.verbs.site_repository import OpenRepository, open_repository
from tests.support.windows_sink import WindowsSink

HOME = b"/C/Users/a.ito"
NOW = datetime(2026, 11, 25, tzinfo=UTC)
SAVED = SavedHost(
    "windows",
    (
        Person("NORTH\\a.ito", HOME, folders={"desktop": HOME + b"/OneDrive/Desktop", "documents": b"/D/Homes/a.ito"}),
        Person("NORTH\\b", b"/C/Users/b", folders={"desktop": b"/C/Users/b/Desktop"}),
    ),
)


class Remote:
    """A computer in memory: who has a profile, and whose the host would make."""

    def __init__(self, *users: UserProfile, platform: str = "windows", may_make: Sequence[str] = ()) -> None:
        self.hello = Hello(platform, "PC", "", "svc", -1 if platform == "windows" else 0, 0, "1", 1)
        self.users = list(users)
        self.may_make = may_make
        self.files = WindowsSink({user.home.decode(): None for user in users})
        self.asked: list[str] = []

    def facts(self, users: Sequence[str] | None) -> Facts:
        return Facts(
            self.hello.platform, "", "PC", "", "", "", self.hello.uid, 0, tuple(self.users), (), WindowsFacts()
        )

    def make_profile(self, user: str) -> NewProfile:
        self.asked.append(user)
        if user not in self.may_make:
            return NewProfile(b"", reason="no-account", detail="no such account is known here")
        home = f"/C/Users/{user.rpartition(chr(92))[2]}"
        self.users.append(profile(user.rpartition("\\")[2], home.encode()))
        self.files.put(home, None)
        return NewProfile(home.encode(), made=True)

    def sink(self) -> WindowsSink:
        return self.files

    def source(self) -> Remote:
        return self

    def entries(self, request: WalkRequest) -> Iterator[Directory | Skipped]:
        """List the folders that a before-image wants; there are no files to replace in these tests."""
        parts = [path.split(b"/") for path in request.only or ()]
        listed = {b"/".join(one[:end]) for one in parts for end in range(2, len(one) + 1)}
        for folder in [b"/", *sorted(listed)]:
            inside = sorted(path for path in listed if (path.rpartition(b"/")[0] or b"/") == folder)
            yield Directory(folder, [Node(path.rpartition(b"/")[2], "dir", 0o40777) for path in inside])

    def read(self, paths: Sequence[bytes]) -> Iterator[Piece | FileEnd | Skipped]:
        return iter(())


def profile(name: str, home: bytes, **folders: bytes) -> UserProfile:
    return UserProfile(name, -1, -1, home, "", exists=True, folders=folders)


def host(platform: str = "windows") -> Host:
    return Host(name="pc", site="north", address="pc", platform=cast("Any", platform))


def snapshot(*paths: str) -> Snapshot:
    return Snapshot(
        time=NOW, tree=bytes(32), paths=paths or ("/C/Users/a.ito", "/C/Users/b"), hostname="old-pc", tags=()
    )


def found(order: RestoreOrder, remote: Remote, saved: SavedHost = SAVED) -> tuple[list[str], list[str]]:
    pairs, absent = find_people(
        order, host(remote.hello.platform), cast("RemoteHost", remote), whom(order, saved, snapshot()), saved
    )
    return [new.home.decode() for _, new in pairs], [one.name for one in absent]


def target(order: RestoreOrder, pairs: list[tuple[Person, Person]], **more: Any) -> dict[str, str]:
    fields = {"onto": "windows", "only_pairs": False, **more}
    paths = fields.pop("paths", ())
    got, _ = target_of(order, fields.pop("saved", SAVED), snapshot(*paths), pairs, **fields)
    return {old.decode(): new.decode() for old, new in got.items()}


def test_people_are_found_by_any_of_their_names_and_the_others_may_wait() -> None:
    remote = Remote(profile("a.ito", b"/C/Users/a.ito.NORTH"))
    assert found(RestoreOrder(), remote) == (["/C/Users/a.ito.NORTH"], ["NORTH\\b"])
    assert found(RestoreOrder(teacher="A.ITO"), remote) == (["/C/Users/a.ito.NORTH"], [])
    assert found(RestoreOrder(teacher="b", to_teacher="a.ito"), remote) == (["/C/Users/a.ito.NORTH"], [])
    with pytest.raises(RestoreRefused, match="has no files of c"):
        found(RestoreOrder(teacher="c"), remote)


def test_elsewhere_nobody_waits() -> None:
    remote = Remote(platform="linux")
    linux = SavedHost("linux", (Person("a.ito", b"/home/a.ito"),))
    assert found(RestoreOrder(), remote, linux) == (["/home/a.ito"], [])
    with pytest.raises(RestoreRefused, match=r"a.ito has no home on pc"):
        found(RestoreOrder(to_host="pc"), remote, linux)
    with pytest.raises(RestoreRefused, match="has no home on pc"):
        found(RestoreOrder(), remote)  # a Windows home is no place on Linux


def test_known_folders_by_person() -> None:
    old = SAVED.people[0]
    new = Person("a.ito", b"/C/Users/a.ito.NORTH", folders={"desktop": b"/C/Users/a.ito.NORTH/Bureaublad"})
    assert target(RestoreOrder(), [(old, new)], only_pairs=True) == {
        "/C/Users/a.ito": "/C/Users/a.ito.NORTH",
        "/C/Users/a.ito/OneDrive/Desktop": "/C/Users/a.ito.NORTH/Bureaublad",
        # The new profile does not say where its documents are: where they usually are, and not on the old disk.
        "/D/Homes/a.ito": "/C/Users/a.ito.NORTH/Documents",
    }


def test_a_folder_on_a_server_is_told_and_its_files_come_into_the_home() -> None:
    old = SAVED.people[1]
    new = Person("b", old.home, folders={"desktop": b"//server/homes/b/Desktop"})
    got, notes = target_of(RestoreOrder(), SAVED, snapshot(), [(old, new)], onto="windows", only_pairs=False)
    assert got == {}
    assert notes == ["desktop of b lies on a server there: its files come into the home instead"]


def test_in_place_when_all_is_as_it_was() -> None:
    pairs = [(old, replace(old, home=old.home.replace(b"Users", b"users"))) for old in SAVED.people[1:]]
    same = [(old, old) for old in SAVED.people]
    assert target(RestoreOrder(), same) == {}
    assert target(RestoreOrder(), pairs) != {}


def test_what_was_in_nobodys_home_goes_to_where_it_was() -> None:
    paths = ("/C/Users/a.ito", "/D/Homes/a.ito", "/D/Projects")
    pairs = [(SAVED.people[1], Person("b", b"/C/Users/b2"))]
    assert target(RestoreOrder(to_host="pc"), pairs, paths=paths)["/D/Projects"] == "/D/Projects"
    assert "/D/Homes/a.ito" not in target(RestoreOrder(to_host="pc"), pairs, paths=paths)
    assert "/D/Projects" not in target(RestoreOrder(to_host="pc", teacher="b"), pairs, paths=paths)


def test_from_windows_to_linux_only_homes_go() -> None:
    pairs = [(SAVED.people[1], Person("b", b"/home/b"))]
    paths = ("/C/Users/b", "/D/Projects")
    assert target(RestoreOrder(to_host="pc"), pairs, onto="linux", paths=paths) == {"/C/Users/b": "/home/b"}
    with pytest.raises(RestoreRefused, match="the snapshot is of a Windows computer"):
        target(RestoreOrder(), [], onto="linux")
    with pytest.raises(RestoreRefused, match="the snapshot is of a Linux or macOS computer"):
        target(RestoreOrder(), [], saved=SavedHost("linux"))
    assert target(RestoreOrder(into="/srv/x/"), [], onto="linux") == {"/": "/srv/x"}
    assert target(RestoreOrder(into="d:\\Restored\\"), []) == {"/": "/D/Restored"}


def test_orders_as_people_write_them_on_windows() -> None:
    chosen = SAVED.people[:1]
    order = RestoreOrder(what=("{desktop}\\Exams", "*.docx", "C:\\Users\\a.ito\\x"), overwrite_newer=("Desktop\\y",))
    assert wanted(order, chosen, snapshot(), everybody=False, windows=True) == (
        "/C/Users/a.ito/OneDrive/Desktop/Exams",
        "/C/Users/a.ito/**/*.docx",
        "/C/Users/a.ito/x",
    )
    assert newer_paths(order, [(chosen[0], chosen[0])], onto="windows") == (HOME + b"/Desktop/y",)
    # All of one teacher's files: also what was moved out of the home, where that was saved.
    moved = snapshot("/C/Users/a.ito", "/D/Homes/a.ito")
    assert wanted(RestoreOrder(), chosen, moved, everybody=False, windows=True) == ("/C/Users/a.ito", "/D/Homes/a.ito")
    assert wanted(RestoreOrder(), chosen, snapshot(), everybody=False, windows=True) == ("/C/Users/a.ito",)


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "secret enough")
    (tmp_path / "app.yaml").write_text(f"repository: {{location: '{tmp_path}/repository'}}\n")
    (tmp_path / "hosts.yaml").write_text("pc: {site: north, user: x, platform: windows}\n")
    made = Context(load_config(tmp_path / "app.yaml", {}), load_inventory(tmp_path, {}))
    init_repository(made, "north")
    return made


def save(repository: Repository) -> Snapshot:
    """Save one file on each of two desktops, and whose they are."""
    facts = {
        "platform": "windows",
        "people": [
            {"name": name, "full_name": "", "home": f"/C/Users/{name}", "folders": {}} for name in ("a.ito", "b")
        ],
    }

    def file(name: str, content: bytes) -> Node:
        blob = repository.save_blob(BlobType.DATA, content)
        return Node(name.encode(), "file", 0o100666, 100, 100, size=len(content), content=(blob.id,))

    def folder(name: str, *nodes: Node) -> Node:
        tree = repository.save_tree(Tree(list(nodes))).id
        return Node(name.encode(), "dir", 0o40777, 100, 100, subtree=tree)

    users = [folder(name, folder("Desktop", file("x.txt", name.encode()))) for name in ("a.ito", "b")]
    top = [folder(".firstbell", file("facts.json", json.dumps(facts).encode())), folder("C", folder("Users", *users))]
    tree = repository.save_tree(Tree(top)).id
    repository.flush()
    paths = ("/C/Users/a.ito", "/C/Users/b")
    return repository.save_snapshot(
        Snapshot(time=NOW, tree=tree, paths=paths, hostname="pc", tags=("firstbell", "state:complete"))
    )


def restore(
    context: Context, opened: OpenRepository, remote: Remote, order: RestoreOrder, *, prepare: bool = True
) -> RestoreOutcome:
    run = _Restore(
        context,
        order,
        opened,
        next(one for one in opened.repository.snapshots() if "before-restore" not in one.tags),
        context.host("pc"),
        cast("EarlyLink", _Link(remote)),
        lambda event: None,
    )
    return run.run(lambda plan: True, lambda names: prepare, lambda planned: True, NOW)


class _Link:
    """The link to the computer in memory."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def to(self, host: Host) -> RemoteHost:
        return cast("RemoteHost", self._remote)


def test_who_is_there_gets_their_files_and_the_others_wait(context: Context) -> None:
    remote = Remote(profile("b", b"/C/Users/b"), may_make=())
    with open_repository(context, "north") as opened:
        save(opened.repository)
        assert saved_host(opened.repository, opened.repository.snapshots()[0]).windows
        untouched = restore(context, opened, remote, RestoreOrder(host="pc", mode="apply"), prepare=False)
        assert untouched.absent == ("a.ito",)
        assert remote.asked == []
        outcome = restore(context, opened, remote, RestoreOrder(host="pc", mode="apply"))
    assert outcome.absent == ("a.ito",)
    assert not outcome.complete
    assert "a.ito has no profile on pc yet" in outcome.message
    assert "no such account is known here" in outcome.message
    assert remote.files.files() == {"/C/USERS/B/DESKTOP/X.TXT": b"b"}
    assert [(one.host, one.teacher) for one in waiting(context)] == [("pc", "a.ito")]


def test_a_profile_that_can_be_made_is_made_and_filled(context: Context) -> None:
    remote = Remote(may_make=("a.ito", "b"))
    with open_repository(context, "north") as opened:
        save(opened.repository)
        outcome = restore(context, opened, remote, RestoreOrder(host="pc", mode="apply"))
    assert (outcome.absent, outcome.complete, remote.asked) == ((), True, ["a.ito", "b"])
    assert set(remote.files.files()) == {"/C/USERS/A.ITO/DESKTOP/X.TXT", "/C/USERS/B/DESKTOP/X.TXT"}
    assert waiting(context) == []


class Closed(Remote):
    """A computer that lets nobody read what a restore would replace."""

    def entries(self, request: WalkRequest) -> Iterator[Directory | Skipped]:
        for path in request.only or ():
            yield Skipped(path, "denied")


def test_what_cannot_be_saved_first_is_told_without_its_name(context: Context) -> None:
    remote = Closed(profile("a.ito", b"/C/Users/a.ito"), profile("b", b"/C/Users/b"))
    remote.files.put("/C/Users/b/Desktop/x.txt", b"older", mtime_ns=0)
    with open_repository(context, "north") as opened:
        save(opened.repository)
        with pytest.raises(RestoreRefused) as caught:
            restore(context, opened, remote, RestoreOrder(host="pc", mode="apply"))
    text = str(caught.value) + caught.value.hint
    assert "that would be replaced could not be saved first (denied), so nothing was written" in text
    assert "Desktop" not in text
    assert "x.txt" not in text
    assert remote.files.files()["/C/USERS/B/DESKTOP/X.TXT"] == b"older"


def test_a_folder_is_listed_as_people_write_it_on_windows(context: Context) -> None:
    with open_repository(context, "north") as opened:
        saved = save(opened.repository)
        listed = list(list_folder(opened.repository, saved, b"/C/USERS/A.ITO/desktop", recursive=False))
        assert [one.path for one in listed] == [b"/C/Users/a.ito/Desktop/x.txt"]
        with pytest.raises(FirstbellError):
            list(list_folder(opened.repository, saved, b"/c/users", recursive=False))


def test_to_look_at_a_plan_makes_no_profile_and_notes_nothing(context: Context) -> None:
    remote = Remote(may_make=("a.ito", "b"))
    with open_repository(context, "north") as opened:
        save(opened.repository)
        outcome = restore(context, opened, remote, RestoreOrder(host="pc", mode="plan"))
    assert (outcome.plan, outcome.absent, remote.asked) == (None, ("a.ito", "b"), [])
    assert "so nothing can be planned for them" in outcome.message
    assert waiting(context) == []
