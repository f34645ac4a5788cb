"""``make bench``: firstbell over SSH beside the stock restic client on the host itself, into the same S3 server.

Ratios are firstbell / restic, wall seconds and CPU seconds (user + system) of the whole process, medians of several
rounds in which the two take turns. A ratio below 1 means that firstbell needs less. The CPU of firstbell is that of the
worker; what its helper and sshd use on the host is told beside it.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.loopback_site import BUCKET, LoopbackSite

_ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run of a program cost, in seconds; peak memory in MiB."""

    wall: float
    cpu: float
    peak: float


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mib", type=int, default=1024, help="size of the mixed tree")
    parser.add_argument("--small", type=int, default=20_000, help="number of small files")
    parser.add_argument("--keep", action="store_true", help="leave the folder")
    arguments = parser.parse_args(argv)
    if shutil.which("restic") is None:
        sys.stderr.write("the stock restic client is missing: apt install restic\n")
        return 1
    folder = Path(tempfile.mkdtemp(prefix="firstbell-bench-"))
    site = LoopbackSite(folder)
    try:
        site.start()
        return _run(site, folder, arguments)
    finally:
        site.stop()
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)


def _run(site: LoopbackSite, folder: Path, arguments: argparse.Namespace) -> int:
    mixed, small = folder / "mixed", folder / "small"
    make_mixed(mixed, arguments.mib << 20)
    make_small(small, arguments.small)
    # As an installation does, so that no round has it in its time.
    packages = ["configs", "inventory", "tasks", "flows"]
    subprocess.run([sys.executable, "-m", "compileall", "-q", *packages], cwd=_ROOT, env=_environment(site), check=True)
    _say(f"{arguments.rounds} rounds, {os.cpu_count()} CPUs, over {site.transport}; {_version()}")
    _say(f"{'':34}{'wall s':>18}{'':8}{'CPU s':>18}{'':8}{'peak MiB':>14}")
    _say(f"{'':34}{'ours':>9}{'restic':>9}{'ratio':>8}{'ours':>9}{'restic':>9}{'ratio':>8}{'ours':>7}{'restic':>7}")
    for title, tree in (("first snapshot, 1 GB mixed", mixed), ("first snapshot, small files", small)):
        _compare(
            title,
            arguments.rounds,
            lambda n, t=tree: _ours_first(site, t, n),
            lambda n, t=tree: _restic_first(site, t, n),
        )
    for title, tree in (("unchanged, small files", small), ("unchanged, 1 GB mixed", mixed)):
        ours, theirs = _prepared(site, tree)
        _compare(
            title,
            arguments.rounds,
            lambda n, s=ours: _ours(site, s, "snapshot", "pc"),
            lambda n, s=theirs, t=tree: _restic(site, s, "backup", str(t)),
        )
    for title, tree in (("restore, 1 GB mixed", mixed), ("restore, small files", small)):
        ours, theirs = _prepared(site, tree)

        # Each run gets a new folder: ext4 is slow for a while where thousands of files were just deleted.
        def ours_restore(n: int, s: str = ours) -> Cost:
            return _ours(site, s, "restore", "pc", "--yes", "--into", str(_new(folder)))

        def restic_restore(n: int, s: str = theirs) -> Cost:
            return _restic(site, s, "restore", "latest", "--target", str(_new(folder)))

        _compare(title, arguments.rounds, ours_restore, restic_restore)
    return 0


def _new(folder: Path) -> Path:
    out = folder / f"out-{time.monotonic_ns()}"
    out.mkdir()
    return out


def _compare(title: str, rounds: int, ours: Callable[[int], Cost], theirs: Callable[[int], Cost]) -> None:
    pairs = [(ours(number), theirs(number)) for number in range(rounds)]

    def median(pick: Callable[[Cost], float], side: int) -> float:
        return statistics.median(pick(pair[side]) for pair in pairs)

    def ratio(pick: Callable[[Cost], float]) -> float:
        return statistics.median(pick(a) / pick(b) for a, b in pairs)

    wall, cpu, peak = (lambda c: c.wall), (lambda c: c.cpu), (lambda c: c.peak)
    _say(
        f"{title:<34}{median(wall, 0):>9.2f}{median(wall, 1):>9.2f}{ratio(wall):>8.2f}"
        f"{median(cpu, 0):>9.2f}{median(cpu, 1):>9.2f}{ratio(cpu):>8.2f}{median(peak, 0):>7.0f}{median(peak, 1):>7.0f}"
    )


