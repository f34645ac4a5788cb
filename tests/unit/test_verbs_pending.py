"""Restores that wait for a profile: noted once, delivered once, and their snapshots are held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from configs.load import load_config
from inventory.errors import InventoryError
from inventory.load import load_inventory
from tasks.errors import RestoreRefused, Unreachable
from tasks.records.store import RecordStore
from tasks.repository.repository import Repository
from tasks.verbs.context import Context
from tasks.verbs.maintain import forget, init_repository
from tasks.verbs.orders import RestoreOrder
from tasks.verbs.pending import (
    Carried,
    Delivery,
    cancel_pending,
    deliver_pending,
    holds,
    order_data,
    order_of,
    put_off,
    waiting,
)
from tasks.verbs.site_repository import open_repository
from tests.support.snapshot_fixture import save_snapshot

ORDER = RestoreOrder(
    host="lab4-01",
    teacher="a.ito",
    what=("{desktop}", "*.docx"),
    exclude=("*.tmp",),
    mode="apply",
    to_host="lab4-02",
    overwrite_newer=("Desktop/x",),
    request="T-17",
)


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "secret enough")
    (tmp_path / "app.yaml").write_text(f"repository: {{location: '{tmp_path}/repository-{{site}}'}}\n")
    (tmp_path / "hosts.yaml").write_text("lab4-01: {site: north, user: x}\nlab4-02: {site: north, user: x}\n")
    made = Context(load_config(tmp_path / "app.yaml", {}), load_inventory(tmp_path, {}))
    init_repository(made, "north")
    return made


@pytest.fixture
def snapshot_id(context: Context, tmp_path: Path) -> str:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "x").write_text("x")
    with open_repository(context, "north") as opened:
        saved = [save_snapshot(opened.repository, [tmp_path / "home"], tags=("firstbell",)) for _ in range(6)]
        old = replace(saved[0], time=datetime(2020, 1, 1, tzinfo=UTC), id=None)
        old = opened.repository.save_snapshot(old)
        put_off(opened.repository.backend, ORDER, old, "lab4-02", "a.ito", "NORTH\\a.ito", lambda event: None)
        # Asked for twice, it waits once.
        put_off(opened.repository.backend, ORDER, old, "lab4-02", "a.ito", "NORTH\\a.ito", lambda event: None)
    assert old.id is not None
    return old.id.hex()


def test_an_order_survives_its_record() -> None:
    fixed = replace(ORDER, snapshot="ab12")
    assert order_of(order_data(fixed)) == fixed
    assert order_of(order_data(RestoreOrder(snapshot="ab12", mode="stage"))).mode == "stage"


@pytest.mark.parametrize(
    "data", [{}, {"snapshot": "a", "mode": "wipe"}, {"snapshot": "a", "mode": "apply", "what": [1]}]
)
def test_an_order_of_another_version_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(RestoreRefused, match="not written as this version"):
        order_of(data)


def test_what_is_put_off_names_its_snapshot_and_whom_it_is_for(context: Context, snapshot_id: str) -> None:
    assert waiting(context) == [Delivery("lab4-02", "NORTH\\a.ito", snapshot_id, waiting=True)]
    asked: list[RestoreOrder] = []

    def carry_out(order: RestoreOrder) -> Carried:
        asked.append(order)
        return Carried(delivered=False, complete=False, message="no profile yet")

    (still,) = deliver_pending(context, "north", carry_out=carry_out)
    assert (still.waiting, still.message) == (True, "no profile yet")
    (order,) = asked
    assert (order.host, order.teacher, order.snapshot) == ("lab3-07", "a.ito", snapshot_id)
    assert (order.to_host, order.to_teacher, order.what) == ("lab4-02", "NORTH\\a.ito", ORDER.what)
    assert len(waiting(context)) == 1


def test_a_delivered_one_waits_no_longer(context: Context, snapshot_id: str) -> None:
    done = list(deliver_pending(context, carry_out=lambda order: Carried(delivered=True, complete=True, message="ok")))
    assert [(one.waiting, one.snapshot) for one in done] == [(False, snapshot_id)]
    assert waiting(context) == []


def test_a_computer_out_of_reach_is_tried_again(context: Context, snapshot_id: str) -> None:
    def carry_out(order: RestoreOrder) -> Carried:
        raise Unreachable("no answer", host="lab4-02")

    (one,) = deliver_pending(context, carry_out=carry_out)
    assert one.waiting
    assert one.error is not None
    assert len(waiting(context)) == 1


def test_one_may_be_let_go(context: Context, snapshot_id: str) -> None:
    with pytest.raises(InventoryError, match="no restore waits on lab4-02 for b"):
        cancel_pending(context, "lab4-02", "b")
    assert [one.snapshot for one in cancel_pending(context, "lab4-02", "NORTH\\a.ito")] == [snapshot_id]
    assert waiting(context) == []


def test_forget_keeps_what_somebody_waits_for(
    context: Context, snapshot_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decisions: Callable[[], dict[str, tuple[bool, tuple[str, ...]]]] = lambda: {  # noqa: E731
        (one.snapshot.id or b"").hex(): (one.keep, one.reasons)
        for one in forget(context, "north", dry_run=True).decisions
    }
    kept, reasons = decisions()[snapshot_id]
    assert kept
    assert "held: a restore for NORTH\\a.ito on lab4-02 is still to be delivered" in reasons
    cancel_pending(context, "lab4-02")
    assert "held" not in " ".join(decisions()[snapshot_id][1])
    with open_repository(context, "north", lock=False) as opened:
        assert holds(RecordStore(opened.repository.backend)) == []
        assert isinstance(opened.repository, Repository)
