"""A program that is started for one cleared computer: what it gets, what is told of it, how it is ended."""

from __future__ import annotations

import os
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from configs.maintenance import CommandAction, ManualAction
from tasks.actions.base import ActionOrder
from tasks.actions.command import Command
from tasks.actions.registry import make_action
from tasks.errors import ActionFailed, ActionUnknown, ConfigError

TOKEN = "eyJhbGciOi.c2VjcmV0LXRva2Vu.c2lnbmF0dXJl"
#: Writes down what it was given: arguments, environment, the file with the clearance and its mode.
LOOK = """
import json, os, stat, sys
report, file = sys.argv[1], sys.argv[2]
with open(report, "w") as out:
    json.dump({
        "argv": sys.argv[1:], "environ": dict(os.environ), "clearance": open(file).read(), "file": file,
        "mode": oct(stat.S_IMODE(os.stat(file).st_mode)),
        "folder": oct(stat.S_IMODE(os.stat(os.path.dirname(file)).st_mode)),
        "cmdline": open("/proc/self/cmdline", "rb").read().decode("latin-1") if os.path.exists("/proc/self") else "",
    }, out)
"""


def order(**changes: Any) -> ActionOrder:
    values: dict[str, Any] = {
        "plan": "lab3-summer",
        "site": "north",
        "host": "lab3-07",
        "address": "10.3.0.7",
        "mac": "3c:52:82:0a:1b:2c",
        "serial": "PF2ABC7D",
        "clearance": TOKEN,
        "expiry": datetime.now(UTC) + timedelta(hours=1),
    }
    return ActionOrder(**{**values, **changes})


def command(*argv: str, secrets: dict[str, str] | None = None, **more: Any) -> Command:
    config = CommandAction(kind="command", argv=argv, **more)
    return Command(config, lambda reference: SecretStr((secrets or {})[reference]))


def python(code: str, *arguments: str, **more: Any) -> Command:
    return command(sys.executable, "-c", code, *arguments, **more)


def test_it_gets_the_clearance_in_a_private_file_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    monkeypatch.setenv("FIRSTBELL_PASSWORD", "opens-everything")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "opens-the-store")
    report = tmp_path / "report.json"
    action = python(
        LOOK,
        str(report),
        "{clearance_file}",
        "{host}",
        "{address}",
        "{mac}",
        "{serial}",
        "{site}",
        "{plan}",
        "a b; $(touch x) {not_one",
        environment={"IMAGER_PASSWORD": "env:IMAGER"},
        secrets={"env:IMAGER": "hunter2"},
    )
    assert action.start(order()).done
    seen = json.loads(report.read_text())
    assert seen["clearance"] == TOKEN
    assert (seen["mode"], seen["folder"]) == ("0o600", "0o700")
    assert not Path(seen["file"]).parent.exists()
    assert seen["argv"][2:] == [
        "lab3-07",
        "10.3.0.7",
        "3c:52:82:0a:1b:2c",
        "PF2ABC7D",
        "north",
        "lab3-summer",
        "a b; $(touch x) {not_one",
    ]
    assert seen["environ"]["IMAGER_PASSWORD"] == "hunter2"
    assert not {"FIRSTBELL_PASSWORD", "AWS_SECRET_ACCESS_KEY"} & set(seen["environ"])
    assert TOKEN not in json.dumps(seen["environ"]) + seen["cmdline"]


def test_the_order_hides_its_clearance() -> None:
    assert TOKEN not in repr(order())


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise SystemExit(3)", "exit code 3"),
        ("raise SystemExit(20)", "exit code 20 \\(it says that it may not wipe this computer\\)"),
        ("import os; os.kill(os.getpid(), 9)", "exit code 137 \\(it was ended by SIGKILL\\)"),
    ],
)
def test_any_other_exit_code_is_an_unknown_outcome(code: str, words: str) -> None:
    with pytest.raises(ActionUnknown, match=words) as caught:
        python(code).start(order())
    assert caught.value.host == "lab3-07"


def test_the_last_lines_are_told_without_secrets_and_control_characters() -> None:
    code = (
        "import sys\n"
        "for n in range(50): print('line', n)\n"
        "print('token', open(sys.argv[1]).read(), 'password', sys.argv[2])\n"
        "print('\\x1b[31mred', file=sys.stderr)\n"
        "sys.exit(1)\n"
    )
    with pytest.raises(ActionUnknown) as caught:
        python(
            code,
            "{clearance_file}",
            "hunter2",
            environment={"PW": "env:PW"},
            secrets={"env:PW": "hunter2"},
        ).start(order())
    text = str(caught.value)
    assert "token [secret] password [secret]" in text
    assert TOKEN not in text
    assert "hunter2" not in text
    assert "\x1b" not in text
    assert "line 49" in text
    assert "line 20" not in text


