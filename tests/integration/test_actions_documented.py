"""The examples of docs/actions.md, as they stand there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr, TypeAdapter

from configs.maintenance import Action, AnsibleAction
from tasks.actions.ansible import Playbook
from tasks.actions.base import ActionOrder
from tasks.actions.registry import make_action
from tasks.errors import ActionUnknown
from tasks.records.clearance import sign
from tests.support.clearances import Issuer

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCKS = [
    yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", (DOCS / "actions.md").read_text(), re.DOTALL)
]
ACTIONS = [block["action"] for block in BLOCKS if isinstance(block, dict)]
PLAYS = [block for block in BLOCKS if isinstance(block, list)]
PROGRAM = shutil.which("ansible-playbook", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer(datetime.now(UTC).replace(microsecond=0))


def order(issuer: Issuer, **changes: Any) -> ActionOrder:
    clearance = issuer.clearance()
    values: dict[str, Any] = {
        "plan": "lab3-summer",
        "site": "north",
        "host": "lab3-07",
        "address": "10.3.0.7",
        "mac": "3c:52:82:0a:1b:2c",
        "serial": "PF2ABC7D",
        "clearance": sign(clearance, issuer.key),
        "expiry": clearance.expiry,
    }
    return ActionOrder(**{**values, **changes})


@pytest.mark.parametrize("config", ACTIONS, ids=lambda config: f"{config['kind']}")
def test_each_action_is_one(config: dict[str, Any]) -> None:
    assert make_action(TypeAdapter(Action).validate_python(config), SecretStr)


def test_there_are_examples_of_each_kind() -> None:
    assert {config["kind"] for config in ACTIONS} >= {"command", "http", "ansible"}
    assert len(PLAYS) == 1


@pytest.mark.ansible
@pytest.mark.parametrize("good", [True, False])
def test_the_play_checks_the_clearance(
    issuer: Issuer, tmp_path: Path, good: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    keys = tmp_path / "clearance.pub.pem"
    keys.write_bytes(issuer.pem)
    text = (
        yaml.safe_dump(PLAYS[0])
        .replace("/etc/firstbell/clearance.pub.pem", str(keys))
        .replace("/opt/firstbell/clearance/check.py", str(tmp_path / "check"))
    )
    # The check needs the Python that has cryptography.
    (tmp_path / "check").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{DOCS}/clearance/check.py" "$@"\n')
    (tmp_path / "check").chmod(0o755)
    play = yaml.safe_load(text)
    play[0]["tasks"] = [
        {"ansible.builtin.file": {"path": str(tmp_path / "wiped"), "state": "touch"}, "delegate_to": "localhost"}
    ]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(play))
    hosts = {"lab3-07": None, "lab3-08": None}
    variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": variables, "hosts": hosts}}))
    action = Playbook(
        AnsibleAction(
            kind="ansible",
            playbook=str(tmp_path / "play.yml"),
            inventory=str(tmp_path / "hosts.yml"),
            ansible_playbook=PROGRAM or "ansible-playbook",
        )
    )
    one = order(issuer) if good else order(issuer, host="lab3-08")
    if good:
        assert action.start(one).done
    else:
        with pytest.raises(ActionUnknown, match="a task failed"):
            action.start(one)
    assert (tmp_path / "wiped").exists() is good


class Fog:
    """What a FOG server would be asked: it knows hosts by their names, and notes what else it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.names = ["lab3-07"]
        fog = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fog.asked.append((self.command, self.path, dict(self.headers), body))
                known = [{"id": str(7 + at), "name": name} for at, name in enumerate(fog.names)]
                answer = json.dumps({"count": len(known), "hosts": known}).encode() if self.command == "GET" else b'""'
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def fog() -> Iterator[Fog]:
    one = Fog()
    thread = threading.Thread(target=one.server.serve_forever, args=(0.02,))
    thread.start()
    yield one
    one.server.shutdown()
    thread.join()
    one.server.server_close()


def deploy(fog: Fog, issuer: Issuer, folder: Path, host: str) -> int:
    (folder / "clearance").write_text(sign(issuer.clearance(), issuer.key))
    (folder / "keys.pem").write_bytes(issuer.pem)
    script = DOCS / "actions" / "fog_deploy.py"
    environment = {
        "PATH": os.environ["PATH"],
        "FOG_URL": f"http://127.0.0.1:{fog.server.server_address[1]}/fog",
        "FOG_API_TOKEN": "api",
        "FOG_USER_TOKEN": "user",
    }
    argv = [sys.executable, str(script), host, str(folder / "clearance"), str(folder / "keys.pem")]
    return subprocess.run(argv, env=environment, capture_output=True, timeout=60).returncode


def test_fog_is_asked_for_the_one_host(fog: Fog, issuer: Issuer, tmp_path: Path) -> None:
    assert deploy(fog, issuer, tmp_path, "lab3-07") == 0
    assert [(method, path) for method, path, _, _ in fog.asked] == [("GET", "/fog/host"), ("POST", "/fog/host/7/task")]
    _, _, headers, body = fog.asked[-1]
    assert body["taskTypeID"] == 1
    assert {name.lower(): value for name, value in headers.items()}["fog-user-token"] == "user"


def test_fog_is_not_even_asked_without_a_clearance(fog: Fog, issuer: Issuer, tmp_path: Path) -> None:
    assert deploy(fog, issuer, tmp_path, "lab3-08") == 20
    assert not fog.asked


@pytest.mark.parametrize("names", [[], ["lab3-07", "LAB3-07"], ["lab3-070"]])
def test_fog_must_know_exactly_one(fog: Fog, issuer: Issuer, tmp_path: Path, names: list[str]) -> None:
    fog.names = names
    assert deploy(fog, issuer, tmp_path, "lab3-07") == 1
    assert [method for method, *_ in fog.asked] == ["GET"]
