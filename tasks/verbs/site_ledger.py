"""The ledger of a school, found and opened, and what the gate asks of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from configs.errors import ConfigError
from configs.values import expand
from tasks.answers import Line
from tasks.backends.base import Backend
from tasks.records.codes import SHORTEST_KEY, CodeKey
from tasks.records.decisions import lines_of
from tasks.records.ledger import Ledger, LedgerState
from tasks.verbs.context import Context
from tasks.verbs.newest import cache_folder
from tasks.verbs.site_repository import repository_backend

_KEYGEN: Final = "Make one: firstbell codes keygen FILE. Then set 'approval.code_key: file:FILE'."


@dataclass(frozen=True, slots=True)
class SiteLines:
    """What stands in the ledger of a school, and in words what of it cannot be believed."""

    lines: tuple[Line, ...] = ()
    problems: tuple[str, ...] = ()


def ledger_location(context: Context, site: str) -> str:
    """Return where the ledger of a school lies. Raises ``ConfigError`` where its repository is none for all hosts."""
    own = context.config.approval.ledger
    if own is not None:
        return expand(own, {"site": site})
    try:
        return context.config.repository_for(site).location
    except ConfigError as error:
        raise ConfigError(
            f"it is not clear where the ledger of '{site}' lies: {error.message}", hint="Set 'approval.ledger'."
        ) from None


def code_keys(context: Context, site: str) -> tuple[CodeKey, ...]:
    """Return the keys of a school, the valid one first. Raises ``ConfigError`` when there is none."""
    config = context.config.approval
    if config.code_key is None:
        raise ConfigError("nobody can decide: there is no key for their codes", hint=_KEYGEN)
    found = []
    for reference in (config.code_key, *config.old_code_keys):
        reference = expand(reference, {"site": site})  # noqa: PLW2901 - the same, filled in
        secret = context.secret(reference).get_secret_value().strip()
        if len(secret) < SHORTEST_KEY:
            raise ConfigError(f"the key for codes '{reference}' is too short to be safe", hint=_KEYGEN)
        found.append(CodeKey.derive(secret, site))
    return tuple(found)


@contextmanager
def open_ledger(context: Context, site: str) -> Iterator[Ledger]:
    """Open the ledger of a school, to read and to append."""
    keys = code_keys(context, site)
    backend = repository_backend(context, ledger_location(context, site))
    try:
        yield Ledger(backend, site, keys, _memory(site, keys))
    finally:
        backend.close()


def understood(state: LedgerState) -> SiteLines:
    """Return the lines as values; one that is ours and cannot be understood is a problem, too."""
    lines, problems = lines_of(state.entries)
    return SiteLines(tuple(lines), (*state.problems, *problems))


def lines_for_gate(context: Context, site: str, backend: Backend, location: str) -> SiteLines:
    """Return the lines of a school's ledger; ``backend`` is open at ``location`` and serves where that is the place.

    Where nobody can decide, since there is no key, and nobody ever has, there are none. Raises a ``BackendError``.
    """
    has_key = context.config.approval.code_key is not None
    try:
        place = ledger_location(context, site)
        keys = code_keys(context, site) if has_key else ()
    except ConfigError as error:
        return SiteLines(problems=(error.message,)) if has_key else SiteLines()
    other = repository_backend(context, place) if place != location else None
    try:
        ledger = Ledger(other or backend, site, keys, _memory(site, keys))
        if has_key:
            return understood(ledger.read())
        if ledger.is_empty():
            return SiteLines()
        return SiteLines(problems=("people have decided here, and 'approval.code_key' is not set to read what",))
    finally:
        if other is not None:
            other.close()


def _memory(site: str, keys: tuple[CodeKey, ...]) -> Path | None:
    folder = cache_folder()
    if folder is None or not keys:
        return None
    # Not by its place: who points the configuration elsewhere does not get rid of what was said.
    name = hashlib.sha256(f"{site} {keys[0].id}".encode()).hexdigest()[:32]
    return folder / "ledger" / f"{name}.json"
