"""Which snapshot is the parent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tasks.archiver.parent import select_parent, snapshot_paths
from tasks.repository.snapshot_file import Snapshot

NOW = datetime(2026, 8, 24, 18, 0, tzinfo=UTC)


def made(days_ago: float, *tags: str, hostname: str = "lab3-07", paths: tuple[str, ...] = ("/home/a",)) -> Snapshot:
    return Snapshot(NOW - timedelta(days=days_ago), bytes(32), paths, hostname=hostname, tags=("firstbell", *tags))


def test_the_newest_of_host_and_paths() -> None:
    old, new = made(2, "state:complete"), made(1, "state:complete")
    others = [
        made(0.1, "state:complete", hostname="lab3-08"),
        made(0.1, "state:complete", paths=("/home/b",)),
        made(0.1, "state:complete", paths=("/home/a", "/home/b")),
        made(0.1, "state:failed"),
        made(0.1, "state:complete", "before-restore"),
    ]
    assert select_parent([new, *others, old], "lab3-07", ["/home/a"]) == new
    assert select_parent(others, "lab3-09", ["/home/a"]) is None
    assert select_parent([], "lab3-07", ["/home/a"]) is None


def test_the_order_of_paths_does_not_matter() -> None:
    snapshot = made(1, paths=("/home/b", "/home/a"))
    assert select_parent([snapshot], "lab3-07", ("/home/a", "/home/b")) == snapshot


def test_a_complete_one_is_preferred_to_a_newer_partial_one_for_a_week() -> None:
    partial = made(0, "state:partial")
    acknowledged = made(3, "state:complete-with-acknowledged-skips")
    ancient = made(40, "state:complete")
    assert select_parent([partial, acknowledged], "lab3-07", ["/home/a"]) == acknowledged
    assert select_parent([partial, ancient], "lab3-07", ["/home/a"]) == partial
    assert select_parent([partial], "lab3-07", ["/home/a"]) == partial


def test_one_of_the_stock_client_counts_as_complete() -> None:
    stock = Snapshot(NOW - timedelta(days=1), bytes(32), ("/home/a",), hostname="lab3-07")
    assert select_parent([stock, made(0, "state:partial")], "lab3-07", ["/home/a"]) == stock


def test_paths_that_are_not_utf8_are_found_again() -> None:
    root = b"/home/\xff"
    snapshot = made(1, paths=snapshot_paths([root]))
    assert snapshot.paths == ("/home/\ufffd",)
    assert select_parent([snapshot], "lab3-07", (root.decode("utf-8", "surrogateescape"),)) == snapshot
