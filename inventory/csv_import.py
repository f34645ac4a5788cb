"""Taking a spreadsheet over into the inventory: first what would change, then, if asked, the change.

Hosts that the sheet does not name stay as they are. Of those it names, only what the sheet says is changed; an empty
cell says nothing. School and room become groups.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from configs.values import text_of
from inventory.csv_rows import LeftOut, Sheet, SheetHost, read_sheet, rooms_in_several_sites, slug
from inventory.csv_table import read_table
from inventory.errors import InventoryError
from inventory.files import host_files
from inventory.load import load_inventory
from inventory.write import Entries, read_entries, replace_file
from inventory.yaml_edit import edit_entries

_STARTER = """\
# What holds for every host, unless a group or the host itself says otherwise.

# The account that firstbell logs in with, and sudo so that it may read every teacher's files.
user: firstbell
become: sudo
"""
_STARTER_WINRM = """
# How it logs in to Windows computers. The reference says where the password stands, here a variable of the environment.
winrm:
  auth: ntlm
  password: env:FIRSTBELL_WINRM_PASSWORD
"""


@dataclass(frozen=True, slots=True)
class Change:
    """What the import means for one host; ``details`` says for each changed key what it was and what it becomes."""

    name: str
    action: Literal["added", "changed", "unchanged"]
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import changes, or has changed if ``written`` names files."""

    changes: tuple[Change, ...]
    groups_added: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    #: Hosts of the inventory that the sheet does not name; they stay.
    not_in_sheet: tuple[str, ...]
    notes: tuple[str, ...]
    written: tuple[Path, ...] = ()

    def count(self, action: Literal["added", "changed", "unchanged"]) -> int:
        """Return how many hosts have that action."""
        return sum(change.action == action for change in self.changes)

    def text(self) -> str:
        """Return the report for a person, ending in a line break."""
        return "".join(f"{line}\n" for line in self._lines())

    def as_json(self) -> dict[str, Any]:
        """Return the report for a program."""
        return {
            "changes": [{"host": one.name, "action": one.action, "details": list(one.details)} for one in self.changes],
            "groups_added": list(self.groups_added),
            "left_out": [{"line": one.line, "host": one.name, "reason": one.reason} for one in self.left_out],
            "not_in_sheet": list(self.not_in_sheet),
            "notes": list(self.notes),
            "written": [str(file) for file in self.written],
        }

    def _lines(self) -> list[str]:
        found = [
            f"{one.action:<9}  {one.name}" + (f"  {'; '.join(one.details)}" if one.details else "")
            for one in self.changes
            if one.action != "unchanged"
        ]
        found += [f"left out   {one.name}  line {one.line}: {one.reason}" for one in self.left_out]
        if self.groups_added:
            found.append("new groups: " + ", ".join(self.groups_added))
        found += [f"note: {note}" for note in self.notes]
        if self.not_in_sheet:
            shown = ", ".join(self.not_in_sheet[:5]) + (", ..." if len(self.not_in_sheet) > 5 else "")
            found.append(f"not in the sheet, kept as they are: {len(self.not_in_sheet)} ({shown})")
        counts = f"{self.count('added')} added, {self.count('changed')} changed, {self.count('unchanged')} unchanged"
        done = "written: " + ", ".join(map(str, self.written)) if self.written else "nothing written"
        return [*found, f"{counts}; {done}"]


@dataclass
class _Plan:
    """The inventory's raw entries, by file, with the sheet merged in."""

    entries: Entries
    changed: dict[Path, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)


def import_csv(path: Path, folder: Path, *, write: bool, site: str | None = None) -> ImportReport:
    """Return what the sheet changes in the inventory in ``folder``; with ``write``, change it.

    ``site`` is the school of rows that name none. A file that is replaced is kept beside the new one as ``.bak``.

    Raises:
        InventoryError: rows that cannot be taken over (all of them are told, by line), no column for the names, or
            an inventory that is wrong already or would be afterwards.
    """
    sheet = read_sheet(read_table(path))
    folder_is_new = not (folder.is_dir() and host_files(folder))
    if not folder_is_new:
        load_inventory(folder)
    plan = _Plan(read_entries(folder))
    _check_sites(sheet, plan.entries, site)
    if sheet.problems:
        count = "1 problem" if len(sheet.problems) == 1 else f"{len(sheet.problems)} problems"
        raise InventoryError(
            "\n  ".join([f"{path}: {count}", *sorted(sheet.problems, key=_line_of)]),
            hint="Correct these rows in the sheet and save it again; nothing was changed.",
        )
    changes = tuple(_merge(host, plan, folder, site) for host in sheet.hosts.values())
    for room, sites in rooms_in_several_sites(sheet.hosts.values()).items():
        sheet.notes.append(f"group '{room}' holds rooms of {', '.join(sites)}; select with --site as well")
    texts = _texts(plan, folder)
    over_winrm = any(one.get("transport") == "winrm" for file in plan.changed.values() for one in file.values())
    if texts and not plan.entries.has_defaults:
        texts = {folder / "defaults.yaml": _STARTER + (_STARTER_WINRM if over_winrm else ""), **texts}
        sheet.notes.append("defaults.yaml is new: check the account 'firstbell' that it names")
        if over_winrm:
            sheet.notes.append("and where it says that the password for Windows computers stands")
    elif over_winrm and not plan.entries.mentions("winrm"):
        raise InventoryError(
            "the sheet has Windows computers, and the inventory does not say how to log in to them",
            hint="Add to defaults.yaml a section 'winrm:' with 'password'; docs/configuration.md shows all its keys.",
        )
    _check_result(texts, folder)
    if write:
        _write(texts)
    named = {host.name.casefold() for host in sheet.hosts.values()}
    return ImportReport(
        changes=changes,
        groups_added=tuple(plan.groups),
        left_out=tuple(sheet.left_out),
        not_in_sheet=tuple(name for name in plan.entries.hosts if name.casefold() not in named),
        notes=tuple(sheet.notes),
        written=tuple(texts) if write else (),
    )


