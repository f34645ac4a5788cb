"""Import of spreadsheets that people really have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.yaml_file import parse_yaml
from inventory import csv_import
from inventory.csv_import import ImportReport, import_csv
from inventory.csv_rows import slug
from inventory.errors import InventoryError
from inventory.load import load_inventory
from inventory.yaml_edit import edit_entries

SHEET = """\
Computer,IP,Room,School,Teachers,OS,Asset
lab3-07,10.3.0.7,Lab 3,North School,"a.ito; m.okafor",Ubuntu 24.04,X1
lab3-08,10.3.0.8,Lab 3,North School,b.y,,X2
imac-1,,Library,South School,,macOS 14,X3
"""


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., ImportReport]:
    def take(text: str | bytes, *, write: bool = True, site: str | None = None) -> ImportReport:
        sheet = tmp_path / "computers.csv"
        sheet.write_bytes(text if isinstance(text, bytes) else text.encode())
        return import_csv(sheet, tmp_path / "inventory", write=write, site=site)

    return take


def refused(run: Callable[..., ImportReport], tmp_path: Path, text: str | bytes) -> str:
    before = {path: path.read_bytes() for path in (tmp_path / "inventory").rglob("*") if path.is_file()}
    with pytest.raises(InventoryError) as caught:
        run(text)
    assert caught.value.hint
    assert {path: path.read_bytes() for path in (tmp_path / "inventory").rglob("*") if path.is_file()} == before
    return str(caught.value).replace(str(tmp_path) + "/", "")


def test_first_import_shows_then_writes_then_has_nothing_to_do(
    run: Callable[..., ImportReport], tmp_path: Path
) -> None:
    preview = run(SHEET, write=False)
    assert not (tmp_path / "inventory").exists()
    assert (
        preview.text()
        == """\
added      lab3-07  groups [lab-3, north-school]; address 10.3.0.7; platform linux; teachers [a.ito, m.okafor]
added      lab3-08  groups [lab-3, north-school]; address 10.3.0.8; teachers [b.y]
added      imac-1  groups [library, south-school]; platform macos
new groups: lab-3, north-school, library, south-school
note: columns not used: Asset
note: defaults.yaml is new: check the account 'firstbell' that it names
3 added, 0 changed, 0 unchanged; nothing written
"""
    )
    done = run(SHEET)
    folder = tmp_path / "inventory"
    assert [path.name for path in done.written] == ["defaults.yaml", "groups.yaml", "hosts.yaml"]
    assert sorted(path.name for path in folder.iterdir()) == ["defaults.yaml", "groups.yaml", "hosts.yaml"]
    inventory = load_inventory(folder, {})
    host = inventory.host("lab3-07")
    assert (host.site, host.address, host.platform, host.teachers, host.user) == (
        "north-school",
        "10.3.0.7",
        "linux",
        ("a.ito", "m.okafor"),
        "firstbell",
    )
    assert inventory.groups["lab-3"] == "Lab 3"
    assert inventory.host("imac-1").address == "imac-1"
    again = run(SHEET)
    assert (again.count("unchanged"), again.written, again.groups_added) == (3, (), ())
    assert not list(folder.glob("*.bak"))


def test_merge_changes_only_what_the_sheet_says(run: Callable[..., ImportReport], tmp_path: Path) -> None:
    run(SHEET)
    folder = tmp_path / "inventory"
    hosts = folder / "hosts.yaml"
    hosts.write_text(
        """\
# our computers
lab3-07:
  # moved twice already
  groups: [science, lab-3, north-school]
  address: 10.3.0.7
  platform: linux
  teachers: [m.okafor, a.ito]
  port: 2222

# do not touch
lab3-08: {groups: [lab-3, north-school], address: 10.3.0.99, notes: "a: b"}
old-pc:
  site: north-school
  # no longer there
""",
        encoding="utf-8",
    )
    hosts.chmod(0o640)
    with (folder / "groups.yaml").open("a", encoding="utf-8") as groups:
        groups.write("science: {title: Science}\n")
    before = hosts.read_bytes()
    report = run(SHEET.replace("lab3-07,10.3.0.7,Lab 3", "LAB3-07,,Lab 4"))
    assert (
        report.text()
        == f"""\
