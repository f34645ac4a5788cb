"""The gate on a real S3 server and over a real sshd, as programs call it: by exit codes and JSON."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.support.command_run import json_lines
from tests.support.loopback_site import LoopbackSite
from tests.support.teacher_home import make_home

pytestmark = [pytest.mark.ssh, pytest.mark.s3]


def test_a_computer_on_s3_and_ssh(school: LoopbackSite, tmp_path: Path) -> None:
    home = tmp_path / "a.ito"
    make_home(home, files=30, large_mib=1)
    school.add_host("gated", "a.ito", home)
    today = datetime.now(UTC).date()
    term = {"name": "T", "first": str(today - timedelta(days=30)), "last": str(today + timedelta(days=30))}
    calendar = school.folder / "calendars" / "north.yaml"
    calendar.parent.mkdir()
    calendar.write_text(yaml.safe_dump({"terms": [term], "quiet_hours": []}))
    environment = {**school.environment(), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    # Whoever has an account on the machine that the test runs on.
    environment["FIRSTBELL_GATE__IGNORE_PROFILES"] = '["*"]'
    school.run("snapshot", "gated")

    def gate(*arguments: str) -> tuple[int, dict[str, object]]:
        done = subprocess.run(
            school.command(*arguments, "--json"), env=environment, capture_output=True, text=True, timeout=60
        )
        return done.returncode, json_lines(done.stdout)[-1]

    try:
        code, told = gate("gate", "gated")
        assert (code, told["verdict"]) == (20, "hold")
        code, told = gate("verify", "gated")
        assert (code, told["good"], told["method"]) == (0, True, "spot")
        for _ in range(2):
            code, told = gate("gate", "gated")
            assert (code, told["verdict"], told["reasons"]) == (0, "open", [])
        environment["FIRSTBELL_S3_SECRET"] = "not this one"
        code, told = gate("gate", "gated")
        assert (code, told["verdict"]) == (20, "hold")
    finally:
        calendar.unlink()
        calendar.parent.rmdir()
        del school.hosts["gated"]
        school.write_inventory()
