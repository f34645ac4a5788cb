"""The spool: what is no place for one, and whether it lies where snapshots do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configs.errors import ConfigError
from configs.load import config_from
from configs.location import overlap
from flows.commands.inventory import inventory_notes
from inventory.load import load_inventory


def problem(**spool: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        config_from({"spool": spool}, {}, source="app.yaml")
    return str(caught.value)


def test_a_spool_of_each_site() -> None:
    config = config_from({"spool": {"location": "s3://spool/{site}/x", "proxy": "system"}}, {}, source="app.yaml")
    assert config.spool_for("north") == "s3://spool/north/x"
    assert (config.spool.url_minutes, config.spool.public_endpoint, config.spool.proxy) == (15, None, "system")
    assert config_from({}, {}, source="app.yaml").spool_for("north") is None
    overridden = config_from({}, {"FIRSTBELL_SPOOL__LOCATION": "s3://spool/x"}, source="app.yaml")
    assert overridden.spool_for("north") == "s3://spool/x"


@pytest.mark.parametrize(
    ("spool", "text"),
    [
        ({"location": "/srv/spool"}, "computers can only reach one"),
        ({"location": "s3://B/x"}, "cannot be the name of a bucket"),
        ({"location": "s3://spool/{host}"}, "unknown placeholder '{host}'"),
        ({"location": "s3://firstbell-{site}/repository"}, "the spool needs a place of its own"),
        ({"location": "s3://firstbell-{site}"}, "the spool needs a place of its own"),
        ({"location": "s3:https://s3.example/firstbell-{site}/repository/spool"}, "the spool needs a place of its own"),
        ({"url_minutes": "0"}, "this must be at least 1"),
        ({"public_endpoint": "s3.school.example"}, "this is no address of a server"),
        ({"public_endpoint": "https://s3.school.example/bucket"}, "an address ends behind the port"),
        ({"proxy": "http://user:hunter2@proxy:3128"}, "there is a credential in this address"),
    ],
)
def test_what_is_no_spool(spool: dict[str, Any], text: str) -> None:
    said = problem(**spool)
    assert text in said
    assert "hunter2" not in said


def test_a_spool_beside_the_repository_is_one() -> None:
    content = {
        "spool": {"location": "s3://one/spool"},
        "repository": {"location": "s3://one/{site}/repository"},
        "sites": {"north": {}, "south": {"repository": {"location": "/srv/south"}}},
    }
    assert config_from(content, {}, source="app.yaml").spool_for("north") == "s3://one/spool"
    content["sites"]["spool"] = {}  # type: ignore[index]
    with pytest.raises(ConfigError, match="place of its own"):
        config_from(content, {}, source="app.yaml")


@pytest.mark.parametrize(
    ("ledger", "text"),
    [
        ("s3://spool/ledger/{site}", "this is where the spool lies"),
        ("s3://spool", "this is where the spool lies"),
        ("s3://B/x", "cannot be the name of a bucket"),
    ],
)
def test_a_ledger_does_not_lie_where_old_files_are_removed(ledger: str, text: str) -> None:
    content = {"spool": {"location": "s3://spool"}, "approval": {"ledger": ledger}}
    with pytest.raises(ConfigError, match=r"approval\.ledger") as caught:
        config_from(content, {}, source="app.yaml")
    assert text in str(caught.value)
    content["approval"]["ledger"] = "s3://district-ledger/{site}"
    assert config_from(content, {}, source="app.yaml").approval.ledger == "s3://district-ledger/{site}"


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("s3://b/a", "s3:https://s3.example/b/a/c", True),
        ("s3://b/a", "s3:s3.example/b/a", True),
        ("s3://b/ab", "s3://b/a", False),
        ("s3://b", "s3://b/a", True),
        ("s3://b/a", "s3://c/a", False),
        ("s3://b/a", "/srv/b/a", False),
    ],
)
def test_overlap(one: str, other: str, *, both: bool) -> None:
    assert overlap(one, other) is overlap(other, one) is both


def test_winrm_without_a_spool_is_worth_a_note(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text(
        "a: {site: north, transport: winrm, user: x, winrm: {password: 'env:P'}}\nb: {site: north, user: x}\n"
    )
    inventory = load_inventory(tmp_path, {})
    (note,) = inventory_notes(config_from({}, {}, source="app.yaml"), inventory)
    assert note.startswith("a: everything goes through WinRM, which is slow")
    config = config_from({"spool": {"location": "s3://spool/x"}}, {}, source="app.yaml")
    assert inventory_notes(config, inventory) == []
