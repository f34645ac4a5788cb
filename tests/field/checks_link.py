"""FC-01 to FC-12: the link, by programs of the check itself, without the helper."""

from __future__ import annotations

import dataclasses
import hashlib
import random
import secrets
import time
from collections.abc import Callable
from typing import cast

from pydantic import SecretStr

from tasks.errors import AuthFailed
from tasks.transports.base import Transport
from tests.field.bench import Bench, check
from tests.field.outcome import Outcome, failed, not_applicable, passed, verdict
from tests.field.pc import Said

_MIB = 1024**2
_MARK = b"\nfirstbell-bytes\n"


@check("FC-01")
def standard_input(bench: Bench) -> Outcome:
    payload = random.Random(1).randbytes(3 * _MIB)
    said = bench.pc.run("stdin_hash", {"size": len(payload)}, payload=payload)
    good = said.one()["sha256"] == hashlib.sha256(payload).hexdigest()
    rate = f"{len(payload) / _MIB / said.seconds:.1f} MiB/s with the start of PowerShell"
    return verdict(good, rate if good else f"{said.one()['missing']} bytes did not arrive, or others did")


def _bytes_of(said: Said, size: int) -> bytes:
    said.one()
    at = said.output.find(_MARK)
    return said.output[at + len(_MARK) :][:size] if at >= 0 else b""


@check("FC-02")
def standard_output(bench: Bench) -> Outcome:
    size = _MIB
    period = b"".join(bytes((number + k) % 256 for k in range(251)) for number in range(256))
    expected = (period * (size // len(period) + 1))[:size]
    said = bench.pc.run("stdout_bytes", {"size": size})
    got = _bytes_of(said, size)
    if got == expected:
        return passed(f"{size} bytes, {size / _MIB / said.seconds:.1f} MiB/s with the start of PowerShell")
    same = next((at for at, (one, other) in enumerate(zip(got, expected, strict=False)) if one != other), len(got))
    return failed(f"{len(got)} of {size} bytes came, and they differ from byte {same} on")


@check("FC-03")
def both_ways_at_once(bench: Bench) -> Outcome:
    payload = random.Random(3).randbytes(2 * _MIB)
    said = bench.pc.run("echo", {"size": len(payload)}, payload=payload)
    good = _bytes_of(said, len(payload)) == payload
    return verdict(good, f"{2 * len(payload) / _MIB / said.seconds:.1f} MiB/s in both directions together")


@check("FC-04")
def errors_are_text(bench: Bench) -> Outcome:
    said = bench.pc.start_plain("-Command", "Write-Error", "firstbell-field-word")
    if b"firstbell-field-word" in said.output:
        return failed("the error came on standard output")
    if "firstbell-field-word" not in said.errors:
        return failed(f"standard error was: {said.errors[:200]!r}")
    return verdict("CLIXML" not in said.errors, "CLIXML" if "CLIXML" in said.errors else "text")


@check("FC-05")
def long_command_line(bench: Bench) -> Outcome:
    word = "a" * 7000
    said = bench.pc.start_plain("-Command", "Write-Output", word)
    return verdict(word.encode() in said.output, f"{said.output.count(b'a')} of 7000 characters came back")


@check("FC-06")
def a_closed_link_ends_programs(bench: Bench) -> Outcome:
    link = bench.pc.new_link()
    try:
        told = bench.pc.begin("wait", link=link).wait_for()
    finally:
        link.close()
    started = time.monotonic()
    while bench.pc.ask("process", {"pid": told["pid"], "started": told["started"]})["runs"]:
        if time.monotonic() - started > 60:
            return failed("the program still runs after 60 s")
    return passed(f"gone within {time.monotonic() - started:.0f} s")


@check("FC-07")
def three_minutes_of_nothing(bench: Bench) -> Outcome:
    remote = bench.helper()
    time.sleep(185)
    return verdict(len(remote.sink().stat([b"/C"])) == 1, "answered after 185 s")


@check("FC-08")
def a_refused_login(bench: Bench) -> Outcome:
    link = bench.pc.link()
    settings = getattr(link, "settings", None)
    if settings is None:
        return not_applicable("this link has no login")
    nobody = f"firstbell-{secrets.token_hex(4)}"
    changed = dataclasses.replace(settings, user=nobody, password=SecretStr(secrets.token_urlsafe(12)))
    other = cast("Callable[..., Transport]", type(link))(link.host, changed)
    started = time.monotonic()
    try:
        other.open()
    except AuthFailed:
        return passed(f"refused after {time.monotonic() - started:.1f} s")
    finally:
        other.close()
    if bench.auth in ("kerberos", "certificate"):
        return not_applicable(f"{bench.auth} does not look at the account's name")
    return failed("an account that does not exist was let in")


@check("FC-09")
def nothing_readable(bench: Bench) -> Outcome:
    told = bench.pc.ask("winrm")
    values = {name: str(told[name]).lower() for name in ("Service\\AllowUnencrypted", "Service\\Auth\\Basic")}
    return verdict(set(values.values()) == {"false"}, ", ".join(f"{name} {value}" for name, value in values.items()))


@check("FC-10")
def the_listeners_certificate(bench: Bench) -> Outcome:
    seen = bench.pc.link().identity().fingerprint
    if not seen:
        return not_applicable("http: there is no certificate")
    known = bench.pc.ask("winrm")["certificates"]
    return verdict(seen in known, f"{len(known)} https listeners" if seen in known else "none has what the worker saw")


@check("FC-11")
def quotas(bench: Bench) -> Outcome:
    told = bench.pc.ask("winrm")
    least = {"MaxEnvelopeSizekb": 500, "MaxTimeoutms": 60_000, "Shell\\MaxMemoryPerShellMB": 1024}
    names = (*least, "Shell\\IdleTimeout", "Shell\\MaxProcessesPerShell", "Shell\\MaxShellsPerUser")
    values = {name: int(told[name]) for name in names if str(told.get(name, "")).isdecimal()}
    low = [name for name, needed in least.items() if values.get(name, 0) < needed]
    return verdict(not low, ", ".join(f"{name.rpartition(chr(92))[2]} {value}" for name, value in values.items()))


@check("FC-12")
def kerberos(bench: Bench) -> Outcome:
    if bench.auth != "kerberos":
        return not_applicable(f"the inventory says 'auth: {bench.auth}'")
    bench.pc.link()
    return passed("logged in by a ticket")