def test_a_secret_is_not_told_in_part_where_the_beginning_was_forgotten() -> None:
    # 64 KiB are kept: the cut goes through the middle of the secret.
    code = "import sys; sys.stdout.write(open(sys.argv[1]).read() + 'x' * (65536 - 10) + '\\nend\\n'); sys.exit(1)"
    with pytest.raises(ActionUnknown) as caught:
        python(code, "{clearance_file}").start(order())
    assert "end" in str(caught.value)
    assert TOKEN[-6:] not in str(caught.value)


def test_at_the_timeout_everything_it_started_is_ended(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = (
        "import os, signal, subprocess, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '300'])\n"
        "open(sys.argv[1], 'w').write(f'{os.getpid()} {child.pid}')\n"
        "signal.pause()\n"
    )
    from tasks.actions import program
    from tasks.transports.redact import Redactor

    started = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "_GRACE", 0.3)
        with pytest.raises(ActionUnknown, match=r"was ended after 1\.5 s"):
            program.run_program(
                [sys.executable, "-c", code, str(pids)],
                host="lab3-07",
                timeout=1.5,
                environment={},
                redactor=Redactor(),
            )
    assert time.monotonic() - started < 10
    for pid in map(int, pids.read_text().split()):
        # One that was ended may stay as a zombie of a parent that does not wait.
        state = Path(f"/proc/{pid}/stat")
        assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_what_it_leaves_running_holds_nobody_up() -> None:
    started = time.monotonic()
    code = "import subprocess, sys; p = subprocess.Popen(['sleep', '9']); print('begun')"
    assert python(code).start(order()).text == "begun"
    assert time.monotonic() - started < 9


def test_a_program_that_is_not_there_has_begun_nothing() -> None:
    with pytest.raises(ActionFailed, match="could not be started: No such file") as caught:
        command("/no/such/imager", "{host}").start(order())
    assert not isinstance(caught.value, ActionUnknown)


@pytest.mark.parametrize("changes", [{"clearance": ""}, {"expiry": datetime.now(UTC) - timedelta(seconds=1)}])
def test_nothing_is_started_without_a_good_clearance(tmp_path: Path, changes: dict[str, Any]) -> None:
    touched = tmp_path / "touched"
    with pytest.raises(ActionFailed, match="clearance"):
        command("touch", str(touched)).start(order(**changes))
    assert not touched.exists()


@pytest.mark.parametrize("serial", ["--force", "../../etc/passwd", "a/b", "{{ lookup('pipe', 'id') }}", "x\ny", ""])
def test_what_a_computer_says_of_itself_does_not_become_an_option_or_a_path(tmp_path: Path, serial: str) -> None:
    touched = tmp_path / "touched"
    with pytest.raises(ActionFailed, match="serial"):
        command("touch", str(touched), "{serial}").start(order(serial=serial))
    assert not touched.exists()
    # Where it is not asked for, it does not matter.
    command("touch", str(touched)).start(order(serial=serial))
    assert touched.exists()


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (("imager", "{clearance}"), "through no place that others can read"),
        (("imager", "{hostname}"), "is no placeholder"),
        (("{host}",), "is no placeholder"),
    ],
)
def test_a_wrong_placeholder_is_told_before_anything_is_done(argv: tuple[str, ...], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        command(*argv)


def test_the_file_goes_away_when_the_program_cannot_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(ActionFailed):
        command("/no/such/imager", "{clearance_file}").start(order())
    assert not list(tmp_path.iterdir())


def test_two_computers_at_once_do_not_get_each_others_clearance(tmp_path: Path) -> None:
    code = "import sys; open(sys.argv[2], 'w').write(open(sys.argv[1]).read())"
    action = python(code, "{clearance_file}", str(tmp_path / "{host}"))
    orders = [order(host=f"pc{n}", clearance=f"clearance-of-{n}") for n in range(4)]
    threads = [threading.Thread(target=action.start, args=(one,)) for one in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        f"pc{n}": f"clearance-of-{n}" for n in range(4)
    }


def test_a_person_is_told_what_to_do() -> None:
    action = make_action(ManualAction(kind="manual", instructions="Boot from the network."), SecretStr)
    result = action.start(order())
    assert (result.done, result.text) == (False, "Boot from the network.")
    with pytest.raises(ActionFailed):
        action.start(order(clearance=""))


def test_the_registry_makes_a_command(tmp_path: Path) -> None:
    config = CommandAction(kind="command", argv=("touch", str(tmp_path / "{host}")))
    assert make_action(config, SecretStr).start(order()).done
    assert os.listdir(tmp_path) == ["lab3-07"]
