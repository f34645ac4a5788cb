"""Who has a user profile on a host, and who is signed in, by the names that a snapshot has for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tasks.remote.filesystem import Facts
from tasks.verbs.accounts import find_account


def profiles_there(facts: Facts, saved: Sequence[str]) -> tuple[str, ...]:
    """Return who has a profile on the host; those in ``saved``, as the snapshot calls them."""
    accounts = [user.full_account for user in facts.users if user.exists]
    names = [_name(account, facts, saved) for account in accounts]
    # Two profiles cannot be one person's: which of them is saved is not known.
    count = Counter(names)
    return tuple(account if count[name] > 1 else name for account, name in zip(accounts, names, strict=True))


def signed_in(facts: Facts, saved: Sequence[str]) -> tuple[str, ...]:
    """Return whose profile is in use at this moment, as far as the host tells (only Windows does)."""
    loaded = facts.windows.loaded if facts.windows is not None else ()
    return tuple(_name(name, facts, saved) for name in loaded)


def _name(account: str, facts: Facts, saved: Sequence[str]) -> str:
    if facts.platform != "windows":
        return account
    return find_account(account, saved, lambda name: name) or account
