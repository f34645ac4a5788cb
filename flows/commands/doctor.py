"""``firstbell doctor``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from flows.commands.selection import load_context

_MARKS = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


def add(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Declare the verb."""
    parser = verbs.add_parser("doctor", parents=[common], help="try everything that a run on a computer needs")
    parser.add_argument("host", metavar="HOST")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Examine one host; 0 when nothing failed, 3 with warnings only, 1 when something failed."""
    from tasks.verbs.doctor import examine

    context = load_context(arguments)
    verdicts: set[str] = set()
    for check in examine(context, arguments.host):
        verdicts.add(check.verdict)
        if arguments.json:
            document = {
                "type": "check",
                "host": arguments.host,
                "check": check.name,
                "verdict": check.verdict,
                "detail": check.detail,
                "cure": check.cure,
            }
            sys.stdout.write(json.dumps(document) + "\n")
        else:
            sys.stdout.write(f"{_MARKS[check.verdict]}  {check.name:<10}  {check.detail}\n")
            if check.cure:
                sys.stdout.write(f"                  -> {check.cure}\n")
        sys.stdout.flush()
    if "fail" in verdicts:
        return 1
    return 3 if "warn" in verdicts else 0
