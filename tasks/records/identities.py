"""Identities that computers were accepted by after they had been set up anew, beside the repository.

One that whoever can write there could forge would let them stand in for a computer and be handed its teachers' files.
So what counts of such a record is sealed with the repository's key; the rest is for people to read.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from tasks.records.maintenance import identity_data, identity_of
from tasks.records.model import Record
from tasks.records.store import RecordStore
from tasks.transports.base import HostIdentity

HOST_IDENTITY: Final = "host-identity"


class Sealer(Protocol):
    """The repository's key."""

    def seal(self, text: bytes) -> bytes:
        """Return it sealed."""

    def unseal(self, sealed: bytes) -> bytes:
        """Return what was sealed. Raises ``ValueError``."""


@dataclass(frozen=True, slots=True)
class AcceptedIdentity:
    """By what a host is known from ``at`` on (aware), instead of ``before``.

    ``by`` is who compared it; empty: its serial number did, within the maintenance ``plan`` under ``clearance``.
    """

    host: str
    identity: HostIdentity
    before: HostIdentity
    serial: str
    at: datetime
    plan: str = ""
    clearance: str = ""
    by: str = ""


def add_identity(store: RecordStore, sealer: Sealer, accepted: AcceptedIdentity) -> None:
    """Write down by what a host is known from now on.

    Raises ``FileExistsError`` when its maintenance has accepted an identity already and no person vouches for this one.
    """
    told = {**_data(accepted), "sealed": base64.b64encode(sealer.seal(_text(accepted))).decode("ascii")}
    record = Record(HOST_IDENTITY, secrets.token_hex(8), accepted.at.astimezone(UTC), told)
    name = record.file_name if accepted.by else f"{_of_maintenance(accepted.plan, accepted.clearance)}.json"
    store.save(f"{HOST_IDENTITY}/{accepted.host}/{name}", record, overwrite=False)


def has_identities(store: RecordStore, host: str) -> bool:
    """Return whether any were accepted for a host; none is read."""
    return next(iter(store.backend.list(f"records/{HOST_IDENTITY}/{host}/")), None) is not None


def identities(store: RecordStore, sealer: Sealer, host: str) -> tuple[AcceptedIdentity, ...]:
    """Return what was accepted for a host, the oldest first.

    What is not sealed by this repository's key is told to the store's reporter and left out.
    """
    found = []
    for record in store.records(HOST_IDENTITY, subject=host):
        try:
            sealed = base64.b64decode(str(record.data.get("sealed", "")), validate=True)
            accepted = _accepted(sealer.unseal(sealed), host)
        except (ValueError, binascii.Error) as error:
            store.warn(f"an accepted identity of {host} is not as firstbell wrote it and does not count: {error}")
        else:
            found.append(accepted)
    return tuple(sorted(found, key=lambda one: one.at))


def _of_maintenance(plan: str, clearance: str) -> str:
    return hashlib.sha256(f"{plan}\0{clearance}".encode()).hexdigest()[:32]


def _data(accepted: AcceptedIdentity) -> dict[str, Any]:
    return {
        "host": accepted.host,
        "identity": identity_data(accepted.identity),
        "before": identity_data(accepted.before),
        "serial": accepted.serial,
        "at": accepted.at.astimezone(UTC).isoformat(),
        "plan": accepted.plan,
        "clearance": accepted.clearance,
        "by": accepted.by,
    }


def _text(accepted: AcceptedIdentity) -> bytes:
    # Its kind, so that nothing else that is sealed with this key can be taken for one.
    return json.dumps({"kind": HOST_IDENTITY, **_data(accepted)}, sort_keys=True).encode()


def _accepted(text: bytes, wanted: str) -> AcceptedIdentity:
    data = json.loads(text)
    if not isinstance(data, dict) or data.get("kind") != HOST_IDENTITY:
        raise ValueError("it is something else")
    texts = {key: data.get(key) for key in ("host", "serial", "at", "plan", "clearance", "by")}
    if not all(isinstance(value, str) for value in texts.values()):
        raise ValueError("something in it is missing")
    if texts["host"] != wanted:
        raise ValueError("it is of another computer")
    host, serial, at, plan, clearance, by = map(str, texts.values())
    return AcceptedIdentity(
        host=host,
        identity=identity_of(data.get("identity")),
        before=identity_of(data.get("before")),
        serial=serial,
        at=datetime.fromisoformat(at).astimezone(UTC),
        plan=plan,
        clearance=clearance,
        by=by,
    )
