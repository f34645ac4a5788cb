"""The documents about people's settings in snapshots: read, opened with the key for what is sealed, and written."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Final

from configs.catalog import Catalog
from tasks.repository.blob import BlobType
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.restorer.walk import INTERNAL, node_at
from tasks.settings.document import Settings, SettingsUnreadable, decode, document_name, encode
from tasks.settings.sealed import SUFFIX, open_sealed, seal
from tasks.verbs.context import Context

#: The document that everybody who may read the repository can read; the one beside it, of settings with secrets.
OPEN: Final = ".json"
SEALED: Final = SUFFIX


@dataclass(frozen=True, slots=True)
class SealKey:
    """What settings with secrets are sealed with in one repository."""

    passphrase: str = field(repr=False)
    salt: bytes = field(repr=False)

    def seal(self, settings: Settings) -> bytes:
        """Return the sealed document."""
        return seal(settings, self.passphrase, self.salt)

    def open(self, data: bytes) -> Settings:
        """Return what is in a sealed document. Raises ``SettingsUnreadable``."""
        return open_sealed(data, self.passphrase, self.salt)


def seal_key(context: Context, repository_id: str) -> SealKey | None:
    """Return the school's key for a repository, None where it has none."""
    reference = context.config.settings.sealed_key
    if reference is None:
        return None
    return SealKey(context.secret(reference).get_secret_value(), bytes.fromhex(repository_id))


def read_own(repository: Repository, snapshot: Snapshot, name: str) -> bytes | None:
    """Return one of firstbell's documents in a snapshot, None when it has none of that name."""
    node = node_at(repository, snapshot, own_path(name))
    if node is None or node.content is None:
        return None
    return b"".join(repository.load_blob(BlobType.DATA, id_) for id_ in node.content)


def own_path(name: str) -> bytes:
    """Return where a document lies in a snapshot."""
    return INTERNAL + b"/" + name.encode()


def written(
    name: str, settings: Settings, sensitive: Collection[str], key: SealKey | None, kind: str = ""
) -> dict[str, bytes]:
    """Return the documents that hold ``settings``: those of sensitive items sealed, apart.

    Without a key these are in none: they must not be changed then.
    """
    secret = tuple(item for item in settings.items if item.id in sensitive)
    plain = replace(settings, items=tuple(item for item in settings.items if item.id not in sensitive))
    found = {document_name(name, kind + OPEN): encode(plain)}
    if secret and key is not None:
        found[document_name(name, kind + SEALED)] = key.seal(replace(settings, items=secret))
    return found


@dataclass(frozen=True, slots=True)
class Saved:
    """The settings of one person in a snapshot. ``notes``: what of it cannot be opened, in words."""

    settings: Settings
    #: Ids of the items that came from the sealed document.
    secret: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def read_saved(
    repository: Repository, snapshot: Snapshot, name: str, key: SealKey | None, kind: str = ""
) -> Saved | None:
    """Return the settings of somebody, with those that are sealed where the key opens them; None when there are none.

    Raises ``SettingsUnreadable`` when the open document is damaged or of a newer version.
    """
    data = read_own(repository, snapshot, document_name(name, kind + OPEN))
    if data is None:
        return None
    settings = decode(data)
    sealed = read_own(repository, snapshot, document_name(name, kind + SEALED))
    if sealed is None:
        return Saved(settings)
    if key is None:
        return Saved(settings, notes=("settings with secrets are sealed, and 'settings.sealed_key' is not set",))
    try:
        opened = key.open(sealed)
    except SettingsUnreadable as error:
        return Saved(settings, notes=(error.message,))
    secret = {item.id: item for item in opened.items}
    known = [secret.get(item.id, item) for item in settings.items]
    more = [item for item in opened.items if item.id not in {one.id for one in settings.items}]
    return Saved(replace(settings, items=(*known, *more)), frozenset(secret))


def sensitive_items(catalog: Catalog, saved: Saved) -> frozenset[str]:
    """Return the ids of the items of which no value may be shown, or kept in the open."""
    return saved.secret | {item.id for item in catalog if item.sensitive}
