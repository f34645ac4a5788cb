"""From layers to hosts: host > groups in order > defaults, with the origin of each value."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from configs.problems import did_you_mean
from configs.values import expand, placeholders
from inventory.files import Entry, FileProblem, Layers
from inventory.model import Defaults, Host, HostEntry, JumpHost, SshAccess, WinRmAccess
from inventory.windows import fill_in_transport, warnings_of, windows_problems

#: Sections of which each key is taken by itself.
_SECTIONS: dict[str, type[SshAccess | WinRmAccess]] = {"ssh": SshAccess, "winrm": WinRmAccess}
#: Keys of an entry that are no key of every layer.
_OWN_KEYS = frozenset({"title", "address", "groups", "mac", "serial", *_SECTIONS})
_SECRETS = ("password", "key_passphrase")


def resolve_hosts(layers: Layers, sites: Collection[str] = ()) -> tuple[dict[str, Host], list[FileProblem], list[str]]:
    """Return the hosts by name in the order of their files, what is wrong, and what is worth a look."""
    hosts: dict[str, Host] = {}
    problems: list[FileProblem] = []
    for name, entry in layers.hosts.items():
        known = layers.complete_for(entry.model.groups)
        found = list(_problems_of_groups(entry, layers))
        values, sources = _resolved(name, entry, layers)
        found += _problems_of_host(entry, values, sources, sites, blind=bool(found) or not known)
        found += _fill_in(entry, values, name)
        problems += found
        if known and not found:
            # every value was checked in its own layer
            hosts[name] = Host.model_construct(name=name, sources=sources, **values)
    warnings = [*_shared_addresses(hosts.values()), *_shared_hardware(hosts.values()), *warnings_of(hosts.values())]
    return hosts, problems, warnings


def _chain(entry: Entry[HostEntry], layers: Layers) -> list[Entry[Any]]:
    groups = [layers.groups[name] for name in entry.model.groups if name in layers.groups]
    return [entry, *groups, layers.defaults]


def _resolved(name: str, entry: Entry[HostEntry], layers: Layers) -> tuple[dict[str, Any], dict[str, str]]:
    chain = _chain(entry, layers)
    said = entry.model
    values: dict[str, Any] = {"groups": said.groups, "address": said.address or name}
    values |= {"mac": said.mac, "serial": said.serial}
    sources: dict[str, str] = {}
    for key in ("groups", "address", "mac", "serial"):
        if key in said.model_fields_set:
            sources[key] = entry.origin(key)
    for key in Defaults.model_fields:
        if key in _OWN_KEYS:
            continue
        values[key], source = _nearest(chain, key)
        if source:
            sources[key] = source
    for section, model in _SECTIONS.items():
        found: dict[str, Any] = {}
        for key in model.model_fields:
            for layer in chain:
                own = getattr(layer.model, section)
                if section in layer.model.model_fields_set and key in own.model_fields_set:
                    found[key] = getattr(own, key)
                    sources[f"{section}.{key}"] = layer.origin(section, key)
                    break
        values[section] = model.model_construct(**found)
    fill_in_transport(values, sources)
    return values, sources


def _nearest(chain: Sequence[Entry[Any]], key: str) -> tuple[Any, str]:
    for layer in chain:
        if key in layer.model.model_fields_set:
            return getattr(layer.model, key), layer.origin(key)
    return getattr(chain[-1].model, key), ""


def _problems_of_groups(entry: Entry[HostEntry], layers: Layers) -> Iterator[FileProblem]:
    for index, group in enumerate(entry.model.groups):
        if group in layers.groups or group in layers.broken_groups or "groups.yaml" in layers.unread:
            continue
        text = f"there is no group '{group}' in groups.yaml." + did_you_mean(group, layers.groups)
        yield entry.problem(text, "groups", str(index))


def _problems_of_host(
    entry: Entry[HostEntry], values: dict[str, Any], sources: dict[str, str], sites: Collection[str], *, blind: bool
) -> Iterator[FileProblem]:
    """Yield what is missing or unknown; ``blind`` when a layer is, so that what is missing may stand there."""
    site = values["site"]
    if site is None and not blind:
        yield entry.problem("this host has no site; set 'site' here, in a group of it or in defaults.yaml")
    elif site is not None and sites and site not in sites:
        stands = "" if "site" in entry.model.model_fields_set else f" (from {sources['site']})"
        text = f"the configuration knows no site '{site}'{stands}." + did_you_mean(site, sites)
        yield entry.problem(text, "site")
    needs_user = values["transport"] == "ssh" and not values["ssh"].use_ssh_config
    needs_user = needs_user or (values["transport"] == "winrm" and values["winrm"].auth in ("ntlm", "basic"))
    if values["user"] is None and needs_user and not blind:
        yield entry.problem(
            "this host has no user to log in with; set 'user' here, in a group of it or in defaults.yaml"
        )
    for text, key in windows_problems(values, sources, blind=blind):
        yield entry.problem(text, *key)
    for teacher in values["homes"]:
        if values["teachers"] and teacher not in values["teachers"]:
            text = f"'{teacher}' has a home here but is not among the teachers." + did_you_mean(
                teacher, values["teachers"]
            )
            yield entry.problem(text, "homes", teacher)


def _fill_in(entry: Entry[HostEntry], values: dict[str, Any], name: str) -> Iterator[FileProblem]:
    """Replace ``{site}`` and ``{host}`` in the references of a host and of its jump host."""
    known = {"site": values["site"] or "site", "host": name}
    ssh: SshAccess = values["ssh"]
    filled, unknown = _filled(ssh, known)
    if ssh.jump is not None:
        jump, more = _filled(ssh.jump, known)
        unknown |= more
        if jump:
            filled["jump"] = ssh.jump.model_copy(update=jump)
    over_winrm, strange = _filled(values["winrm"], known)
    for section, names in (("ssh", unknown), ("winrm", strange)):
        for one in sorted(names):
            text = f"unknown placeholder '{{{one}}}' in a reference; here there are {{site}}, {{host}}"
            yield entry.problem(text, section)
    if filled:
        values["ssh"] = ssh.model_copy(update=filled)
    if over_winrm:
        values["winrm"] = values["winrm"].model_copy(update=over_winrm)


def _filled(access: SshAccess | WinRmAccess | JumpHost, known: dict[str, str]) -> tuple[dict[str, Any], set[str]]:
    filled: dict[str, Any] = {}
    unknown: set[str] = set()
    for key in _SECRETS:
        reference = getattr(access, key, None)
        if reference is None or not placeholders(reference):
            continue
        strange = set(placeholders(reference)) - set(known)
        unknown |= strange
        if not strange:
            filled[key] = expand(reference, known)
    return filled, unknown


def _shared_addresses(hosts: Collection[Host]) -> Iterator[str]:
    seen: dict[tuple[str, int], str] = {}
    for host in hosts:
        if host.transport == "local" or host.ssh.jump is not None:
            continue
        first = seen.setdefault((host.address.casefold(), host.port), host.name)
        if first != host.name:
            yield f"hosts '{first}' and '{host.name}' have the same address {host.address}:{host.port}"


def _shared_hardware(hosts: Collection[Host]) -> Iterator[str]:
    """Yield what no two computers can have both: one would be woken, or taken, for the other."""
    seen: dict[tuple[str, str], str] = {}
    for host in hosts:
        for name, value in (("MAC address", host.mac), ("serial number", host.serial)):
            first = seen.setdefault((name, value.casefold()), host.name) if value else host.name
            if first != host.name:
                yield f"hosts '{first}' and '{host.name}' have the same {name} {value}"
