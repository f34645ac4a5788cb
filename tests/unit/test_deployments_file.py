"""``prefect.yaml`` and the forms, as far as no server is needed."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

DOCUMENT: dict[str, Any] = yaml.safe_load((Path(__file__).resolve().parents[2] / "prefect.yaml").read_text())
DEPLOYMENTS: list[dict[str, Any]] = DOCUMENT["deployments"]


def flow_of(deployment: dict[str, Any]) -> Any:
    module, name = deployment["entrypoint"].rsplit(".", 1)
    return getattr(import_module(module), name)


@pytest.fixture(params=DEPLOYMENTS, ids=[one["name"] for one in DEPLOYMENTS])
def deployment(request: pytest.FixtureRequest) -> dict[str, Any]:
    return request.param  # type: ignore[no-any-return]


def test_nothing_is_pulled_and_entrypoints_are_modules(deployment: dict[str, Any]) -> None:
    # Otherwise Prefect stores the path of the computer that deployed.
    assert DOCUMENT["pull"] == []
    assert "pull" not in deployment
    assert "/" not in deployment["entrypoint"]


def test_every_deployment_says_what_it_does(deployment: dict[str, Any]) -> None:
    assert deployment["description"].strip().endswith(".")
    assert "firstbell" in deployment["tags"]
    assert deployment["work_pool"]["job_variables"]["env"]["PREFECT_LOGGING_EXTRA_LOGGERS"] == "tasks,inventory,configs"


def test_every_field_of_a_form_has_a_title_and_a_description(deployment: dict[str, Any]) -> None:
    from prefect.utilities.callables import parameter_schema

    flow = flow_of(deployment)
    schema = parameter_schema(flow)
    assert schema.properties
    for name, field in schema.properties.items():
        assert field["title"] != name, f"{name} has no title of its own"
        assert field["title"][0].isupper()
        assert field["description"].endswith((".", "`")), name
        # "anyOf" makes the form ask which type the value has; no text means "no day".
        assert "anyOf" not in field or name == "as_of", name
    # The long text of the form's page.
    assert len(flow.description) > 40


def test_parameters_of_a_deployment_are_accepted_by_its_flow(deployment: dict[str, Any]) -> None:
    flow = flow_of(deployment)
    required = {
        "site": "north",
        "host": "lab3-07",
        "undo_id": "1234abcd",
        "plan": "lab3",
        "name": "lab3",
        "start": "2026-07-06 17:00",
        "end": "2026-07-10 06:00",
        "by": "Jonas Weber",
        "reason": "the image is not ready",
        "code": "7K3QH-9XWV2-M4T8R-C5ZPB",
        "first_code": "7K3QH-9XWV2-M4T8R-C5ZPB",
        "second_code": "M4T8R-C5ZPB-7K3QH-9XWV2",
        "until": "2026-09-03",
        "hold": 12,
        "computers": ["lab3-07"],
    }
    given = {name: required[name] for name in required if name in (flow.parameters.required or ())}
    flow.validate_parameters({**given, **deployment.get("parameters", {})})


def test_a_school_is_worked_on_once_at_a_time_and_by_its_own_clock() -> None:
    scheduled = [one for one in DEPLOYMENTS if "schedules" in one]
    assert {one["parameters"]["site"] for one in scheduled} == {"north", "south"}
    for one in scheduled:
        assert all("/" in schedule["timezone"] for schedule in one["schedules"])
        if one["name"].startswith("maintenance-"):
            # Its computers are claimed one by one.
            assert "concurrency_limit" not in one
            continue
        assert one["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}
    assert len({one["name"] for one in DEPLOYMENTS}) == len(DEPLOYMENTS)
