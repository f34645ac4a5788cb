"""What pywinrm and what lies below it raise, as our own errors: what, which host, why, the cure."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, Literal

import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError
from winrm.exceptions import (
    AuthenticationError,
    WinRMError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)

from tasks.errors import AuthFailed, FirstbellError, HelperFailed, IdentityRefused, Timeout, ToolMissing, Unreachable
from tasks.transports.redact import Redactor
from tasks.transports.winrm_settings import WinRmSettings
from tasks.transports.winrm_wire import InClearError

#: What became of a request: the host answered it with a refusal; its time there ran out; it never came there; it came,
#: but nobody could open it; nobody knows; or trying again would not help.
Outcome = Literal["answered", "late", "unsent", "unread", "unknown", "final"]

#: WSManFault codes of wsmerror.h and winerror.h. InvalidSelectors, and ERROR_OPERATION_ABORTED: the service is ending.
_SHELL_GONE: Final = frozenset({2150858843, 995, 0x800703E3})
#: ERROR_TIMEOUT of what lies below WinRM, when the computer is overloaded.
_LATE: Final = frozenset({1460, 0x800705B4})
_MAX_SHELLS: Final = frozenset({2150859173, 2150859236, 2150859238})
_OTHER_QUOTAS: Final = frozenset(
    {2150858815, 2150859174, 2150859175, 2150859176, 2150859179, 2150859237, *range(2150859239, 2150859243)}
)
_SHELLS_FORBIDDEN: Final = 2150859180
_ACCESS_DENIED: Final = 5


def outcome(error: Exception) -> Outcome:
    """Tell what became of a request that ended with ``error``."""
    if isinstance(error, WinRMOperationTimeoutError):
        return "late"
    if isinstance(error, WSManFaultError):
        return "late" if error.wsman_fault_code in _LATE or error.wmierror_code in _LATE else "answered"
    if isinstance(error, WinRMTransportError):
        # An empty 400: the host could not open the seal, so that nobody has read it.
        if error.code == HTTPStatus.BAD_REQUEST and not error.response_text:
            return "unread"
        # What is overloaded now may not be in a moment.
        return "unknown" if error.code >= HTTPStatus.INTERNAL_SERVER_ERROR else "final"
    if isinstance(error, requests.exceptions.TooManyRedirects) or _is_kerberos(error):
        return "final"
    if isinstance(error, requests.exceptions.SSLError):
        return "final" if _other_certificate(error) else "unknown"
    if isinstance(error, requests.exceptions.ConnectTimeout) or _not_connected(error):
        return "unsent"
    if isinstance(error, requests.exceptions.RequestException):
        return "unknown"
    # The seal of an answer that does not open.
    return "unknown" if type(error).__module__.startswith("spnego.") else "final"


def _is_kerberos(error: Exception) -> bool:
    # Its classes can only be imported where pykerberos is.
    return "kerberos" in type(error).__module__


def _other_certificate(error: BaseException) -> bool:
    return "Fingerprints did not match" in str(error)


def _not_connected(error: BaseException) -> bool:
    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)


class Translator:
    """Turns exceptions into our own for one host."""

    def __init__(self, host: str, settings: WinRmSettings, redactor: Redactor) -> None:
        self._host = host
        self._settings = settings
        self._redactor = redactor

    def translate(self, action: str, error: Exception) -> FirstbellError:
        """Return what to raise for ``error``, which broke off ``action``."""
        if isinstance(error, FirstbellError):
            return error
        if isinstance(error, AuthenticationError | PermissionError):
            return self.refused()
        if isinstance(error, WSManFaultError):
            return self._fault(action, error)
        if isinstance(error, InClearError):
            return IdentityRefused(
                f"{action}: {error}, which a WinRM service never does over http",
                hint="Somebody may stand between. Use https with 'winrm.fingerprint', and look who answers there.",
                host=self._host,
            )
        if isinstance(error, WinRMTransportError):
            return self._http(action, error)
        if _is_kerberos(error):
            return self._kerberos(error)
        if isinstance(error, requests.exceptions.RequestException):
            return self._network(action, error)
        if isinstance(error, WinRMError) and "kerberos" in str(error):
            return ToolMissing(
                "a login by kerberos needs the Python package pykerberos",
                hint="Install it on the worker: pip install 'pywinrm[kerberos]'",
                host=self._host,
            )
        return Unreachable(
            self._text(f"{action}: the host's WinRM service answers what nobody understands: {_words(error)}"),
            hint="Something in between may change the answers; try again.",
            host=self._host,
        )

    def refused(self, offered: str = "") -> AuthFailed:
        """Return what a refused login ends with."""
        settings = self._settings
        way = {"ntlm": "negotiate", "kerberos": "negotiate"}.get(settings.auth, settings.auth)
        if (
            offered
            and settings.auth != "certificate"
            and way not in offered.lower()
            and settings.auth not in offered.lower()
        ):
            kinds = ", ".join(dict.fromkeys(part.split()[0] for part in offered.split(",") if part.strip()))
            return AuthFailed(
                f"the host does not let anybody log in by {settings.auth}, only by {kinds}",
                hint="Set 'winrm.auth' to one of these, or allow this one: winrm get winrm/config/service/auth",
                host=self._host,
            )
        who = settings.user or ("the certificate" if settings.auth == "certificate" else "the ticket's account")
        return AuthFailed(
            f"the host refused the login of {who} ({settings.auth})",
            hint=(
                "Check user and password; there is no second try, so that the account is not locked. The account must "
                "be in Administrators or Remote Management Users; a local administrator also needs the registry value "
                "LocalAccountTokenFilterPolicy = 1."
            ),
            host=self._host,
        )

    def busy(self) -> Timeout:
        """Return what ends waiting for somebody else's login."""
        return Timeout("logging in: the host does not answer in time", host=self._host)

    def changed(self) -> IdentityRefused:
        """Return what keeps a password from a host that is not the known one."""
        return IdentityRefused(
            "the host's certificate is not the known one, and a login by basic would show it the password",
            hint="Set 'winrm.fingerprint' to the new certificate, or use 'winrm.auth: ntlm' or 'kerberos'.",
            host=self._host,
        )

    def gave_up(self, action: str, error: Exception, tries: int, seconds: float) -> FirstbellError:
        """Return what to raise after so many tries within ``seconds``."""
        last = self.translate(action, error)
        if tries == 1 or not last.transient:
            return last
        return type(last)(f"{last.message} (tried again for {seconds:.0f} s)", hint=last.hint, host=self._host)

    def _fault(self, action: str, fault: WSManFaultError) -> FirstbellError:
        code, reason = fault.wsman_fault_code, self._text(" ".join(fault.reason.split()))
        if code in _SHELL_GONE:
            return Unreachable(
                f"{action}: the host has closed our shell, and the program in it has ended",
                hint="The computer or its WinRM service was started anew, or somebody ended the shell: try again.",
                host=self._host,
            )
        if code in _MAX_SHELLS:
            return HelperFailed(
                f"{action}: the host allows no further shell for this account: {reason}",
                hint=(
                    "Shells left over end by themselves after their idle time. To see and end them on the computer: "
                    "Get-WSManInstance shell -Enumerate; restart-service WinRM ends all. The limit: "
                    "winrm/config/winrs MaxShellsPerUser."
                ),
                host=self._host,
            )
        if code in _OTHER_QUOTAS or "QuotaLimit" in (fault.fault_subcode or ""):
            return HelperFailed(
                f"{action}: a quota of the host's WinRM service is used up: {reason}",
                hint="Try again later, or raise the quota on the computer: winrm get winrm/config",
                host=self._host,
            )
        if code == _SHELLS_FORBIDDEN:
            return HelperFailed(
                f"{action}: the host allows no remote shells: {reason}",
                hint='Allow them on the computer: winrm set winrm/config/winrs @{AllowRemoteShellAccess="true"}',
                host=self._host,
            )
        if code == _ACCESS_DENIED:
            return AuthFailed(
                f"{action}: the host lets {self._settings.user or 'this account'} in, but not open a shell: {reason}",
                hint="The account must be in Administrators or Remote Management Users of the computer.",
                host=self._host,
            )
        named = f" (WSManFault {code})" if code is not None else ""
        return HelperFailed(f"{action}: the host refuses: {reason}{named}", host=self._host)

    def _http(self, action: str, error: WinRMTransportError) -> FirstbellError:
        if error.code == HTTPStatus.NOT_FOUND:
            return Unreachable(
                f"{self._settings.endpoint} is not there: another service answers at this port",
                hint="On the computer: winrm enumerate winrm/config/listener",
                host=self._host,
            )
        return Unreachable(
            f"{action}: the host's WinRM service answers with HTTP status {error.code}",
            hint="Is the service overloaded, or something in between? Try again.",
            host=self._host,
        )

    def _kerberos(self, error: Exception) -> FirstbellError:
        if "MutualAuthentication" in type(error).__name__:
            return IdentityRefused(
                f"{self._settings.address} does not prove that it is the computer of that name: {_words(error)}",
                hint="Look who answers there: somebody may stand between.",
                host=self._host,
            )
        return AuthFailed(
            self._text(f"the login by kerberos failed: {_words(error)}"),
            hint=(
                "Does the account that runs firstbell have a ticket (klist)? Else: kinit. Is the address the full name "
                "of the computer, as the domain knows it?"
            ),
            host=self._host,
        )

    def _network(self, action: str, error: requests.exceptions.RequestException) -> FirstbellError:
        where = f"{self._settings.address} port {self._settings.port}"
        if isinstance(error, requests.exceptions.SSLError):
            if _other_certificate(error):
                return IdentityRefused(
                    f"{where} suddenly shows another certificate",
                    hint="Either it was just renewed, then try again, or somebody stands between.",
                    host=self._host,
                )
            return Unreachable(self._text(f"{action}: TLS with {where} failed: {_words(error)}"), host=self._host)
        if isinstance(error, requests.exceptions.TooManyRedirects):
            return IdentityRefused(
                f"{where} sends us on to somebody else, which a WinRM service never does",
                hint="Look who answers there: somebody may stand between.",
                host=self._host,
            )
        if isinstance(error, requests.exceptions.Timeout):
            return Timeout(
                f"{action}: {where} does not answer in time",
                hint="Is the computer on, and in this network? It may be very busy.",
                host=self._host,
            )
        if "BadStatusLine" in repr(error):
            return Unreachable(
                f"{where} does not speak HTTP: another service answers at this port",
                hint="On the computer: winrm enumerate winrm/config/listener",
                host=self._host,
            )
        if _not_connected(error):
            return Unreachable(
                self._text(f"nothing answers at {where}: {_words(error)}"),
                hint="Is the computer on, and WinRM set up there (winrm quickconfig)? Does a firewall let it through?",
                host=self._host,
            )
        return Unreachable(
            self._text(f"{action}: the connection to {where} was cut: {_words(error)}"),
            hint="The computer may have been switched off or lost its network: try again.",
            host=self._host,
        )

    def _text(self, text: str) -> str:
        return self._redactor.text(text)


def _words(error: BaseException) -> str:
    """Return the innermost reason of an error in a few words."""
    while True:
        inner = getattr(error, "reason", None) or (error.args[-1] if error.args else None)
        if not isinstance(inner, BaseException):
            break
        error = inner
    text = " ".join(str(error).split()) or type(error).__name__
    return text.rpartition(": ")[2] if isinstance(error, NewConnectionError) else text[:300]
