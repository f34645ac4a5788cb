"""JSON as Go's ``encoding/json`` writes it, so that equal content gives equal bytes, and so equal IDs.

Sources: Go's ``encoding/json`` (HTML-safe escapes, invalid UTF-8 to U+FFFD), ``strconv.Quote``, ``time.RFC3339Nano``.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

_PLAIN: Final = re.compile(r"[ !#-%'-;=?-\[\]-~]*")
_JSON_ESCAPES: Final = {
    **{code: f"\\u{code:04x}" for code in range(0x20)},
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
    ord('"'): '\\"',
    ord("\\"): "\\\\",
    **{code: f"\\u{code:04x}" for code in (ord("<"), ord(">"), ord("&"), 0x2028, 0x2029)},
}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_QUOTE_ESCAPES: Final = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
    '"': '\\"', "\\": "\\\\",
}  # fmt: skip
_UNQUOTE: Final = re.compile(rb"\\(?:([abfnrtv\\\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))")
_UNQUOTE_PLAIN: Final = {
    b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v",
    b"\\": b"\\", b'"': b'"',
}  # fmt: skip
_TIME: Final = re.compile(
    r"(-?\d{4,})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
_NANO: Final = 1_000_000_000
#: 1970 in UTC, as the times that end in Z are read: without a zone, for subtracting is quicker so.
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001


def string(text: str) -> str:
    """Return ``text`` as a JSON string; a lone surrogate (a byte that was not UTF-8) becomes U+FFFD."""
    if _PLAIN.fullmatch(text):
        return f'"{text}"'
    return f'"{_SURROGATE.sub(_REPLACEMENT, text.translate(_JSON_ESCAPES))}"'


#: Go writes the replacement of an invalid byte as an escape.
_REPLACEMENT: Final = "\\\\ufffd"


def quoted(name: bytes) -> str:
    r"""Return a name as a JSON string of its ``strconv.Quote`` form without the quotes: raw bytes become ``\xNN``."""
    text = name.decode("utf-8", "surrogateescape")
    if _PLAIN.fullmatch(text):
        return f'"{text}"'
    return string("".join(map(_quote, text)))


def _quote(char: str) -> str:
    code = ord(char)
    if char in _QUOTE_ESCAPES:
        return _QUOTE_ESCAPES[char]
    if char.isprintable():
        return char
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unquoted(text: str) -> bytes:
    """Return the raw name behind a quoted one. Raises ``ValueError`` on an escape that Go does not know."""
    raw = utf8(text)
    if b"\\" not in raw:
        return raw
    if b"\\" in _UNQUOTE.sub(b"", raw):
        raise ValueError(f"not a quoted name: {text!r}")
    return _UNQUOTE.sub(_unquote, raw)


def _unquote(match: re.Match[bytes]) -> bytes:
    plain, byte, short, long, octal = match.groups()
    if plain is not None:
        return _UNQUOTE_PLAIN[plain]
    if byte is not None:
        return bytes((int(byte, 16),))
    if octal is not None:
        return bytes((int(octal, 8) & 0xFF,))
    return utf8(chr(int(short or long, 16)))


def utf8(text: str) -> bytes:
    """Return the UTF-8 form; a lone surrogate, which no UTF-8 text can hold, as U+FFFD like Go."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text).encode()


def value(data: Any) -> str:
    """Return any JSON value without spaces, dictionaries in the order they have, as Go compacts a raw message."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return _SURROGATE.sub(
        lambda found: f"\\u{ord(found[0]):04x}",
        text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        .replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"),
    )  # fmt: skip


def time(nanoseconds: int) -> str:
    """Return a time (ns since 1970 UTC) as RFC3339Nano in UTC; years are clamped to 0..9999, as restic does."""
    seconds, fraction = divmod(nanoseconds, _NANO)
    days, second = divmod(seconds, 86400)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    if not fraction:
        return f"{_date(days)}T{hour:02}:{minute:02}:{second:02}Z"
    return f"{_date(days)}T{hour:02}:{minute:02}:{second:02}.{fraction:09}".rstrip("0") + "Z"


def parse_time(text: str) -> int:
    """Return ns since 1970 UTC of an RFC 3339 time. Raises ``ValueError``."""
    # The form that every tree has by the thousand, by slices: the pattern costs several times as much.
    fraction = text[20:-1]
    if (
        (text[19:] == "Z" or (text[19:20] == "." and text[-1] == "Z" and fraction.isdecimal() and fraction.isascii()))
        and text[4] == text[7] == "-"
        and text[10] == "T"
    ):
        try:
            seconds = _seconds(text[:19])
        except ValueError:
            pass
        else:
            return seconds * _NANO + (int(fraction.ljust(9, "0")[:9]) if fraction else 0)
    found = _TIME.fullmatch(text)
    if not found:
        raise ValueError(f"not a time: {text!r}")
    year, month, day, hour, minute, second, fraction, sign, off_hour, off_minute = found.groups()
    seconds = _days(int(year), int(month), int(day)) * 86400 + int(hour) * 3600 + int(minute) * 60 + int(second)
    if sign:
        offset = int(off_hour) * 3600 + int(off_minute) * 60
        seconds += offset if sign == "-" else -offset
    return seconds * _NANO + int((fraction or "0").ljust(9, "0"))


@lru_cache(maxsize=4096)
def _seconds(text: str) -> int:
    # Many files of a folder were made, or at least changed, within the same second.
    past = datetime.fromisoformat(text) - _EPOCH
    return past.days * 86400 + past.seconds


@lru_cache(maxsize=4096)
def _date(days: int) -> str:
    # Proleptic Gregorian calendar for any year, from eras of 400 years beginning on 1 March
    # (https://howardhinnant.github.io/date_algorithms.html); datetime knows only the years 1 to 9999.
    era, day_of_era = divmod(days + 719468, 146097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = year_of_era + era * 400 + (month <= 2)
    return f"{min(max(year, 0), 9999):04}-{month:02}-{day:02}"


def _days(year: int, month: int, day: int) -> int:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        raise ValueError("no such day")
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468
