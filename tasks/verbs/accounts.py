r"""Names of accounts as Windows has them: ``a.ito``, ``NORTH\a.ito`` and ``a.ito@north.example`` may be one person.

People write the shortest, computers tell the longest. Two names are the same person's when the account is the same
(case never counts on Windows) and the domains do not speak against it: one of them is not told, or both begin alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

_Thing = TypeVar("_Thing")


def account_of(name: str) -> str:
    """Return the account without its domain, in the form in which two are compared."""
    return _parts(name)[1]


def same_account(one: str, other: str) -> bool:
    """Return whether two names on Windows may be one person's."""
    domain, account = _parts(one)
    other_domain, other_account = _parts(other)
    return account == other_account and (not domain or not other_domain or domain == other_domain)


def find_account(name: str, things: Iterable[_Thing], name_of: Callable[[_Thing], str]) -> _Thing | None:
    """Return the one thing whose name is meant; one that is spelled alike wins, and of two that might be, neither."""
    known = list(things)
    exact = [one for one in known if name_of(one).casefold() == name.casefold()]
    found = exact or [one for one in known if same_account(name, name_of(one))]
    if not found and "@" in name:
        # The domain of an address need not begin like the domain of the network.
        found = [one for one in known if account_of(name_of(one)) == account_of(name)]
    return found[0] if len(found) == 1 else None


def _parts(name: str) -> tuple[str, str]:
    """Return the first label of the domain and the account, folded."""
    if "\\" in name:
        domain, _, account = name.partition("\\")
    else:
        account, _, domain = name.partition("@")
    return domain.partition(".")[0].casefold().lstrip("."), account.casefold()
