"""``firstbell``: parse, call, render, exit code.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 partly done (something was left out, and it is told), 10 no repository,
11 repository locked, 12 wrong password, 20 do not wipe (the gate holds, or a clearance is not valid), 130 cancelled. A
caller must treat a code it does not know as a failure, and a caller of the gate as a hold.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from configs.errors import FirstbellError
from flows.commands import (
    alerts,
    browse,
    catalog,
    clearance,
    codes,
    doctor,
    gate,
    inventory,
    maintain,
    maintenance,
    pending,
    people,
    restore,
    school_calendar,
    settings,
    snapshot,
)

_EPILOG = (
    "Start with: firstbell inventory, firstbell doctor HOST, firstbell snapshot HOST. Guide: docs/operator-guide.md"
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group("for every verb")
    group.add_argument(
        "--config", type=Path, metavar="FILE", help="configuration (else FIRSTBELL_CONFIG, else configs/app.yaml)"
    )
    group.add_argument(
        "--inventory", type=Path, metavar="FOLDER", help="inventory (else FIRSTBELL_INVENTORY, else inventory/)"
    )
    group.add_argument("--json", action="store_true", help="one JSON object per line on standard output")
    group.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser = argparse.ArgumentParser(
        prog="firstbell",
        description="Every classroom computer as its teacher left it, at first bell.",
        epilog=_EPILOG,
        parents=[common],
    )
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    for module in (
        inventory,
        doctor,
        snapshot,
        browse,
        restore,
        pending,
        settings,
        gate,
        clearance,
        school_calendar,
        catalog,
        maintenance,
        people,
        codes,
        alerts,
        maintain,
    ):
        module.add(verbs, common)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    if argv is None:
        _mind_short_lives()
    parser = build_parser()
    arguments = parser.parse_args(argv)
    for name, default in (("config", None), ("inventory", None), ("json", False), ("debug", False)):
        if not hasattr(arguments, name):
            setattr(arguments, name, default)
    if arguments.version:
        from importlib.metadata import version

        sys.stdout.write(f"firstbell {version('firstbell')}\n")
        return 0
    if arguments.verb is None:
        parser.print_help()
        return 2
    try:
        code: int = arguments.run(arguments)
    except FirstbellError as error:
        if arguments.debug:
            import traceback

            traceback.print_exc()
        _tell(error, as_json=arguments.json)
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("firstbell: cancelled\n")
        return 130
    except BrokenPipeError:
        # The reader of our output went away, as in `firstbell ls | head`: nothing to tell, and nobody to tell it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code


def _mind_short_lives() -> None:
    """Collect cyclic garbage less often, and not once more when the process ends: that took a tenth of a short run.

    Threads that read, seal and send hand over to each other less often, too: a restore took a tenth less with this.
    """
    gc.set_threshold(50_000, 20, 20)
    atexit.register(gc.freeze)
    sys.setswitchinterval(0.02)


def _tell(error: FirstbellError, *, as_json: bool) -> None:
    if as_json:
        document = {
            "type": "error",
            "error": type(error).__name__,
            "host": error.host,
            "message": error.message,
            "hint": error.hint,
            "transient": error.transient,
        }
        sys.stdout.write(json.dumps(document) + "\n")
        return
    sys.stderr.write(f"firstbell: {error}\n")
    if error.hint:
        sys.stderr.write(f"  {error.hint}\n")


if __name__ == "__main__":
    raise SystemExit(main())
