"""``doctor`` on a Windows computer: a real WinRM link to PowerShell under Wine, and a real S3 server as the spool."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.verbs.check import Check
from tasks.verbs.doctor import examine
from tests.support.seaweed import SeaweedServer
from tests.support.wine import WinePrefix
from tests.support.winrm_school import HOST, WinRmSchool, winrm_school


@pytest.fixture
def school(
    tmp_path: Path, windows: WinePrefix, s3_server: SeaweedServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WinRmSchool]:
    with winrm_school(tmp_path / "school", windows, s3_server) as school:
        for name, value in school.environment().items():
            monkeypatch.setenv(name, value)
        yield school


def told(school: WinRmSchool) -> dict[str, Check]:
    return {check.name: check for check in examine(school.context(), HOST)}


def test_every_line_of_a_windows_computer(school: WinRmSchool) -> None:
    checks = told(school)
    for name in ("network", "login", "system", "language", "clock", "spool"):
        assert checks[name].verdict == "ok", checks[name]
    assert "all removed" in checks["spool"].detail
    # Sealed by NTLM, but without a certificate.
    assert checks["tls"].verdict == "warn"
    # What Wine has not is not known, or told as missing; never well.
    for name in ("shadow", "powershell"):
        assert checks[name].verdict == "warn", checks[name]
    assert {"privileges", "quotas", "profiles", "onedrive", "people"} <= set(checks)
    for check in checks.values():
        assert bool(check.cure) == (check.verdict != "ok"), check


def test_a_store_that_the_computer_cannot_reach(school: WinRmSchool) -> None:
    school.write(spool={"location": "s3://firstbell/spool", "public_endpoint": "http://127.0.0.1:9"})
    spool = told(school)["spool"]
    assert spool.verdict == "fail"
    assert "S3 is not used as a spool" in spool.detail
    assert "X-Amz" not in spool.detail
    assert "spool.proxy" in spool.cure


def test_a_wrong_password_is_tried_once(school: WinRmSchool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTBELL_WINRM_PASSWORD", "not it")
    checks = told(school)
    assert checks["connection"].verdict == "fail"
    assert "not it" not in checks["connection"].detail + checks["connection"].cure
    assert "LocalAccountTokenFilterPolicy" in checks["connection"].cure
