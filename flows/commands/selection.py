"""How the command line names hosts: by name or pattern, site, group or teacher."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inventory.model import Host
    from tasks.verbs.context import Context


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add the options that select hosts."""
    parser.add_argument("hosts", nargs="*", metavar="HOST", help="computer, or a pattern such as 'lab3-*'")
    parser.add_argument("--site", help="all computers of a site")
    parser.add_argument("--group", help="all computers of a group, such as a room")
    parser.add_argument("--teacher", help="all computers of a teacher")


def selected_hosts(context: Context, arguments: argparse.Namespace) -> tuple[Host, ...]:
    """Return the hosts that the options select. Raises ``InventoryError`` when there is none."""
    from inventory.select import select

    return select(
        context.inventory,
        site=arguments.site,
        group=arguments.group,
        host=tuple(arguments.hosts),
        teacher=arguments.teacher,
    )


def load_context(arguments: argparse.Namespace) -> Context:
    """Load configuration and inventory as the options say; block references work where Prefect is set up."""
    from tasks.verbs.context import Context

    def resolve_block(name: str) -> str:
        from tasks.secret_block import resolve_block

        return resolve_block(name)

    return Context.load(config=arguments.config, inventory=arguments.inventory, resolve_block=resolve_block)
