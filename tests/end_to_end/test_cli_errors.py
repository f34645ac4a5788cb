"""What goes wrong is told with its cause and its cure, by the exit code that the documents promise, also as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_run import CommandRun, json_lines
from tests.support.loopback_site import LoopbackSite
from tests.support.sshd import SshServer, make_key
from tests.support.teacher_home import make_home

#: An exit code, and the documents that were printed.
Told = tuple[int, list[dict[str, Any]]]

pytestmark = [pytest.mark.ssh, pytest.mark.s3]


@pytest.fixture(scope="module")
def host(school: LoopbackSite, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A computer with one snapshot."""
    home = tmp_path_factory.mktemp("errors") / "a.ito"
    make_home(home, files=10, large_mib=1)
    school.add_host("wrong", "a.ito", home)
    school.run("snapshot", "wrong")
    return "wrong"


def told(school: LoopbackSite, *arguments: str, **environment: str | None) -> Told:
    """Run with ``--json`` and return the exit code and what was said."""
    there = {**school.environment(), **environment}
    clean = {name: value for name, value in there.items() if value is not None}
    with CommandRun(school, *arguments, "--json", environment=clean) as run:
        return run.wait(), json_lines(run.output)


#: What is asked, in which environment: the exit code, and a word of the message.
WRONG: Sequence[tuple[tuple[str, ...], dict[str, str | None], int, str]] = (
    (("snapshots",), {"FIRSTBELL_PASSWORD": "not this one"}, 12, "password"),
    (("snapshots",), {"FIRSTBELL_PASSWORD": None}, 1, "FIRSTBELL_PASSWORD"),
    (("snapshots",), {"FIRSTBELL_S3_SECRET": "not this one"}, 1, "secret key"),
    (("snapshots",), {"FIRSTBELL_CONFIG": "/nowhere.yaml"}, 1, "/nowhere.yaml"),
    (("snapshots",), {"FIRSTBELL_INVENTORY": "/nowhere"}, 1, "/nowhere"),
    (("snapshots",), {"FIRSTBELL_REPOSITORY__LOCATION": "s3://firstbell-north/elsewhere"}, 10, "no repository"),
    (("snapshots", "--debug"), {"FIRSTBELL_PASSWORD": "not this one"}, 12, "password"),
    (("snapshot", "rong"), {}, 1, "rong"),
    (("init", "nort"), {}, 1, "nort"),
    (("init", "north"), {}, 1, "already"),
    (("ls", "wrong", "/nowhere"), {}, 1, "/nowhere"),
    (("restore", "wrong", "--yes", "--as-of", "2001-01-01"), {}, 1, "that old"),
    (("restore", "wrong", "--yes", "--as-of", "monday"), {}, 1, "monday"),
    (("undo", "wrong", "--yes"), {}, 1, "nothing was restored"),
)
#: What is asked, and the exit code.
RIGHT: Sequence[tuple[tuple[str, ...], int]] = (
    (("inventory",), 0),
    (("inventory", "explain", "wrong"), 0),
    (("snapshots", "wrong"), 0),
    (("ls", "wrong", "-r"), 0),
    (("find", "*.txt", "--host", "wrong"), 0),
    (("find", "nothing like it"), 1),
    (("doctor", "wrong"), 0),
    (("restore", "wrong", "--plan"), 0),
    (("restore", "wrong", "*.none", "--yes"), 3),
    (("forget", "--dry-run"), 0),
)


def side_by_side(school: LoopbackSite, asked: Sequence[tuple[tuple[str, ...], dict[str, str | None]]]) -> list[Told]:
    """Ask a few at once: most of the time goes into starting up."""
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(lambda one: told(school, *one[0], **one[1]), asked))


def test_an_error_says_what_and_how_to_mend_it(school: LoopbackSite, host: str) -> None:
    answers = side_by_side(school, [(arguments, environment) for arguments, environment, _, _ in WRONG])
    for (arguments, _, code, word), (got, lines) in zip(WRONG, answers, strict=True):
        assert got == code, arguments
        error = next(line for line in lines if line["type"] == "error")
        assert word in error["message"], arguments
        assert error["hint"] or word == "nothing was restored", arguments


