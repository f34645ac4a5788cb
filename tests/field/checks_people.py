"""FC-80 to FC-99: people and their profiles, the spool, OpenSSH, and all of it together."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from tasks.archiver.archiver import Archiver, CapturePlan
from tasks.archiver.manifest import read_manifest
from tasks.backends.memory import MemoryBackend
from tasks.remote.filesystem import RemoteHost
from tasks.repository.repository import Repository
from tasks.restorer.plan import RestoreRequest, build_plan
from tasks.restorer.restorer import Restorer
from tests.field.bench import Bench, check, plain, why, wire_path, write
from tests.field.checks_files import differing, look
from tests.field.outcome import Outcome, failed, not_applicable, passed, person, verdict
from tests.field.pc import ProbeError

_MIB = 1024**2


@check("FC-80")
def people(bench: Bench) -> Outcome:
    users = [user for user in bench.facts().users if user.exists]
    homes = [user.home.decode("utf-8", "surrogatepass") for user in users]
    folders = [f"{home[1]}:{home[2:]}".replace("/", "\\") for home in homes]
    there = bench.pc.ask("there", {"folders": folders})["there"]
    return verdict(bool(users) and there == len(users), f"{len(users)} people, {there} of their folders are there")


@check("FC-81")
def known_folders(bench: Bench) -> Outcome:
    users = [user for user in bench.facts().users if user.exists]
    if not users:
        return failed("nobody is told")
    numbers = sorted(len(user.folders) for user in users)
    loaded = bench.facts().windows
    signed_in = f", {len(loaded.loaded)} of them signed in" if loaded and "loaded" in loaded.known else ""
    return verdict(all("desktop" in user.folders for user in users), f"known folders: {numbers}{signed_in}")


@check("FC-82")
def new_profile(bench: Bench) -> Outcome:
    if not bench.account:
        return person("FC-82")
    bench.scrubber.learn([bench.account])
    profile = bench.helper().make_profile(bench.account)
    if profile.reason:
        return failed(f"{profile.reason}: {profile.detail}")
    return passed("made") if profile.made else not_applicable("this account has a profile already")


@check("FC-83")
def first_sign_in(bench: Bench) -> Outcome:
    return person("FC-83")


@check("FC-84")
def owners(bench: Bench) -> Outcome:
    profile = bench.about()["profile"]
    folder = f"{profile}\\firstbell-field-{bench.token}"
    bench.pc.ask("make_files", {"folder": folder, "files": []})
    try:
        bad = write(bench.helper(), [(wire_path(f"{folder}\\own.txt"), plain(b"own.txt", 3), b"own")])
        if bad:
            return failed(why(bad))
        told = bench.pc.ask("access", {"folder": folder, "name": "own.txt", "make": False})
    finally:
        bench.pc.ask("clean", {"folder": folder})
    kind = "the administrators" if told["owner"] == "S-1-5-32-544" else "somebody else"
    return verdict(told["owner"] == told["me"], "the owner of the profile" if told["owner"] == told["me"] else kind)


@check("FC-85")
def the_same_person(bench: Bench) -> Outcome:
    return person("FC-85", "The account of this check is local." if bench.about()["local"] else "")


@check("FC-90")
def through_the_store(bench: Bench) -> Outcome:
    return bench.spool.attempt() if bench.spool else not_applicable("the configuration names no 'spool.location'")


def _read_file(bench: Bench, remote: RemoteHost, size: int) -> float:
    """Have a file of random bytes made, read it, and return the seconds of that."""
    name = f"rate {size}.bin"
    file = {"name": name, "size": size, "seed": size, "attributes": 0x20, "created": str(2**57), "written": str(2**57)}
    bench.pc.ask("make_files", {"folder": bench.folder, "files": [file]})
    started = time.monotonic()
    for _ in remote.source().read([bench.wire(name)]):
        pass
    return time.monotonic() - started


@check("FC-91")
def rate_through_the_store(bench: Bench) -> Outcome:
    if bench.spool is None:
        return not_applicable("the configuration names no 'spool.location'")
    before = bench.spool.objects()
    with bench.pc.connect() as remote:
        seconds = _read_file(bench, remote, 64 * _MIB)
    objects = bench.spool.objects() - before
    return verdict(objects > 0, f"{64 / seconds:.1f} MiB/s, {objects} objects")


@check("FC-92")
def rate_without_it(bench: Bench) -> Outcome:
    if bench.spool is None:
        seconds = _read_file(bench, bench.helper(), 4 * _MIB)
    else:
        with bench.spool.inline() as remote:
            seconds = _read_file(bench, remote, 4 * _MIB)
    return passed(f"{4 / seconds:.2f} MiB/s")


@check("FC-95")
def default_shell(bench: Bench) -> Outcome:
    shell = bench.about()["default_shell"] or "cmd.exe (nothing is set)"
    bench.helper()
    return passed(f"the helper works with {shell.rpartition(chr(92))[2]}")


@check("FC-96")
def keys_of_administrators(bench: Bench) -> Outcome:
    told = bench.pc.ask("ssh_keys")
    if not told["there"]:
        return not_applicable("there is no such file: the account has keys of its own, or a password")
    return verdict(
        told["others"] == 0 and not told["inherits"],
        f"{told['others']} entries for others, {'inherits' if told['inherits'] else 'inherits nothing'}",
    )


@check("FC-99")
def all_together(bench: Bench) -> Outcome:
    folder = bench.inside("all")
    files = [
        {
            "name": f"class {number % 7}\\sheet {number:03d} äöü.bin",
            "size": (number * 7919) % 60_000,
            "seed": number,
            "attributes": (0x20, 0x1, 0x2, 0x1 | 0x4)[number % 4],
            "created": str(131_000_000_000_000_000 + number * 1_234_567),
            "written": str(132_000_000_000_000_000 + number * 7_654_321),
        }
        for number in range(200)
    ]
    bench.pc.ask("make_files", {"folder": folder, "files": files})
    before = look(bench, folder)
    repository = Repository.init(MemoryBackend(), bench.token, scrypt_n=1024)
    try:
        root = wire_path(folder)
        plan = CapturePlan("field", "field", (root,), ())
        started = time.monotonic()
        saved = Archiver(repository, bench.helper().source()).snapshot(plan, parent=None, now=datetime.now(UTC))
        if saved.snapshot is None or saved.skips:
            return failed(f"{len(saved.skips)} were not saved: {', '.join({skip.reason for skip in saved.skips})}")
        _remove(bench, "all")
        known = {entry.path: entry.sha256 for entry in read_manifest(repository, saved.snapshot) if entry.sha256}
        sink = bench.helper().sink()
        request = RestoreRequest(saved.snapshot, mode="apply", set_owners=False)
        wanted = build_plan(repository, sink, request, now=datetime.now(UTC), known_hashes=known)
        result = Restorer(repository, sink).apply(wanted)
        seconds = time.monotonic() - started
    finally:
        repository.close()
    if not result.complete:
        return failed(f"not restored: {len(result.problems)} problems")
    wrong = differing(before, look(bench, folder))
    return verdict(
        not wrong, f"differing: {', '.join(wrong)}" if wrong else f"{len(before)} entries alike, {seconds:.1f} s"
    )


def _remove(bench: Bench, name: str) -> None:
    moved = bench.pc.ask("remove", {"folder": bench.inside(name)})
    if moved["there"]:
        raise ProbeError("the folder could not be removed before the restore")
