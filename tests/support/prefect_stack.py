"""A Prefect server and one worker of our own: everything in one folder, on a free loopback port, on SQLite.

Used by the demo and by the end-to-end tests. Nothing of a Prefect that the user may have is touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.sshd import free_port

#: Where prefect.yaml is: the deployments are read from there.
PROJECT = Path(__file__).resolve().parents[2]


class PrefectStack:
    """A server, the deployments of ``prefect.yaml`` and a process worker; ``environment`` is what the flows see."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *, pool: str = "classrooms") -> None:
        self.folder = folder
        self.port = free_port()
        self.pool = pool
        self._environment = dict(environment)
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def api_url(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def ui_url(self) -> str:
        """The address of the UI."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        """Return the environment of everything that talks to this server."""
        clean = {name: value for name, value in self._environment.items() if not name.startswith("PREFECT_")}
        return {
            **clean,
            "PREFECT_HOME": str(self.folder),
            "PREFECT_API_URL": self.api_url,
            "PREFECT_SERVER_API_HOST": "127.0.0.1",
            "PREFECT_SERVER_API_PORT": str(self.port),
            "PREFECT_UI_URL": self.ui_url,
            "PREFECT_SERVER_UI_V2_ENABLED": "false",
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_LOGGING_EXTRA_LOGGERS": "tasks,inventory,configs",
            "PREFECT_CLI_PROMPT": "false",
            # Nobody likes to wait for up to ten seconds until a run is seen.
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        }

    def start_server(self) -> None:
        """Start the server without waiting for it: a first start migrates its database, 25 to 40 s on two cores."""
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        self._spawn("server", "start", "--log-level", "WARNING")

    def wait_until_ready(self, timeout: float = 180.0) -> None:
        """Wait until the server answers."""
        deadline = time.monotonic() + timeout
        while True:
            with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
                self.call("GET", "/health")
                return
            if self._processes[0].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the Prefect server did not start:\n{self.log('server')[-3000:]}")
            time.sleep(0.2)

    def deploy(self) -> None:
        """Create the work pool and deploy everything in ``prefect.yaml``."""
        self.prefect("work-pool", "create", self.pool, "--type", "process", "--overwrite")
        self.prefect("deploy", "--all")

    def start_worker(self) -> None:
        """Start a process worker for the pool."""
        self._spawn("worker", "start", "--pool", self.pool, "--type", "process")

    def prefect(self, *arguments: str, timeout: float = 180.0) -> str:
        """Run the prefect command and return what it said."""
        done = subprocess.run(
            [*_PREFECT, "--no-prompt", *arguments],
            env=self.environment(),
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if done.returncode:
            raise RuntimeError(f"prefect {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def run_deployment(self, name: str, parameters: Mapping[str, Any], timeout: float = 300.0) -> dict[str, Any]:
        """Start a deployment, wait until its run has ended, and return the final state as the API tells it."""
        found = self.call("GET", f"/deployments/name/{name}")
        run = self.call("POST", f"/deployments/{found['id']}/create_flow_run", {"parameters": dict(parameters)})
        deadline = time.monotonic() + timeout
        while True:
            state: dict[str, Any] = self.call("GET", f"/flow_runs/{run['id']}")["state"]
            if state["type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}:
                return state
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{name} is still {state['name']} after {timeout:.0f} s\n{self.log('worker')[-3000:]}"
                )
            time.sleep(0.25)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self.api_url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                # SQLite was locked: nothing was done, and Prefect's own client asks again, too.
                if error.code != 503 or time.monotonic() > deadline:
                    raise
            time.sleep(0.5)

    def log(self, name: str) -> str:
        """Return what the server or the worker wrote."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def stop(self, timeout: float = 30.0) -> None:
        """Stop worker and server, the last started first."""
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._processes.clear()

    def pids(self) -> list[int]:
        """Return the processes that run, for somebody who ends them later."""
        return [process.pid for process in self._processes]

    def _spawn(self, *arguments: str) -> None:
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    [*_PREFECT, *arguments],
                    # The worker keeps there what it runs, also after its end.
                    env={**self.environment(), "TMPDIR": str(self.folder / "tmp")},
                    cwd=PROJECT,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )


_PREFECT: Sequence[str] = (sys.executable, "-m", "prefect")
