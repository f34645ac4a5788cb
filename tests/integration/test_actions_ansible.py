"""A playbook that is run for one cleared computer, by a real Ansible."""

from __future__ import annotations

import json
import os
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.maintenance import AnsibleAction
from tasks.actions.ansible import Playbook, variables
from tasks.actions.base import ActionOrder
from tasks.errors import ActionFailed, ActionUnknown

TOKEN = "eyJhbGciOi.c2VjcmV0LXRva2Vu.c2lnbmF0dXJl"
PROGRAM = shutil.which("ansible-playbook", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))

pytestmark = pytest.mark.ansible

INVENTORY: dict[str, Any] = {
    "all": {
        "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
        "hosts": {"lab3-07": {}, "lab3-08": {}, "lab3-09": {}},
        "children": {"lab3": {"hosts": {"lab3-07": {}, "lab3-08": {}}}},
    }
}


def order(**changes: Any) -> ActionOrder:
    values: dict[str, Any] = {
        "plan": "lab3-summer",
        "site": "north",
        "host": "lab3-07",
        "address": "10.3.0.7",
        "mac": "",
        "serial": "PF2ABC7D",
        "clearance": TOKEN,
        "expiry": datetime.now(UTC) + timedelta(hours=1),
    }
    return ActionOrder(**{**values, **changes})


class Plays:
    """A playbook and an inventory in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen = folder / "seen"
        self.seen.mkdir()
        (folder / "hosts.yml").write_text(yaml.safe_dump(INVENTORY))

    def write(self, *tasks: dict[str, Any], hosts: str = "lab3") -> Playbook:
        look = {
            "ansible.builtin.copy": {
                "dest": f"{self.seen}/{{{{ inventory_hostname }}}}",
                "content": "{{ {'host': firstbell_host, 'serial': firstbell_serial, 'clearance': firstbell_clearance,"
                " 'until': firstbell_clearance_expires} | to_json }}",
            }
        }
        (self.folder / "play.yml").write_text(
            yaml.safe_dump([{"hosts": hosts, "gather_facts": False, "tasks": [*tasks, look]}])
        )
        return self.playbook()

    def playbook(self) -> Playbook:
        return Playbook(
            AnsibleAction(
                kind="ansible",
                playbook=str(self.folder / "play.yml"),
                inventory=str(self.folder / "hosts.yml"),
                ansible_playbook=PROGRAM or "ansible-playbook",
            )
        )

    def touched(self) -> list[str]:
        return sorted(path.name for path in self.seen.iterdir())


@pytest.fixture
def plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plays:
    monkeypatch.setenv("HOME", str(tmp_path))
    return Plays(tmp_path)


def test_it_runs_for_the_one_computer_and_knows_its_clearance(plays: Plays) -> None:
    result = plays.write().start(order())
    assert result.done
    assert "lab3-07" in result.text
    assert TOKEN not in result.text
    assert plays.touched() == ["lab3-07"]
    told = json.loads((plays.seen / "lab3-07").read_text())
    assert (told["host"], told["serial"], told["clearance"]) == ("lab3-07", "PF2ABC7D", TOKEN)
    assert told["until"].endswith("+00:00")


@pytest.mark.parametrize(
    ("hosts", "host", "told"),
    [
        # The name of a group: --limit takes it as well.
        ("all", "lab3", "lab3-07, lab3-08"),
        ("all", "all", "lab3-07, lab3-08, lab3-09"),
        # The play is about others.
        ("lab3-09", "lab3-07", "no computer at all"),
    ],
)
def test_a_playbook_that_would_touch_others_is_not_run(plays: Plays, hosts: str, host: str, told: str) -> None:
    with pytest.raises(ActionFailed, match=f"would touch {told}") as caught:
        plays.write(hosts=hosts).start(order(host=host))
    assert not isinstance(caught.value, ActionUnknown)
    assert plays.touched() == []


def test_a_computer_that_ansible_does_not_know(plays: Plays) -> None:
    with pytest.raises(ActionFailed, match="exit code 1") as caught:
        plays.write().start(order(host="unknown"))
    assert not isinstance(caught.value, ActionUnknown)


def test_a_task_that_fails_is_an_unknown_outcome_told_without_the_clearance(plays: Plays) -> None:
    fails = {"ansible.builtin.command": {"argv": ["sh", "-c", "echo {{ firstbell_clearance }}; exit 3"]}}
    with pytest.raises(ActionUnknown, match="exit code 2 \\(a task failed on the computer\\)") as caught:
        plays.write(fails).start(order())
    assert TOKEN not in str(caught.value)
    assert "[secret]" in str(caught.value)
    assert plays.touched() == []


def test_what_the_computer_says_of_itself_is_no_template(plays: Plays) -> None:
    plays.write().start(order(serial="{{ lookup('pipe', 'id') }}"))
    assert json.loads((plays.seen / "lab3-07").read_text())["serial"] == "{{ lookup('pipe', 'id') }}"


def test_no_playbook_and_no_ansible(plays: Plays) -> None:
    with pytest.raises(ActionFailed, match="there is no playbook"):
        plays.playbook().start(order())
    plays.write()
    config = AnsibleAction(
        kind="ansible", playbook=str(plays.folder / "play.yml"), ansible_playbook=str(plays.folder / "no-ansible")
    )
    with pytest.raises(ActionFailed, match="could not be started") as caught:
        Playbook(config).start(order())
    assert not isinstance(caught.value, ActionUnknown)


def test_the_variables_are_yaml() -> None:
    text = variables(order(serial='a"b\\c'))
    assert 'firstbell_serial: !unsafe "a\\"b\\\\c"\n' in text
    assert f'firstbell_clearance: !unsafe "{TOKEN}"\n' in text
