"""Which host keys are accepted: known_hosts against a real sshd, checked with OpenSSH's own tools."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.errors import IdentityRefused
from tasks.transports.base import HostIdentity
from tasks.transports.known_hosts import KnownHosts
from tasks.transports.ssh import SshSettings, SshTransport
from tests.support.sshd import SshServer, fingerprint, make_key


@pytest.fixture(scope="module")
def two_keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """An sshd with an ed25519 and an ecdsa host key."""
    folder = tmp_path_factory.mktemp("sshd-two-keys")
    with SshServer(folder, host_keys=("ed25519", "ecdsa")) as server:
        yield server


pytestmark = pytest.mark.ssh


def transport_to(sshd: SshServer, known: Path, **changes: object) -> SshTransport:
    settings = SshSettings(sshd.address, sshd.port, sshd.user, key_files=(sshd.client_key,), known_hosts=known)
    return SshTransport("lab3-07", replace(settings, **changes))  # type: ignore[arg-type]


def opens(sshd: SshServer, known: Path) -> HostIdentity:
    transport = transport_to(sshd, known)
    try:
        transport.open()
        return transport.identity()
    finally:
        transport.close()


def refusal(sshd: SshServer, known: Path) -> IdentityRefused:
    transport = transport_to(sshd, known)
    with pytest.raises(IdentityRefused) as caught:
        transport.open()
    transport.close()
    return caught.value


def test_a_known_host(two_keys: SshServer) -> None:
    identity = opens(two_keys, two_keys.known_hosts)
    assert identity == HostIdentity("ssh-host-key", "ssh-ed25519", two_keys.host_key_fingerprint)


def test_an_unknown_host_is_refused_with_the_cure(two_keys: SshServer, tmp_path: Path) -> None:
    known = tmp_path / "known hosts"
    error = refusal(two_keys, known)
    assert str(error) == (
        f"lab3-07: [127.0.0.1]:{two_keys.port} is not known: it shows the ssh-ed25519 key "
        f"{two_keys.host_key_fingerprint}, and {known} has no entry for it"
    )
    assert f"ssh-keyscan -p {two_keys.port} 127.0.0.1 >> '{known}'" in error.hint
    assert not known.exists()
    # The cure cures.
    command = error.hint.rpartition("add it: ")[2]
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    opens(two_keys, known)


def test_a_changed_key_is_refused_with_both_fingerprints_and_the_cure(two_keys: SshServer, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    known = tmp_path / "known_hosts"
    known.write_text("# a comment\n" + two_keys.known_line(other))
    error = refusal(two_keys, known)
    assert f"shows the ssh-ed25519 key {two_keys.host_key_fingerprint}" in str(error)
    assert f"but known is ssh-ed25519 {fingerprint(Path(f'{other}.pub'))} ({known} line 2)" in str(error)
    command = error.hint.rpartition("if it is right: ")[2]
    assert command.startswith(f"ssh-keygen -f {known} -R '[127.0.0.1]:{two_keys.port}' && ssh-keyscan")
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    opens(two_keys, known)


@pytest.mark.parametrize("changed", [False, True])
def test_the_caller_may_accept_a_key_for_this_connection(two_keys: SshServer, tmp_path: Path, changed: bool) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(two_keys.known_line(make_key(tmp_path / "other")) if changed else "")
    before = known.read_bytes()
    asked: list[HostIdentity] = []
    transport = transport_to(two_keys, known)
    transport.open(lambda identity: not asked.append(identity))
    assert [identity.fingerprint for identity in asked] == [two_keys.host_key_fingerprint]
    assert transport.identity() == asked[0]
    transport.close()
    assert known.read_bytes() == before


def test_a_host_known_by_its_ecdsa_key_alone(two_keys: SshServer, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(two_keys.known_line(two_keys.host_keys[1]))
    assert opens(two_keys, known).algorithm == "ecdsa-sha2-nistp256"


def test_hashed_names(two_keys: SshServer, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(two_keys.known_hosts.read_text())
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(known)], check=True, capture_output=True)
    assert "127.0.0.1" not in known.read_text()
    opens(two_keys, known)


def test_a_line_without_a_port_counts_for_another_port(two_keys: SshServer, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(two_keys.known_line(two_keys.host_keys[0]).replace(f"[127.0.0.1]:{two_keys.port}", "127.0.0.1"))
    opens(two_keys, known)


def test_a_revoked_key_is_refused_even_when_the_caller_would_accept(two_keys: SshServer, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    line = two_keys.known_line(two_keys.host_keys[0])
    known.write_text(line + "@revoked * " + line.split(" ", 1)[1])
    transport = transport_to(two_keys, known)
    with pytest.raises(IdentityRefused, match="@revoked"):
        transport.open(lambda _: True)
    transport.close()


def test_certificate_authorities_are_told_to_be_unsupported(two_keys: SshServer, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text("@cert-authority * " + two_keys.known_line(two_keys.host_keys[0]).split(" ", 1)[1])
    assert "@cert-authority lines of known_hosts are not supported" in str(refusal(two_keys, known))


def test_without_a_file_of_its_own_the_users_counts(
    two_keys: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "known_hosts").write_text(two_keys.known_hosts.read_text())
    transport = transport_to(two_keys, two_keys.known_hosts, known_hosts=None)
    transport.open()
    transport.close()


def test_a_password_is_not_offered_to_a_host_whose_key_has_changed(two_keys: SshServer, tmp_path: Path) -> None:
    from pydantic import SecretStr

    from tasks.errors import AuthFailed

    known = tmp_path / "known_hosts"
    known.write_text(two_keys.known_line(make_key(tmp_path / "other")))
    transport = transport_to(two_keys, known, key_files=(), password=SecretStr("geheim-1"))
    with pytest.raises(AuthFailed, match="password was not offered, because the host's key has changed"):
        transport.open(lambda _: True)
    transport.close()


# The format, without a server.

KEY = base64.b64encode(b"\x00\x00\x00\x0bssh-ed25519 and so on").decode()


@pytest.mark.parametrize(
    ("names", "host", "port", "found"),
    [
        ("lab3-07", "lab3-07", 22, True),
        ("lab3-07", "LAB3-07", 22, True),
        ("lab3-070", "lab3-07", 22, False),
        ("a,lab3-07,10.0.0.7", "10.0.0.7", 22, True),
        ("lab3-*", "lab3-07", 22, True),
        ("lab?-07", "lab3-07", 22, True),
        ("*.school.example,!bad.school.example", "good.school.example", 22, True),
        ("*.school.example,!bad.school.example", "bad.school.example", 22, False),
        ("[lab3-07]:2222", "lab3-07", 2222, True),
        ("[lab3-07]:2222", "lab3-07", 22, False),
        ("[lab3-07]:2222", "l", 2222, False),
        ("[lab3-07]:2222", "lab3-07", 2223, False),
        ("|1|notbase64|x", "lab3-07", 22, False),
    ],
)
def test_names(tmp_path: Path, names: str, host: str, port: int, found: bool) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"\n# comment\nbroken line\n{names} ssh-ed25519 {KEY} a comment\n{names} ssh-rsa ?? broken key\n")
    assert bool(KnownHosts.lookup([file, tmp_path / "missing"], host, port).trusted) is found
