"""The control link to a host.

A transport starts programs on the host and gives their standard streams; it does not move files by itself. One
instance serves one host and one thread; its streams may be read and written from two threads (one each).
Every blocking call has a deadline and raises ``tasks.errors.Timeout`` when it passes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class HostIdentity:
    """How a host proved who it is.

    ``kind`` is ``ssh-host-key``, ``tls-certificate``, ``mutual-login`` (it showed no key, but knows the account that we
    logged in with: WinRM over http) or ``local``; ``fingerprint`` is OpenSSH's ``SHA256:<base64 without padding>``
    form, empty where there is no key.
    """

    kind: Literal["ssh-host-key", "tls-certificate", "mutual-login", "local"]
    algorithm: str
    fingerprint: str


#: How an identity is accepted: ``compared`` by a person, as good as one that is known; or ``without-password``, when
#: nothing may be sent that is a password, or proves one.
Accepted = Literal["compared", "without-password"]
#: Asked when the transport does not know the host by itself; what is true accepts it for this connection. With True
#: itself, a password is sent to one that was not known at all, and not to one that is known by another identity.
AcceptIdentity = Callable[[HostIdentity], bool | Accepted]


def refuse_unknown(identity: HostIdentity) -> bool:
    """Accept nobody that is not known already: the default."""
    return False


class Stream(ABC):
    """Standard input, output and error of one program on the host, binary-safe, with back-pressure."""

    #: False where a cut connection is made anew although pieces of input or output may be lost by that, or come twice.
    reliable: ClassVar[bool] = True
    #: Of such a stream: up to so many bytes of one ``write`` arrive together. All may come twice, but none is lost.
    unbroken: ClassVar[int] = 0
    #: Called each time when that may have happened, on any thread: it must not wait, nor use the stream.
    on_recovered: Callable[[], None] | None = None

    @property
    def depth(self) -> int:
        """How many bytes of output should be on their way, or the link stands idle; 0 where a few MiB do."""
        return 0

    @abstractmethod
    def write(self, data: Buffer) -> None:
        """Write all of ``data`` to the program's standard input.

        Raises ``Timeout`` when nothing could be written for the idle deadline, ``HelperFailed`` when the program closed
        its input, ``Unreachable`` when the connection is gone.
        """

    @abstractmethod
    def read(self, limit: int) -> bytes:
        """Return 1 to ``limit`` bytes of standard output, or ``b""`` at its end.

        Raises ``Timeout`` after the idle deadline, ``Unreachable`` when the connection is gone.
        """

    @abstractmethod
    def finish_input(self) -> None:
        """Close the program's standard input: it sees the end of it."""

    @abstractmethod
    def wait(self, timeout: float) -> int:
        """Wait until the program has ended and return its exit code, 128 + n for signal n. Raises ``Timeout``."""

    @abstractmethod
    def error_text(self) -> str:
        """Return the last 64 KiB of standard error so far, as text, secrets redacted."""

    @abstractmethod
    def close(self) -> None:
        """End the program if it still runs, and give up the stream. Never raises; may be called twice."""


class Transport(ABC):
    """A control link to one host; the module text states what holds for all of them."""

    #: The name of the host in the inventory, for messages.
    host: str
    #: ``windows`` where the link itself shows, once it is open, that the host is one; else empty.
    platform: str = ""
    #: That of its streams.
    reliable: ClassVar[bool] = True

    @abstractmethod
    def open(self, accept_identity: AcceptIdentity = refuse_unknown) -> None:
        """Connect, check the host's identity, log in.

        Raises:
            Unreachable: nothing answered.
            IdentityRefused: the host is not the one we know, and ``accept_identity`` did not accept it.
            AuthFailed: the credential was refused.
            Timeout: a deadline passed.
        """

    @abstractmethod
    def start(self, argv: Sequence[str]) -> Stream:
        """Start a program; arguments arrive as given, whatever shell the host has in between."""

    @abstractmethod
    def identity(self) -> HostIdentity:
        """Return how the host identified itself in ``open``."""

    @abstractmethod
    def close(self) -> None:
        """End what ``start`` started and disconnect. Never raises; may be called twice."""
