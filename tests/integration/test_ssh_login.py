"""Logging in over SSH: keys and agent against a real sshd, passwords against a scripted server (sshd needs PAM)."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from tasks.errors import AuthFailed, Timeout
from tasks.transports.ssh import SshSettings, SshTransport
from tests.support.scripted_ssh import Script, ScriptedSshServer
from tests.support.sshd import SshServer, make_key

PASSWORD = "Tr0ub4dor&3 'geheim'"


def settings_of(sshd: SshServer, **changes: object) -> SshSettings:
    plain = SshSettings(sshd.address, sshd.port, sshd.user, known_hosts=sshd.known_hosts)
    return replace(plain, **changes)  # type: ignore[arg-type]


def login(settings: SshSettings) -> None:
    """Log in and run something."""
    transport = SshTransport("lab3-07", settings)
    try:
        transport.open()
        stream = transport.start(["echo", "in"])
        assert stream.read(10) == b"in\n"
    finally:
        transport.close()


def refusal(settings: SshSettings) -> AuthFailed:
    with pytest.raises(AuthFailed) as caught:
        login(settings)
    return caught.value


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_keys_of_each_kind(sshd: SshServer, tmp_path: Path, kind: str) -> None:
    key = make_key(tmp_path / kind, kind)
    sshd.authorize(key)
    login(settings_of(sshd, key_files=(key,)))


def test_a_key_with_a_passphrase(sshd: SshServer, tmp_path: Path) -> None:
    key = make_key(tmp_path / "locked", passphrase=PASSWORD)
    sshd.authorize(key)
    login(settings_of(sshd, key_files=(key,), key_passphrase=SecretStr(PASSWORD)))
    # A passphrase that a key does not need does no harm.
    login(settings_of(sshd, key_files=(sshd.client_key,), key_passphrase=SecretStr(PASSWORD)))


def test_key_files_that_cannot_be_used_are_named(sshd: SshServer, tmp_path: Path) -> None:
    locked = make_key(tmp_path / "locked", passphrase=PASSWORD)
    junk = tmp_path / "junk"
    junk.write_text("no key at all")
    missing = tmp_path / "missing"
    error = refusal(settings_of(sshd, key_files=(locked, junk, missing)))
    assert f"{locked} is protected by a passphrase, and none is configured" in str(error)
    assert f"{junk} cannot be used" in str(error)
    assert f"{missing}: No such file" in str(error)
    wrong = refusal(settings_of(sshd, key_files=(locked,), key_passphrase=SecretStr("wrong-passphrase")))
    assert "the passphrase is wrong" in str(wrong)
    assert "wrong-passphrase" not in str(wrong) + wrong.hint + repr(wrong)


def test_a_wrong_key_is_refused_with_who_what_and_why(sshd: SshServer, tmp_path: Path) -> None:
    stranger = make_key(tmp_path / "stranger")
    error = refusal(settings_of(sshd, key_files=(stranger,)))
    assert str(error) == (
        f"lab3-07: 127.0.0.1 port {sshd.port} did not let '{sshd.user}' in; tried: key {stranger}; "
        "the host allows: publickey"
    )
    assert "authorized_keys" in error.hint
    assert not error.transient


def test_the_second_key_is_tried_after_the_first(sshd: SshServer, tmp_path: Path) -> None:
    login(settings_of(sshd, key_files=(make_key(tmp_path / "stranger"), sshd.client_key)))


def test_more_keys_than_the_host_bears(sshd: SshServer, tmp_path: Path) -> None:
    keys = tuple(make_key(tmp_path / f"key{number}") for number in range(8))
    error = refusal(settings_of(sshd, key_files=keys))
    assert "the host said: Too many authentication failures" in str(error)


def test_no_credential_at_all(sshd: SshServer) -> None:
    error = refusal(settings_of(sshd))
    assert "tried: nothing" in str(error)
    assert "Configure a key file" in error.hint


@pytest.fixture
def agent(sshd: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real ssh-agent that holds the client key."""
    sock = tmp_path / "agent.sock"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(sock)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()  # it listens once it has told its variables
    monkeypatch.setenv("SSH_AUTH_SOCK", str(sock))
    subprocess.run(["ssh-add", "-q", str(sshd.client_key)], check=True, capture_output=True)
    yield
    process.terminate()
    process.wait(60)
    process.stdout.close()


@pytest.mark.usefixtures("agent")
def test_a_key_of_the_agent(sshd: SshServer) -> None:
    login(settings_of(sshd, use_agent=True))
    assert "tried: nothing" in str(refusal(settings_of(sshd)))


