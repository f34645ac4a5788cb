"""OpenSSH's known_hosts: which keys a host may show. Read only; nothing is ever added here.

The format is in sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT": optional marker, names (patterns, or one hashed name), key
type, key in base64, comment. A host on another port than 22 is named ``[host]:port``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path
from typing import Final, Literal

Verdict = Literal["known", "unknown", "changed", "revoked"]

_DEFAULT_PORT: Final = 22
_REVOKED: Final = "@revoked"
_AUTHORITY: Final = "@cert-authority"


@dataclass(frozen=True, slots=True)
class KnownKey:
    """One line of a known_hosts file that names the host we asked for."""

    marker: str
    algorithm: str
    key: bytes
    file: Path
    line: int

    @property
    def fingerprint(self) -> str:
        """OpenSSH's ``SHA256:...`` form."""
        return fingerprint(self.key)


def fingerprint(key: bytes) -> str:
    """Return the fingerprint of a public key blob as OpenSSH shows it: SHA-256, base64 without padding."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode("ascii").rstrip("=")


def signatures_of(algorithm: str) -> tuple[str, ...]:
    """Return the signature algorithms of a key of this algorithm, to be asked for first."""
    return ("rsa-sha2-512", "rsa-sha2-256") if algorithm == "ssh-rsa" else (algorithm,)


def default_files() -> tuple[Path, ...]:
    """Return the files that OpenSSH reads: the user's, then the system's."""
    return Path.home() / ".ssh" / "known_hosts", Path("/etc/ssh/ssh_known_hosts")


def host_name(host: str, port: int) -> str:
    """Return the name of a host as known_hosts writes it."""
    return host.lower() if port == _DEFAULT_PORT else f"[{host.lower()}]:{port}"


class KnownHosts:
    """The lines about one host, from one or several files."""

    def __init__(self, keys: Iterable[KnownKey]) -> None:
        self._keys = tuple(keys)

    @classmethod
    def lookup(cls, files: Iterable[Path], host: str, port: int) -> KnownHosts:
        """Read what ``files`` say about a host; a missing file says nothing.

        As OpenSSH does, lines without a port count for another port too when the host has none of its own. Raises
        ``OSError`` when a file is there but cannot be read.
        """
        files = tuple(files)
        found = tuple(key for file in files for key in _read(file, host_name(host, port)))
        if not found and port != _DEFAULT_PORT:
            found = tuple(key for file in files for key in _read(file, host_name(host, _DEFAULT_PORT)))
        return cls(found)

    def check(self, key: bytes) -> Verdict:
        """Return what the files say of this public key blob."""
        if any(known.marker == _REVOKED and known.key == key for known in self._keys):
            return "revoked"
        trusted = self.trusted
        if any(known.key == key for known in trusted):
            return "known"
        return "changed" if trusted else "unknown"

    @property
    def trusted(self) -> tuple[KnownKey, ...]:
        """The keys that the host may show."""
        return tuple(key for key in self._keys if not key.marker)

    @property
    def authorities(self) -> tuple[KnownKey, ...]:
        """Certificate authorities for the host, which paramiko cannot check."""
        return tuple(key for key in self._keys if key.marker == _AUTHORITY)

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The signature algorithms that fit the trusted keys, to be asked for first."""
        wanted: list[str] = []
        for key in self.trusted:
            wanted.extend(name for name in signatures_of(key.algorithm) if name not in wanted)
        return tuple(wanted)


def _read(file: Path, name: str) -> Iterable[KnownKey]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        marker = fields.pop(0) if fields[0].startswith("@") else ""
        if len(fields) < 3 or not _names(fields[0], name):
            continue
        try:
            key = base64.b64decode(fields[2], validate=True)
        except binascii.Error:
            continue
        yield KnownKey(marker, fields[1], key, file, number)


def _names(field: str, name: str) -> bool:
    """Tell whether the names of a line cover ``name``; a matching negation (``!pattern``) wins."""
    if field.startswith("|1|"):
        return _hashed(field, name)
    matched = False
    for pattern in field.lower().split(","):
        negated = pattern.startswith("!")
        if _pattern(pattern.removeprefix("!")).match(name):
            if negated:
                return False
            matched = True
    return matched


def _hashed(field: str, name: str) -> bool:
    """Check a hashed name: HMAC-SHA1 of the name under a salt."""
    try:
        _, _, salt, digest = field.split("|")
        expected = base64.b64decode(digest, validate=True)
        found = hmac.new(base64.b64decode(salt, validate=True), name.encode("utf-8"), hashlib.sha1).digest()
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(expected, found)


def _pattern(pattern: str) -> re.Pattern[str]:
    """Compile a name with ``*`` and ``?``; brackets are literal, they belong to ``[host]:port``."""
    return re.compile(translate(pattern.replace("[", "[[]")))
