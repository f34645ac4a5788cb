"""WinRM: programs on a Windows host in one shell of its WinRM service, over https or, sealed, over http."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from tasks.errors import InventoryError, Unreachable
from tasks.transports.base import AcceptIdentity, HostIdentity, Transport, refuse_unknown
from tasks.transports.redact import Redactor
from tasks.transports.winrm_command import command_line
from tasks.transports.winrm_errors import Translator
from tasks.transports.winrm_identity import check_identity
from tasks.transports.winrm_link import Gate, Link, UnknownOutcomeError
from tasks.transports.winrm_settings import WinRmSettings
from tasks.transports.winrm_stream import WinRmStream

__all__ = ["WinRmSettings", "WinRmStream", "WinRmTransport"]

#: UTF-8, for what cmd.exe itself says.
_CODE_PAGE: Final = 65001
#: How often a program is started at most, each time in another shell.
_STARTS: Final = 8


class WinRmTransport(Transport):
    """A shell on a Windows host.

    Over https the host is known by its certificate. Over http it shows nothing to know it by: its answers are sealed
    with a key that only who knows the account's password (NTLM) or is the computer of that name (Kerberos) can have,
    and ``identity`` says no more than that (``mutual-login``).
    """

    platform = "windows"
    reliable: ClassVar[bool] = WinRmStream.reliable

    def __init__(self, host: str, settings: WinRmSettings) -> None:
        self.host = host
        self.settings = settings
        self.redactor = Redactor(settings.secrets())
        self._translator = Translator(host, settings, self.redactor)
        self._gate = Gate()
        self._pin: str | None = None
        self._identity: HostIdentity | None = None
        self._sender: Link | None = None
        self._shell_id = ""
        #: Shells in which a program may run that nobody wants.
        self._given_up: list[str] = []
        self._streams: list[WinRmStream] = []

    def __repr__(self) -> str:
        return f"WinRmTransport({self.host!r}, {self.settings.address!r}, port={self.settings.port})"

    def open(self, accept_identity: AcceptIdentity = refuse_unknown) -> None:
        """Connect, check the host's certificate, log in, open the shell.

        ``accept_identity`` is asked when the certificate is not trusted, or not the known one. A password is never sent
        to a host whose certificate has changed: ``basic`` would show it, ``ntlm`` only proves it. Raises also
        ``InventoryError`` when the settings would send something readable, and ``HelperFailed`` beyond a quota.
        """
        if self._sender is not None:
            return
        settings = self.settings
        settings.check(self.host)
        identity, changed = check_identity(self.host, settings, accept_identity)
        if changed and settings.auth == "basic":
            raise self._translator.changed()
        self._pin = identity.fingerprint or None
        sender = self._link()
        try:
            self._shell_id = self._open_first_shell(sender)
        except BaseException:
            sender.close()
            raise
        self._sender, self._identity = sender, identity

    def _open_first_shell(self, link: Link) -> str:
        """Open a shell: at once or never on a host that is not there, with patience on one that let us in."""
        try:
            return self._open_shell(link, patience=0.0)
        except Unreachable:
            if not link.reached:
                raise
        return self._open_shell(link)

    def _link(self) -> Link:
        return Link(self.host, self.settings, self._translator, self._gate, self._pin)

    def _open_shell(self, link: Link, patience: float | None = None) -> str:
        duration = f"PT{self.settings.shell_idle_timeout}S"
        return link.call(
            "opening a shell",
            lambda protocol: protocol.open_shell(codepage=_CODE_PAGE, noprofile=False, idle_timeout=duration),
            patience=patience,
        )

    def start(self, argv: Sequence[str]) -> WinRmStream:
        """Start a program through cmd.exe, which gets each argument quoted.

        Raises ``HelperFailed`` for what no command line can hold, more than 8,191 characters or a line break.
        """
        line = command_line(argv, self.host)
        sender = self._open_link()
        command_id = self._run(sender, line)
        self._close_given_up(sender, again=True)
        stream = WinRmStream(self.host, self.settings, sender, self._link(), self._shell_id, command_id, self.redactor)
        self._streams.append(stream)
        return stream

    def _run(self, sender: Link, line: str) -> str:
        """Start a program once. It may run already when the connection was cut: then its shell ends, and with it that.

        So the program is started in another shell, as long as nothing else runs in the one that is given up.
        """
        for number in range(_STARTS - 1):
            try:
                return self._run_once(sender, line)
            except UnknownOutcomeError as cut:
                if any(not stream.ended for stream in self._streams):
                    raise self._translator.translate("starting a program", _cause(cut)) from cut
            self._given_up.append(self._shell_id)
            self._shell_id = self._open_shell(sender)
            if number % 2 == 0:
                # Not each time: what cuts every so many-th request would meet the same one again and again.
                self._close_given_up(sender, again=False)
        try:
            return self._run_once(sender, line)
        except UnknownOutcomeError as cut:
            raise self._translator.translate("starting a program", _cause(cut)) from cut

    def _run_once(self, sender: Link, line: str) -> str:
        return sender.call(
            "starting a program",
            lambda protocol: protocol.run_command(self._shell_id, line, console_mode_stdin=False),
            again=False,
        )

    def _close_given_up(self, sender: Link, *, again: bool) -> None:
        """Close the shells that were given up; what remains is tried later, and ends by itself at last."""
        self._given_up = [one for one in self._given_up if not self._close_shell(sender, one, again=again)]

    def _close_shell(self, sender: Link, shell_id: str, *, again: bool = True) -> bool:
        return sender.say_goodbye(
            "closing a shell", lambda protocol: protocol.close_shell(shell_id, close_session=False), again=again
        )

    def _open_link(self) -> Link:
        if self._sender is None:
            raise Unreachable("the WinRM connection is not open", host=self.host)
        return self._sender

    def identity(self) -> HostIdentity:
        """Return the certificate that the host showed, or that it knows the account (http)."""
        if self._identity is None:
            raise Unreachable("the WinRM connection is not open", host=self.host)
        return self._identity

    def close(self) -> None:
        """End what was started, close the shell, and disconnect. Quick when the host is gone."""
        while self._streams:
            self._streams.pop().close()
        sender, self._sender, self._identity = self._sender, None, None
        if sender is None:
            return
        self._close_shell(sender, self._shell_id)
        self._close_given_up(sender, again=True)
        sender.close()


def _cause(error: UnknownOutcomeError) -> Exception:
    return error.__cause__ if isinstance(error.__cause__, Exception) else error


def make(host: str, settings: object) -> WinRmTransport:
    """Return the transport for ``registry``. Raises ``InventoryError`` without settings that can work."""
    if not isinstance(settings, WinRmSettings):
        raise InventoryError("no address is set", hint="Set 'address' for this host in the inventory.", host=host)
    settings.check(host)
    return WinRmTransport(host, settings)
