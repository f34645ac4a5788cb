"""Names and paths that an inventory holds, of the host and of the worker."""

from __future__ import annotations

import base64
import re

from configs.folders import check_exclude, check_folder, portable_path, text_or_advice

__all__ = [
    "check_account",
    "check_address",
    "check_exclude",
    "check_fingerprint",
    "check_folder",
    "check_home",
    "check_key_file",
    "check_mac",
    "check_serial",
    "check_worker_file",
    "text_or_advice",
]

#: No path, no list separator of a passwd file, nothing that ends a line; a domain may stand before it.
_ACCOUNT = re.compile(r"[^\s/:][^/:\x00-\x1f]{0,255}")
#: What boards say that have no serial number, as the helpers know it, too.
NO_SERIAL = frozenset(
    {"0", "none", "default string", "to be filled by o.e.m.", "system serial number", "not specified"}
)
_ADDRESS = re.compile(r"[^\s/@\x00-\x1f]{1,253}")


def check_account(value: str) -> str:
    """Return the name of an account unchanged.

    Raises:
        ValueError: no account can have this name.
    """
    if _ACCOUNT.fullmatch(value) is None:
        msg = "this is no account name"
        raise ValueError(msg)
    return value


def check_address(value: str) -> str:
    """Return a name or an address in the network unchanged.

    Raises:
        ValueError: it is none, for example because it holds a user or a path.
    """
    if _ADDRESS.fullmatch(value) is None or value.startswith("-"):
        msg = "this is no name or address of a computer"
        raise ValueError(msg)
    return value


def check_mac(value: str) -> str:
    """Return the MAC address of a network card as ``aa:bb:cc:dd:ee:ff``; ``-``, ``.`` or nothing between will do, too.

    Raises:
        ValueError: it is none, or one that no single card has.
    """
    digits = re.sub(r"[:.\s-]", "", value).lower()
    if re.fullmatch(r"[0-9a-f]{12}", digits) is None:
        msg = f"'{value}' is no MAC address; write it like 3c:52:82:0a:1b:2c"
        raise ValueError(msg)
    if digits == "0" * 12 or int(digits[:2], 16) & 1:
        # The lowest bit of the first byte: to a group of cards (IEEE 802), which includes everybody.
        msg = f"'{value}' is the MAC address of no single network card"
        raise ValueError(msg)
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def check_serial(value: str) -> str:
    """Return the serial number of a computer, without spaces around it.

    Raises:
        ValueError: it is empty, or what boards say that have none.
    """
    serial = value.strip()
    if not serial.isprintable() or not serial or len(serial) > 128 or serial.casefold() in NO_SERIAL:
        msg = f"'{value}' is no serial number; write the one on the computer's label, or leave it out"
        raise ValueError(msg)
    return serial


def check_home(value: str) -> str:
    r"""Return the path of a home; one as Windows writes it, ``C:\Users\a.ito``, as ``/C/Users/a.ito``.

    Raises:
        ValueError: it is not absolute.
    """
    path = portable_path(value)
    if not path.startswith("/"):
        msg = f"'{value}' is no full path; begin with '/' or, on Windows, with 'C:\\'"
        raise ValueError(msg)
    return path


def check_key_file(value: str) -> str:
    """Return the path of a private key on the worker; ``file:`` before it is understood and dropped.

    Raises:
        ValueError: it is not absolute, or the key itself was pasted in.
    """
    path = value.removeprefix("file:")
    if "PRIVATE KEY" in value or "\n" in value:
        msg = "this looks like the key itself; put it into a file only its owner can read and write its path"
        raise ValueError(msg)
    if not path.startswith(("/", "~")):
        msg = f"'{value}' is no full path of a key file; begin with '/' or '~/'"
        raise ValueError(msg)
    return path


def check_worker_file(value: str) -> str:
    """Return the path of a file on the worker, such as a certificate.

    Raises:
        ValueError: it is not absolute, or the content itself was pasted in.
    """
    if "-----BEGIN" in value or "\n" in value:
        msg = "this looks like the certificate itself; put it into a file and write its path"
        raise ValueError(msg)
    if not value.startswith(("/", "~")):
        msg = f"'{value}' is no full path of a file on the worker; begin with '/' or '~/'"
        raise ValueError(msg)
    return value


def check_fingerprint(value: str) -> str:
    """Return the SHA-256 of a certificate as ``SHA256:<base64 without padding>``, the way identities are compared.

    Hexadecimal digits are understood too, with or without ``:`` between them, as openssl and Windows' tools show them.

    Raises:
        ValueError: it is no SHA-256, for example the SHA-1 that Windows shows as thumbprint.
    """
    digits = re.sub(r"[\s:]", "", value.strip())
    if re.fullmatch(r"[0-9A-Fa-f]{64}", digits):
        return "SHA256:" + base64.b64encode(bytes.fromhex(digits)).decode("ascii").rstrip("=")
    if re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}=?", value.strip()):
        return value.strip().rstrip("=")
    if re.fullmatch(r"[0-9A-Fa-f]{40}", digits):
        msg = (
            "this is a SHA-1 thumbprint, which can be forged; write the SHA-256 of the certificate: "
            "openssl s_client -connect HOST:5986 </dev/null | openssl x509 -noout -fingerprint -sha256"
        )
        raise ValueError(msg)
    msg = "this is no SHA-256 of a certificate: 64 hexadecimal digits, or 'SHA256:' and base64"
    raise ValueError(msg)
