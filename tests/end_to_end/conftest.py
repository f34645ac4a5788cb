"""A small school and a Prefect server of its own, shared by the tests of this folder: both take long to start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.loopback_site import LoopbackSite
from tests.support.prefect_records import deliver
from tests.support.prefect_stack import PrefectStack
from tests.support.teacher_home import make_home
from tests.support.windows_site import WindowsSite


@pytest.fixture(scope="session")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackSite]:
    """One school on this machine: a real S3 server, a real sshd, an empty repository."""
    site = LoopbackSite(tmp_path_factory.mktemp("school"))
    try:
        site.start()
        site.run("init", "north")
        yield site
    finally:
        site.stop()


@pytest.fixture(scope="session")
def windows_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WindowsSite]:
    """One school whose computers are Windows under Wine, with a spool; an empty repository."""
    site = WindowsSite(tmp_path_factory.mktemp("windows-site"))
    try:
        site.start()
        site.run("init", "north")
        yield site
    finally:
        site.stop()


@pytest.fixture(scope="session")
def prefect_stack(school: LoopbackSite) -> Iterator[PrefectStack]:
    """A Prefect server that answers, without deployments and without a worker. It takes 10 to 40 s to start."""
    stack = PrefectStack(school.folder / "prefect", school.environment())
    try:
        stack.start_server()
        stack.wait_until_ready()
        with _settings(stack):
            yield stack
            # What is sent after the server has gone would be tried again for minutes.
            deliver()
    finally:
        stack.stop()


@contextmanager
def _settings(stack: PrefectStack) -> Iterator[None]:
    from prefect.context import _temporary_global_settings_context, get_settings_context
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    with (
        # Without the heartbeat a run ends a second sooner.
        temporary_settings({PREFECT_API_URL: stack.api_url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
        # As prefect_test_harness does: a log line from a thread without context finds the server, too.
        _temporary_global_settings_context(get_settings_context()),
    ):
        yield


@pytest.fixture
def prefect(prefect_stack: PrefectStack, school: LoopbackSite, monkeypatch: pytest.MonkeyPatch) -> PrefectStack:
    """The server, with this process set up as a worker would be: flows that are called here run against it."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "FIRSTBELL_"))]:
        monkeypatch.delenv(name)
    for name, value in school.environment().items():
        if name.startswith(("AWS_", "FIRSTBELL_")):
            monkeypatch.setenv(name, value)
    return prefect_stack


@pytest.fixture
def home(school: LoopbackSite, tmp_path: Path) -> Iterator[Path]:
    """The home of a teacher, ``a.ito``, on the computer ``lab3-07``, the only one of the school."""
    folder = tmp_path / "a.ito"
    make_home(folder, files=40, large_mib=1)
    school.hosts.clear()
    school.add_host("lab3-07", "a.ito", folder)
    yield folder
    school.hosts.clear()
