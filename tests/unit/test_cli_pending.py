"""``firstbell pending`` and the notes of ``firstbell inventory``, on a repository in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from configs.load import load_config
from flows.cli import main
from inventory.load import load_inventory
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Tree
from tasks.verbs.context import Context
from tasks.verbs.maintain import init_repository
from tasks.verbs.orders import RestoreOrder
from tasks.verbs.pending import put_off
from tasks.verbs.site_repository import open_repository

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    for name in ("FIRSTBELL_CONFIG", "FIRSTBELL_INVENTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "secret enough")
    (tmp_path / "app.yaml").write_text(f"repository: {{location: '{tmp_path}/repository'}}\n")
    (tmp_path / "hosts.yaml").write_text(
        "pc: {site: north, user: x, transport: winrm, winrm: {password: 'env:FIRSTBELL_PASSWORD'}}\n"
    )
    context = Context(load_config(tmp_path / "app.yaml", {}), load_inventory(tmp_path, {}))
    init_repository(context, "north")
    with open_repository(context, "north") as opened:
        tree = opened.repository.save_tree(Tree([])).id
        opened.repository.flush()
        saved = opened.repository.save_snapshot(
            Snapshot(datetime(2026, 11, 25, tzinfo=UTC), tree, ("/C/Users/a.ito",), "pc", tags=("firstbell",))
        )
        order = RestoreOrder(host="pc", mode="apply")
        put_off(opened.repository.backend, order, saved, "pc", "a.ito", "NORTH\\a.ito", lambda event: None)

    def firstbell(*arguments: str) -> tuple[int, str]:
        code = main(["--config", str(tmp_path / "app.yaml"), "--inventory", str(tmp_path), *arguments])
        return code, capsys.readouterr().out

    return firstbell


def test_what_waits_is_listed_and_let_go(run: Run) -> None:
    code, said = run("pending")
    assert code == 0
    assert said.startswith("waits  pc  NORTH\\a.ito  snapshot ")
    document = json.loads(run("pending", "--json", "--site", "north")[1])
    assert (document["type"], document["host"], document["waiting"]) == ("pending", "pc", True)
    assert run("pending", "--cancel", "pc", "--teacher", "somebody")[0] == 1
    assert run("pending", "--cancel", "pc")[1].startswith("done   pc")
    assert run("pending") == (0, "no restore waits\n")
    assert run("pending", "--deliver") == (0, "no restore waits\n")


def test_forget_says_why_it_keeps_a_snapshot(run: Run) -> None:
    code, said = run("forget", "north", "--dry-run")
    assert code == 0
    assert "held: a restore for NORTH\\a.ito on pc is still to be delivered" in said


def test_the_inventory_tells_that_there_is_no_spool(run: Run) -> None:
    code, said = run("inventory")
    assert code == 0
    assert said.endswith(
        "note: pc: everything goes through WinRM, which is slow; with a bucket as 'spool.location' in the "
        "configuration the computers hand it over directly\n"
    )
    lines = [json.loads(line) for line in run("inventory", "--json")[1].splitlines()]
    assert [line["type"] for line in lines] == ["host", "note"]
    assert (lines[0]["platform"], lines[0]["transport"]) == ("windows", "winrm")


def test_a_site_without_a_spool_is_swept_quietly(run: Run) -> None:
    assert run("sweep") == (0, "north has no spool\n")
