"""Reading a spreadsheet saved as CSV, the way spreadsheets really save it.

Encoding, delimiter and header are found out, not demanded; whatever had to be guessed is told in ``notes``.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from inventory.errors import InventoryError

_LARGEST = 64 * 2**20
#: Our columns, and the headers that mean them; the first that stands in a sheet is taken.
HEADERS: Final[Mapping[str, tuple[str, ...]]] = {
    "name": (
        "computer", "computer name", "computername", "hostname", "host name", "host", "pc", "pc name", "device name",
        "device", "workstation", "machine", "name",
    ),
    "address": ("ip", "ip address", "ipaddress", "ipv4", "ip addr", "address", "network address", "dns name", "fqdn"),
    "site": ("site", "school", "school name", "campus"),
    "room": ("room", "room number", "room name", "lab", "classroom", "location"),
    "platform": ("os", "operating system", "platform", "system"),
    "transport": ("transport", "protocol", "connection", "connection type", "remote access", "access"),
    "port": ("port", "port number"),
    "teachers": (
        "teachers", "teacher", "teacher account", "teacher login", "login", "login name", "username", "user name",
        "users", "user", "account", "accounts",
    ),
    "mac": ("mac", "mac address", "macaddress", "physical address", "ethernet address", "hardware address"),
    "serial": ("serial", "serial number", "serialnumber", "serial no", "service tag"),
    "notes": ("notes", "note", "comment", "comments", "remark", "remarks"),
}  # fmt: skip
_DELIMITERS: Final = {",": "commas", ";": "semicolons", "\t": "tabs"}
#: A title and a date often stand above the header.
_HEADER_WITHIN = 10


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row: the line it begins in (from 1) and its cells by our column names, stripped, empty ones left out."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows below the header, and what a person should know about how they were read."""

    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    notes: tuple[str, ...]
    problems: tuple[str, ...]


def read_table(path: Path) -> Table:
    """Return the rows of a CSV file.

    Raises:
        InventoryError: it cannot be read, is no CSV file, or has no column for the computer's name.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise InventoryError(f"{path} cannot be read: {error.strerror}", hint="Check the name of the file.") from None
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InventoryError(
            f"{path} is a workbook, not a CSV file",
            hint="In the spreadsheet program choose 'Save as', then 'CSV UTF-8'.",
        )
    if len(data) > _LARGEST:
        raise InventoryError(f"{path} is larger than 64 MiB", hint="Save only the sheet with the computers as CSV.")
    text, notes = _decoded(data, path)
    text, delimiter = _without_separator_line(text)
    parsed = [_Parsed(text, one) for one in ([delimiter] if delimiter else _DELIMITERS)]
    best = max(parsed, key=lambda one: one.score)
    if best.header is None:
        raise _no_name_column(path, best)
    if best.delimiter != ",":
        notes.append(f"the cells are separated by {_DELIMITERS.get(best.delimiter, repr(best.delimiter))}")
    return _table(best, notes)


class _Parsed:
    """The text read with one delimiter."""

    def __init__(self, text: str, delimiter: str) -> None:
        self.delimiter = delimiter
        self.rows: list[tuple[int, list[str]]] = []
        self.broken = ""
        start = 1
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            for cells in reader:
                self.rows.append((start, [_clean(cell) for cell in cells]))
                start = reader.line_num + 1
        except csv.Error as error:
            self.broken = f"line {reader.line_num}: {error}"
        if self.rows and _ends_within_quotes(text, delimiter):
            self.broken = f"line {self.rows[-1][0]}: a quotation mark is opened here and never closed"
        self.header = next((one for one in range(min(_HEADER_WITHIN, len(self.rows))) if self._names(one)), None)
        self.keys = self._keys(self.rows[self.header][1]) if self.header is not None else {}

    @property
    def score(self) -> tuple[int, int]:
        widest = max((len(cells) for _, cells in self.rows[:_HEADER_WITHIN]), default=0)
        return (len(self.keys), widest)

    def _names(self, index: int) -> bool:
        return "name" in self._keys(self.rows[index][1]).values()

    @staticmethod
    def _keys(cells: list[str]) -> dict[int, str]:
        """Return our name of each column that has one."""
        folded = [re.sub(r"[^a-z0-9]+", " ", cell.casefold()).strip() for cell in cells]
        found: dict[int, str] = {}
        for key, aliases in HEADERS.items():
            index = next((folded.index(alias) for alias in aliases if alias in folded), None)
            if index is not None:
                found[index] = key
        return found


def _table(parsed: _Parsed, notes: list[str]) -> Table:
    assert parsed.header is not None  # noqa: S101 - read_table has refused a sheet without
    header = parsed.rows[parsed.header][1]
    unused = [cell for index, cell in enumerate(header) if cell and index not in parsed.keys]
    if unused:
        notes.append("columns not used: " + ", ".join(unused))
    rows: list[TableRow] = []
    problems: list[str] = []
    for line, cells in parsed.rows[parsed.header + 1 :]:
        if not any(cells):
            continue
        beyond = [cell for cell in cells[len(header) :] if cell]
        if beyond:
            problems.append(f"line {line}: more cells than the header has: '{beyond[0]}'")
            continue
        found = {parsed.keys[index]: cell for index, cell in enumerate(cells) if cell and index in parsed.keys}
        rows.append(TableRow(line, found))
    if parsed.broken:
        problems.append(parsed.broken)
    return Table(tuple(parsed.keys.values()), tuple(rows), tuple(notes), tuple(problems))


def _decoded(data: bytes, path: Path) -> tuple[str, list[str]]:
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return data.decode(encoding, "replace"), []
    if data[1:200:2].count(0) > len(data[1:200:2]) // 2:
        return data.decode("utf-16-le", "replace"), ["read as UTF-16"]
    try:
        return data.decode("utf-8"), []
    except UnicodeDecodeError:
        pass
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InventoryError(
            f"{path}, line {line}: the encoding of this text is unknown",
            hint="In the spreadsheet program choose 'Save as', then 'CSV UTF-8'.",
        ) from None
    return text, ["not UTF-8: read as Windows-1252; look whether names with accents are right"]


def _without_separator_line(text: str) -> tuple[str, str]:
    """Return the text without the line ``sep=;`` that Excel understands (left empty), and the separator it names."""
    match = re.match(r'"?sep=(.)"?\r?\n', text)
    return ("\n" + text[match.end() :], match[1]) if match else (text, "")


def _ends_within_quotes(text: str, delimiter: str) -> bool:
    try:
        for _ in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            pass
    except csv.Error as error:
        return "unexpected end of data" in str(error)
    return False


def _clean(cell: str) -> str:
    return cell.replace("\N{NO-BREAK SPACE}", " ").strip()


def _no_name_column(path: Path, parsed: _Parsed) -> InventoryError:
    first = next((", ".join(filter(None, cells)) for _, cells in parsed.rows if any(cells)), "")
    return InventoryError(
        f"{path} has no column with the computers' names"
        + (f"; its first row is: {first}" if first else "; it is empty"),
        hint="Give that column the header 'computer'. Others that are understood: " + ", ".join(_known_headers()) + ".",
    )


def _known_headers() -> Iterator[str]:
    return (aliases[0] for key, aliases in HEADERS.items() if key != "name")
