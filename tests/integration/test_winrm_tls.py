"""WinRM over https: which certificate is trusted, what is sent to whom, and each login that TLS allows."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from pydantic import SecretStr

from tasks.errors import AuthFailed, IdentityRefused, InventoryError, Unreachable
from tasks.transports.base import HostIdentity
from tasks.transports.winrm import WinRmSettings, WinRmTransport
from tasks.transports.winrm_fingerprint import certificate_fingerprint, hexadecimal
from tests.support import posix_command_line
from tests.support.certificate import make_certificate
from tests.support.winrm_server import WinRmServer

Pair = tuple[Path, Path]
Make = Callable[..., WinRmTransport]


def _pair(folder: Path) -> Pair:
    folder.mkdir()
    return make_certificate(folder)


def _fingerprint(pair: Pair) -> str:
    return certificate_fingerprint(ssl.PEM_cert_to_DER_cert(pair[0].read_text()))


def _let_in(server: WinRmServer, certificate: Path) -> None:
    name = x509.load_pem_x509_certificate(certificate.read_bytes()).subject.rdns[0].get_attributes_for_oid
    server.accounts.certificates[str(name(x509.NameOID.COMMON_NAME)[0].value)] = "svc-firstbell"


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """The server's certificate and key."""
    return _pair(tmp_path / "server")


@pytest.fixture
def other(tmp_path: Path) -> Pair:
    return _pair(tmp_path / "other")


@pytest.fixture
def server(pair: Pair, other: Pair) -> Iterator[WinRmServer]:
    """Clients may log in with the other certificate."""
    with WinRmServer(posix_command_line.run, certificate=pair, client_ca=other[0]) as server:
        yield server


@pytest.fixture
def make(server: WinRmServer) -> Iterator[Make]:
    made: list[WinRmTransport] = []

    def factory(**changes: Any) -> WinRmTransport:
        settings = WinRmSettings(
            server.address, server.port, user=server.user, password=SecretStr(server.password), close_grace=0.1
        )
        made.append(WinRmTransport("lab3-07", replace(settings, **changes)))
        return made[-1]

    yield factory
    for transport in made:
        transport.close()


def says(transport: WinRmTransport, word: str = "x") -> bool:
    stream = transport.start(["echo", word])
    text = b""
    while piece := stream.read(100):
        text += piece
    return text == word.encode() + b"\n"


@pytest.mark.parametrize("auth", ["ntlm", "basic"])
def test_a_certificate_of_the_authority_is_trusted(make: Make, pair: Pair, auth: Any) -> None:
    transport = make(ca_file=pair[0], auth=auth)
    transport.open()
    assert transport.identity() == HostIdentity("tls-certificate", "ecdsa-secp256r1", _fingerprint(pair))
    assert says(transport)


@pytest.mark.parametrize("spelling", [str, hexadecimal])
def test_a_pinned_certificate_is_trusted_whoever_signed_it(
    make: Make, pair: Pair, spelling: Callable[[str], str]
) -> None:
    transport = make(fingerprint=spelling(_fingerprint(pair)))
    transport.open()
    assert says(transport)


@pytest.mark.parametrize("auth", ["ntlm", "basic"])
def test_an_unknown_certificate_gets_no_login(server: WinRmServer, make: Make, pair: Pair, auth: Any) -> None:
    asked: list[HostIdentity] = []
    transport = make(auth=auth)
    with pytest.raises(IdentityRefused, match=r"lab3-07: the certificate of .* is not trusted .*self-signed") as caught:
        transport.open(lambda identity: bool(asked.append(identity)))
    assert _fingerprint(pair) in str(caught.value)
    assert "winrm.fingerprint" in caught.value.hint
    assert [identity.fingerprint for identity in asked] == [_fingerprint(pair)]
    assert server.accounts.logins == []


def test_a_certificate_of_another_authority(server: WinRmServer, make: Make, other: Pair) -> None:
    with pytest.raises(IdentityRefused, match="is not trusted"):
        make(ca_file=other[0]).open()
    assert server.accounts.logins == []


def test_an_unknown_certificate_that_somebody_accepts(make: Make) -> None:
    transport = make()
    transport.open(lambda identity: True)
    assert says(transport)


def test_a_certificate_of_another_name(make: Make, pair: Pair) -> None:
    with pytest.raises(IdentityRefused, match=r"not trusted .*localhost"):
        make(address="localhost", ca_file=pair[0]).open()
    make(address="localhost", fingerprint=_fingerprint(pair)).open()


def test_another_certificate_than_the_pinned_one(server: WinRmServer, make: Make, pair: Pair, other: Pair) -> None:
    with pytest.raises(IdentityRefused, match=r"shows the certificate .*, but known is") as caught:
        make(fingerprint=_fingerprint(other), ca_file=pair[0]).open()
    assert _fingerprint(pair) in str(caught.value)
    assert _fingerprint(other) in str(caught.value)
    # Accepted for now, but a password is not shown to it.
    with pytest.raises(IdentityRefused, match="would show it the password"):
        make(fingerprint=_fingerprint(other), auth="basic").open(lambda identity: True)
    assert server.accounts.logins == []
    transport = make(fingerprint=_fingerprint(other))
    transport.open(lambda identity: True)
    assert says(transport)
    assert transport.identity().fingerprint == _fingerprint(pair)


