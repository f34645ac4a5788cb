"""JSON as Go writes it. Expected texts are from Go 1.19, by way of restic 0.14 (see also the interop tests)."""

from __future__ import annotations

import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.repository import gojson


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"plain name.txt", r'"plain name.txt"'),
        (b"a<b>&c", r'"a\u003cb\u003e\u0026c"'),
        (b'quote"d', r'"quote\\\"d"'),
        (b"back\\slash", r'"back\\\\slash"'),
        (b"new\nline\ttab", r'"new\\nline\\ttab"'),
        (b"\x01\x1b\x08\x0c\x0b\x07\x7f", r'"\\x01\\x1b\\b\\f\\v\\a\\x7f"'),
        (b"\xff\xfe", r'"\\xff\\xfe"'),
        (b"cut \xe2\x82", r'"cut \\xe2\\x82"'),
        (b"\xed\xa0\x80", r'"\\xed\\xa0\\x80"'),
        ("nbsp\u00a0 zwj\u200d".encode(), r'"nbsp\\u00a0 zwj\\u200d"'),
        ("line\u2028sep".encode(), r'"line\\u2028sep"'),
        ("tag\U000e0001".encode(), r'"tag\\U000e0001"'),
        ("é 😀 \ufffd".encode(), '"é 😀 \ufffd"'),
        (b"it's", '"it\'s"'),
    ],
)
def test_names_are_quoted_as_restic_does(name: bytes, text: str) -> None:
    assert gojson.quoted(name) == text
    assert gojson.unquoted(json.loads(text)) == name


@given(st.binary(max_size=40))
def test_any_name_comes_back(name: bytes) -> None:
    text = gojson.quoted(name)
    text.encode()
    assert gojson.unquoted(json.loads(text)) == name


@given(st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_text_as_a_name_comes_back(name: bytes) -> None:
    assert gojson.unquoted(json.loads(gojson.quoted(name))) == name


@pytest.mark.parametrize(("text", "raw"), [(r"\101\x42\u0043\U00000044", b"ABCD"), (r"\\x41", b"\\x41")])
def test_every_escape_that_go_knows_is_read(text: str, raw: bytes) -> None:
    assert gojson.unquoted(text) == raw


@pytest.mark.parametrize("text", ["\\", "\\q", "\\x4", "a\\", "\\u12"])
def test_an_escape_that_go_does_not_know_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a quoted name"):
        gojson.unquoted(text)


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("plain", '"plain"'),
        ('<&>"\\\n\r\t\x08\x0c\x7f', r'"\u003c\u0026\u003e\"\\\n\r\t\u0008\u000c' + '\x7f"'),
        ("bad \udcff byte", r'"bad \ufffd byte"'),
        ("\u2028\u2029", r'"\u2028\u2029"'),
    ],
)
def test_strings_have_gos_escapes(text: str, encoded: str) -> None:
    assert gojson.string(text) == encoded


def test_values_keep_their_order_and_escape_html() -> None:
    assert gojson.value({"b": ["<", 1, None, True], "a": "\u2028"}) == r'{"b":["\u003c",1,null,true],"a":"\u2028"}'


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (-5, "1969-12-31T23:59:59.999999995Z"),
        (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456789Z"),
        (1_700_000_000_120_000_000, "2023-11-14T22:13:20.12Z"),
        (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
        (-62_167_219_200_000_000_000, "0000-01-01T00:00:00Z"),
        (-99_999_999_999_000_000_000, "0000-02-15T14:13:21Z"),
        (999_999_999_999_000_000_000, "9999-09-27T01:46:39Z"),
    ],
)
def test_times_are_rfc3339_with_nanoseconds(nanoseconds: int, text: str) -> None:
    assert gojson.time(nanoseconds) == text


@given(st.datetimes(timezones=st.just(datetime.UTC)), st.integers(0, 999))
def test_any_time_comes_back(moment: datetime.datetime, nanos: int) -> None:
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    nanoseconds = (moment - epoch) // datetime.timedelta(microseconds=1) * 1000 + nanos
    text = gojson.time(nanoseconds)
    assert text.startswith(moment.strftime("%m-%dT%H:%M:%S").rjust(19)[-14:], 5)
    assert gojson.parse_time(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T18:30:00.000000001-05:30", 1),
        ("2026-08-24T09:00:00.5+09:00", 1_787_529_600_500_000_000),
        ("1970-01-01T00:00:00.1234567899Z", 123_456_789),
    ],
)
def test_times_of_other_zones_are_read(text: str, nanoseconds: int) -> None:
    assert gojson.parse_time(text) == nanoseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-08-24",
        "2026-13-01T00:00:00Z",
        "2026-W34-1T00:00:00Z",
        "2026-08-24T09:00:00",
        "2026-08-24T09:00:00.Z",
        "2026-08-24T09:00:00.-1Z",
        "2026-08-24T09:00:00.1_0Z",
        "2026-08-24T09:00:00Z5Z",
        "yesterday",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no such day|not a time"):
        gojson.parse_time(text)
