"""Capture people's settings for a snapshot: by the catalog of their platform, one document for each person."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Final

from configs.catalog import Catalog, Platform, load_catalog
from tasks.errors import ConfigError, HelperFailed
from tasks.remote.filesystem import Facts, RemoteHost, RemoteSettings
from tasks.settings.capture import capture_settings
from tasks.settings.collectors import collectors_for
from tasks.settings.command import commands_for_all
from tasks.settings.document import Item, ProfileIdentity, Settings, document_name, encode
from tasks.settings.files import REFERENCE, path_of
from tasks.settings.first_sign_in import read_report, report_text
from tasks.settings.sealed import SUFFIX, seal
from tasks.settings.values import Account
from tasks.verbs.context import Context
from tasks.verbs.people import Person
from tasks.verbs.settings_limits import desktops_of

#: What a helper calls its platform -> what the catalog does.
_PLATFORMS: Final[Mapping[str, Platform]] = {"linux": "linux", "darwin": "macos", "windows": "windows"}
#: Variables that lie at a fixed place in a home, by platform.
_IN_HOME: Final[Mapping[str, Mapping[str, str]]] = {
    "linux": {"config": ".config", "data": ".local/share", "state": ".local/state"},
    "macos": {
        "library": "Library",
        "appsupport": "Library/Application Support",
        "preferences": "Library/Preferences",
        "containers": "Library/Containers",
    },
    "windows": {"appdata": "AppData/Roaming", "localappdata": "AppData/Local"},
}
_FOLDERS: Final = ("desktop", "documents", "downloads", "pictures", "music", "videos")


def catalog_for(context: Context, platform: str) -> Catalog | None:
    """Return the catalog for what a helper calls its platform, with the school's own items; None where there is none.

    Raises ``ConfigError`` when a file of it is wrong.
    """
    known = _PLATFORMS.get(platform)
    if known is None:
        return None
    own = context.config.settings.catalog
    return load_catalog(known, context.folder / Path(own).expanduser() if own else None)


class LaterDocuments(Mapping[str, bytes]):
    """Documents of which some are made when they are first looked at: a snapshot does so at its end."""

    def __init__(self, known: Mapping[str, bytes], make: Callable[[], Mapping[str, bytes]]) -> None:
        self._known = known
        self._make = make

    @cached_property
    def _all(self) -> Mapping[str, bytes]:
        return {**self._known, **self._make()}

    def __getitem__(self, name: str) -> bytes:
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


def begin_capture(context: Context, remote: RemoteHost) -> None:
    """Look whether the catalog is sound, and have Windows begin what takes its time: programs start slowly there.

    Raises ``ConfigError`` when the catalog is wrong, or there is nothing to seal settings with that are asked for.
    """
    catalog = _catalog(context, remote.hello.platform)
    if catalog is None or remote.hello.platform != "windows":
        return
    captures = [one for item in catalog.chosen(context.config.settings.on_request) for one in item.capture]
    if operations := commands_for_all(captures):
        remote.settings().begin_commands(operations)


def _catalog(context: Context, platform: str) -> Catalog | None:
    """Return the catalog, None where settings are not saved."""
    config = context.config.settings
    catalog = catalog_for(context, platform) if config.capture else None
    if catalog is None or not len(catalog):
        return None
    if any(item.sensitive and item.id in config.on_request for item in catalog) and config.sealed_key is None:
        raise ConfigError(
            "'settings.on_request' names settings with secrets, and there is nothing to seal them with",
            hint="Set 'settings.sealed_key' to the reference of a passphrase, or leave those items out.",
        )
    return catalog


def capture_documents(
    context: Context,
    remote: RemoteHost,
    facts: Facts,
    people: Sequence[Person],
    repository_id: Callable[[], bytes],
    notes: list[str],
    roots: Sequence[bytes] = (b"/",),
) -> dict[str, bytes]:
    """Return the documents with the settings of ``people``, by their names in the snapshot.

    What cannot be captured is told in ``notes``, and stops nobody's files from being saved. ``roots`` are the folders
    whose files are saved: large files of settings come back with them only.
    """
    config = context.config.settings
    catalog = _catalog(context, facts.platform)
    if catalog is None:
        return {}
    documents: dict[str, bytes] = {}
    host = remote.settings()
    for person in people:
        account = account_of(person, catalog.platform)
        try:
            identity, told = identify(host, account, facts)
            account = placed(account, told)
            notes += _signed_in(host, account, catalog, facts)
            captured = capture_settings(
                host,
                account,
                catalog,
                collectors_for(catalog),
                identity=identity,
                desktop=desktops_of(host, account, catalog.platform),
                system=facts.system,
                asked_for=config.on_request,
            )
        except HelperFailed as error:
            notes.append(f"the settings of {person.name} are not saved: {error.message}")
            continue
        documents[document_name(account.name)] = encode(captured.open)
        notes += _failures(person, captured.open)
        for part in (captured.open, captured.sealed):
            notes += _elsewhere(person, part, account, roots) if part is not None else []
        if captured.sealed is not None and config.sealed_key is not None:
            passphrase = context.secret(config.sealed_key).get_secret_value()
            documents[document_name(account.name, SUFFIX)] = seal(captured.sealed, passphrase, repository_id())
    return documents


def account_of(person: Person, platform: Platform) -> Account:
    """Return whose settings they are, with what the variables of the catalog stand for."""
    home = _text(person.home)
    variables = {"home": home, "user": person.account or person.name}
    variables |= {name: f"{home}/{path}" for name, path in _IN_HOME[platform].items()}
    for name in _FOLDERS:
        variables[name] = _text(person.folders.get(name, person.home + b"/" + name.capitalize().encode()))
    return Account(person.name, home, variables)


def placed(account: Account, told: Mapping[str, object]) -> Account:
    """Return the account with the folders that the host has named (``identity``): those that lie elsewhere there.

    A folder that is on no disk of the host, but on a server, has no variable: nothing can be read from it.
    """
    folders = told.get("folders")
    if not isinstance(folders, Mapping):
        return account
    variables = {**account.variables, **{str(name): str(path) for name, path in folders.items()}}
    return replace(account, variables={name: path for name, path in variables.items() if path})


def account_on(host: RemoteSettings, person: Person, platform: Platform) -> Account:
    """Return whose settings they are, with what the variables stand for on this host; it is asked where it must be."""
    account = account_of(person, platform)
    if platform != "windows":
        return account
    (answer,) = host.read_settings(account.name, account.home, [{"op": "identity"}])
    return placed(account, answer)


def folders_elsewhere(account: Account) -> tuple[str, ...]:
    """Return the folders of this person that were moved out of the home, to another disk, say."""
    own = (*_FOLDERS, *(name for known in _IN_HOME.values() for name in known))
    paths = [account.variables[name] for name in own if name in account.variables]
    return tuple(dict.fromkeys(path for path in paths if not f"{path}/".startswith(f"{account.home}/")))


def identify(host: RemoteSettings, account: Account, facts: Facts) -> tuple[ProfileIdentity, Mapping[str, object]]:
    """Return by what this profile is told from a new one, and what else the host says of it.

    Raises ``HelperFailed`` when nobody may act as that person there.
    """
    (answer,) = host.read_settings(account.name, account.home, [{"op": "identity"}])
    if not answer.get("ok"):
        raise HelperFailed(str(answer.get("detail") or "the profile cannot be looked at"))
    return ProfileIdentity(facts.machine_id or facts.serial, str(answer.get("account") or "")), answer


def _signed_in(host: RemoteSettings, account: Account, catalog: Catalog, facts: Facts) -> list[str]:
    """Return what came of the settings that were put off until this person signed in."""
    report = read_report(host, account) if catalog.platform == "windows" else None
    if report is None:
        return []
    now = datetime.fromtimestamp(facts.time_ns // 10**9, UTC)
    text = report_text(report, account.name, {item.id: item.name for item in catalog}, now)
    return [text] if text else []


def _failures(person: Person, settings: Settings) -> list[str]:
    """Return which settings could not be saved, or not whole."""
    failed = [item for item in settings.items if item.state == "failed"]
    partly = [item for item in settings.items if item.state == "captured" and item.reason]
    notes = (
        [f"settings of {person.name} that could not be saved: {_named(failed)} ({failed[0].reason})"] if failed else []
    )
    return notes + [f"settings of {person.name}, {item.name}: {item.reason}" for item in partly]


def _elsewhere(person: Person, settings: Settings, account: Account, roots: Sequence[bytes]) -> list[str]:
    """Return which settings are large files that are not among the files that are saved."""
    saved = tuple(f"{_text(root).rstrip('/')}/".casefold() for root in roots)
    items = [
        item
        for item in settings.items
        for entry in item.entries
        if entry.value.kind == REFERENCE and not f"{path_of(entry.place, account)}/".casefold().startswith(saved)
    ]
    if not items:
        return []
    text = "large files of settings are saved with the files only, and these lie in no folder that is saved"
    return [f"{text}: {_named(list({item.id: item for item in items}.values()))} (of {person.name})"]


def _named(items: Sequence[Item]) -> str:
    return ", ".join(item.name for item in items[:3]) + (" and more" if len(items) > 3 else "")


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
