"""Walks of a maintenance in processes that are killed: ``python -m tests.support.killed_walks FOLDER``.

For each line that it reads it forks, before any thread is there, and the child walks once; it answers with the child's
number, and then with how that ended. ``each``: the child is killed where none was killed before; ``plain``: it is not.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from configs.load import load_config
from inventory.load import load_inventory
from tasks.events import Event, FileRestored
from tasks.records.maintenance_log import Step, StepLog
from tasks.verbs.context import Context
from tasks.verbs.maintenance import advance_host
from tasks.verbs.maintenance_hands import Hands
from tasks.verbs.maintenance_plan import plan_of
from tests.support.maintenance_site import PLAN, quiet_hands

HOST: Final = "lab3-07"
#: How a walk ends that was not killed, by where the computer then stands.
CODES: Final = {"done": 10, "waits": 11, "attention": 12, "running": 13, "untouched": 14}
_ROOT: Final = Path(__file__).resolve().parents[2]

Die = Callable[[str], None]


class KilledWalks:
    """The other end: starts the process, and asks it for walks."""

    def __init__(self, folder: Path) -> None:
        """Start it for the site in ``folder``."""
        self.died = folder / "died"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.killed_walks", str(folder)],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, how: str) -> int:
        """Begin a walk, and return the number of its process."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{how}\n")
        self._process.stdin.flush()
        return self._answer()

    def ended(self) -> int:
        """Wait until it has ended, and return how: one of ``CODES``, or minus the signal."""
        return self._answer()

    def walk(self, how: str) -> int:
        """Walk once."""
        self.begin(how)
        return self.ended()

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=60)

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


def deadly(hands: Hands, die: Die) -> Hands:
    """Return hands that die after each thing they do; before it is after the record before it."""

    def wrapped(name: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def doing(*arguments: Any) -> Any:
            found = do(*arguments)
            if name == "action":
                return _Deadly(found, die)
            die(f"after {name}")
            return found

        return doing

    return replace(hands, **{one.name: wrapped(one.name, getattr(hands, one.name)) for one in fields(hands)})


class _Deadly:
    def __init__(self, action: Any, die: Die) -> None:
        self._action = action
        self._die = die

    def start(self, order: Any) -> Any:
        self._die("before the wipe")
        result = self._action.start(order)
        self._die("after the wipe")
        return result


def _walk(folder: Path, how: str) -> int:
    died = folder / "died"
    known = set(died.read_text().splitlines()) if died.exists() else set()
    later = folder / "later"
    ahead = timedelta(seconds=float(later.read_text()) if later.exists() else 0)

    def die(where: str) -> None:
        if how == "each" and where not in known:
            with died.open("a") as file:
                file.write(f"{where}\n")
            os.kill(os.getpid(), signal.SIGKILL)

    append = StepLog.append

    def dying(self: StepLog, step: str, detail: Mapping[str, Any] | None = None) -> Step:
        die(f"before record {step}")
        found = append(self, step, detail)
        die(f"after record {step}")
        return found

    StepLog.append = dying  # type: ignore[method-assign]

    def report(event: Event) -> None:
        if isinstance(event, FileRestored):
            die("amid the restore")

    context = Context(load_config(folder / "app.yaml", {}), load_inventory(folder / "inventory", {}), folder=folder)
    plan = plan_of(context, PLAN)
    hands = deadly(quiet_hands(), die)
    clock = lambda: datetime.now(UTC) + ahead  # noqa: E731 - a clock is a callable
    return CODES[advance_host(context, plan, HOST, report=report, clock=clock, hands=hands).state]


def main(folder: Path) -> None:
    """Fork for each line."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            code = 70
            try:
                code = _walk(folder, line.strip())
            finally:
                os._exit(code)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(f"{code}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
