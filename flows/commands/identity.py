"""``firstbell maintenance accept-identity``: a person vouches for a computer that came back as another."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from flows.commands.selection import load_context


def add(actions: Any, common: argparse.ArgumentParser) -> None:
    """Declare the verb."""
    parser = actions.add_parser(
        "accept-identity",
        parents=[common],
        help="know a computer by the key or certificate that it shows now, after you have compared it there",
        description=(
            "Know a computer by the SSH host key or the certificate that it shows now, on every worker and from now "
            "on. Only needed where its serial number does not prove which one it is. Compare the fingerprint at the "
            "computer itself: docs/actions.md"
        ),
    )
    parser.add_argument("host", metavar="HOST", help="the computer")
    parser.add_argument(
        "--fingerprint", required=True, metavar="SHA256:...", help="as it stands at the computer itself"
    )
    parser.add_argument("--by", required=True, metavar="NAME", help="who has compared it; it is written down")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Accept the identity of a computer."""
    from tasks.verbs.returning import accept_identity

    context = load_context(arguments)
    host = context.host(arguments.host)
    accepted = accept_identity(context, host, arguments.fingerprint, by=arguments.by)
    if arguments.json:
        told = {"host": host.name, "fingerprint": accepted.identity.fingerprint, "by": accepted.by}
        sys.stdout.write(json.dumps({"type": "identity", **told}) + "\n")
    else:
        sys.stdout.write(f"{host.name} is known by {accepted.identity.fingerprint} from now on\n")
    return 0
