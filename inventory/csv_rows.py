"""From rows of a spreadsheet to what they say about computers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from configs.values import NAME_PATTERN
from inventory.csv_table import Table, TableRow
from inventory.folders import check_mac, check_serial

_NAME = re.compile(NAME_PATTERN)
_ADDRESS = re.compile(r"[^\s/@,;]{1,253}")
#: What may stand between several teachers in one cell.
_BETWEEN = re.compile(r"\s*[;,/|&\n]\s*")
_LINUX = (
    "linux",
    "ubuntu",
    "debian",
    "fedora",
    "mint",
    "opensuse",
    "suse",
    "red hat",
    "rhel",
    "rocky",
    "alma",
    "arch",
    "centos",
)
_MACOS = ("mac", "os x", "osx", "darwin")
_WINDOWS = ("windows", "win")
_UNSUPPORTED: Final = ("chrome", "ipad", "ios", "android")
_TRANSPORTS: Final = {"ssh": "ssh", "openssh": "ssh", "winrm": "winrm", "wsman": "winrm", "local": "local"}


@dataclass
class SheetHost:
    """What the sheet says about one computer, all its rows together."""

    name: str
    line: int
    address: str = ""
    site: str = ""
    room: str = ""
    platform: str = ""
    transport: str = ""
    port: str = ""
    mac: str = ""
    serial: str = ""
    notes: str = ""
    teachers: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that is not taken over, and why."""

    line: int
    name: str
    reason: str


@dataclass
class Sheet:
    """All computers of a sheet in its order, and everything there is to say about its rows."""

    hosts: dict[str, SheetHost] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_sheet(table: Table) -> Sheet:
    """Return the computers of a table. Several rows of one computer are joined: one row for each teacher is common."""
    sheet = Sheet(notes=list(table.notes), problems=list(table.problems))
    for row in table.rows:
        host, problems = _host(row, sheet)
        sheet.problems += [f"line {row.line}: {text}" for text in problems]
        if host is None or problems:
            continue
        before = sheet.hosts.setdefault(host.name.casefold(), host)
        if before is not host:
            _join(before, host, sheet)
    return sheet


def slug(text: str) -> str:
    """Return a name for a group or a site: lower case, ``-`` for what is no letter or digit."""
    plain = text.casefold().replace("ä", "ae").replace("ö", "oe").replace("ü", "ue")
    return re.sub(r"[^a-z0-9]+", "-", _unaccented(plain)).strip("-")


def _unaccented(text: str) -> str:
    import unicodedata

    return "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))


def _host(row: TableRow, sheet: Sheet) -> tuple[SheetHost | None, list[str]]:
    cells = row.cells
    problems: list[str] = []
    name = cells.get("name", "")
    if not name:
        filled = ", ".join(f"{key} '{cell}'" for key, cell in cells.items())
        return None, [f"the computer's name is missing ({filled})" if filled else "the computer's name is missing"]
    if _NAME.fullmatch(name) is None or len(name) > 128:
        better = re.sub(r"[^A-Za-z0-9._-]+", "-", _unaccented(name)).strip("-._")
        problems.append(
            f"'{name}' cannot be a computer's name: only letters, digits, '.', '_' and '-'"
            + (f"; for example '{better}'" if better else "")
        )
    platform, reason = _platform(cells.get("platform", ""))
    if reason and not platform:
        problems.append(reason)
    elif reason:
        sheet.left_out.append(LeftOut(row.line, name, reason))
        return None, problems
    address = cells.get("address", "")
    if address and _ADDRESS.fullmatch(address) is None:
        problems.append(f"'{address}' is no address")
    transport = _transport(cells.get("transport", ""), problems)
    port = cells.get("port", "")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        problems.append(f"'{port}' is no port; write a number from 1 to 65535, or nothing")
    for key in ("site", "room"):
        if key in cells and not slug(cells[key]):
            problems.append(f"'{cells[key]}' has no letter or digit to name a {key} by")
    mac = _checked(check_mac, cells.get("mac", ""), problems)
    serial = _checked(check_serial, cells.get("serial", ""), problems)
    teachers = _teachers(cells.get("teachers", ""), row.line, sheet, problems)
    return SheetHost(
        name,
        row.line,
        address,
        cells.get("site", ""),
        cells.get("room", ""),
        platform,
        transport,
        port,
        mac,
        serial,
        cells.get("notes", ""),
        teachers,
    ), problems


def _checked(check: Callable[[str], str], text: str, problems: list[str]) -> str:
    """Return what ``check`` makes of a cell, nothing of an empty one, or of one that is a problem."""
    try:
        return check(text) if text else ""
    except ValueError as error:
        problems.append(str(error))
        return ""


def _transport(text: str, problems: list[str]) -> str:
    """Return what the cell names, ``WinRM over HTTPS`` too; nothing for an empty one."""
    words = re.findall(r"[a-z]+", text.casefold())
    found = next((_TRANSPORTS[word] for word in words if word in _TRANSPORTS), "")
    if text and not found:
        problems.append(f"unknown transport '{text}'; write ssh, winrm or nothing")
    return found


def _platform(text: str) -> tuple[str, str]:
    """Return platform and reason: (name, ""), ("", what is wrong) or ("none", why such a computer is left out)."""
    folded = text.casefold()
    if not folded or folded == "auto":
        return "", ""
    if any(word in folded for word in _LINUX):
        return "linux", ""
    if any(re.search(rf"\b{word}", folded) for word in _UNSUPPORTED):
        return "none", f"firstbell cannot snapshot {text} yet"
    if any(word in folded for word in _MACOS):
        return "macos", ""
    if any(re.search(rf"\b{word}", folded) for word in _WINDOWS):
        return "windows", ""
    return "", f"unknown operating system '{text}'; write linux, macos, windows or nothing"


def _teachers(cell: str, line: int, sheet: Sheet, problems: list[str]) -> list[str]:
    found: list[str] = []
    for piece in filter(None, _BETWEEN.split(cell)):
        account = piece
        if "@" in piece:
            account = piece.partition("@")[0]
            sheet.notes.append(f"line {line}: took the account '{account}' from the address {piece}")
        if not account or re.search(r"[\s:]", account):
            problems.append(
                f"'{piece}' is no account name; write the name this teacher logs in with, for example 'a.ito'"
            )
        elif account not in found:
            found.append(account)
    if re.fullmatch(r"[A-Z][^\s,]+, [A-Z][^\s,]+", cell):
        sheet.notes.append(f"line {line}: '{cell}' is read as two accounts; is it the name of one person?")
    return found


def _join(first: SheetHost, other: SheetHost, sheet: Sheet) -> None:
    for key in ("address", "site", "room", "platform", "transport", "port", "mac", "serial", "notes"):
        old, new = getattr(first, key), getattr(other, key)
        if old and new and old != new and key != "notes":
            sheet.problems.append(
                f"line {other.line}: '{other.name}' stands in line {first.line} already, with another {key}: "
                f"'{old}' there, '{new}' here"
            )
        elif not old:
            setattr(first, key, new)
    first.teachers += [one for one in other.teachers if one not in first.teachers]


def rooms_in_several_sites(hosts: Iterable[SheetHost]) -> dict[str, list[str]]:
    """Return the rooms whose name occurs at more than one site, each with those sites."""
    found: dict[str, set[str]] = {}
    for host in hosts:
        if host.room and host.site:
            found.setdefault(slug(host.room), set()).add(slug(host.site))
    return {room: sorted(sites) for room, sites in found.items() if len(sites) > 1}
