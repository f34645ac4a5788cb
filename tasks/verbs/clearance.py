"""Issue a clearance after an open verdict, and check one, which needs nothing but the public keys."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from configs.errors import ConfigError
from configs.maintenance import MaintenancePlan
from tasks.errors import GateHold
from tasks.policy.gate import decide
from tasks.records.clearance import Clearance, check, sign
from tasks.records.clearance_keys import generate, key_id, load_private, load_public, private_pem, public_pem
from tasks.records.issued import add_clearance
from tasks.records.store import RecordStore
from tasks.verbs.agreement import with_people
from tasks.verbs.context import Context
from tasks.verbs.gate import Calendar, HostGate, gate_hosts
from tasks.verbs.site_ledger import lines_for_gate
from tasks.verbs.site_repository import repository_backend, repository_place

_MINUTE: Final = timedelta(minutes=1)
#: A file of public keys is a few hundred bytes for each key.
_LARGEST: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class IssuedClearance:
    """A clearance, and the token that carries it."""

    clearance: Clearance
    token: str


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new pair of keys: the key's id and the two files."""

    id: str
    private: Path
    public: Path


def issue_clearance(
    context: Context,
    host_name: str,
    *,
    calendar: Calendar,
    now: datetime | None = None,
    plan: MaintenancePlan | None = None,
    until: datetime | None = None,
) -> IssuedClearance:
    """Return a clearance for one host whose gate is open, in a plan or without; it is recorded before it is handed out.

    It is good as long as the gate would stay open by what is known now, at most for ``clearance.valid_minutes``, and
    not beyond ``until``, such as the end of a window. Raises ``GateHold`` with the reasons, or ``ConfigError`` where
    there is no key to sign with.
    """
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    config = context.config.clearance
    if config.signing_key is None:
        raise ConfigError(
            "there is no key to sign a clearance with",
            hint="Make one: firstbell clearance keygen FILE. Then set 'clearance.signing_key: file:FILE'.",
        )
    key = load_private(context.secret(config.signing_key).get_secret_value(), config.signing_key)
    kid = key_id(key.public_key())
    if config.public_keys and kid not in load_public(read_keys(config.public_keys)):
        raise ConfigError(
            f"the public half of 'clearance.signing_key' ({kid}) is not among 'clearance.public_keys'",
            hint="Add its .pub.pem file there and where clearances are checked, or nobody would accept them.",
        )
    (gate,) = gate_hosts(context, [host_name], calendar=calendar, now=now, plan=plan)
    found = gate.verification
    if not gate.verdict.is_open or found is None:
        raise GateHold(_why(gate), hint="Do not wipe. 'firstbell gate' shows the cure of each.", host=gate.host.name)
    expiry = _good_until(gate, calendar, now, config.valid_minutes)
    if until is not None:
        expiry = min(expiry, until.replace(microsecond=0))
    if expiry <= now:
        raise GateHold("no time is left for it", hint="Do not wipe now.", host=gate.host.name)
    clearance = Clearance(
        id=secrets.token_hex(16),
        host=gate.host.name,
        site=gate.host.site,
        users=found.users,
        snapshot=found.snapshot,
        manifest=f"sha256:{found.manifest}",
        captured_at=found.captured_at.replace(microsecond=0),
        verified_at=found.begun_at.replace(microsecond=0),
        method=found.method,
        skips=found.skips,
        iat=now,
        expiry=expiry,
    )
    place = repository_place(context, gate.host.site, host=gate.host.name)
    with closing(repository_backend(context, place.location)) as backend:
        add_clearance(RecordStore(backend), clearance.to_claims(), key=kid, serial=found.serial)
        # Whoever says no at this very moment finds the record of the clearance, or what they said is found here.
        said = lines_for_gate(context, gate.host.site, backend, place.location)
    again = decide(with_people(context, gate.facts, gate.host, plan, said, now), gate.rules, now)
    if not again.is_open:
        why = "; ".join(reason.text for reason in again.reasons)
        raise GateHold(f"the gate has closed: {why}", hint="Do not wipe.", host=gate.host.name)
    return IssuedClearance(clearance, sign(clearance, key))


def verify_clearance(
    token: str,
    key_files: Iterable[str],
    *,
    host: str,
    profiles: Sequence[str] | None = None,
    now: datetime | None = None,
) -> Clearance:
    """Return what a token says, when it is good for this host now. Raises ``ClearanceInvalid``: do not wipe then."""
    return check(token, load_public(read_keys(key_files)), host=host, now=now or datetime.now(UTC), profiles=profiles)


def read_keys(files: Iterable[str]) -> list[tuple[str, bytes]]:
    """Return name and content of each file of public keys. Raises ``ConfigError`` when there is none to read."""
    found = []
    for name in files:
        try:
            with Path(name).expanduser().open("rb") as file:
                found.append((name, file.read(_LARGEST)))
        except OSError as error:
            raise ConfigError(
                f"the file of public keys {name} cannot be read: {error.strerror}",
                hint="It is the .pub.pem file that 'firstbell clearance keygen' wrote.",
            ) from None
    if not found:
        raise ConfigError(
            "there is no public key to check a clearance by",
            hint="Name its file with --key, or in 'clearance.public_keys' of the configuration.",
        )
    return found


def new_key(path: Path) -> NewKey:
    """Write a new key to ``path``, readable by its owner only, and its public half beside it. Overwrites nothing."""
    public = path.with_name(f"{path.name}.pub.pem")
    key = generate()
    # Told by the second file only, the first would stay behind without its half.
    if public.exists():
        raise ConfigError(f"{public} is there already and was left alone", hint="Name another file.")
    for target, mode, content in (
        (path, 0o600, private_pem(key)),
        (public, 0o644, public_pem(key.public_key())),
    ):
        try:
            with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(content)
        except FileExistsError:
            raise ConfigError(f"{target} is there already and was left alone", hint="Name another file.") from None
        except OSError as error:
            raise ConfigError(f"{target} cannot be written: {error.strerror}", hint="Name another file.") from None
    return NewKey(key_id(key.public_key()), path, public)


def _good_until(gate: HostGate, calendar: Calendar, now: datetime, minutes: int) -> datetime:
    """Return the end of the time for which the gate stays open, minute by minute: no protected time may lie in it."""
    end = now
    for _ in range(minutes):
        later = end + _MINUTE
        facts = replace(gate.facts, calendar=calendar(gate.host.site, later))
        if not decide(facts, gate.rules, later).is_open:
            break
        end = later
    if end == now:
        raise GateHold("the gate closes within a minute", hint="Do not wipe now.", host=gate.host.name)
    return end


def _why(gate: HostGate) -> str:
    reasons = "; ".join(reason.text for reason in gate.verdict.reasons)
    return f"the gate holds: {reasons or 'nothing proves that the computer may be wiped'}"