changed    lab3-07  groups [science, lab-3, north-school] -> [lab-4, science, north-school]
changed    lab3-08  address 10.3.0.99 -> 10.3.0.8; teachers [b.y]
added      imac-1  groups [library, south-school]; platform macos
new groups: lab-4
note: columns not used: Asset
not in the sheet, kept as they are: 1 (old-pc)
1 added, 2 changed, 0 unchanged; written: {folder}/groups.yaml, {hosts}
"""
    )
    assert (
        hosts.read_text(encoding="utf-8")
        == """\
# our computers
lab3-07:
  groups: [lab-4, science, north-school]
  address: 10.3.0.7
  platform: linux
  teachers: [m.okafor, a.ito]
  port: 2222

# do not touch
lab3-08:
  groups: [lab-3, north-school]
  address: 10.3.0.8
  notes: 'a: b'
  teachers: [b.y]
old-pc:
  site: north-school
  # no longer there
imac-1:
  groups: [library, south-school]
  platform: macos
"""
    )
    assert (folder / "hosts.yaml.bak").read_bytes() == before
    assert hosts.stat().st_mode & 0o777 == 0o640
    assert load_inventory(folder, {}).host("lab3-07").groups == ("lab-4", "science", "north-school")


def test_a_host_is_changed_in_the_file_it_stands_in(run: Callable[..., ImportReport], tmp_path: Path) -> None:
    run("computer,school\na,North\n")
    folder = tmp_path / "inventory"
    (folder / "hosts").mkdir()
    (folder / "hosts" / "south.yaml").write_text("b: {site: north}\n", encoding="utf-8")
    report = run("computer,ip\nb,10.0.0.1\n")
    assert [path.name for path in report.written] == ["south.yaml"]
    assert load_inventory(folder, {}).host("b").address == "10.0.0.1"


def test_all_problems_at_once_and_nothing_is_changed(run: Callable[..., ImportReport], tmp_path: Path) -> None:
    run(SHEET)
    text = refused(
        run,
        tmp_path,
        """\
computer,ip,room,school,teacher,os
Lab 3 PC 7,10.0.0.1,,North,,
ok-1,10.0.0.1 / 24,Lab 3,North,,
ok-2,,***,North,Anna Ito,Plan 9
,10.0.0.4,,North,,
ok-3,10.0.0.5,Lab 3,North,,
OK-3,10.0.0.6,Lab 3,North,,
ok-4,,,North,,,,more
ok-5,,,,,
""",
    )
    assert (
        text
        == """\
