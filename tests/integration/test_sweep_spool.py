"""The spool of a site is swept of what is old, and of nothing else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from configs.load import config_from
from inventory.model import Inventory
from tasks.backends.s3_location import parse_s3_location
from tasks.backends.s3_spool import S3Spool
from tasks.verbs.context import Context
from tasks.verbs.maintain import sweep_spool
from tasks.verbs.site_repository import s3_options
from tests.support.seaweed import SeaweedServer


def test_a_site_without_a_spool_has_nothing_to_sweep(tmp_path: Path) -> None:
    context = Context(config_from({}, {}, source="app.yaml"), Inventory({}))
    assert sweep_spool(context, "north").location is None


@pytest.mark.s3
def test_leftovers_go_and_the_rest_of_the_bucket_stays(
    s3_server: SeaweedServer, s3_location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {
        "s3": {"region": "us-east-1", "addressing_style": "path"},
        "spool": {"location": s3_location + "/{site}/spool"},
    }
    context = Context(config_from(content, {}, source="app.yaml"), Inventory({}))

    def spool(place: str) -> S3Spool:
        return S3Spool(parse_s3_location(place.removeprefix("s3:")), s3_options(context))

    ours, beside = spool(f"{s3_location}/north/spool"), spool(f"{s3_location}/north/repository")
    ours.put("run/from-host-00000001", b"x")
    beside.put("data", b"y")
    assert sweep_spool(context, "north").removed == 0
    begun = time.monotonic()
    while (result := sweep_spool(context, "north", older_than=0.0)).removed == 0:
        # The store's clock counts in whole seconds.
        assert time.monotonic() - begun < 10
    assert (result.location, result.removed) == (f"{s3_location}/north/spool", 1)
    assert beside.take("data") == b"y"
    ours.close()
    beside.close()
