"""Capture the settings of one person: every item of the catalog, told as captured, absent, failed or left out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from configs.catalog import Catalog, CatalogItem
from tasks.settings.document import Item, ProfileIdentity, Settings
from tasks.settings.ini import key_of
from tasks.settings.values import Account, Collector, Entry, SettingsHost

#: What the open document says of an item that is in the sealed one.
KEPT_SEALED: Final = "it is kept sealed, apart"


@dataclass(frozen=True, slots=True)
class Captured:
    """What was captured of one person; what is sensitive stands apart, to be sealed."""

    open: Settings
    sealed: Settings | None


def capture_settings(
    host: SettingsHost,
    account: Account,
    catalog: Catalog,
    collectors: Mapping[str, Collector],
    *,
    identity: ProfileIdentity,
    desktop: str = "",
    system: str = "",
    asked_for: Collection[str] = (),
) -> Captured:
    """Return the settings of ``account``. Items on request are captured when they are ``asked_for``."""
    chosen = {item.id for item in catalog.chosen(asked_for)}
    found = _collect(host, account, [item for item in catalog if item.id in chosen], collectors)
    items = [found[item.id] if item.id in chosen else _left_out(item) for item in catalog]
    sensitive = {item.id for item in catalog if item.sensitive}
    document = Settings(
        account=account.name,
        platform=catalog.platform,
        catalog=catalog.tag,
        identity=identity,
        desktop=desktop,
        system=system,
        variables=dict(account.variables),
        items=tuple(item if item.id not in sensitive else _sealed(item) for item in items),
    )
    secret = tuple(item for item in items if item.id in sensitive and item.state == "captured")
    return Captured(document, replace(document, items=secret) if secret else None)


def _collect(
    host: SettingsHost, account: Account, items: Sequence[CatalogItem], collectors: Mapping[str, Collector]
) -> dict[str, Item]:
    """Ask each collector once for everything."""
    asked: dict[str, list[tuple[str, Any]]] = {}
    for item in items:
        for capture in item.capture:
            asked.setdefault(capture.kind, []).append((item.id, capture))
    answers: dict[str, list[list[Entry] | str]] = {}
    for kind, wanted in asked.items():
        collector = collectors.get(kind)
        if collector is None:
            results: list[list[Entry] | str] = [f"this computer has no '{kind}'" for _ in wanted]
        else:
            results = collector.capture(host, account, [capture for _, capture in wanted])
        for (id_, _), result in zip(wanted, results, strict=True):
            answers.setdefault(id_, []).append(result)
    return {item.id: _item(item, answers[item.id]) for item in items}


def _item(item: CatalogItem, answers: Sequence[list[Entry] | str]) -> Item:
    told = (answer if isinstance(answer, str) else getattr(answer, "reason", "") for answer in answers)
    problems = tuple(dict.fromkeys(text for text in told if text))
    entries: dict[Any, Entry] = {}
    for answer in answers:
        if not isinstance(answer, str):
            # Two captures of an item may cover the same place.
            entries |= {entry.place: entry for entry in answer if not _redacted(item, entry)}
    reason = "; ".join(problems)
    if entries:
        return Item(item.id, item.name, "captured", tuple(entries.values()), reason and f"in part: {reason}")
    return Item(item.id, item.name, "failed" if problems else "absent", reason=reason)


def _redacted(item: CatalogItem, entry: Entry) -> bool:
    place = entry.place
    return item.redacts(key_of(place.name) if place.collector == "ini" else place.name)


def _left_out(item: CatalogItem) -> Item:
    return Item(item.id, item.name, "left-out", reason="it is saved only where the school asks for it")


def _sealed(item: Item) -> Item:
    """Return a sensitive item as it stands in the open document: that it is there, and nothing of what it is."""
    return replace(item, entries=(), state="left-out", reason=KEPT_SEALED) if item.entries else item
