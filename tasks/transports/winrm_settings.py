"""How to reach a host over WinRM and who to be there: a value, resolved before it comes here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from tasks.errors import InventoryError
from tasks.transports.ssh_settings import Secret
from tasks.transports.winrm_fingerprint import normal_fingerprint

Scheme = Literal["https", "http"]
Auth = Literal["ntlm", "kerberos", "certificate", "basic"]

#: The logins that seal each message by themselves; the others would send it in clear over http.
SEALING: Final = frozenset({"ntlm", "kerberos"})
#: What Windows lets an operation take at most before it answers (MaxTimeoutms 60000), less a margin, in seconds.
_LONGEST_OPERATION: Final = 55


@dataclass(frozen=True, slots=True)
class WinRmSettings:
    """Where a host is and how to log in. Deadlines in seconds.

    Over https the host must show the certificate with ``fingerprint`` (SHA-256; ``SHA256:`` and base64, or
    hexadecimal), whoever signed it; without one, a certificate signed by ``ca_file`` or, without that too, by an
    authority that the worker's system trusts. Over http only ``ntlm`` and ``kerberos`` are possible, which seal each
    message. ``kerberos`` uses the ticket of the account that runs firstbell, never the password.
    """

    address: str
    port: int = 5986
    scheme: Scheme = "https"
    auth: Auth = "ntlm"
    #: The account on the host: ``a.ito``, ``SCHOOL\\a.ito`` or ``a.ito@school.example``.
    user: str | None = None
    password: Secret | None = field(default=None, repr=False)
    ca_file: Path | None = None
    fingerprint: str | None = None
    #: Client certificate and its key as PEM files, for ``certificate``.
    certificate_file: Path | None = None
    key_file: Path | None = None
    #: Until the host takes a connection.
    connect_timeout: float = 15.0
    #: How long the host may keep an operation before it says that nothing has happened; whole seconds.
    operation_timeout: int = 20
    #: How much longer an answer may take on its way.
    answer_timeout: float = 10.0
    #: How long a stream may stand still while we wait for it.
    idle_timeout: float = 120.0
    #: For how long a cut connection is made anew, again and again.
    recovery_timeout: float = 60.0
    #: How long a program may take to end by itself after its input has ended; it tidies up meanwhile.
    close_grace: float = 2.0
    #: After how long the host ends a shell that nobody uses; at least 60. One whose opening was carried out and never
    #: answered has no name that we know: this ends it. Longer than the helper bears our silence, 180 s.
    shell_idle_timeout: int = 240

    def secrets(self) -> tuple[str, ...]:
        """Return the secrets in these settings, for a ``Redactor``."""
        return () if self.password is None else (self.password.get_secret_value(),)

    @property
    def endpoint(self) -> str:
        """The URL of the host's WinRM service."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.scheme}://{address}:{self.port}/wsman"

    def check(self, host: str) -> None:
        """Look whether these settings can work at all, and refuse what would send something readable.

        Raises ``InventoryError``.
        """
        if self.scheme == "http" and self.auth not in SEALING:
            raise InventoryError(
                f"a login by {self.auth} over http would send everything readable, so nothing was sent",
                hint="Use 'scheme: https', or 'auth: ntlm' or 'kerberos', which seal each message.",
                host=host,
            )
        if self.auth in ("ntlm", "basic") and (not self.user or self.password is None):
            raise InventoryError(
                f"a login by {self.auth} needs a user and a password",
                hint="Set 'user' and 'winrm.password' for this host in the inventory.",
                host=host,
            )
        if self.auth == "certificate":
            self._check_files(host)
        if not 1 <= self.operation_timeout <= _LONGEST_OPERATION:
            raise InventoryError(
                f"an operation timeout of {self.operation_timeout} s is not possible",
                hint=f"Use a whole number from 1 to {_LONGEST_OPERATION}.",
                host=host,
            )
        if self.fingerprint is not None:
            normal_fingerprint(self.fingerprint, host)

    def _check_files(self, host: str) -> None:
        for what, file in (("certificate_file", self.certificate_file), ("key_file", self.key_file)):
            if file is None or not file.is_file():
                where = "is not set" if file is None else f"is not a file on this computer: {file}"
                raise InventoryError(
                    f"a login by certificate needs a certificate and its key, and '{what}' {where}",
                    hint="Set 'winrm.certificate_file' and 'winrm.key_file' to PEM files on the worker.",
                    host=host,
                )
