"""From the inventory to the settings of a link; a link over WinRM that is cut; what is told without a spool."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from configs.load import load_config
from inventory.load import load_inventory
from inventory.model import Host
from tasks.entries import Directory, FileEnd, KnownRange, Piece, Skipped, WalkRequest
from tasks.errors import AuthFailed, ConfigError, FirstbellError, Unreachable
from tasks.events import Event, Warned
from tasks.policy.snapshot_state import SnapshotState
from tasks.remote.facts import Facts, Hello, UserProfile, WindowsFacts
from tasks.remote.filesystem import RemoteHost
from tasks.verbs import snapshot as verb
from tasks.verbs.connection import envelope_note, winrm_settings, without_spool
from tasks.verbs.context import Context
from tasks.verbs.maintain import init_repository
from tests.support.windows_sink import WindowsSink

HOST = """\
pc:
  site: north
  transport: winrm
  address: 10.3.0.7
  user: NORTH\\svc
  winrm: {password: 'env:WINRM_SECRET'%s}
"""


def context_of(folder: Path, more: str = "", config: str = "") -> Context:
    # The computers here are in memory, and have no settings.
    without = "settings: {capture: false}\n"
    (folder / "app.yaml").write_text(f"repository: {{location: '{folder}/repository'}}\n{without}{config}")
    (folder / "hosts.yaml").write_text(HOST % more)
    return Context(load_config(folder / "app.yaml", {}), load_inventory(folder, {}))


def test_settings_of_winrm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINRM_SECRET", "hunter2")
    context = context_of(tmp_path, ", ca_file: /etc/ca.pem")
    settings = winrm_settings(context, context.host("pc"))
    assert settings.password is not None
    assert settings.password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(settings)
    assert (settings.endpoint, settings.user) == ("https://10.3.0.7:5986/wsman", "NORTH\\svc")
    assert settings.ca_file == Path("/etc/ca.pem")
    settings.check("pc")


def test_a_secret_that_is_not_used_is_not_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WINRM_SECRET", raising=False)
    context = context_of(tmp_path, ", auth: kerberos")
    assert winrm_settings(context, context.host("pc")).password is None
    by_password = context_of(tmp_path)
    with pytest.raises(ConfigError, match="env:WINRM_SECRET"):
        winrm_settings(by_password, by_password.host("pc"))


def test_what_is_told_without_a_spool(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    assert without_spool(context, context.host("pc"))
    assert not without_spool(context, Host(name="a", site="north", address="a"))
    with_spool = context_of(tmp_path, config="spool: {location: 's3://spool/x'}\n")
    assert not without_spool(with_spool, with_spool.host("pc"))
    assert envelope_note(1000).endswith("slow: about 1 minute for this")
    assert envelope_note(3 * 10**9).endswith("slow: about 10 minutes for this")
    assert envelope_note(100 * 10**9).endswith("slow: about 6 hours for this")
    assert envelope_note().endswith("about 4 minutes for each GB")


class Remote:
    """A Windows computer in memory whose link breaks in some of its runs."""

    def __init__(self, *breaks: FirstbellError | None) -> None:
        self.breaks = list(breaks)
        self.hello = Hello("windows", "PC", "", "svc", -1, 0, "1", 1)
        self.files = WindowsSink({"/C/Users/a.ito": None})
        self.shadow_copies: dict[str, str] = {}
        self.walks: list[WalkRequest] = []

    @contextmanager
    def connect(self, context: Context, host: Host, *, notes: list[str]) -> Iterator[RemoteHost]:
        yield cast("RemoteHost", self)

    def facts(self, users: Sequence[str] | None) -> Facts:
        user = UserProfile("a.ito", -1, -1, b"/C/Users/a.ito", "", exists=True)
        return Facts("windows", "", "PC", "", "", "", -1, 0, (user,), (), WindowsFacts())

    def sink(self) -> WindowsSink:
        return self.files

    def source(self) -> Remote:
        return self

    def entries(self, request: WalkRequest) -> Iterator[Directory | Skipped]:
        self.walks.append(request)
        error = self.breaks.pop(0)
        yield Directory(b"/", self.files.stat([b"/C"]))  # type: ignore[arg-type]
        yield Directory(b"/C", self.files.stat([b"/C/Users"]))  # type: ignore[arg-type]
        if error is not None:
            raise error
        yield Directory(b"/C/Users", self.files.stat([b"/C/Users/a.ito"]))  # type: ignore[arg-type]
        yield Directory(b"/C/Users/a.ito", [])

    def read(self, paths: Sequence[bytes]) -> Iterator[Piece | FileEnd | Skipped]:
        return iter(())

    def ranges(self, path: bytes, known: Sequence[KnownRange]) -> Iterator[Piece | FileEnd | Skipped]:
        return iter(())


def snapshot(context: Context, remote: Remote, monkeypatch: pytest.MonkeyPatch, events: list[Event]) -> Any:
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "secret enough")
    init_repository(context, "north")
    monkeypatch.setattr(verb, "connect", remote.connect)
    return verb.snapshot_host(context, "pc", report=events.append)


def test_a_cut_link_is_mended_once_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = []
    remote = Remote(Unreachable("the connection was cut"), None)
    run = snapshot(context_of(tmp_path), remote, monkeypatch, events)
    assert run.result.state is SnapshotState.COMPLETE
    assert len(remote.walks) == 2
    assert all(walk.shadow for walk in remote.walks)
    assert "the link was cut once, and the run was begun anew" in run.notes
    told = [event.message for event in events if isinstance(event, Warned)]
    assert told[0].startswith("there is no spool, so everything goes through WinRM itself")
    assert told[1] == "the link was cut (the connection was cut); once more from the start"


def test_a_link_that_is_cut_twice_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote(Unreachable("cut"), Unreachable("cut again"), None)
    with pytest.raises(Unreachable, match="cut again"):
        snapshot(context_of(tmp_path), remote, monkeypatch, [])
    assert len(remote.walks) == 2


def test_a_refused_login_is_never_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote(AuthFailed("wrong password"), None)
    with pytest.raises(AuthFailed):
        snapshot(context_of(tmp_path), remote, monkeypatch, [])
    assert len(remote.walks) == 1
