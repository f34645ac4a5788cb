"""Parts of the WinRM transport that need no host: command lines, fingerprints, settings, the words of errors."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from winrm.exceptions import WinRMTransportError, WSManFaultError

from tasks.errors import AuthFailed, FirstbellError, HelperFailed, InventoryError, Unreachable
from tasks.transports.redact import Redactor
from tasks.transports.registry import make_transport
from tasks.transports.winrm import WinRmTransport
from tasks.transports.winrm_command import command_line
from tasks.transports.winrm_errors import Translator, outcome
from tasks.transports.winrm_fingerprint import certificate_fingerprint, hexadecimal, normal_fingerprint
from tasks.transports.winrm_settings import WinRmSettings
from tests.support.posix_command_line import split, through_cmd

_PASSWORD = "Pass&word%1"
_GOOD = WinRmSettings("10.0.0.7", user="a.ito", password=SecretStr(_PASSWORD))
_DIGEST = hashlib.sha256(b"a certificate").hexdigest()

_words = st.text(
    st.one_of(st.sampled_from(" \"\\^%!&|<>()\t=,;'`$@PATH"), st.characters(exclude_categories=["Cc", "Cs", "Cn"])),
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_words, max_size=5))
def test_a_program_gets_its_arguments_through_cmd(arguments: list[str]) -> None:
    line = command_line(["C:\\Program Files\\x.exe", *arguments], "lab3-07")
    passed = through_cmd(line, {"PATH": "replaced", "P": "replaced", " ": "replaced"})
    assert split(passed) == ["C:\\Program Files\\x.exe", *arguments]


def test_a_bootstrap_is_left_readable() -> None:
    powershell = r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe"
    text = "$s = [Console]::OpenStandardInput(); $b = New-Object byte[] 4096"
    line = command_line([powershell, "-NoLogo", "-InputFormat", "None", "-Command", text], "lab3-07")
    assert line == f'{powershell} -NoLogo -InputFormat None -Command "{text}"'


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "\0", "\x1b", "\ud800", "\x7f"])
def test_what_no_command_line_can_hold(bad: str) -> None:
    with pytest.raises(HelperFailed, match=r"lab3-07: the character .* cannot be in a command line"):
        command_line(["x.exe", bad], "lab3-07")


def test_the_longest_command_line() -> None:
    assert len(command_line(["x", "a" * 8189], "lab3-07")) == 8191
    with pytest.raises(HelperFailed, match="the command line has 8192 characters"):
        command_line(["x", "a" * 8190], "lab3-07")


@pytest.mark.parametrize(
    "written",
    [
        _DIGEST,
        _DIGEST.upper(),
        ":".join(_DIGEST[i : i + 2] for i in range(0, 64, 2)),
        f"SHA256:{_DIGEST}",
        certificate_fingerprint(b"a certificate"),
        certificate_fingerprint(b"a certificate").replace("SHA256:", "sha256:") + "=",
    ],
)
def test_a_fingerprint_in_each_spelling(written: str) -> None:
    normal = normal_fingerprint(written, "lab3-07")
    assert normal == certificate_fingerprint(b"a certificate")
    assert hexadecimal(normal) == _DIGEST


@pytest.mark.parametrize(
    ("written", "why"),
    [("ab" * 20, "SHA-1"), ("SHA256:short", "not SHA-256"), ("", "not SHA-256"), ("SHA256:" + "ä" * 43, "not SHA-256")],
)
def test_what_is_no_fingerprint(written: str, why: str) -> None:
    with pytest.raises(InventoryError, match=why):
        normal_fingerprint(written, "lab3-07")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"scheme": "http", "auth": "basic"}, "readable, so nothing was sent"),
        ({"scheme": "http", "auth": "certificate"}, "readable, so nothing was sent"),
        ({"user": None}, "needs a user and a password"),
        ({"password": None}, "needs a user and a password"),
        ({"auth": "certificate"}, "'certificate_file' is not set"),
        ({"auth": "certificate", "certificate_file": Path(__file__)}, "'key_file' is not set"),
        ({"auth": "certificate", "certificate_file": Path("/no/such.pem")}, "is not a file on this computer"),
        ({"operation_timeout": 60}, "an operation timeout of 60 s"),
        ({"operation_timeout": 0}, "an operation timeout of 0 s"),
        ({"fingerprint": "1234"}, "not SHA-256"),
    ],
)
def test_settings_that_cannot_work(changes: dict[str, object], why: str) -> None:
    values = {name: getattr(_GOOD, name) for name in ("address", "user", "password")} | changes
    with pytest.raises(InventoryError, match=f"lab3-07: .*{why}") as caught:
        make_transport("winrm", "lab3-07", WinRmSettings(**values))  # type: ignore[arg-type]
    assert caught.value.hint


def test_settings_that_can_work() -> None:
    transport = make_transport("winrm", "lab3-07", _GOOD)
    assert isinstance(transport, WinRmTransport)
    assert _GOOD.endpoint == "https://10.0.0.7:5986/wsman"
    assert WinRmSettings("fe80::1", 5985, "http").endpoint == "http://[fe80::1]:5985/wsman"
    WinRmSettings("desk.school.example", auth="kerberos").check("lab3-07")
    assert _PASSWORD not in repr(_GOOD) + repr(transport) + str(vars(transport))
    with pytest.raises(InventoryError, match="no address"):
        make_transport("winrm", "lab3-07")


def _fault(code: int | None, reason: str = "because", subcode: str = "") -> WSManFaultError:
    return WSManFaultError(500, "", "", reason, fault_subcode=subcode, wsman_fault_code=code)


@pytest.mark.parametrize(
    ("error", "kind", "words", "cure"),
    [
        (_fault(2150858843), Unreachable, "has closed our shell", "try again"),
        (_fault(2150859173), HelperFailed, "no further shell for this account: because", "MaxShellsPerUser"),
        (_fault(2150859241), HelperFailed, "a quota .* is used up: because", "raise the quota"),
        (_fault(None, subcode="w:QuotaLimit"), HelperFailed, "a quota", "raise the quota"),
        (_fault(2150859180), HelperFailed, "allows no remote shells", "AllowRemoteShellAccess"),
        (_fault(5), AuthFailed, "lets a.ito in, but not open a shell", "Remote Management Users"),
        (_fault(1234, f"of {_PASSWORD}"), HelperFailed, r"refuses: of \[secret\] \(WSManFault 1234\)", ""),
        (WinRMTransportError("http", 404, "x"), Unreachable, "another service answers", "listener"),
        (WinRMTransportError("http", 503, ""), Unreachable, "HTTP status 503", "try again|Try again"),
        (PermissionError("no challenge"), AuthFailed, "refused the login of a.ito", "no second try"),
        (KeyError("www-authenticate"), Unreachable, "nobody understands", "try again"),
        (requests.ConnectionError(_PASSWORD), Unreachable, r"was cut: \[secret\]", "try again"),
    ],
)
def test_each_error_says_what_where_why_and_the_cure(
    error: Exception, kind: type[FirstbellError], words: str, cure: str
) -> None:
    translated = Translator("lab3-07", _GOOD, Redactor(_GOOD.secrets())).translate("testing", error)
    assert type(translated) is kind
    assert re.match(f"lab3-07: .*{words}", str(translated))
    assert re.search(cure, translated.hint)
    assert _PASSWORD not in str(translated) + translated.hint


def test_a_login_that_the_host_does_not_offer() -> None:
    refused = Translator("lab3-07", _GOOD, Redactor()).refused
    assert "refused the login" in str(refused('Negotiate, Basic realm="WSMAN"'))
    assert "only by Basic" in str(refused('Basic realm="WSMAN"'))
    assert "refused the login" in str(refused(""))


def test_only_what_nobody_read_is_unread() -> None:
    assert outcome(WinRMTransportError("http", 400, "")) == "unread"
    assert outcome(WinRMTransportError("http", 400, "a reason")) == "final"
    assert outcome(_fault(1)) == "answered"
    assert outcome(_fault(1460)) == "late"
    assert outcome(requests.ConnectTimeout()) == "unsent"
    assert outcome(requests.ReadTimeout()) == "unknown"
    assert outcome(ValueError()) == "final"