def _point_at(site: LoopbackSite, name: str, tree: Path) -> None:
    site.hosts.clear()
    site.add_host("pc", "a.ito", tree)
    config = site.folder / "app.yaml"
    lines = config.read_text().splitlines()
    lines = [f"  location: s3://{BUCKET}/{name}" if line.startswith("  location:") else line for line in lines]
    config.write_text("\n".join(lines) + "\n")


def _ours_first(site: LoopbackSite, tree: Path, number: int) -> Cost:
    name = f"ours-{tree.name}-{number}-{time.monotonic_ns()}"
    _point_at(site, name, tree)
    site.run("init", "north")
    return _measure(site.command("snapshot", "pc"), _environment(site))


def _restic_first(site: LoopbackSite, tree: Path, number: int) -> Cost:
    name = f"restic-{tree.name}-{number}-{time.monotonic_ns()}"
    _restic(site, name, "init")
    return _restic(site, name, "backup", str(tree))


def _prepared(site: LoopbackSite, tree: Path) -> tuple[str, str]:
    ours, theirs = f"ours-{tree.name}-{time.monotonic_ns()}", f"restic-{tree.name}-{time.monotonic_ns()}"
    _point_at(site, ours, tree)
    site.run("init", "north")
    site.run("snapshot", "pc")
    _restic(site, theirs, "init")
    _restic(site, theirs, "backup", str(tree))
    return ours, theirs


def _ours(site: LoopbackSite, name: str, *arguments: str) -> Cost:
    return _measure(site.command(*arguments), _environment(site))


def _environment(site: LoopbackSite) -> dict[str, str]:
    """Return the environment of a worker on which the package is installed: its modules are compiled."""
    environment = site.environment()
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**environment, "PYTHONPYCACHEPREFIX": str(site.folder / "compiled")}


def _restic(site: LoopbackSite, name: str, *arguments: str) -> Cost:
    environment = {**site.restic_environment(), "RESTIC_REPOSITORY": f"s3:{site.s3.endpoint_url}/{BUCKET}/{name}"}
    return _measure(["restic", "-q", "-o", "s3.bucket-lookup=path", *arguments], environment)


def _measure(command: Sequence[str], environment: Mapping[str, str]) -> Cost:
    # What the run before left unwritten is not this one's work: we wait for the disk, restic leaves that to the system.
    os.sync()
    started = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {process.returncode}\n{output.decode(errors='replace')}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def make_mixed(folder: Path, size: int) -> None:
    """Make a tree as a teacher's: many documents, pictures, a few films; about half of it compressible."""
    rnd = random.Random(3)
    words = [rnd.randbytes(rnd.randint(2, 8)).hex() for _ in range(4000)]
    left, number = size, 0
    while left > 0:
        kind = rnd.random()
        wanted = int(rnd.lognormvariate(11, 1.5)) if kind < 0.90 else rnd.randint(1 << 20, 24 << 20)
        wanted = min(wanted, left)
        place = folder / f"folder {number % 40}" / f"sub {number % 7}"
        place.mkdir(parents=True, exist_ok=True)
        data = rnd.randbytes(wanted) if rnd.random() < 0.5 else _text(rnd, words, wanted)
        (place / f"file {number}.bin").write_bytes(data)
        left -= wanted
        number += 1
    _say(f"mixed tree: {number} files, {size >> 20} MiB")


def _text(rnd: random.Random, words: list[str], size: int) -> bytes:
    block = " ".join(rnd.choices(words, k=4000)).encode()
    pieces = [block[rnd.randint(0, 4000) :] for _ in range(size // 30_000 + 1)]
    return b"".join(pieces)[:size].ljust(size, b".")


def make_small(folder: Path, count: int) -> None:
    """Make ``count`` files of 0 to 8 KiB in folders of a hundred."""
    rnd = random.Random(4)
    for number in range(count):
        place = folder / f"folder {number // 100}"
        if number % 100 == 0:
            place.mkdir(parents=True)
        (place / f"file {number}.txt").write_bytes(rnd.randbytes(rnd.randint(0, 8192)))


def _version() -> str:
    return subprocess.run(["restic", "version"], capture_output=True, text=True, check=True).stdout.strip()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
