"""Is the host the one we know? Its certificate, looked at before anything is sent that is worth reading.

Over http there is no certificate. There the sealed answers prove that the host, or its domain, knows the account's
password (NTLM) or holds the key of the computer's account (Kerberos): a stranger in between could neither read nor
write them. Which computer it is of those that know the account, NTLM does not prove.
"""

from __future__ import annotations

import socket
import ssl
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tasks.errors import IdentityRefused, InventoryError, Timeout, Unreachable
from tasks.transports.base import Accepted, AcceptIdentity, HostIdentity
from tasks.transports.winrm_fingerprint import certificate_fingerprint, normal_fingerprint
from tasks.transports.winrm_settings import WinRmSettings

_REBUILT: Final = "Either the computer was set up anew, or somebody stands between."
_COMPARE: Final = "Compare the fingerprint with the computer's; if it is right, set 'winrm.fingerprint' to it."


def check_identity(host: str, settings: WinRmSettings, accept_identity: AcceptIdentity) -> tuple[HostIdentity, bool]:
    """Return how the host identifies itself, and whether it is another one than the known one, seen by nobody yet.

    Raises ``IdentityRefused`` when its certificate is neither known nor accepted, ``Unreachable`` and ``Timeout``.
    """
    if settings.scheme == "http":
        return HostIdentity("mutual-login", settings.auth, ""), False
    if settings.fingerprint is None:
        reason = ""
        try:
            der = _certificate(host, settings, _checking(host, settings))
        except ssl.SSLCertVerificationError as error:
            reason = error.verify_message
            der = _certificate(host, settings, _looking(settings))
        identity = _identity(der)
        accepted = accept_identity(identity) if reason else True
        if not accepted:
            raise IdentityRefused(
                f"the certificate of {settings.address} is not trusted ({reason}): {identity.fingerprint}",
                hint=f"{_COMPARE} Or set 'winrm.ca_file' to the authority that signed it.",
                host=host,
            )
        _check_login(host, settings, identity, accepted)
        return identity, False
    known = normal_fingerprint(settings.fingerprint, host)
    identity = _identity(_certificate(host, settings, _looking(settings)))
    if identity.fingerprint == known:
        return identity, False
    accepted = accept_identity(identity)
    if not accepted:
        raise IdentityRefused(
            f"{settings.address} shows the certificate {identity.fingerprint}, but known is {known}",
            hint=f"{_REBUILT} {_COMPARE}",
            host=host,
        )
    _check_login(host, settings, identity, accepted)
    return identity, accepted != "compared"


def _check_login(host: str, settings: WinRmSettings, identity: HostIdentity, accepted: bool | Accepted) -> None:
    """Raise ``IdentityRefused`` where a login would show, or prove, a password to a host that nobody has compared."""
    if accepted == "without-password" and settings.auth in ("basic", "ntlm"):
        raise IdentityRefused(
            f"{settings.address} shows another certificate than before, {identity.fingerprint}, and a login by "
            f"{settings.auth} needs a password, which it does not get",
            hint=f"{_REBUILT} {_COMPARE} With 'auth: kerberos' or 'certificate', a reimaged computer is known again.",
            host=host,
        )


def _identity(der: bytes) -> HostIdentity:
    return HostIdentity("tls-certificate", _algorithm(der), certificate_fingerprint(der))


def _algorithm(der: bytes) -> str:
    """Return the kind of the certificate's key, for people."""
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "x509"
    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa-{key.key_size}"
    return f"ecdsa-{key.curve.name}" if isinstance(key, ec.EllipticCurvePublicKey) else "x509"


def _checking(host: str, settings: WinRmSettings) -> ssl.SSLContext:
    """Return a context that checks chain and name."""
    try:
        context = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file is not None else None)
    except OSError as error:
        raise InventoryError(
            f"{settings.ca_file} cannot be used as an authority's certificate: {error.strerror or error}",
            hint="Set 'winrm.ca_file' to a readable PEM file.",
            host=host,
        ) from error
    return _with_own_certificate(context, settings)


def _looking(settings: WinRmSettings) -> ssl.SSLContext:
    """Return a context that lets any certificate be seen; nothing is sent through it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _with_own_certificate(context, settings)


def _with_own_certificate(context: ssl.SSLContext, settings: WinRmSettings) -> ssl.SSLContext:
    if settings.auth == "certificate" and settings.certificate_file is not None:
        context.load_cert_chain(settings.certificate_file, settings.key_file)
    return context


def _certificate(host: str, settings: WinRmSettings, context: ssl.SSLContext) -> bytes:
    """Return the certificate that the host shows, in DER. Raises ``ssl.SSLCertVerificationError``."""
    where = f"{settings.address} port {settings.port}"
    try:
        with (
            socket.create_connection((settings.address, settings.port), settings.connect_timeout) as plain,
            context.wrap_socket(plain, server_hostname=settings.address) as wrapped,
        ):
            return wrapped.getpeercert(binary_form=True) or b""
    except ssl.SSLCertVerificationError:
        raise
    except TimeoutError as error:
        raise Timeout(
            f"{where} does not answer within {settings.connect_timeout:g} s",
            hint="Is the computer on, and in this network? Does a firewall let WinRM through?",
            host=host,
        ) from error
    except ssl.SSLError as error:
        raise Unreachable(
            f"{where} does not speak TLS as expected ({error.reason or error})",
            hint="Is this WinRM's https port? On the computer: winrm enumerate winrm/config/listener",
            host=host,
        ) from error
    except OSError as error:
        raise Unreachable(
            f"nothing answers at {where}: {error.strerror or error}",
            hint="Is the computer on, its name right, and WinRM set up there for https?",
            host=host,
        ) from error