def test_a_reimaged_computer_gets_no_password_and_no_proof_of_one(
    server: WinRmServer, make: Make, pair: Pair, other: Pair
) -> None:
    for known in ({}, {"fingerprint": _fingerprint(other)}):
        for auth in ("ntlm", "basic"):
            with pytest.raises(IdentityRefused, match=f"a login by {auth} needs a password"):
                make(auth=auth, **known).open(lambda identity: "without-password")
    assert server.accounts.logins == []
    certificate, key = other
    _let_in(server, certificate)
    by_certificate = make(auth="certificate", certificate_file=certificate, key_file=key, user=None, password=None)
    by_certificate.open(lambda identity: "without-password")
    assert says(by_certificate)
    # A person has compared it: it is known as any other is.
    compared = make(fingerprint=_fingerprint(other), auth="basic")
    compared.open(lambda identity: "compared")
    assert says(compared)


def test_the_certificate_changes_under_way(server: WinRmServer, make: Make, pair: Pair, other: Pair) -> None:
    transport = make(ca_file=pair[0])
    transport.open()
    stream = transport.start(["sh", "-c", "echo up; cat"])
    assert stream.read(10) == b"up\n"
    assert server.tls is not None
    logins = len(server.accounts.logins)
    server.tls.load_cert_chain(*other)
    server.drop_connections()
    with pytest.raises(IdentityRefused, match="suddenly shows another certificate"):
        stream.read(1)
    with pytest.raises(IdentityRefused):
        stream.write(b"x")
    assert len(server.accounts.logins) == logins


@pytest.mark.parametrize("auth", ["ntlm", "basic"])
def test_cut_connections_are_made_anew(server: WinRmServer, make: Make, pair: Pair, auth: Any) -> None:
    transport = make(ca_file=pair[0], auth=auth)
    transport.open()
    server.faults.drop_when = "answered"
    server.faults.drop_every = 2
    stream = transport.start(["cat"])
    for number in range(6):
        stream.write(b"%d" % number)
        assert stream.read(1) == b"%d" % number
    stream.finish_input()
    assert stream.read(1) == b""
    assert server.faults.dropped >= 5
    transport.close()
    assert len(server.shells) == 0


@pytest.mark.parametrize("auth", ["ntlm", "basic"])
def test_a_wrong_password_is_tried_once(server: WinRmServer, make: Make, pair: Pair, auth: Any) -> None:
    transport = make(ca_file=pair[0], auth=auth, password=SecretStr("ein Paßwort €"))
    for _ in range(2):
        with pytest.raises(AuthFailed, match="refused the login of") as caught:
            transport.open()
    assert server.accounts.logins == [("a.ito", False)]
    assert "Paßwort" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("auth", ["ntlm", "basic"])
def test_a_password_that_is_not_latin(server: WinRmServer, make: Make, pair: Pair, auth: Any) -> None:
    server.accounts.set_password(server.user, "ein Paßwort €")
    transport = make(ca_file=pair[0], auth=auth, password=SecretStr("ein Paßwort €"))
    transport.open()
    assert says(transport)


def test_a_login_by_certificate(server: WinRmServer, make: Make, pair: Pair, other: Pair) -> None:
    _let_in(server, other[0])
    settings = {"auth": "certificate", "user": None, "password": None, "ca_file": pair[0]}
    transport = make(certificate_file=other[0], key_file=other[1], **settings)
    transport.open()
    assert says(transport)
    assert set(server.accounts.logins) == {("svc-firstbell", True)}


def test_a_certificate_that_nobody_knows(server: WinRmServer, make: Make, pair: Pair, other: Pair) -> None:
    transport = make(auth="certificate", ca_file=pair[0], certificate_file=other[0], key_file=other[1])
    with pytest.raises(AuthFailed, match="refused the login"):
        transport.open()


def test_an_authority_file_that_is_none(make: Make, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing of that kind")
    for file in ("ca.pem", "no-such.pem"):
        with pytest.raises(InventoryError, match=f"{file} cannot be used"):
            make(ca_file=tmp_path / file).open()


def test_http_behind_a_port_that_should_be_https() -> None:
    with WinRmServer(posix_command_line.run) as plain:
        settings = WinRmSettings(plain.address, plain.port, user="a.ito", password=SecretStr("secret"))
        with pytest.raises(Unreachable, match="does not speak TLS"):
            WinRmTransport("lab3-07", settings).open()
        assert plain.accounts.logins == []


def test_https_behind_a_port_that_should_be_http(server: WinRmServer, make: Make) -> None:
    with pytest.raises(Unreachable, match=r"logging in|opening a shell"):
        make(scheme="http").open()
    assert server.accounts.logins == []