def test_without_an_agent(sshd: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/nonexistent/agent")
    assert "no SSH agent answers" in str(refusal(settings_of(sshd, use_agent=True)))


# Passwords: the scripted server.


@pytest.fixture(scope="module")
def host_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("scripted") / "host")


def attempt(
    tmp_path: Path, host_key: Path, script: Script, password: str | None, **changes: object
) -> tuple[SshTransport, BaseException | None]:
    """Log in to a scripted server and tell how that went."""
    with ScriptedSshServer(script, host_key) as server:
        known = tmp_path / "known_hosts"
        known.write_text(server.known_line)
        settings = SshSettings(
            server.address,
            server.port,
            "a.ito",
            password=SecretStr(password) if password is not None else None,
            known_hosts=known,
        )
        transport = SshTransport("lab3-07", replace(settings, **changes))  # type: ignore[arg-type]
        try:
            transport.open()
        except BaseException as error:
            return transport, error
        finally:
            transport.close()
        return transport, None


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
def test_the_password(tmp_path: Path, host_key: Path, method: str) -> None:
    script = Script(PASSWORD, steps=[method])
    assert attempt(tmp_path, host_key, script, PASSWORD)[1] is None
    assert script.seen == [(method, PASSWORD)]


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
def test_a_wrong_password_is_tried_once_and_never_shown(
    tmp_path: Path, host_key: Path, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    script = Script(PASSWORD, steps=[method])
    transport, error = attempt(tmp_path, host_key, script, "hunter2-wrong")
    assert isinstance(error, AuthFailed)
    assert script.seen == [(method, "hunter2-wrong")]
    assert str(error).endswith(f"did not let 'a.ito' in; tried: {method}; the host allows: {method}")
    shown = str(error) + error.hint + repr(error) + repr(transport) + repr(transport.settings) + caplog.text
    assert "hunter2" not in shown


def test_a_password_is_not_sent_to_a_host_that_does_not_take_one(tmp_path: Path, host_key: Path) -> None:
    script = Script(PASSWORD, steps=["publickey"])
    _, error = attempt(tmp_path, host_key, script, PASSWORD)
    assert isinstance(error, AuthFailed)
    assert "tried: nothing; the host allows: publickey" in str(error)
    assert script.seen == []


@pytest.mark.parametrize(
    "questions",
    [[("Verification code: ", True)], [("Password: ", False), ("One-time code: ", False)], [("Your name? ", True)]],
)
def test_only_a_password_is_answered(tmp_path: Path, host_key: Path, questions: list[tuple[str, bool]]) -> None:
    script = Script(PASSWORD, steps=["keyboard-interactive"], questions=questions)
    _, error = attempt(tmp_path, host_key, script, PASSWORD)
    assert isinstance(error, AuthFailed)
    assert f"the host asked {questions[0][0].strip()!r}" in str(error)
    assert all(PASSWORD not in sent for _, sent in script.seen)


def test_key_and_then_password(tmp_path: Path, host_key: Path) -> None:
    key = make_key(tmp_path / "key")
    script = Script(PASSWORD, steps=["publickey", "password"])
    assert attempt(tmp_path, host_key, script, PASSWORD, key_files=(key,))[1] is None
    assert [method for method, _ in script.seen] == ["publickey", "password"]


def test_a_login_that_takes_too_long(tmp_path: Path, host_key: Path) -> None:
    _, error = attempt(tmp_path, host_key, Script(PASSWORD, hang=True), PASSWORD, auth_timeout=0.5)
    assert isinstance(error, Timeout)
    assert "'a.ito'" in str(error)
    assert PASSWORD not in str(error)


def test_a_program_that_is_never_started(tmp_path: Path, host_key: Path) -> None:
    with ScriptedSshServer(Script(PASSWORD), host_key) as server:
        known = tmp_path / "known_hosts"
        known.write_text(server.known_line)
        settings = SshSettings(
            server.address, server.port, "a.ito", password=SecretStr(PASSWORD), known_hosts=known, connect_timeout=1.0
        )
        transport = SshTransport("lab3-07", settings)
        transport.open()
        with pytest.raises(Timeout, match="lab3-07: starting a program"):
            transport.start(["true"])
        transport.close()


def test_a_silent_connection_is_kept_alive(tmp_path: Path, host_key: Path) -> None:
    script = Script(PASSWORD)
    with ScriptedSshServer(script, host_key) as server:
        known = tmp_path / "known_hosts"
        known.write_text(server.known_line)
        settings = SshSettings(
            server.address, server.port, "a.ito", password=SecretStr(PASSWORD), known_hosts=known, keepalive=0.1
        )
        transport = SshTransport("lab3-07", settings)
        transport.open()
        assert script.kept_alive.wait(60)
        transport.close()
