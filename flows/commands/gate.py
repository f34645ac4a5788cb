"""``firstbell verify`` and ``firstbell gate``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from flows.commands.selection import add_selection, load_context, selected_hosts

if TYPE_CHECKING:
    from configs.maintenance import MaintenancePlan
    from tasks.verbs.context import Context
    from tasks.verbs.gate import HostGate
    from tasks.verbs.verify import HostVerification

#: What a gate that holds, or an invalid clearance, ends with.
HELD = 20
_SHOWN = 20


def add(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verify = verbs.add_parser(
        "verify",
        parents=[common],
        help="prove the newest snapshot of a computer, and record it",
        description="Read a sample of the newest snapshot back from the repository and compare it with the computer. "
        "What is found is recorded: the gate asks for it.",
    )
    add_selection(verify)
    verify.add_argument("--all", action="store_true", help="every file, instead of 1 % of them and at least 20")
    verify.set_defaults(run=run_verify)
    gate = verbs.add_parser(
        "gate",
        parents=[common],
        help="may this computer be wiped? exit code 0: yes, 20: no",
        description="May these computers be wiped? Exit code 0 only when all of them may; 20 when one must not be. "
        "Take any other code for a no.",
    )
    add_selection(gate)
    gate.add_argument("--plan", default="", help="as a step of this maintenance plan: with what people said to it")
    gate.set_defaults(run=run_gate)


def run_verify(arguments: argparse.Namespace) -> int:
    """Verify; 0 when all was good, 3 when a computer could not be compared, 1 when something was wrong."""
    from tasks.errors import FirstbellError
    from tasks.events import HostFailed
    from tasks.reports.json_lines import JsonReporter
    from tasks.reports.text import TextReporter
    from tasks.verbs.verify import verify_host

    context = load_context(arguments)
    names = _names(context, arguments)
    json_out = JsonReporter(sys.stdout) if arguments.json else None
    text = TextReporter(sys.stderr, title="verify")
    codes: set[int] = set()
    for name in names:
        try:
            found = verify_host(context, name, everything=arguments.all, report=json_out or text)
        except FirstbellError as error:
            if len(names) == 1:
                raise
            # One computer's failure is its own.
            (json_out or text)(HostFailed(name, error.message, error.hint))
            codes.add(error.exit_code)
            continue
        text.close()
        if json_out is not None:
            json_out.write(_verification_json(found))
        else:
            sys.stdout.write("\n".join(_verification_lines(found)) + "\n")
        codes.add(1 if not found.verification.good else 0 if found.compared else 3)
    return max(codes - {3}, default=0) or max(codes, default=0)


def run_gate(arguments: argparse.Namespace) -> int:
    """Decide; 0 when every computer may be wiped, 20 when one may not."""
    from tasks.verbs.calendars import calendar_lookup
    from tasks.verbs.gate import gate_hosts

    context = load_context(arguments)
    plan = named_plan(context, arguments.plan)
    found = gate_hosts(context, _names(context, arguments), calendar=calendar_lookup(context), plan=plan)
    for one in found:
        if arguments.json:
            sys.stdout.write(json.dumps(gate_json(one)) + "\n")
        else:
            sys.stdout.write("\n".join(gate_lines(context, one)) + "\n")
    return 0 if found and all(one.verdict.is_open for one in found) else HELD


def named_plan(context: Context, name: str) -> MaintenancePlan | None:
    """Return the plan that an option names, None where it names none. Raises ``ConfigError``."""
    if not name:
        return None
    # Few ask for a plan, and the gate has half a second.
    from tasks.verbs.maintenance_plan import plan_of

    return plan_of(context, name)


def _names(context: Context, arguments: argparse.Namespace) -> list[str]:
    """Return whom the options name; nobody named is no wish for everybody."""
    from configs.errors import InventoryError

    if not (arguments.hosts or arguments.site or arguments.group or arguments.teacher):
        raise InventoryError("no computer is named", hint="Name one, or a --site, a --group or a --teacher.")
    return [host.name for host in selected_hosts(context, arguments)]


def gate_json(one: HostGate) -> dict[str, Any]:
    """Return a verdict for programs."""
    snapshot, proof = one.verdict.snapshot, one.verdict.verification
    return {
        "type": "gate",
        "host": one.host.name,
        "site": one.host.site,
        "verdict": one.verdict.verdict.value,
        "reasons": [{"code": why.code, "text": why.text, "cure": why.cure} for why in one.verdict.reasons],
        "snapshot": snapshot.id if snapshot is not None else None,
        "captured_at": snapshot.taken.isoformat() if snapshot is not None else None,
        "verified_at": proof.at.isoformat() if proof is not None else None,
        "method": proof.method if proof is not None else None,
    }


def gate_lines(context: Context, one: HostGate) -> list[str]:
    """Return a verdict for people: each reason with what to do about it."""
    from zoneinfo import ZoneInfo

    from tasks.reports.display import show_text
    from tasks.reports.units import local_short

    zone = ZoneInfo(context.config.site(one.host.site).time_zone)
    snapshot, proof = one.verdict.snapshot, one.verdict.verification
    if snapshot is not None and proof is not None:
        return [
            f"{one.host.name}  open  snapshot {snapshot.id[:8]} of {local_short(snapshot.taken, zone)}, "
            f"verified ({proof.method}) {local_short(proof.at, zone)}"
        ]
    lines = [f"{one.host.name}  HOLD  do not wipe"]
    for why in one.verdict.reasons:
        lines.append(f"    {show_text(why.text)}")
        if why.cure:
            lines.append(f"        -> {show_text(why.cure)}")
    return lines


def _verification_json(found: HostVerification) -> dict[str, Any]:
    from tasks.restorer import paths

    misses = [{"path": paths.to_json(one.path), "kind": one.kind, "detail": one.detail} for one in found.mismatches]
    return {"type": "verification", **found.verification.to_data(), "mismatches": misses}


def _verification_lines(found: HostVerification) -> list[str]:
    from tasks.reports.display import show_path, show_text
    from tasks.reports.units import count_of, size

    one = found.verification
    verdict = "NOT GOOD" if not one.good else "good" if found.compared else "read back only"
    of = "all" if one.complete else f"of {one.files:,}"
    lines = [
        f"{one.host}  {verdict}  snapshot {one.snapshot[:8]}: {count_of(one.read_back, 'file')} {of} read back "
        f"({size(one.bytes)}), {one.compared:,} compared with the computer"
    ]
    if one.problem:
        lines.append(f"    {show_text(one.problem)}")
    lines += [f"        {miss.kind:<10}  {show_path(miss.path)}" for miss in found.mismatches[:_SHOWN]]
    if len(found.mismatches) > _SHOWN:
        lines.append(f"        and {len(found.mismatches) - _SHOWN:,} more")
    if not one.good:
        lines.append(f"    -> Make a new snapshot and verify that: firstbell snapshot {one.host}")
    return lines
