"""Sizes, durations, references and the strict YAML reader."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs import yaml_file
from configs.duration import Duration
from configs.values import check_reference, parse_size, size_text, text_of
from configs.yaml_file import parse_yaml


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0), ("1234", 1234), ("2 GiB", 2 * 2**30), ("2GiB", 2 * 2**30), ("2g", 2 * 2**30), ("2 GB", 2 * 10**9),
        ("1.5 MiB", 1572864), ("500 kb", 500_000), ("7 bytes", 7), ("1 TiB", 2**40),
    ],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "2 gigs", "-1", "1e9", "2 GiB 3", "1,5 GiB", "9" * 30])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@given(st.integers(0, 2**59))
def test_a_size_reads_back(size: int) -> None:
    assert parse_size(size_text(size)) == size


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("36h", Duration(hours=36)), ("14d", Duration(days=14)), ("2w", Duration(days=14)), ("6m", Duration(months=6)),
        ("1y2m3d4h", Duration(1, 2, 3, 4)), (" 1Y 6M ", Duration(years=1, months=6)), ("1d1d", Duration(days=2)),
    ],
)  # fmt: skip
def test_durations(text: str, duration: Duration) -> None:
    assert Duration.parse(text) == duration
    assert Duration.parse(str(duration)) == duration


@pytest.mark.parametrize("text", ["", "14", "d", "1.5h", "-3d", "3 days", "1d, 2h", "99999999d"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        Duration.parse(text)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        ("1m", "2024-03-02T12:00"),  # 31 February 2024 is 2 March
        ("1y1m", "2023-03-03T12:00"),
        ("1m2d", "2024-02-29T12:00"),
        ("36h", "2024-03-30T00:00"),
        ("3m", "2023-12-31T12:00"),
    ],
)
def test_before(duration: str, expected: str) -> None:
    moment = datetime(2024, 3, 31, 12, tzinfo=UTC)
    assert Duration.parse(duration).before(moment).isoformat()[:16] == expected


@pytest.mark.parametrize(
    "text",
    ["env:A", "env:FIRSTBELL_{site}", "file:/etc/x y", "file:~/x", "block:secret/north-x", "block:secret/{site}"],
)
def test_references(text: str) -> None:
    assert check_reference(text) == text


@pytest.mark.parametrize("text", ["", "hunter2", "env:", "env:1A", "file:x", "block:secret", "vault:x/y", "file:/a\nb"])
def test_no_references(text: str) -> None:
    with pytest.raises(ValueError, match="this is not a reference") as caught:
        check_reference(text)
    assert "hunter2" not in str(caught.value)


def test_text_of_reads_back_as_a_list() -> None:
    for values in (["{home}", "*.iso"], ["a: b", "c,d"], ["~/x/", "/srv/a b"], []):
        assert parse_yaml(f"x: {text_of(values)}".encode()).content == {"x": values}


def test_both_parsers_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"""
a: &anchor {x: 1, y: [on, 0101, ~, null, "null", 1.0, 2024-01-01]}
b:
  <<: *anchor
  x: 2
c: |
  several
  lines
1: one
"""
    fast = parse_yaml(text)
    assert fast.content == {
        "a": {"x": "1", "y": ["on", "0101", None, None, "null", "1.0", "2024-01-01"]},
        "b": {"x": "2", "y": ["on", "0101", None, None, "null", "1.0", "2024-01-01"]},
        "c": "several\nlines\n",
        "1": "one",
    }
    assert fast.line(("b", "x")) == 5
    assert fast.line(("b", "nowhere")) == 3
    monkeypatch.setattr(yaml_file, "_FastTextLoader", yaml_file._TextLoader)
    slow = parse_yaml(text)
    assert (slow.content, slow.lines) == (fast.content, fast.lines)


@pytest.mark.parametrize(
    "text", [b"a: !!python/object/apply:os.system [id]", b"a: &x {b: *x}", b"a: 1\n---\nb: 2", b"a: *b"]
)
def test_yaml_that_is_refused(text: bytes) -> None:
    found = parse_yaml(text)
    assert found.content is None
    assert len(found.problems) == 1


def test_many_aliases_take_no_time() -> None:
    bomb = b"a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + b"".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n".encode() for n in range(1, 12)
    )
    assert not parse_yaml(bomb).problems
