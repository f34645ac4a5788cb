"""Fixtures for real servers, and what happens where a program is missing.

A test says what it needs by a marker (``ssh``, ``s3``, ``restic``) or by asking for a server's fixture. Without the
program it is skipped, and one line at the end names the program and how to get it; with ``CI=true`` it fails.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import classroom, seaweed, wine
from tests.support.sshd import SshServer

#: marker -> (program, how to get it, is it here?)
_SBIN = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
_BIN = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
_TOOLS = {
    "ssh": ("sshd", "apt install openssh-server", shutil.which("sshd", path=_SBIN) is not None),
    "s3": ("weed", seaweed.CURE, seaweed.find_weed() is not None),
    "restic": ("restic", "apt install restic", shutil.which("restic") is not None),
    "wine": (wine.missing() or "wine", wine.CURE, not wine.missing()),
    "ansible": (
        "ansible-playbook",
        "pip install ansible-core",
        shutil.which("ansible-playbook", path=_BIN) is not None,
    ),
    "namespaces": (classroom.missing() or "unshare", classroom.CURE, not classroom.missing()),
    "mono": ("mcs", "apt install mono-mcs mono-runtime", bool(shutil.which("mcs") and shutil.which("mono"))),
}
#: fixture -> marker that its tests have without saying so
_FIXTURES = {"sshd": "ssh", "s3_server": "s3", "s3_location": "s3", "windows": "wine"}

#: Tests that share servers which take long to start, by how their names begin; the first that fits counts.
_TOGETHER = ("tests/end_to_end/test_windows_", "tests/end_to_end/")

_MISSED = pytest.StashKey[dict[str, int]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_MISSED] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in _FIXTURES:
                item.add_marker(_FIXTURES[fixture])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give the workers whole files, or all that share servers: those start once.

    In the order of the folders, so that what comes last is short and no worker waits for the other; xdist's own order
    begins with the files of many tests, which here are the quick ones.
    """
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            own = str(super()._split_scope(nodeid))
            return next((start for start in _TOGETHER if nodeid.startswith(start)), own)

    config.option.loadscopereorder = False
    return Scheduling(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, (program, cure, found) in _TOOLS.items():
        if not found and item.get_closest_marker(marker):
            if os.environ.get("CI") == "true":
                pytest.fail(f"{program} is missing, and CI=true forbids to skip its tests: {cure}", pytrace=False)
            missed = item.config.stash[_MISSED]
            missed[marker] = missed.get(marker, 0) + 1
            pytest.skip(f"{program} is missing: {cure}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for marker, count in config.stash[_MISSED].items():
        program, cure, _ = _TOOLS[marker]
        terminalreporter.write_line(f"{program} is missing: {count} tests skipped. To run them: {cure}", yellow=True)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[seaweed.SeaweedServer]:
    """A real S3 server with a bucket ``firstbell``; whoever stops it starts it again."""
    server = seaweed.SeaweedServer()
    try:
        server.start()
        server.create_bucket("firstbell")
        yield server
    finally:
        server.close()


@pytest.fixture
def s3_location(s3_server: seaweed.SeaweedServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """An unused place on the S3 server, in restic's spelling; its account is in the environment of this test."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    return f"s3:{s3_server.endpoint_url}/firstbell/{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """A real sshd with SFTP that lets the current user in with its client key; whoever stops it starts it again."""
    with SshServer(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[wine.WinePrefix]:
    """A fresh Windows under Wine, one for each module; whoever starts programs in it ends them."""
    with wine.wine_prefix(tmp_path_factory.mktemp("windows") / "prefix") as prefix:
        yield prefix