computers.csv: 9 problems
  line 2: 'Lab 3 PC 7' cannot be a computer's name: only letters, digits, '.', '_' and '-'; for example 'Lab-3-PC-7'
  line 3: '10.0.0.1 / 24' is no address
  line 4: unknown operating system 'Plan 9'; write linux, macos, windows or nothing
  line 4: '***' has no letter or digit to name a room by
  line 4: 'Anna Ito' is no account name; write the name this teacher logs in with, for example 'a.ito'
  line 5: the computer's name is missing (address '10.0.0.4', site 'North')
  line 7: 'OK-3' stands in line 6 already, with another address: '10.0.0.5' there, '10.0.0.6' here
  line 8: more cells than the header has: 'more'
  line 9: 'ok-5' has no school"""
    )


def test_a_sheet_without_schools(run: Callable[..., ImportReport], tmp_path: Path) -> None:
    text = refused(run, tmp_path, "computer\na\nb\n")
    assert text == (
        "computers.csv: 1 problem\n  no row names a school; add a column 'school', or the line 'site: NAME' to "
        "defaults.yaml, or use --site"
    )
    run("computer\na\nb\n", site="north")
    inventory = load_inventory(tmp_path / "inventory", {})
    assert {host.site for host in inventory.hosts.values()} == {"north"}
    # a sheet may go on saying nothing about what is known already
    assert run("computer,ip\na,10.0.0.1\n").count("changed") == 1


def test_rows_of_one_computer_are_joined(run: Callable[..., ImportReport], tmp_path: Path) -> None:
    run("computer;school;teacher\na;North;t.one\na;;t.two\nA;North;t.one\n")
    assert load_inventory(tmp_path / "inventory", {}).host("a").teachers == ("t.one", "t.two")


@pytest.mark.parametrize("between", ["; ", ",", "/", "\n", " & ", " | "])
def test_several_teachers_in_one_cell(run: Callable[..., ImportReport], tmp_path: Path, between: str) -> None:
    run(f'computer,school,teachers\na,North,"t.one{between}t.two"\n')
    assert load_inventory(tmp_path / "inventory", {}).host("a").teachers == ("t.one", "t.two")


def test_what_is_guessed_is_told(run: Callable[..., ImportReport]) -> None:
    report = run('pc,school,login\na,North,"Ito, Anna"\nb,North,b.y@school.example\nc,North,\n')
    assert [note for note in report.notes if note.startswith("line")] == [
        "line 2: 'Ito, Anna' is read as two accounts; is it the name of one person?",
        "line 3: took the account 'b.y' from the address b.y@school.example",
    ]


def test_computers_that_cannot_be_saved_yet_are_left_out_and_told(run: Callable[..., ImportReport]) -> None:
    report = run("computer,school,os\na,N,Android 15\nb,N,ChromeOS\nc,N,iPadOS\nd,N,Debian GNU/Linux\ne,N,Darwin\n")
    assert [(one.line, one.name) for one in report.left_out] == [(2, "a"), (3, "b"), (4, "c")]
    assert [one.name for one in report.changes] == ["d", "e"]
    assert "left out   a  line 2: firstbell cannot snapshot Android 15 yet\n" in report.text()
    assert report.as_json()["left_out"][0] == {
        "line": 2,
        "host": "a",
        "reason": "firstbell cannot snapshot Android 15 yet",
    }


ACCENTS = "computer;school;room;notes\na;Çeşme Okulu;Büro;größer\n"


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (ACCENTS.encode(), ""),
        (b"\xef\xbb\xbf" + ACCENTS.encode(), ""),
        (ACCENTS.encode("utf-16"), ""),
        (b"\xfe\xff" + ACCENTS.encode("utf-16-be"), ""),
        (ACCENTS.encode("utf-16-le"), "read as UTF-16"),
        (ACCENTS.replace("ş", "s").encode("cp1252"), "not UTF-8: read as Windows-1252"),
        (b"sep=;\r\n" + ACCENTS.replace("\n", "\r\n").encode(), ""),
        (ACCENTS.replace(";", "\t").encode(), "separated by tabs"),
        (b"Computers 2026;;;\n;;;\n" + ACCENTS.encode(), ""),
        (ACCENTS.replace("computer", '"Computer-Name:"').replace(";a;", ';" a\xa0";').encode(), ""),
    ],
    ids=["utf-8", "bom", "utf-16", "utf-16-be", "utf-16-no-bom", "cp1252", "excel", "tabs", "title", "quoted"],
)
def test_encodings_and_delimiters(run: Callable[..., ImportReport], tmp_path: Path, data: bytes, note: str) -> None:
    report = run(data)
    assert note in "\n".join(report.notes)
    assert [one.name for one in report.changes] == ["a"]
    inventory = load_inventory(tmp_path / "inventory", {})
    assert inventory.host("a").site == "cesme-okulu"
    assert inventory.host("a").notes == "größer"
    assert inventory.groups["buero"] == "Büro"


def test_lines_are_counted_as_an_editor_counts_them(run: Callable[..., ImportReport], tmp_path: Path) -> None:
    text = refused(run, tmp_path, 'computer,school,teachers\na,N,"x\ny\nz"\n\nb c,N,\n')
    assert "line 6: 'b c' cannot be" in text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"PK\x03\x04xl/workbook.xml", "computers.csv is a workbook, not a CSV file"),
        (b"", "computers.csv has no column with the computers' names; it is empty"),
        (b"a,b\n1,2\n", "computers.csv has no column with the computers' names; its first row is: a, b"),
        (b"computer\n\x81\xff\n", "computers.csv, line 2: the encoding of this text is unknown"),
    ],
)
def test_no_sheet_at_all(run: Callable[..., ImportReport], tmp_path: Path, data: bytes, expected: str) -> None:
    assert refused(run, tmp_path, data) == expected


def test_a_quotation_mark_that_is_never_closed(run: Callable[..., ImportReport], tmp_path: Path) -> None:
    text = refused(run, tmp_path, 'computer,school\na,N\n"b,N\nc,N\n')
    assert "line 3: a quotation mark is opened here and never closed" in text


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="cannot be read: No such file"):
        import_csv(tmp_path / "no.csv", tmp_path, write=False)


def test_a_wrong_inventory_is_told_before_anything(run: Callable[..., ImportReport], tmp_path: Path) -> None:
    run(SHEET)
    (tmp_path / "inventory" / "hosts.yaml").write_text("a: {gruops: [x]}\n", encoding="utf-8")
    assert "unknown key. Did you mean 'groups'?" in refused(run, tmp_path, SHEET)


def test_an_import_that_would_make_the_inventory_wrong(run: Callable[..., ImportReport], tmp_path: Path) -> None:
    folder = tmp_path / "inventory"
    folder.mkdir()
    (folder / "defaults.yaml").write_text("become: sudo\n", encoding="utf-8")
    assert refused(run, tmp_path, "computer,school\na,North\n") == (
        "inventory after this import: 1 problem\n  hosts.yaml, line 1, at 'a': this host has no user to log in with; "
        "set 'user' here, in a group of it or in defaults.yaml"
    )


def test_rooms_of_one_name_and_rooms_named_like_schools(run: Callable[..., ImportReport], tmp_path: Path) -> None:
    report = run("computer,school,room\na,North,Lab 1\nb,South,Lab 1\nc,South,South\n")
    assert "group 'lab-1' holds rooms of north, south; select with --site as well" in report.notes
    assert load_inventory(tmp_path / "inventory", {}).host("c").groups == ("south-room", "south")


def test_a_group_of_that_name_that_is_no_school(run: Callable[..., ImportReport], tmp_path: Path) -> None:
    run("computer,school\na,North\n")
    folder = tmp_path / "inventory"
    (folder / "groups.yaml").write_text("north: {site: elsewhere}\n", encoding="utf-8")
    report = run("computer,school\nb,North\n")
    assert report.count("added") == 1
    assert load_inventory(folder, {}).host("b").site == "north"


def test_a_write_that_fails_leaves_the_files(
    run: Callable[..., ImportReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(SHEET)
    hosts = tmp_path / "inventory" / "hosts.yaml"
    before = hosts.read_bytes()

    def full(_path: Path, _text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(csv_import, "replace_file", full)
    assert "cannot be written: No space left on device" in refused(run, tmp_path, SHEET.replace("b.y", "b.z"))
    assert hosts.read_bytes() == before


# Editing YAML in place

words = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"]), max_size=12)
entries = st.dictionaries(st.sampled_from(["address", "notes", "x"]), st.one_of(words, st.lists(words, max_size=3)))
files = st.dictionaries(st.from_regex(r"[a-z0-9][a-z0-9.-]{0,6}", fullmatch=True), entries, max_size=6)


@settings(max_examples=150, deadline=None)
@given(files, files, st.sampled_from(["", "# note\n", "\n", "  # deeper\n"]))
def test_editing_changes_the_entries_named_and_no_other(before: dict, changes: dict, comment: str) -> None:
    text = "".join(comment + edit_entries("", {name: entry}) for name, entry in before.items()) + comment
    edited = edit_entries(text, changes)
    found = parse_yaml(edited.encode())
    assert not found.problems
    wanted = {**before, **changes}
    assert {name: entry or {} for name, entry in (found.content or {}).items()} == wanted
    untouched = [name for name in before if name not in changes]
    if comment.startswith("#") and untouched:
        assert comment in edited


def test_a_file_that_cannot_be_edited_in_place_is_written_anew() -> None:
    text = "{a: &one {port: 22}, b: *one}\n"
    assert edit_entries(text, {"a": {"port": "2222"}}) == "a:\n  port: 2222\nb:\n  port: 22\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Lab 3", "lab-3"), ("Größe & Maß", "groesse-mass"), ("Éducation", "education"), ("--", ""), ("A.B", "a-b")],
)
def test_names_of_groups(text: str, expected: str) -> None:
    assert slug(text) == expected
