"""``make demo``: a teacher's computer is saved, wiped and brought back, on real parts.

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

from tests.support.loopback_site import LoopbackSite
from tests.support.prefect_stack import PrefectStack
from tests.support.teacher_home import differences, fingerprint, make_home

HOST, TEACHER = "lab3-07", "a.ito"


class Demo:
    """The story, step by step; each step says what it does and what came out."""

    def __init__(self, folder: Path, *, keep: bool) -> None:
        self.folder = folder
        self.started = time.monotonic()
        self.site = LoopbackSite(folder, tied=not keep)
        self.home = folder / "home" / TEACHER
        self.prefect: PrefectStack | None = None

    def say(self, text: str) -> None:
        """Tell one line, with the seconds since the start."""
        sys.stdout.write(f"[{time.monotonic() - self.started:5.1f} s] {text}\n")
        sys.stdout.flush()

    def run(self) -> None:
        """Run the whole story. Raises ``SystemExit`` with a reason when something did not come back."""
        self._start()
        before = fingerprint(self.home)
        files = sum(entry.type == "file" for entry in before.values())
        size = sum(entry.size for entry in before.values())
        self.say(f"a teacher's home: {files} files, {size / 1e6:.0f} MB, names with line breaks, emoji and stray bytes")

        self._deployment("snapshot-now/before-reimage", {"host": HOST, "reason": "before reimage"})
        first = self._newest()
        stored = first["data_added_packed"] / 1e6
        self.say(f"saved: {first['total_files_processed']} files, {stored:.1f} MB stored, encrypted")

        self._deployment("snapshot-site/nightly-north", {"site": "north"})
        second = self._newest()
        self.say(
            f"saved again by the nightly run: {second['files_unmodified']} files unchanged and not read, "
            f"{second['data_added_packed'] / 1e3:.1f} kB stored"
        )
        if second["files_unmodified"] != files or second["data_added_packed"] > 100_000:
            raise SystemExit("the second snapshot moved what was stored already")

        for path in self.home.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        self.say(f"wiped: {sum(1 for _ in self.home.rglob('*'))} files are left in the teacher's home")

        self._deployment(
            "restore-request/restore-request",
            {"computer": HOST, "what": "everything that was saved", "where": "back to where they were"},
        )
        lost = differences(before, fingerprint(self.home))
        if lost:
            raise SystemExit("\n".join(["not everything came back:", *lost[:20]]))
        self.say(
            f"restored: all {len(before)} paths are back, equal in content, mode, owner, times, links and attributes"
        )

        self.say("checked by the stock restic client: " + self._restic_check())

    def _start(self) -> None:
        self.site.start()
        self.prefect = PrefectStack(self.folder / "prefect", self.site.environment())
        self.prefect.start_server()
        make_home(self.home)
        self.site.add_host(HOST, TEACHER, self.home)
        self.site.run("init", "north")
        link = "a real sshd" if self.site.transport == "ssh" else "no sshd here, so by the local transport"
        self.say(f"started a real S3 server and {link}; waiting for Prefect")
        self.prefect.wait_until_ready()
        self.prefect.deploy()
        self.prefect.start_worker()
        self.say(f"Prefect is up, with the deployments of prefect.yaml: {self.prefect.ui_url}")

    def _deployment(self, name: str, parameters: dict[str, Any]) -> None:
        assert self.prefect is not None
        state = self.prefect.run_deployment(name, parameters)
        if state["type"] != "COMPLETED" or state["name"] != "Completed":
            raise SystemExit(f"{name}: {state['name']}: {state['message']}\n{self.prefect.log('worker')[-3000:]}")
        self.say(f"deployment {name}: {state['message']}")

    def _newest(self) -> dict[str, Any]:
        import json

        lines = self.site.run("snapshots", HOST, "--json").stdout.splitlines()
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
            f"                        firstbell snapshots; firstbell ls {HOST}; firstbell doctor {HOST}",
            "  the stock client      restic -o s3.bucket-lookup=path snapshots",
            f"  the teacher's home    {self.home}",
            f"Stop it and remove it all:  sh {self.folder / 'stop'}",
        ]
        sys.stdout.write("\n".join(lines) + "\n")

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
            f"kill -KILL {pids} 2>/dev/null\nrm -rf '{self.folder}'\n"
        )

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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running and say how to look around")
    arguments = parser.parse_args(argv)
    # A killed demo must clean up, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    demo = Demo(Path(tempfile.mkdtemp(prefix="firstbell-demo-")), keep=arguments.keep)
    kept = False
    try:
        demo.run()
        if arguments.keep:
            demo.leave_running()
            demo.look_around()
            kept = True
        else:
            demo.say("done; cleaning up (make demo KEEP=1 leaves everything running, with the UI to look at)")
    finally:
        if not kept:
            demo.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
