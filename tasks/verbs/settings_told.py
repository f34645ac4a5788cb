"""What a person is told of their settings: what becomes of those that they have, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from configs.catalog import Catalog, CatalogItem
from tasks.reports.maintenance_model import SettingsBack, SettingState
from tasks.reports.model import SettingTold
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.settings.capture import KEPT_SEALED
from tasks.settings.document import Item, SettingsUnreadable
from tasks.settings.person import PersonSettings
from tasks.settings.plan import Outcome
from tasks.verbs.context import Context
from tasks.verbs.people import Person
from tasks.verbs.settings_capture import catalog_for
from tasks.verbs.settings_documents import read_saved

#: What a restore that is planned once more would do with something, and what that means for its owner. The worst last:
#: an item of which one value waits is not back.
_STATES: Final[dict[Outcome, SettingState]] = {
    Outcome.SAME: "back",
    Outcome.WITH_FILES: "back",
    Outcome.KEEP: "kept",
    Outcome.ASK: "kept",
    Outcome.FIRST_SIGN_IN: "first-sign-in",
    Outcome.SET: "waits",
    Outcome.CLOSE_FIRST: "waits",
    Outcome.NO_PROGRAM: "waits",
    Outcome.OTHER_VERSION: "waits",
    Outcome.UNKNOWN: "waits",
    Outcome.NEEDS_IT: "needs-it",
    Outcome.CANNOT: "cannot",
}
_ORDER: Final[tuple[SettingState, ...]] = ("back", "kept", "first-sign-in", "waits", "needs-it", "cannot")
#: The step on Windows that is none of the catalog's items.
_OURS: Final = "first-sign-in"


def told_settings(
    context: Context, repository: Repository, snapshot: Snapshot, platform: str, person: Person
) -> tuple[SettingTold, ...]:
    """Return what becomes of the settings that somebody has, in the order of the catalog; values are not looked at."""
    catalog = catalog_for(context, platform)
    if catalog is None:
        return ()
    try:
        saved = read_saved(repository, snapshot, person.name, None)
    except SettingsUnreadable:
        text = "The settings that were saved cannot be read."
        return (SettingTold("Your settings", "not-saved", because=text),)
    return () if saved is None else _told(catalog, {item.id: item for item in saved.settings.items})


def _told(catalog: Catalog, saved: dict[str, Item]) -> tuple[SettingTold, ...]:
    pairs = ((known, saved.get(known.id)) for known in catalog)
    found = (fate_of(known, item) for known, item in pairs if item is not None)
    return tuple(one for one in found if one is not None)


def fate_of(known: CatalogItem, item: Item) -> SettingTold | None:
    """Return what becomes of an item of somebody, None when they have nothing of it."""
    if item.state in ("failed", "not-allowed"):
        return SettingTold(known.name, "not-saved")
    if item.state == "captured" or item.reason == KEPT_SEALED:
        return SettingTold(known.name, known.restore, known.because or "", known.do_first or "", known.limits or "")
    return None


def settings_back(people: Sequence[PersonSettings]) -> tuple[SettingsBack, ...]:
    """Return what became of settings, by a restore that was planned once more; by item, each once."""
    worst: dict[str, tuple[int, str]] = {}
    for step in (step for one in people if one.plan is not None for step in one.plan.steps):
        state = _STATES.get(step.outcome)
        if state is None or step.item == _OURS:
            continue
        number = _ORDER.index(state)
        worst[step.item] = (max(number, worst.get(step.item, (0, ""))[0]), step.name)
    found = [(state, tuple(name for at, name in worst.values() if at == index)) for index, state in enumerate(_ORDER)]
    return tuple(SettingsBack(state, names) for state, names in found if names)
