"""What ``doctor`` says of a Windows host, from the facts that its helper told."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from inventory.model import Host, WinRmAccess
from tasks.remote.facts import Facts, facts_of
from tasks.transports.winrm_fingerprint import certificate_fingerprint
from tasks.verbs.check import Check
from tasks.verbs.doctor_spool import SpoolTrial
from tasks.verbs.doctor_tls import certificate_checks
from tasks.verbs.doctor_windows import expiry_check, people_checks, windows_checks, windows_clock
from tasks.verbs.people import Person
from tests.support.certificate import make_certificate
from tests.support.golden import check_golden

NOW = 1_780_000_000.0
PEOPLE = [
    Person("NORTH\\a.ito", b"/C/Users/a.ito", "Aiko Ito"),
    Person("m.okafor", b"/C/Users/m.okafor"),
]
WELL: dict[str, Any] = {
    "powershell": "5.1.22621.4391",
    "language_mode": "FullLanguage",
    "admin": True,
    "privileges": ["SeBackupPrivilege", "SeRestorePrivilege", "SeSecurityPrivilege"],
    "shadow_copies": "allowed",
    "quotas": {
        "MaxMemoryPerShellMB": 2147483647,
        "MaxProcessesPerShell": "2147483647",
        "MaxShellsPerUser": 30,
        "IdleTimeout": 7200000,
    },
    "onedrive": {"a.ito": [{"folder": "/C/Users/a.ito/OneDrive - North", "account": "a.ito@north.example"}]},
    "loaded": [],
}
ILL: dict[str, Any] = {
    "powershell": "4.0",
    "language_mode": "ConstrainedLanguage",
    "admin": False,
    "privileges": ["SeChangeNotifyPrivilege"],
    "shadow_copies": "access denied by the provider.",
    "quotas": {"MaxMemoryPerShellMB": 512, "MaxShellsPerUser": "many", "IdleTimeout": 60000},
    "onedrive": {},
    "loaded": ["A.Ito"],
}


def host(**changed: Any) -> Host:
    return Host.model_validate(
        {
            "name": "lab4-01",
            "site": "north",
            "address": "10.3.0.9",
            "platform": "windows",
            "transport": "winrm",
            "port": 5986,
            "user": "svc-firstbell",
            **changed,
        }
    )


def facts(windows: dict[str, Any] | None, *, free: int = 90 * 2**30, offset: float = 0.0) -> Facts:
    return facts_of(
        {
            "platform": "windows",
            "system": "Windows 11 Education 23H2",
            "hostname": "LAB4-01",
            "uid": -1,
            "time": int((NOW + offset) * 1e9),
            "users": [],
            "disk": [{"path": "/C", "free": free, "total": 2**38}],
            "windows": windows,
        }
    )


def told(where: Host, document: Facts, monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    monkeypatch.setattr("time.time", lambda: NOW)
    return [*windows_checks(where, document), *people_checks(document, PEOPLE)]


def written(checks: list[Check]) -> str:
    return "".join(
        f"{check.verdict:<4}  {check.name:<10}  {check.detail}\n" + (f"      -> {check.cure}\n" if check.cure else "")
        for check in checks
    )


def test_the_whole_report_as_people_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = {
        "all is well": (host(), facts(WELL)),
        "all is wrong": (host(), facts(ILL, free=2**30, offset=-3600)),
        "nothing is told": (host(), facts({})),
        "not even that it is Windows": (host(), facts(None)),
        "little room for a shadow copy": (host(), facts(WELL, free=2**30)),
        "over SSH, without a shadow copy": (host(transport="ssh", port=22, shadow_copy="never"), facts(WELL)),
    }
    text = "\n".join(f"# {title}\n{written(told(*case, monkeypatch))}" for title, case in cases.items())
    check_golden("doctor/windows.txt", text)


def test_what_is_not_told_is_never_green(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = {check.name for check in told(host(), facts(WELL), monkeypatch)}
    for key in WELL:
        less = {name: value for name, value in WELL.items() if name != key}
        checks = told(host(), facts(less), monkeypatch)
        assert {check.name for check in checks} == everything
        unknown = [check for check in checks if check.detail.startswith("not known")]
        assert [check.verdict for check in unknown] == ["warn"], key


def test_every_line_that_is_not_green_has_a_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    for document in (ILL, {}, WELL):
        for check in told(host(), facts(document), monkeypatch):
            assert bool(check.cure) == (check.verdict != "ok"), check


def test_one_quota_that_is_not_told_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    quotas = {name: value for name, value in WELL["quotas"].items() if name != "IdleTimeout"}
    found = [check for check in told(host(), facts({**WELL, "quotas": quotas}), monkeypatch) if check.name == "quotas"]
    assert [(check.verdict, check.detail) for check in found] == [("warn", "not known: IdleTimeout")]


@pytest.mark.parametrize(("offset", "verdict"), [(0, "ok"), (59, "ok"), (-59, "ok"), (61, "warn"), (-7200, "warn")])
def test_clock(offset: float, verdict: str) -> None:
    assert windows_clock(facts(WELL, offset=offset), NOW).verdict == verdict


@pytest.mark.parametrize(
    ("days", "verdict", "word"), [(400, "ok", "until"), (29, "warn", "ends"), (-1, "warn", "ended")]
)
def test_expiry(days: int, verdict: str, word: str) -> None:
    now = datetime.now(UTC)
    check = expiry_check("tls", now + timedelta(days=days, hours=1), "a certificate", now)
    assert check.verdict == verdict
    assert word in check.detail


class EmptySpool:
    """A spool in which nothing is."""

    location = "memory"

    def offer_put(self, name: str) -> str:
        return name

    def offer_get(self, name: str) -> str:
        return name

    def put(self, name: str, data: object) -> None: ...

    def take(self, name: str) -> bytes:
        return b""

    def discard(self, name: str) -> None: ...

    def list(self, older_than: float) -> Iterator[str]:
        return iter(())


def test_spool_lines() -> None:
    assert "spool.location" in SpoolTrial().check().cure
    trial = SpoolTrial()
    spool = trial.watch(EmptySpool())
    assert trial.check().detail == "not known: nothing went through it by PUT and GET"
    spool.put("from-worker", b"1")
    assert trial.check().detail == "not known: nothing went through it by PUT"
    spool.take("from-host")
    spool.discard("from-host")
    spool.discard("from-worker")
    assert trial.check().verdict == "ok"
    trial.notes.append("S3 is not used as a spool: the host cannot reach it")
    assert trial.check().verdict == "fail"
    assert all(check.cure for check in (trial.check(), SpoolTrial().check()))


@pytest.fixture
def tls_port(tmp_path: Path) -> Iterator[tuple[int, str, Path]]:
    """A port that shows a certificate to whoever knocks: (port, fingerprint, certificate)."""
    public, private = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    certificate = x509.load_pem_x509_certificate(public.read_bytes())
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        with context.wrap_socket(connection, server_side=True) as wrapped:
                            wrapped.recv(1)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], certificate_fingerprint(certificate.public_bytes(Encoding.DER)), public
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def looked_at(port: int, **access: Any) -> Check:
    (check,) = certificate_checks(host(address="127.0.0.1", port=port, winrm=WinRmAccess.model_validate(access)))
    return check


def test_certificates(tls_port: tuple[int, str, Path]) -> None:
    port, fingerprint, public = tls_port
    known = looked_at(port, fingerprint=fingerprint)
    # It is good for a day.
    assert known.verdict == "warn"
    assert known.detail.startswith("the known certificate, ecdsa-secp256r1, ends on ")
    assert looked_at(port, ca_file=str(public)).detail.startswith("a certificate of a trusted authority")
    strange = looked_at(port)
    assert strange.verdict == "fail"
    assert fingerprint in strange.detail
    assert "winrm.fingerprint" in strange.cure
    other = looked_at(port, fingerprint="SHA256:" + "A" * 43)
    assert other.verdict == "fail"
    assert fingerprint in other.detail


def test_http_has_no_certificate() -> None:
    check = looked_at(5985, scheme="http")
    assert check.verdict == "warn"
    assert "no certificate" in check.detail


def test_a_port_without_tls(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        threading.Thread(target=_hang_up, args=(listener,), daemon=True).start()
        assert looked_at(port, fingerprint="SHA256:" + "A" * 43).verdict == "fail"


def _hang_up(listener: socket.socket) -> None:
    listener.accept()[0].close()
