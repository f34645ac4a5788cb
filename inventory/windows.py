"""What an inventory says of Windows hosts, checked together: transport, platform, login, encryption."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from inventory.model import DEFAULT_PORTS, WINRM_HTTP_PORT, Host, WinRmAccess

#: Ways to log in that seal each message by themselves, so that http will do.
_SEALING: Final = ("ntlm", "kerberos")


def fill_in_transport(values: dict[str, Any], sources: dict[str, str]) -> None:
    """Fill in what follows from the transport: the port, and that WinRM means Windows, which has no sudo."""
    if values["port"] is None:
        over_http = values["transport"] == "winrm" and values["winrm"].scheme == "http"
        values["port"] = WINRM_HTTP_PORT if over_http else DEFAULT_PORTS[values["transport"]]
    if values["transport"] == "winrm" and values["platform"] == "auto":
        values["platform"] = "windows"
    if values["platform"] == "windows" and values["become"] is not None:
        # Most inventories have it in their defaults, for the others.
        values["become"] = None
        sources["become"] = "there is no sudo on Windows"


def windows_problems(
    values: Mapping[str, Any], sources: Mapping[str, str], *, blind: bool
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what is wrong, each with the key that it is about; ``blind`` when a layer is missing."""
    if values["transport"] != "winrm":
        return
    if values["platform"] != "windows":
        yield f"'winrm' reaches Windows only, and the platform here is '{values['platform']}'", ("transport",)
    access: WinRmAccess = values["winrm"]
    if access.scheme == "http" and access.auth not in _SEALING:
        what = "send the password readable" if access.auth == "basic" else "not protect what is saved"
        yield (
            f"'{access.auth}' over http would {what}. Use 'scheme: https', or 'auth: ntlm' or 'kerberos', which seal "
            "each message",
            ("winrm", "auth"),
        )
    if access.scheme == "http":
        for key in ("ca_file", "fingerprint"):
            if getattr(access, key) is not None:
                where = sources.get(f"winrm.{key}", "")
                yield (
                    f"there is no certificate over http, so '{key}' ({where}) would check nothing",
                    ("winrm", "scheme"),
                )
    if blind:
        return
    if access.auth in ("ntlm", "basic") and access.password is None:
        text = f"'{access.auth}' needs a password: set 'winrm.password' here, in a group of it or in defaults.yaml"
        yield text, ("winrm",)
    if access.auth == "certificate":
        for key in ("certificate_file", "key_file"):
            if getattr(access, key) is None:
                yield f"'certificate' needs 'winrm.{key}'", ("winrm",)


def warnings_of(hosts: Iterable[Host]) -> Iterator[str]:
    """Yield what a person should look at though it stops nothing."""
    for host in hosts:
        if host.transport == "winrm" and host.port == DEFAULT_PORTS["ssh"]:
            where = host.sources.get("port", "")
            yield f"host '{host.name}' is reached over WinRM on port 22 ({where}); leave 'port' out for 5986"
