"""What is generated equals what is stored, and what is documented loads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, TypeAdapter

from configs.load import load_config
from configs.model import AppConfig
from configs.reference import schema_text
from configs.values import text_of
from configs.yaml_file import parse_yaml
from inventory.load import load_inventory
from inventory.model import GroupEntry, HostEntry
from inventory.reference import page

ROOT = Path(__file__).resolve().parents[2]
STALE = "run 'make docs' and commit what it changes"


def test_the_page_is_what_the_models_say() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == page(), STALE


def test_the_schema_is_what_the_models_say() -> None:
    assert (ROOT / "configs" / "schema.json").read_text(encoding="utf-8") == schema_text(), STALE


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    from configs.reference import _model_in

    yield model
    for field in model.model_fields.values():
        inner = _model_in(field.annotation)
        if inner is not None:
            yield from models(inner)


@pytest.mark.parametrize("model", [AppConfig, HostEntry, GroupEntry])
def test_every_key_is_described_and_its_example_holds(model: type[BaseModel]) -> None:
    from configs.reference import _model_in

    for one in models(model):
        for key, field in one.model_fields.items():
            assert field.description, f"{one.__name__}.{key}"
            if _model_in(field.annotation) is not None:
                continue
            assert field.examples, f"{one.__name__}.{key}"
            adapter = TypeAdapter(one)
            required = {name: info.examples[0] for name, info in one.model_fields.items() if info.is_required()}  # type: ignore[index]
            for example in field.examples:
                # as Python, and as a person copies it from the page into a file
                typed = adapter.validate_python({**required, key: example})
                copied = parse_yaml(f"{key}: {text_of(example)}".encode()).content
                assert adapter.validate_python({**required, **copied}) == typed


def test_the_example_configuration_loads() -> None:
    config = load_config(ROOT / "configs" / "app.example.yaml", {})
    assert set(config.sites) == {"north", "south"}
    # what is said to be the default is the default
    assert config.retention == AppConfig().retention
    assert config.repository == AppConfig().repository
    assert config.snapshot.model_copy(update={"exclude": ()}) == AppConfig().snapshot
    assert config.gate.model_copy(update={"ignore_profiles": ()}) == AppConfig().gate
    assert config.clearance.valid_minutes == AppConfig().clearance.valid_minutes
    assert config.calendars == AppConfig().calendars


def test_the_example_inventory_loads(tmp_path: Path) -> None:
    for name in ("defaults", "groups", "hosts"):
        text = (ROOT / "inventory" / f"{name}.example.yaml").read_text(encoding="utf-8")
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    config = load_config(ROOT / "configs" / "app.example.yaml", {})
    inventory = load_inventory(tmp_path, {}, sites=config.sites)
    assert inventory.sites() == ("north", "south")
    assert inventory.host("lab3-07").include == ("{home}", "/srv/measurements")
    jump = inventory.host("imac-library").ssh.jump
    assert jump is not None
    assert jump.address == "gate.southgate.example"
    assert inventory.warnings == ()
