"""Confirm on a real Windows computer what firstbell relies on there: ``make windows-field-check HOST=lab4-01``.

The computer is one of your inventory; try ``firstbell doctor`` on it first. Everything happens in a folder of its own
on the drive of Windows, and in one in the profile of the account that logs in; both are removed. The result is two
files, made to be attached to a bug report: no secrets, no names of people, computers or teachers' files are in them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from configs.model import SpoolConfig
from inventory.model import Host
from tasks.errors import FirstbellError
from tasks.remote.filesystem import RemoteHost
from tasks.transports.base import Transport
from tasks.transports.registry import make_transport
from tasks.verbs.connection import connect, ssh_settings, winrm_settings
from tasks.verbs.context import Context
from tasks.verbs.doctor_spool import SpoolTrial as Trial
from tests.field.bench import Bench, walk, wire_path
from tests.field.claims import BY_NUMBER
from tests.field.outcome import Line, Outcome, Scrubber, verdict
from tests.field.pc import Pc
from tests.field.run import chosen, run
from tests.field.spool_trial import SpoolTrial


class School:
    """The computer as the inventory knows it."""

    def __init__(self, context: Context, host: Host) -> None:
        self.context = context
        self.host = host
        self._objects = 0

    def new_link(self) -> Transport:
        """Return an open link."""
        host = self.host
        settings = ssh_settings(self.context, host) if host.transport == "ssh" else winrm_settings(self.context, host)
        link = make_transport(host.transport, host.name, settings)
        link.open()
        return link

    @contextmanager
    def connect(self) -> Iterator[RemoteHost]:
        """Start the helper."""
        trial = Trial()
        try:
            with connect(self.context, self.host, notes=trial.notes, watch=trial.watch) as remote:
                yield remote
        finally:
            self._objects += trial.spool.taken if trial.spool else 0

    @contextmanager
    def connect_inline(self) -> Iterator[RemoteHost]:
        """Start the helper without a spool."""
        config = self.context.config.model_copy(update={"spool": SpoolConfig()})
        with connect(replace(self.context, config=config), self.host) as remote:
            yield remote

    def try_spool(self) -> Outcome:
        """Send something each way through the spool."""
        trial = Trial()
        with connect(self.context, self.host, notes=trial.notes, watch=trial.watch) as remote:
            trial.run(remote)
        check = trial.check()
        proxy = self.context.config.spool.proxy
        way = "directly" if proxy is None else "by the proxy of Windows" if proxy == "system" else "by a proxy"
        return verdict(check.verdict == "ok", f"{way}: {check.detail}")

    def spool(self) -> SpoolTrial | None:
        """Return how the spool is tried, None without one."""
        if self.host.transport != "winrm" or self.context.config.spool_for(self.host.site) is None:
            return None
        return SpoolTrial(self.try_spool, self.connect_inline, lambda: self._objects)


def scrubber_for(host: Host) -> Scrubber:
    """Return what takes out everything by which the inventory names people and computers."""
    return Scrubber([host.name, host.address, host.user or "", host.site, *host.teachers, *host.groups])


def hold(school: School, folder: str) -> None:
    """Be the run that is killed: list a folder with a shadow copy, say so, and wait."""
    with school.connect() as remote:
        walk(remote, wire_path(folder), shadow=True)
        sys.stdout.write(f"held {remote.hello.pid}\n")
        sys.stdout.flush()
        sys.stdin.read()


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; 0 when nothing failed."""
    parser = argparse.ArgumentParser(prog="make windows-field-check", description=__doc__)
    parser.add_argument("host", metavar="HOST", help="a Windows computer of the inventory")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--inventory", type=Path)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the result files")
    parser.add_argument("--only", nargs="*", default=[], metavar="FC-NN", help="only these")
    parser.add_argument("--quick", action="store_true", help="leave out what takes minutes")
    parser.add_argument("--account", default="", help="a test account without a profile, for FC-82")
    parser.add_argument("--hold", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    try:
        claims = chosen(arguments.only)
        context = Context.load(config=arguments.config, inventory=arguments.inventory)
        school = School(context, context.host(arguments.host))
        if arguments.hold:
            hold(school, arguments.hold)
            return 0
        if school.host.transport == "local":
            parser.error("this computer is the worker itself")
    except FirstbellError as error:
        sys.stderr.write(f"{error.message}\n{error.hint}\n")
        return 1
    except ValueError as error:
        parser.error(str(error))
    own = [name for name in ("config", "inventory") if getattr(arguments, name)]
    again = [part for name in own for part in (f"--{name}", str(getattr(arguments, name)))]

    def start_hold(folder: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.field.windows_field_check", arguments.host, *again, "--hold", folder]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    bench = Bench(
        Pc(school.host.transport, school.new_link, school.connect),
        scrubber_for(school.host),
        account=arguments.account,
        hold=start_hold,
        spool=school.spool(),
        auth=school.host.winrm.auth if school.host.transport == "winrm" else "ssh",
    )
    document = run(bench, claims, quick=arguments.quick, told=_tell)
    document.about = {**document.about, "date": f"{datetime.now(UTC):%Y-%m-%d}"}
    name = f"windows-field-check-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    arguments.out.mkdir(parents=True, exist_ok=True)
    for ending, text in ((".json", document.as_json()), (".md", document.as_markdown())):
        (arguments.out / f"{name}{ending}").write_text(text, encoding="utf-8")
    counts = ", ".join(f"{count} {status}" for status, count in document.counts().items())
    sys.stdout.write(f"\n{counts}\nleft on the computer: {document.cleaned_up}\n")
    sys.stdout.write(f"Please look through {arguments.out / name}.md, and attach it to your report with the .json.\n")
    return 1 if document.counts()["failed"] else 0


def _tell(line: Line) -> None:
    outcome = line.outcome
    sys.stdout.write(f"{line.number}  {outcome.status:<14}  {BY_NUMBER[line.number].claim}\n")
    if outcome.evidence:
        sys.stdout.write(f"{'':24}{outcome.evidence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
