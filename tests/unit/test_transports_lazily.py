"""A module that nobody uses is not loaded; one that is used works as ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]

_MATCH_EXEC = """
import io, sys
from tasks.transports.registry import make_transport
from tasks.transports.ssh_settings import SshSettings
make_transport("ssh", "pc", SshSettings(address="127.0.0.1", port=1, user="x"))
print("invoke.runners" in sys.modules)
import paramiko
config = paramiko.SSHConfig.from_file(io.StringIO('Match exec "true"\\n  User someone\\n'))
print(config.lookup("pc")["user"], "invoke.runners" in sys.modules)
"""


def test_paramiko_does_without_invoke_until_a_configuration_asks_for_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _MATCH_EXEC], cwd=_ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["False", "someone", "True"]
