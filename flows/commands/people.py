"""``firstbell approve``, ``defer``, ``refuse``, ``hold``, ``override`` and ``ledger``: what people decide."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flows.commands.codes import add_code, read_codes, show_codes
from flows.commands.gate import named_plan
from flows.commands.selection import load_context

if TYPE_CHECKING:
    from tasks.verbs.context import Context
    from tasks.verbs.holds import Placed

_DECISIONS: Final = {
    "approve": "agree that computers are wiped, with a code",
    "defer": "put it off until a day, with a code; then you are asked again",
    "refuse": "say no to computers being wiped, with a code",
}


def add(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    for verb, text in _DECISIONS.items():
        parser = verbs.add_parser(
            verb, parents=[common], help=text, description=f"{text.capitalize()}. You are asked for the code."
        )
        add_code(parser)
        parser.add_argument("--computer", action="append", metavar="NAME", help="only this one of those it is for")
        parser.add_argument("--plan", default="", help="refuse the code when it is for another plan")
        parser.add_argument("--reason", default="", help="why, in a few words")
        if verb == "defer":
            _add_until(parser)
        parser.set_defaults(run=run_decide, decision=verb)
    _add_hold(verbs, common)
    override = verbs.add_parser(
        "override",
        parents=[common],
        help="two people go past a refusal or a hold",
        description="Two people with the role 'override' go past what stands against wiping these computers. You are "
        "asked for the code of each.",
    )
    override.add_argument("computers", nargs="+", metavar="COMPUTER")
    override.add_argument("--plan", default="", help="in which plan; left out: for a week, without one")
    override.add_argument("--reason", required=True, help="why; it stands in the ledger for good")
    add_code(override)
    override.set_defaults(run=run_override)
    ledger = verbs.add_parser(
        "ledger", parents=[common], help="show what people were asked, answered, held and overrode"
    )
    ledger.add_argument("--site", help="the school; left out: every one")
    ledger.add_argument("--verify", action="store_true", help="read every line again and check that none is missing")
    ledger.add_argument("--html", type=Path, metavar="FILE", help="write the decisions of one school as an HTML file")
    ledger.set_defaults(run=run_ledger)


def _add_hold(verbs: Any, common: argparse.ArgumentParser) -> None:
    hold = verbs.add_parser("hold", parents=[common], help="keep computers from being wiped: place, lift, list")
    actions = hold.add_subparsers(dest="action", metavar="ACTION", required=True)
    place = actions.add_parser("place", parents=[common], help="keep computers as they are until a day")
    what = place.add_mutually_exclusive_group(required=True)
    what.add_argument("--computer", metavar="NAME")
    what.add_argument("--room", metavar="GROUP", help="every computer of a room, or another group of the inventory")
    what.add_argument("--school", metavar="SITE", help="every computer of the school")
    _add_until(place)
    place.add_argument("--reason", required=True, help="why; IT reads it")
    add_code(place)
    place.set_defaults(run=run_place)
    lift = actions.add_parser("lift", parents=[common], help="take a hold of your own back")
    lift.add_argument("hold", type=int, metavar="NUMBER", help="its number: firstbell hold list")
    lift.add_argument("--reason", default="")
    add_code(lift)
    lift.set_defaults(run=run_lift)
    listed = actions.add_parser("list", parents=[common], help="show the holds that stand")
    listed.add_argument("--site", help="the school; left out: every one")
    listed.set_defaults(run=run_list)


def _add_until(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--until",
        required=True,
        type=_moment,
        metavar="DAY",
        help="the day from which on it may be again, such as 2026-09-03, or '2026-09-03 12:00', by the school's clock",
    )


def run_decide(arguments: argparse.Namespace) -> int:
    """Take an answer."""
    from tasks.answers import Decision
    from tasks.reports.units import local_day_time
    from tasks.verbs.decisions import decide
    from tasks.verbs.maintenance_plan import zone_of

    context = load_context(arguments)
    (code,) = read_codes(arguments.code_file, ["Your code: "])
    answer = decide(
        context,
        code=code,
        decision=arguments.decision,
        until=getattr(arguments, "until", None),
        reason=arguments.reason,
        hosts=arguments.computer,
        plan=arguments.plan,
    )
    if arguments.json:
        document = {
            "type": "answer",
            "person": answer.person,
            "plan": answer.plan,
            "hosts": list(answer.hosts),
            "decision": answer.decision.value,
            "until": answer.until.isoformat(),
            "next_code": answer.following.code,
            "cleared": list(answer.cleared),
        }
        sys.stdout.write(json.dumps(document) + "\n")
        return 0
    zone = zone_of(context, answer.site)
    hosts = ", ".join(answer.hosts)
    told = {
        Decision.APPROVE: f"{answer.name} agreed: {hosts}",
        Decision.DEFER: f"{answer.name} put it off until {local_day_time(answer.until, zone)}: {hosts}",
        Decision.REFUSE: f"{answer.name} refused: {hosts} will not be wiped",
    }[answer.decision]
    sys.stdout.write(f"{told}\n")
    if answer.cleared:
        sys.stdout.write(f"WARNING: {', '.join(answer.cleared)} may be wiped at this very moment. Call IT now.\n")
    sys.stdout.write("This code is used up. To change your mind, use this one:\n")
    show_codes([answer.following], context)
    return 0


def run_place(arguments: argparse.Namespace) -> int:
    """Place a hold."""
    from tasks.verbs.holds import place_hold

    context = load_context(arguments)
    (code,) = read_codes(arguments.code_file, ["Your own code: "])
    scope, target = (
        ("host", arguments.computer)
        if arguments.computer
        else ("group", arguments.room)
        if arguments.room
        else ("site", arguments.school)
    )
    placed = place_hold(
        context,
        code=code,
        scope=scope,  # type: ignore[arg-type]
        target=target,
        until=arguments.until,
        reason=arguments.reason,
        site=arguments.school or "",
    )
    return _placed(arguments, context, "hold", placed, f"hold {placed.number} stands")


def run_lift(arguments: argparse.Namespace) -> int:
    """Lift a hold."""
    from tasks.verbs.holds import lift_hold

    context = load_context(arguments)
    (code,) = read_codes(arguments.code_file, ["Your own code: "])
    lifted = lift_hold(context, code=code, hold=arguments.hold, reason=arguments.reason)
    return _placed(arguments, context, "lifted", lifted, f"hold {arguments.hold} is lifted")


def run_override(arguments: argparse.Namespace) -> int:
    """Go past what stands against it."""
    from tasks.verbs.holds import override

    context = load_context(arguments)
    codes = read_codes(arguments.code_file, ["Own code of the first person: ", "Own code of the second person: "])
    placed = override(
        context,
        codes=codes,
        hosts=arguments.computers,
        reason=arguments.reason,
        plan=named_plan(context, arguments.plan),
    )
    past = "".join(f"\n    {text}" for text in placed.past)
    return _placed(arguments, context, "override", placed, f"override, line {placed.number} of the ledger. Past:{past}")


def run_list(arguments: argparse.Namespace) -> int:
    """List the holds that stand."""
    from tasks.reports.display import show_text
    from tasks.reports.ledger_text import ledger_row
    from tasks.verbs.holds import list_holds
    from tasks.verbs.maintenance_plan import zone_of

    context = load_context(arguments)
    for site in _sites(context, arguments.site):
        for one in list_holds(context, site):
            if arguments.json:
                document = {
                    "type": "hold",
                    "site": site,
                    "hold": one.seq,
                    "by": one.person,
                    "scope": one.scope,
                    "target": one.target,
                    "hosts": list(one.hosts),
                    "until": one.until.isoformat(),
                    "reason": one.reason,
                }
                sys.stdout.write(json.dumps(document) + "\n")
            else:
                number, _, who, what = ledger_row(one, zone_of(context, site))
                sys.stdout.write(f"{number:>5}  {site}  {show_text(who)} {show_text(what)}\n")
    return 0


def run_ledger(arguments: argparse.Namespace) -> int:
    """Show the ledger; 1 when something of it cannot be believed."""
    from configs.errors import InventoryError
    from tasks.records.decisions import event_of
    from tasks.reports.display import show_text
    from tasks.reports.ledger_text import ledger_row
    from tasks.verbs.decisions import read_ledger
    from tasks.verbs.maintenance_plan import zone_of

    context = load_context(arguments)
    wrong = False
    sites = _sites(context, arguments.site)
    if arguments.html is not None and len(sites) != 1:
        raise InventoryError(f"there are {len(sites)} schools: {', '.join(sites)}", hint="Say which one: --site NAME.")
    for site in sites:
        found = read_ledger(context, site, everything=arguments.verify)
        zone = zone_of(context, site)
        wrong |= bool(found.problems)
        if arguments.html is not None:
            from tasks.verbs.ledger_pages import ledger_of, render_ledger
            from tasks.verbs.readiness import write_page

            write_page(arguments.html, render_ledger(context, site, ledger_of(context, site, found=found)))
            continue
        if arguments.json:
            for line in found.lines:
                event, data = event_of(line)
                document = {"type": "ledger", "site": site, "line": line.seq, "at": line.at.isoformat(), "event": event}
                sys.stdout.write(json.dumps({**document, **data}) + "\n")
            check = {"type": "ledger-check", "site": site, "lines": len(found.lines), "problems": list(found.problems)}
            sys.stdout.write(json.dumps(check) + "\n")
            continue
        sys.stdout.write(f"{site}\n")
        for line in found.lines:
            number, at, who, what = ledger_row(line, zone)
            sys.stdout.write(f"{number:>5}  {at}  {show_text(who)}: {show_text(what)}\n")
        for problem in found.problems:
            sys.stdout.write(f"  NOT TO BE BELIEVED: {show_text(problem)}\n")
        if arguments.verify and not found.problems:
            sys.stdout.write(f"  {len(found.lines)} lines, none changed, none missing\n")
    return 1 if wrong else 0


def _sites(context: Context, site: str | None) -> Sequence[str]:
    return (site,) if site else context.inventory.sites()


def _moment(text: str) -> datetime:
    for form in ("%Y-%m-%d", "%Y-%m-%d %H:%M"):
        try:
            return datetime.strptime(text.strip(), form)  # noqa: DTZ007 - the school's clock is added by the verb
        except ValueError:
            continue
    raise argparse.ArgumentTypeError(f"'{text}' is no day; write for example 2026-09-03")


def _placed(arguments: argparse.Namespace, context: Context, kind: str, placed: Placed, told: str) -> int:
    if arguments.json:
        document = {
            "type": kind,
            "line": placed.number,
            "until": placed.until.isoformat() if placed.until is not None else None,
            "past": list(placed.past),
            "next_codes": {one.person: one.code for one in placed.following},
        }
        sys.stdout.write(json.dumps(document) + "\n")
        return 0
    sys.stdout.write(f"{told}\nThe code is used up. The next one:\n")
    show_codes(placed.following, context)
    return 0
