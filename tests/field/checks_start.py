"""FC-20 to FC-33: starting the helper, and what its account may do."""

from __future__ import annotations

import hashlib
import secrets
import time

from tasks.entries import Skipped
from tests.field.bench import Bench, check, plain, read, why, write
from tests.field.outcome import Outcome, failed, not_applicable, passed, person, verdict

_PRIVILEGES = ("SeBackupPrivilege", "SeRestorePrivilege")


@check("FC-20")
def powershell(bench: Bench) -> Outcome:
    about = bench.about()
    good = about["powershell"].startswith("5.1") and about["is64"] and about["language"] == "FullLanguage"
    return verdict(
        bool(good),
        f"PowerShell {about['powershell']} {about['edition']}, {'64' if about['is64'] else '32'} bit, "
        f"{about['language']}, .NET release {about['framework'] or 'none'}",
    )


@check("FC-21")
def the_helper_starts(bench: Bench) -> Outcome:
    bench.end_helper()
    started = time.monotonic()
    remote = bench.helper()
    seconds = time.monotonic() - started
    scanners = ", ".join(bench.about()["scanners"]) or "no scanner told"
    limits = "; ".join(remote.hello.limits)
    return passed(f"{seconds:.1f} s; {scanners}" + (f"; it cannot do: {limits}" if limits else ""))


@check("FC-22")
def nothing_is_left(bench: Bench) -> Outcome:
    bench.end_helper()
    before = bench.pc.ask("temporary")
    with bench.pc.connect():
        pass
    after = bench.pc.ask("temporary")
    return verdict(
        after["ours"] == 0, f"{before['count']} entries before, {after['count']} after, {after['ours']} ours"
    )


@check("FC-23")
def ciphers(bench: Bench) -> Outcome:
    fips = {"1": "on", "0": "off"}.get(bench.about()["fips"], "not set")
    return passed(f"{bench.pc.ask('crypto')['used']}; FIPS policy {fips}")


@check("FC-24")
def nothing_in_the_logs(bench: Bench) -> Outcome:
    first, second = secrets.token_hex(12), secrets.token_hex(12)
    word = (first + second).encode()
    said = bench.pc.run("secret_word", {"size": len(word)}, payload=word).one()
    if said["sha256"] != hashlib.sha256(word).hexdigest():
        return failed("the word did not arrive")
    told = bench.pc.ask("logs", {"first": first, "second": second})
    logs = ", ".join(told["logs"])
    if all(log.endswith("not readable") for log in told["logs"]):
        return failed(f"no log could be read: {logs}")
    return verdict(told["found"] == 0, f"{told['searched']} events searched ({logs}), {told['found']} hold the word")


@check("FC-25")
def constrained_language(bench: Bench) -> Outcome:
    return person("FC-25", f"This computer is in {bench.about()['language']}.")


@check("FC-30")
def full_token(bench: Bench) -> Outcome:
    about = bench.about()
    what = "local account" if about["local"] else "account of a domain"
    policy = about["filter_policy"] or "not set"
    shown = f"{what}, LocalAccountTokenFilterPolicy {policy}"
    if "admin" not in about:
        return failed(f"the token cannot be asked: {about.get('admin_problem')}; {shown}")
    return verdict(bool(about["admin"]), shown)


@check("FC-31")
def privileges(bench: Bench) -> Outcome:
    windows = bench.facts().windows
    found = windows.privileges if windows else ()
    missing = [name for name in _PRIVILEGES if name not in found]
    return verdict(not missing, f"missing: {', '.join(missing)}" if missing else "both")


@check("FC-32")
def reads_what_is_closed(bench: Bench) -> Outcome:
    told = bench.pc.ask("closed", {"folder": bench.folder})
    if told["opens"]:
        return not_applicable("the access list does not close the file to this account")
    got = read(bench.helper(), bench.wire("closed.txt"))
    if isinstance(got, Skipped):
        return failed(f"not read: {got.reason} {got.detail}")
    return verdict(got == b"closed to administrators", f"{len(got)} bytes read")


@check("FC-33")
def writes_where_it_is_closed(bench: Bench) -> Outcome:
    bench.pc.ask("closed", {"folder": bench.folder})
    path = bench.wire("closed", "written.txt")
    bad = write(bench.helper(), [(path, plain(b"written.txt", 7), b"written")])
    if bad:
        return failed(why(bad))
    return verdict(read(bench.helper(), path) == b"written", "written and read back")
