"""What ``doctor`` says of the certificate of a host's WinRM service, looked at before anybody logs in."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography import x509

from inventory.model import Host
from tasks.errors import FirstbellError
from tasks.transports.base import refuse_unknown
from tasks.transports.winrm_identity import check_identity
from tasks.transports.winrm_settings import WinRmSettings
from tasks.verbs.check import Check
from tasks.verbs.doctor_windows import expiry_check

_DEADLINE: Final = 10.0


def certificate_checks(host: Host) -> Iterator[Check]:
    """Yield whether the host's certificate is the one we trust, and how long it lasts."""
    access = host.winrm
    if access.scheme == "http":
        yield Check(
            "tls",
            "warn",
            f"http: {access.auth} seals each message, but the computer shows no certificate to know it by",
            "Let docs/windows/prepare-pc.ps1 make an https listener there, and leave 'scheme' out.",
        )
        return
    settings = WinRmSettings(
        address=host.address,
        port=host.port,
        ca_file=Path(access.ca_file).expanduser() if access.ca_file else None,
        fingerprint=access.fingerprint,
        connect_timeout=_DEADLINE,
    )
    try:
        identity, _ = check_identity(host.name, settings, refuse_unknown)
        pem = ssl.get_server_certificate((host.address, host.port), timeout=_DEADLINE)
    except FirstbellError as error:
        yield Check("tls", "fail", error.message, error.hint)
        return
    except OSError as error:
        yield Check("tls", "fail", f"the certificate cannot be read: {error.strerror or error}", "Try again.")
        return
    certificate = x509.load_pem_x509_certificate(pem.encode("ascii"))
    how = "the known certificate" if access.fingerprint else "a certificate of a trusted authority"
    yield expiry_check("tls", certificate.not_valid_after_utc, f"{how}, {identity.algorithm}")
