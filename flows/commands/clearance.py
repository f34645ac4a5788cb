"""``firstbell clearance``: issue the permission to wipe a computer, check one, make the keys."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from flows.commands.gate import named_plan
from flows.commands.selection import load_context


def add(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    clearance = verbs.add_parser(
        "clearance",
        parents=[common],
        help="the signed permission to wipe a computer: issue, verify, keygen",
        description="The signed permission to wipe one computer. Whatever wipes checks it first: docs/gate.md.",
    )
    actions = clearance.add_subparsers(dest="action", metavar="ACTION", required=True)
    issue = actions.add_parser("issue", parents=[common], help="issue one, when the gate is open")
    issue.add_argument("host", metavar="HOST")
    issue.add_argument("--plan", default="", help="as a step of this maintenance plan: with what people said to it")
    issue.set_defaults(run=run_issue)
    verify = actions.add_parser(
        "verify",
        parents=[common],
        help="check one, offline; exit code 0: it is good, 20: do not wipe",
        description="Check a clearance. With --key nothing else is needed: no configuration, no network.",
    )
    verify.add_argument("token", metavar="TOKEN", help="the clearance, or '-' to read it from standard input")
    verify.add_argument("--host", required=True, help="the computer that is about to be wiped")
    verify.add_argument(
        "--key", action="append", default=[], metavar="FILE", help="public keys (else clearance.public_keys)"
    )
    verify.add_argument(
        "--profile",
        action="append",
        metavar="ACCOUNT",
        help="somebody who has a profile on the disk: the clearance must cover them; may be given several times",
    )
    verify.set_defaults(run=run_verify)
    keygen = actions.add_parser("keygen", parents=[common], help="make a pair of keys")
    keygen.add_argument("file", type=Path, metavar="FILE", help="for the private key; the public one gets .pub.pem")
    keygen.set_defaults(run=run_keygen)


def run_issue(arguments: argparse.Namespace) -> int:
    """Issue a clearance and print it, and nothing else, on standard output."""
    from tasks.verbs.calendars import calendar_lookup
    from tasks.verbs.clearance import issue_clearance

    context = load_context(arguments)
    plan = named_plan(context, arguments.plan)
    issued = issue_clearance(context, arguments.host, calendar=calendar_lookup(context), plan=plan)
    if arguments.json:
        document = {"type": "clearance", "token": issued.token, **issued.clearance.to_claims()}
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        sys.stdout.write(issued.token + "\n")
        claims = issued.clearance.to_claims()
        sys.stderr.write(f"clearance {claims['id'][:8]} for {claims['host']}, good until {claims['expiry']}\n")
    return 0


def run_verify(arguments: argparse.Namespace) -> int:
    """Check a clearance; 0 when it is good for this computer now."""
    from tasks.records.clearance import LONGEST
    from tasks.verbs.clearance import verify_clearance

    keys = arguments.key or load_context(arguments).config.clearance.public_keys
    given = str(arguments.token)
    found = verify_clearance(
        sys.stdin.read(LONGEST + 2) if given == "-" else given, keys, host=arguments.host, profiles=arguments.profile
    )
    claims = found.to_claims()
    if arguments.json:
        sys.stdout.write(json.dumps({"type": "clearance", "valid": True, **claims}) + "\n")
    else:
        who = ", ".join(found.users) or "nobody"
        sys.stdout.write(
            f"good: {found.host} may be wiped until {claims['expiry']}\n"
            f"    snapshot {found.snapshot[:8]} of {claims['captured_at']}, verified ({found.method}) "
            f"{claims['verified_at']}; files of {who}\n"
        )
    return 0


def run_keygen(arguments: argparse.Namespace) -> int:
    """Make a pair of keys."""
    from tasks.verbs.clearance import new_key

    made = new_key(arguments.file)
    if arguments.json:
        document = {"type": "key", "id": made.id, "private": str(made.private), "public": str(made.public)}
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        sys.stdout.write(
            f"made the key {made.id}\n"
            f"  {made.private}  signs; keep it secret: clearance.signing_key: file:{made.private.absolute()}\n"
            f"  {made.public}  checks; put it in clearance.public_keys and wherever something wipes\n"
        )
    return 0
