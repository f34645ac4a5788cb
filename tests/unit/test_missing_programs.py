"""The policy of tests/conftest.py: a missing program skips only its tests and is named; with CI=true it fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: One test that needs restic, and one that needs nothing.
TESTS = ["tests/interop/test_restic_client.py::test_memory_is_no_place_for_restic", "tests/unit/test_local_backend.py"]


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_without_restic(tmp_path: Path, ci: str, code: int) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment |= {"PATH": str(tmp_path), "CI": ci, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'base'}", *TESTS],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == code, done.stdout
    if ci:
        assert any("restic is missing" in line and "apt install restic" in line for line in lines)
        assert "1 error" in lines[-1]
        assert "skipped" not in lines[-1]
    else:
        assert "restic is missing: 1 tests skipped. To run them: apt install restic" in lines
        assert "1 skipped" in lines[-1]
    assert "passed" in lines[-1]
