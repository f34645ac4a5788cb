"""What changed between two documents of settings, item by item and value by value, in words that a person reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from tasks.settings.document import Item, Settings
from tasks.settings.rehome import rehome
from tasks.settings.values import Place, Value

How = Literal["added", "removed", "changed"]
#: A longer value is cut for showing, in characters.
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that is not as it was. ``old`` or ``new`` is None where there was none, or is none."""

    item: str
    name: str
    how: How
    place: Place
    old: Value | None
    new: Value | None
    #: It holds secrets: what it was and is, is not told.
    secret: bool = False


def differences(old: Settings, new: Settings) -> tuple[Difference, ...]:
    """Return what changed from ``old`` to ``new``; paths of another home are no change."""
    return tuple(_differences(old, new))


def _differences(old: Settings, new: Settings) -> Iterator[Difference]:
    before = {item.id: item for item in old.items}
    after = {item.id: item for item in new.items}
    windows = new.platform == "windows"
    for id_ in sorted({*before, *after}):
        one, other = before.get(id_), after.get(id_)
        if not (_comparable(one) and _comparable(other)):
            # What could not be captured is not known to be gone.
            continue
        name = other.name if other is not None else one.name if one is not None else id_
        was = {
            entry.place: rehome(entry.value, old.variables, new.variables, windows=windows)
            for entry in (one.entries if one is not None else ())
        }
        now = {entry.place: entry.value for entry in (other.entries if other is not None else ())}
        for place in sorted({*was, *now}, key=lambda place: (place.collector, place.container, place.name)):
            left, right = was.get(place), now.get(place)
            if left != right:
                how: How = "added" if left is None else "removed" if right is None else "changed"
                yield Difference(id_, name, how, place, left, right)


def _comparable(item: Item | None) -> bool:
    return item is None or item.state in ("captured", "absent")


def shown(value: Value | None) -> str:
    """Return a value as a person may read it, on one line, cut when it is long."""
    if value is None:
        return "nothing"
    if value.kind in ("file", "REG_BINARY", "REG_NONE"):
        return f"{len(value.data) * 3 // 4:,} bytes"
    if value.kind == "file-reference":
        return f"a file of {value.data.get('size', 0):,} bytes"
    if value.kind == "REG_MULTI_SZ":
        text = ", ".join(value.data)
    elif value.kind == "gvariant":
        text = value.data.strip("'")
    else:
        text = str(value.data)
    text = " ".join(text.split())
    return f"{text[: _SHOWN - 1]}…" if len(text) > _SHOWN else text