def test_every_verb_speaks_json(school: LoopbackSite, host: str) -> None:
    for (arguments, code), (got, lines) in zip(
        RIGHT, side_by_side(school, [(one, {}) for one, _ in RIGHT]), strict=True
    ):
        assert got == code, arguments
        assert bool(lines) == (arguments != ("find", "nothing like it")), arguments


def test_a_run_without_anybody_to_confirm_is_wrong_usage(school: LoopbackSite, host: str) -> None:
    assert school.run("restore", host, check=False).returncode == 2
    assert school.run("restore", host, "--nonsense", check=False).returncode == 2


def test_doctor_has_a_cure_for_everything_that_is_wrong(school: LoopbackSite, tmp_path: Path) -> None:
    server = school.sshd
    assert server is not None
    other = make_key(tmp_path / "other")
    sealed = make_key(tmp_path / "sealed", passphrase="not told to anybody")
    known = tmp_path / "known_hosts"
    known.write_text(server.known_line(other))
    ssh = {"key_files": [str(server.client_key)], "known_hosts": str(server.known_hosts), "use_agent": False}
    forced = make_key(tmp_path / "forced")
    server.authorize(forced, options='command="exit 7"')
    cases: dict[str, dict[str, Any]] = {
        "closed": {"port": 1},
        "name": {"address": "no-such-computer.invalid"},
        "key": {"ssh": {**ssh, "key_files": [str(other)]}},
        "missing-key": {"ssh": {**ssh, "key_files": [str(tmp_path / "none")]}},
        "passphrase": {"ssh": {**ssh, "key_files": [str(sealed)]}},
        "host-key": {"ssh": {**ssh, "known_hosts": str(known)}},
        "forced": {"ssh": {**ssh, "key_files": [str(forced)]}},
        "home": {"homes": {"a.ito": "/nowhere/at/all"}},
    }
    for name, more in cases.items():
        school.add_host(f"ill-{name}", "a.ito", tmp_path, **more)
    try:
        runs = {name: CommandRun(school, "doctor", f"ill-{name}", "--json") for name in cases}
        for name, run in runs.items():
            assert run.wait() == 1, name
            lines = json_lines(run.output)
            wrong = [line for line in lines if line["type"] == "check" and line["verdict"] != "ok"]
            assert any(line["verdict"] == "fail" for line in wrong), name
            assert all(line["cure"] for line in wrong), (name, wrong)
    finally:
        for name in cases:
            del school.hosts[f"ill-{name}"]
        school.write_inventory()


def test_a_snapshot_of_nobody_is_none(school: LoopbackSite, tmp_path: Path) -> None:
    school.add_host("empty", "nobody.here", tmp_path, homes={})
    try:
        code, lines = told(school, "snapshot", "empty")
        assert told(school, "snapshots", "empty") == (0, [])
    finally:
        del school.hosts["empty"]
        school.write_inventory()
    assert code == 1
    said = " ".join(str(line) for line in lines)
    assert "nobody.here has no account on this computer" in said
    assert "Check 'teachers'" in said


def test_a_host_without_python_is_served_all_the_same(school: LoopbackSite, tmp_path: Path) -> None:
    home = tmp_path / "a.ito"
    make_home(home, files=20, large_mib=1)
    with SshServer(tmp_path / "sshd", config=["ForceCommand internal-sftp"]) as bare:
        ssh = {"key_files": [str(bare.client_key)], "known_hosts": str(bare.known_hosts), "use_agent": False}
        school.add_host("bare", "a.ito", home, port=bare.port, ssh=ssh)
        code, lines = told(school, "doctor", "bare")
        assert all(line["cure"] for line in lines if line.get("verdict") not in (None, "ok")), lines
        assert code in (0, 1, 3)
