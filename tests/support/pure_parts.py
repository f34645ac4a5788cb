"""The parts of the Windows helper that need no Windows, compiled as C# 5 by mcs and run by Mono."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

_DRIVER = Path(__file__).with_name("PureParts.cs")


def sources() -> list[Path]:
    """Return the helper's C# files."""
    return sorted(Path(str(resources.files("tasks.remote").joinpath("windows"))).glob("*.cs"))


def compile_helper(program: Path) -> str:
    """Compile all of the helper's C# with the driver of this module; return what the compiler complains of."""
    argv = ["mcs", "-langversion:5", "-warn:4", "-target:exe", "-r:System.Core", f"-out:{program}"]
    done = subprocess.run([*argv, *map(str, sources()), str(_DRIVER)], capture_output=True, text=True, timeout=120)
    return done.stdout + done.stderr


class PureParts:
    """The compiled program."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def do(self, *items: Mapping[str, Any]) -> list[Any]:
        """Do the work items, in one run of the program, and return their answers."""
        document = json.dumps(items).encode("ascii")
        done = subprocess.run(["mono", str(self._program)], input=document, capture_output=True, timeout=120)
        if done.returncode:
            raise AssertionError(done.stderr.decode("utf-8", "replace"))
        answers: list[Any] = json.loads(done.stdout)
        return answers

    def each(self, work: str, field: str, values: Sequence[Any]) -> list[Any]:
        """Do one kind of work on several values."""
        return self.do(*({"do": work, field: value} for value in values))
