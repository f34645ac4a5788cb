"""A demo: a teacher's computer is saved, wiped and brought back, on real parts; what comes then is each demo's own.

A real S3 server, a real sshd, a real Prefect server with a worker; the deployments of ``prefect.yaml`` do the work. All
lies in one temporary folder and goes away at the end, unless ``--keep`` leaves it running.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.outcome import PARTLY_DONE
from tests.support.loopback_site import LoopbackSite
from tests.support.prefect_stack import PrefectStack
from tests.support.teacher_home import differences, fingerprint, make_home

TEACHER = "a.ito"


class Demo:
    """The story, step by step; each step says what it does and what came out.

    What is another thing on another kind of computer is a method of its own, such as ``make_computer``.
    """

    command: str
    host: str
    awkward = "names with line breaks, emoji and stray bytes"
    equal = "equal in content, mode, owner, times, links and attributes"

    def __init__(self, folder: Path, *, keep: bool) -> None:
        self.folder = folder
        self.keep = keep
        self.started = time.monotonic()
        self.site = self.make_site()
        self.home = folder / "home" / TEACHER
        self.prefect: PrefectStack | None = None

    def make_site(self) -> LoopbackSite:
        """Return the school, not started yet."""
        return LoopbackSite(self.folder, tied=not self.keep)

    def make_computer(self) -> str:
        """Make the computer with its teacher's files, add it to the inventory, and return how it is reached."""
        make_home(self.home)
        self.site.add_host(self.host, TEACHER, self.home)
        return "a real sshd" if self.site.transport == "ssh" else "no sshd here, so the local transport"

    def look(self) -> dict[Any, Any]:
        """Return what every path of the teacher is, by its path; entries tell ``type`` and ``size``."""
        return fingerprint(self.home)

    def lost(self, before: dict[Any, Any], after: dict[Any, Any]) -> list[str]:
        """Return a line for each path that is not as it was."""
        return differences(before, after)

    def wipe(self) -> int:
        """Reimage the computer, and return how much of the teacher's is left."""
        for path in self.home.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        return sum(1 for _ in self.home.rglob("*"))

    def say(self, text: str) -> None:
        """Tell one line, with the seconds since the start."""
        sys.stdout.write(f"[{time.monotonic() - self.started:5.1f} s] {text}\n")
        sys.stdout.flush()

    def run(self) -> None:
        """Run the whole story. Raises ``SystemExit`` with a reason when something did not come back."""
        self._start()
        self.first_act()
        self.go_on()

    def go_on(self) -> None:
        """Tell what comes after the first act."""

    def first_act(self) -> None:
        """Save, wipe and bring back one computer."""
        before = self.look()
        files = sum(entry.type == "file" for entry in before.values())
        size = sum(entry.size for entry in before.values())
        self.say(f"a teacher's home: {files} files, {size / 1e6:.0f} MB, {self.awkward}")

        self.deployment("snapshot-now/before-reimage", {"host": self.host, "reason": "before reimage"})
        first = self._newest()
        stored = first["data_added_packed"] / 1e6
        self.say(f"saved: {first['total_files_processed']} files, {stored:.1f} MB stored, encrypted")

        self.deployment("snapshot-site/nightly-north", {"site": "north"})
        second = self._newest()
        self.say(
            f"saved again by the nightly run: {second['files_unmodified']} files unchanged and not read, "
            f"{second['data_added_packed'] / 1e3:.1f} kB stored"
        )
        if second["files_unmodified"] != files or second["data_added_packed"] > 100_000:
            raise SystemExit("the second snapshot moved what was stored already")

        self.say(f"wiped: {self.wipe()} files are left in the teacher's home")

        self.deployment(
            "restore-request/restore-request",
            {"computer": self.host, "what": "everything that was saved", "where": "back to where they were"},
        )
        lost = self.lost(before, self.look())
        if lost:
            raise SystemExit("\n".join(["not everything came back:", *lost[:20]]))
        self.say(f"restored: all {len(before)} paths are back, {self.equal}")

        self.say("checked by the stock restic client: " + self._restic_check())

    def _start(self) -> None:
        self.site.start()
        self.prefect = PrefectStack(self.folder / "prefect", self.site.environment())
        self.prefect.start_server()
        link = self.make_computer()
        self.site.run("init", "north")
        self.say(f"started a real S3 server and {link}; waiting for Prefect")
        self.prefect.wait_until_ready()
        self.prefect.deploy()
        self.prefect.start_worker()
        self.say(f"Prefect is up, with the deployments of prefect.yaml: {self.prefect.ui_url}")

    def deployment(self, name: str, parameters: dict[str, Any], *, partly: bool = False) -> str:
        """Run a deployment to its end, tell what it said, and return that. Raises ``SystemExit`` when it failed.

        With ``partly`` it may also end as *PartlyDone*: somebody is needed.
        """
        assert self.prefect is not None
        state = self.prefect.run_deployment(name, parameters)
        good = ("Completed", PARTLY_DONE) if partly else ("Completed",)
        if state["type"] != "COMPLETED" or state["name"] not in good:
            raise SystemExit(f"{name}: {state['name']}: {state['message']}\n{self.prefect.log('worker')[-3000:]}")
        self.say(f"deployment {name}: {state['message']}")
        return str(state["message"])

    def _newest(self) -> dict[str, Any]:
        import json

        lines = self.site.run("snapshots", self.host, "--json").stdout.splitlines()
        summary: dict[str, Any] = json.loads(lines[-1])["summary"]
        return summary

    def _restic_check(self) -> str:
        if shutil.which("restic") is None:
            return "skipped, it is not installed here (apt install restic)"
        self.site.restic("check", "--read-data")
        return "no errors were found"

    def look_around(self) -> None:
        """Say how to look around while everything still runs."""
        assert self.prefect is not None
        lines = [
            "",
            "Everything still runs. Look around:",
            f"  the Prefect UI        {self.prefect.ui_url}   (Runs, Artifacts, Deployments)",
            f"  the command line      . {self.folder / 'environment'}",
            f"                        firstbell snapshots; firstbell ls {self.host}; firstbell doctor {self.host}",
            "  the stock client      restic -o s3.bucket-lookup=path snapshots",
            f"  the teacher's home    {self.home}",
            *self.sights(),
            f"Stop it and remove it all:  sh {self.folder / 'stop'}",
        ]
        sys.stdout.write("\n".join(lines) + "\n")

    def sights(self) -> list[str]:
        """Return further lines on what there is to look at."""
        return []

    def leave_running(self) -> None:
        """Write the files that let a person use and stop what runs."""
        assert self.prefect is not None
        clean = {k: v for k, v in self.prefect.environment().items() if k not in os.environ}
        clean |= {k: v for k, v in self.site.restic_environment().items() if k not in os.environ}
        clean["PATH"] = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
        text = "".join(f"export {name}='{value}'\n" for name, value in sorted(clean.items()))
        environment = self.folder / "environment"
        environment.touch(mode=0o600)
        environment.write_text(text)
        pids = " ".join(str(pid) for pid in self.pids())
        (self.folder / "stop").write_text(
            f"kill -INT {pids} 2>/dev/null\n"
            # The Prefect server takes a while; what still runs after half a minute is killed.
            f"i=0; while kill -0 {pids} 2>/dev/null && [ $i -lt 30 ]; do sleep 1; i=$((i + 1)); done\n"
            f"kill -KILL {pids} 2>/dev/null\n{self.last_words()}rm -rf '{self.folder}'\n"
        )

    def last_words(self) -> str:
        """Return further lines for the script that stops what was left running."""
        return ""

    def pids(self) -> list[int]:
        """Return every process that runs."""
        found = list(self.prefect.pids()) if self.prefect else []
        found += [pid for pid in (self.site.s3.pid, self.site.sshd.pid if self.site.sshd else None) if pid]
        return found

    def close(self) -> None:
        """Stop everything and remove the folder."""
        if self.prefect is not None:
            self.prefect.stop()
        self.site.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def main(argv: Sequence[str] | None, story: type[Demo]) -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(prog=story.command, description=story.__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running and say how to look around")
    arguments = parser.parse_args(argv)
    # A killed demo must clean up, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    demo = story(Path(tempfile.mkdtemp(prefix="firstbell-demo-")), keep=arguments.keep)
    kept = False
    try:
        demo.run()
        if arguments.keep:
            demo.leave_running()
            demo.look_around()
            kept = True
        else:
            demo.say(f"done; cleaning up ({story.command} KEEP=1 leaves everything running, with the UI to look at)")
    finally:
        if not kept:
            demo.close()
    return 0