def _write(texts: Mapping[Path, str]) -> None:
    for file, text in texts.items():
        try:
            replace_file(file, text)
        except OSError as error:
            raise InventoryError(
                f"{file} cannot be written: {error.strerror}", hint="Check that this account may write into the folder."
            ) from None


def _check_sites(sheet: Sheet, entries: Entries, site: str | None) -> None:
    if site or entries.default_site:
        return
    without = [host for key, host in sheet.hosts.items() if not host.site and not entries.site_of(key)]
    if without and len(without) == len(sheet.hosts):
        sheet.problems.append(
            "no row names a school; add a column 'school', or the line 'site: NAME' to defaults.yaml, or use --site"
        )
    else:
        sheet.problems += [f"line {host.line}: '{host.name}' has no school" for host in without]


def _line_of(problem: str) -> int:
    number = problem.removeprefix("line ").partition(":")[0]
    return int(number) if number.isdigit() else 0


def _merge(host: SheetHost, plan: _Plan, folder: Path, site: str | None) -> Change:
    name = plan.entries.spelled.get(host.name.casefold(), host.name)
    file, before = plan.entries.hosts.get(name, (folder / "hosts.yaml", None))
    after = dict(before or {})
    known_site = plan.entries.site_of(name.casefold()) or plan.entries.default_site
    own_site = slug(host.site) if host.site else (site if site and not known_site else "")
    groups = list(after.get("groups") or ())
    if host.room:
        _set_group(groups, "room", _room_group(host, plan), plan, {"title": host.room, "kind": "room"}, first=True)
    if own_site:
        entry = {"title": host.site or own_site, "kind": "school", "site": own_site}
        _set_group(groups, "school", own_site, plan, entry, first=False)
        if plan.entries.group(own_site, plan.groups).get("site") != own_site or after.get("site"):
            after["site"] = own_site
    if groups:
        after["groups"] = groups
    for key in ("address", "platform", "transport", "port", "mac", "serial", "notes"):
        if getattr(host, key):
            after[key] = getattr(host, key)
    if host.platform == "windows" and not host.transport and not plan.entries.says("transport", name.casefold()):
        after["transport"] = "winrm"
    if host.teachers and set(host.teachers) != set(after.get("teachers") or ()):
        after["teachers"] = host.teachers
    if before is not None and after == before:
        return Change(name, "unchanged")
    plan.changed.setdefault(file, {})[name] = after
    return Change(name, "added" if before is None else "changed", tuple(_details(before, after)))


def _room_group(host: SheetHost, plan: _Plan) -> str:
    room = slug(host.room)
    taken = plan.entries.group(room, plan.groups).get("kind") == "school" or room == slug(host.site)
    return f"{room}-room" if taken else room


def _set_group(groups: list[str], kind: str, name: str, plan: _Plan, entry: dict[str, Any], *, first: bool) -> None:
    """Put a host into a group of a kind, and out of the others of that kind: it stands in one room only."""
    if not plan.entries.group(name, plan.groups):
        plan.groups[name] = entry
    others = [one for one in groups if one != name and plan.entries.group(one, plan.groups).get("kind") == kind]
    for one in others:
        groups.remove(one)
    if name not in groups:
        groups.insert(0 if first else len(groups), name)


def _details(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[str]:
    if before is None:
        return [f"{key} {text_of(value)}" for key, value in after.items()]
    return [
        f"{key} {text_of(before[key])} -> {text_of(value)}" if key in before else f"{key} {text_of(value)}"
        for key, value in after.items()
        if before.get(key) != value
    ]


def _texts(plan: _Plan, folder: Path) -> dict[Path, str]:
    """Return the new text of each file that changes, groups before the hosts that refer to them."""
    changed = {folder / "groups.yaml": plan.groups} if plan.groups else {}
    changed |= plan.changed
    return {file: edit_entries(plan.entries.texts.get(file, ""), entries) for file, entries in changed.items()}


def _check_result(texts: Mapping[Path, str], folder: Path) -> None:
    """Load what the inventory would be, in a folder of its own.

    Raises:
        InventoryError: it would be wrong.
    """
    if not texts:
        return
    with tempfile.TemporaryDirectory(prefix="firstbell-import-") as name:
        trial = Path(name)
        current = [folder / "defaults.yaml", folder / "groups.yaml", *(host_files(folder) if folder.is_dir() else [])]
        for file in {*current, *texts}:
            text = texts.get(file)
            target = trial / file.relative_to(folder)
            if text is not None or file.exists():
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(file.read_bytes() if text is None else text.encode())
        try:
            load_inventory(trial)
        except InventoryError as error:
            raise InventoryError(
                str(error).replace(str(trial), f"{folder} after this import"),
                hint="Nothing was changed. Correct the sheet, or the files of the inventory that are named here.",
            ) from None
