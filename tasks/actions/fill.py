"""Fill in the placeholders of an action, and find those that are none before anything is started."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from typing import Final

from tasks.actions.base import ActionOrder
from tasks.errors import ConfigError

#: What every action may be told of a computer.
NAMES: Final = frozenset({"host", "address", "mac", "serial", "site", "plan"})
#: Braces around anything else, such as those of JSON, are no placeholder.
_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")


def check_placeholders(text: str, where: str, allowed: Collection[str]) -> None:
    """Raise ``ConfigError`` when ``text`` has a placeholder that is not ``allowed`` there."""
    for name in _PLACEHOLDER.findall(text):
        if name in allowed:
            continue
        known = ", ".join(f"{{{one}}}" for one in sorted(allowed))
        if name in ("clearance", "clearance_file"):
            message = f"'{{{name}}}' cannot be in '{where}': a clearance goes through no place that others can read"
        else:
            message = f"'{{{name}}}' in '{where}' is no placeholder"
        raise ConfigError(message, hint=f"There are: {known}." if known else "None can be there.")


def fill(text: str, order: ActionOrder, *, quote: Callable[[str], str] = str, **more: str) -> str:
    """Return ``text`` with each placeholder replaced once, its value quoted by ``quote``; ``more`` are further ones.

    Raises ``ActionFailed`` when a value is not known, or is nothing that can be passed on.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        return quote(more[name] if name in more else order.value(name))

    return _PLACEHOLDER.sub(value, text)


def as_json(value: str) -> str:
    """Return a value as it stands between the quotes of JSON text."""
    return json.dumps(value)[1:-1]
