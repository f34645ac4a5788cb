"""``firstbell codes``: give out the codes that people decide with, and how a command asks for one.

A code is never an argument: those of a running program can be read by everybody on the computer, and stay in the
history of the shell, also when the code was not used up after all. It is asked for, or read from a file or a pipe.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flows.commands.gate import named_plan
from flows.commands.selection import load_context

if TYPE_CHECKING:
    from tasks.verbs.codes import Invitation
    from tasks.verbs.context import Context

#: No file with a code is longer, in characters.
_LONGEST: Final = 4096


def add(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    codes = verbs.add_parser("codes", parents=[common], help="codes that people decide with: send, print, void, keygen")
    actions = codes.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, text in (
        ("send", "mail people their codes"),
        ("print", "show codes, to be handed over in person; the ledger says that you did"),
    ):
        parser = actions.add_parser(
            action,
            parents=[common],
            help=text,
            description=f"{text[0].upper()}{text[1:]}. With --plan or COMPUTER: the codes to answer for computers; "
            "with --own: a person's own code, for holds and overrides.",
        )
        parser.add_argument("computers", nargs="*", metavar="COMPUTER", help="computers that no plan is about")
        parser.add_argument("--plan", default="", help="everybody who must agree to this plan")
        parser.add_argument("--own", action="store_true", help="the own code of --person, at --site")
        parser.add_argument("--person", action="append", metavar="KEY", help="only them, as in people.yaml")
        parser.add_argument("--site", default="", help="the school, with --own")
        parser.set_defaults(run=run_codes)
    void = actions.add_parser(
        "void", parents=[common], help="make a code worthless that somebody else may have seen; you get another one"
    )
    add_code(void)
    void.set_defaults(run=run_void)
    keygen = actions.add_parser("keygen", parents=[common], help="make the key that codes are signed with")
    keygen.add_argument("file", type=Path, metavar="FILE")
    keygen.set_defaults(run=run_keygen)


def add_code(parser: argparse.ArgumentParser) -> None:
    """Add the option that reads codes from files."""
    parser.add_argument(
        "--code-file",
        action="append",
        metavar="FILE",
        help="file with the code ('-': standard input), instead of being asked; for two codes, give it twice",
    )


def run_codes(arguments: argparse.Namespace) -> int:
    """Print or mail codes."""
    from datetime import UTC, datetime

    from configs.errors import ConfigError
    from tasks.verbs.codes import note_handed_out

    context = load_context(arguments)
    found = _wanted(context, arguments)
    if not found:
        raise ConfigError(
            "nobody is to be asked for that", hint="See 'teachers' in the inventory and the accounts in people.yaml."
        )
    if arguments.action == "print":
        note_handed_out(context, found, "printed", now=datetime.now(UTC))
        if arguments.json:
            for one in found:
                sys.stdout.write(json.dumps(_invitation_json(one)) + "\n")
        else:
            show_codes(found, context)
        return 0
    from tasks.verbs.code_letters import mail_codes

    sent = mail_codes(context, found)
    for name, problem in sent:
        sys.stdout.write(f"{name}: {problem or 'sent'}\n")
    return 1 if any(problem for _, problem in sent) else 0


def run_void(arguments: argparse.Namespace) -> int:
    """Exchange a code for another one."""
    from tasks.verbs.codes import void_code

    context = load_context(arguments)
    (code,) = read_codes(arguments.code_file, ["The code: "])
    following = void_code(context, code)
    if arguments.json:
        sys.stdout.write(json.dumps(_invitation_json(following)) + "\n")
    else:
        sys.stdout.write("That code is worth nothing any more. The next one:\n")
        show_codes([following], context)
    return 0


def run_keygen(arguments: argparse.Namespace) -> int:
    """Make a key for codes."""
    from tasks.verbs.codes import new_code_key

    new_code_key(arguments.file)
    sys.stdout.write(f"made a key; keep it secret: approval.code_key: file:{arguments.file.absolute()}\n")
    return 0


def read_codes(files: Sequence[str] | None, prompts: Sequence[str]) -> list[str]:
    """Return one code for each prompt: from the files, from a pipe, or asked for on a terminal."""
    from configs.errors import ConfigError

    if files is None:
        return [_asked(prompt) for prompt in prompts]
    if len(files) != len(prompts):
        raise ConfigError(f"{len(prompts)} codes are needed", hint="Give --code-file once for each.")
    try:
        return [
            sys.stdin.readline(_LONGEST) if file == "-" else Path(file).expanduser().read_text()[:_LONGEST]
            for file in files
        ]
    except (OSError, UnicodeDecodeError):
        raise ConfigError("a file with a code cannot be read", hint="Check its name and permissions.") from None


def show_codes(invitations: Iterable[Invitation], context: Context) -> None:
    """Write codes for people to read."""
    from tasks.reports.display import show_text
    from tasks.reports.units import local_day_time
    from tasks.verbs.maintenance_plan import zone_of

    for one in invitations:
        until = local_day_time(one.until, zone_of(context, one.site))
        what = f"{one.plan + ': ' if one.plan else ''}{', '.join(one.hosts)}" if one.hosts else "holds and overrides"
        sys.stdout.write(f"    {one.code}  {show_text(one.name)}, good once until {until}; for {what}\n")


def _asked(prompt: str) -> str:
    # Shown while it is typed: nobody types twenty characters blindly, and it is used up a moment later.
    if sys.stdin.isatty():
        sys.stderr.write(prompt)
        sys.stderr.flush()
    return sys.stdin.readline(_LONGEST)


def _wanted(context: Context, arguments: argparse.Namespace) -> list[Invitation]:
    from configs.errors import ConfigError
    from tasks.verbs.codes import own_code
    from tasks.verbs.decisions import invite
    from tasks.verbs.maintenance_plan import plan_hosts

    if arguments.own:
        if not (arguments.person and arguments.site) or arguments.computers or arguments.plan:
            raise ConfigError("whose own code, and of which school?", hint="codes print --own --person KEY --site SITE")
        return [own_code(context, arguments.site, key) for key in arguments.person]
    if bool(arguments.plan) == bool(arguments.computers):
        raise ConfigError("codes for what?", hint="Name a --plan, or computers, or --own.")
    plan = named_plan(context, arguments.plan)
    hosts = list(plan_hosts(context, plan)) if plan is not None else [context.host(one) for one in arguments.computers]
    found = invite(context, plan, hosts)
    return [one for one in found if not arguments.person or one.person in arguments.person]


def _invitation_json(one: Invitation) -> dict[str, Any]:
    return {
        "type": "code",
        "site": one.site,
        "person": one.person,
        "name": one.name,
        "code": one.code,
        "plan": one.plan,
        "hosts": list(one.hosts),
        "on_behalf": list(one.on_behalf),
        "until": one.until.isoformat(),
        "agree_by": one.agree_by.isoformat(),
    }
