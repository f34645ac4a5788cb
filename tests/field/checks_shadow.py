"""FC-60 to FC-72: shadow copies, cut links, and OneDrive."""

from __future__ import annotations

import time

from tasks.entries import Skipped
from tests.field.bench import Bench, check, read, walk
from tests.field.checks_files import held
from tests.field.outcome import Outcome, failed, not_applicable, person, verdict

#: A helper over WinRM ends after 180 s without a word of its worker.
_SILENCE = 240.0


def _count(bench: Bench) -> int:
    return int(bench.pc.ask("shadow", {"try": False})["before"])


@check("FC-60")
def a_shadow_copy(bench: Bench) -> Outcome:
    told = bench.pc.ask("shadow", {"try": True}, timeout=240.0)
    edition = bench.about()["edition_id"] or "edition unknown"
    if told["code"]:
        return failed(f"{edition}: Create answered {told['code']}")
    good = told["after"] == told["before"] and told["entries"] > 0
    return verdict(good, f"{edition}: made in {told['seconds']:.1f} s, {told['before']} before, {told['after']} after")


@check("FC-61")
def reads_through_it(bench: Bench) -> Outcome:
    with held(bench, "shadowed.txt", "None") as path:
        found = walk(bench.helper(), bench.wire("held"), shadow=True)
        got = read(bench.helper(), path)
    # The shadow copy goes with the helper.
    bench.end_helper()
    if any(state != "made" for state in found.shadow.values()) or not found.shadow:
        return failed(f"no shadow copy: {', '.join(found.shadow.values()) or 'nothing told'}")
    return verdict(got == b"held None", f"told as {got.reason}" if isinstance(got, Skipped) else "read")


@check("FC-62")
def none_is_left(bench: Bench) -> Outcome:
    bench.end_helper()
    before = _count(bench)
    with bench.pc.connect() as remote:
        found = walk(remote, bench.wire("held"), shadow=True)
    after = _count(bench)
    if set(found.shadow.values()) != {"made"}:
        return failed(f"no shadow copy: {', '.join(found.shadow.values()) or 'nothing told'}")
    return verdict(after == before, f"{before} before, {after} after")


@check("FC-63")
def a_cut_link(bench: Bench) -> Outcome:
    if bench.hold is None:
        return not_applicable("there is no inventory to start a second run from")
    bench.end_helper()
    before = _count(bench)
    process = bench.hold(bench.folder)
    try:
        told = (process.stdout.readline() if process.stdout else "").split()
    finally:
        process.kill()
        process.wait()
    if len(told) != 2 or told[0] != "held":
        return failed(f"the second run did not get so far: {' '.join(told)[:200]}")
    started = time.monotonic()
    while bench.pc.ask("process", {"pid": int(told[1]), "started": ""})["runs"]:
        if time.monotonic() - started > _SILENCE:
            return failed(f"the helper still runs {_SILENCE:.0f} s after the link was cut")
        time.sleep(5)
    gone = time.monotonic() - started
    left = _count(bench)
    with bench.pc.connect():
        pass
    after = _count(bench)
    return verdict(
        after == before,
        f"the helper ended {gone:.0f} s after the cut; shadow copies: {before} before, {left} then, {after} after the "
        "next run",
    )


@check("FC-64")
def scanners(bench: Bench) -> Outcome:
    return person("FC-64", f"Scanners that Windows knows: {', '.join(bench.about()['scanners']) or 'none told'}.")


def _cloud_folders(bench: Bench) -> list[bytes]:
    windows = bench.facts().windows
    return [one.folder for folders in (windows.onedrive if windows else {}).values() for one in folders]


@check("FC-70")
def cloud_files(bench: Bench) -> Outcome:
    folders = _cloud_folders(bench)
    if not folders:
        return not_applicable("no folder of OneDrive is known on this computer")
    skipped = sum(
        skip.reason == "cloud-only" for folder in folders for skip in walk(bench.helper(), folder).skips.values()
    )
    told = bench.pc.ask("cloud", {"folders": [_windows(folder) for folder in folders]}, timeout=300.0)
    if not skipped and not told["cloud"]:
        return person(
            "FC-70", 'No file there is only in the cloud: let the Explorer "Free up space" on one, and run this again.'
        )
    return verdict(
        skipped >= told["cloud"] and skipped > 0,
        f"{len(folders)} folders, {skipped} told as cloud-only, Windows shows {told['cloud']} of {told['files']} files",
    )


@check("FC-71")
def none_is_brought_down(bench: Bench) -> Outcome:
    folders = _cloud_folders(bench)
    if not folders:
        return not_applicable("no folder of OneDrive is known on this computer")
    values = {"folders": [_windows(folder) for folder in folders]}
    before = bench.pc.ask("cloud", values, timeout=300.0)["cloud"]
    for folder in folders:
        walk(bench.helper(), folder)
    after = bench.pc.ask("cloud", values, timeout=300.0)["cloud"]
    if not before:
        return not_applicable("no file there is only in the cloud")
    return verdict(before == after, f"{before} before, {after} after")


@check("FC-72")
def not_doubled(bench: Bench) -> Outcome:
    return person("FC-72")


def _windows(path: bytes) -> str:
    text = path.decode("utf-8", "surrogatepass")
    return f"{text[1]}:{text[2:]}".replace("/", "\\")
