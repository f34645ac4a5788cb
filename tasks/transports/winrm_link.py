"""One logged-in connection to a WinRM service, made anew when it was cut; for one thread at a time."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from winrm.exceptions import AuthenticationError, WSManFaultError
from winrm.protocol import Protocol

from tasks.errors import AuthFailed, Timeout, Unreachable
from tasks.transports.winrm_errors import Translator, outcome
from tasks.transports.winrm_settings import WinRmSettings
from tasks.transports.winrm_wire import Session, make_protocol

T = TypeVar("T")

#: How often a request is tried again at most; how often when the host cannot open the seal, which time does not heal.
_TRIES: Final = 20
_TRIES_SEAL: Final = 4
#: The first and the longest pause between two tries, in seconds.
_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 5.0
#: Deadlines of a goodbye, in seconds: for connecting, for the operation, and for its answer beyond that.
_GOODBYE: Final = (2.0, 1, 1.5)


def _nobody_asks() -> None:
    """Do nothing."""


def _never() -> bool:
    return False


class NothingYetError(Timeout):
    """The operation's time ran out on the host: nothing came, or what was sent may still be on its way."""


class UnknownOutcomeError(Exception):
    """The connection was cut, and nobody knows whether the request was carried out. ``__cause__`` says how."""


class Gate:
    """Lets the links to one host log in one after the other, and none after a refusal: accounts get locked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refused: AuthFailed | None = None

    def check(self) -> None:
        """Raise ``AuthFailed`` when a link was refused before."""
        if self._refused is not None:
            raise AuthFailed(self._refused.message, hint=self._refused.hint, host=self._refused.host)

    def refuse(self, refusal: AuthFailed) -> AuthFailed:
        """Let nobody log in any more."""
        self._refused = refusal
        return refusal

    def pass_through(self, session: Session, translator: Translator, timeout: float) -> None:
        """Log in. Raises ``AuthFailed``, ``Timeout`` while somebody else takes longer, and whatever pywinrm raises."""
        if not self._lock.acquire(timeout=timeout):
            raise translator.busy()
        try:
            self.check()
            session.log_in()
        except (AuthenticationError, PermissionError) as error:
            raise self.refuse(translator.refused(session.offered)) from error
        finally:
            self._lock.release()


@dataclass(slots=True)
class _Order:
    """How a request is to be carried out; ``Link.call`` has the meanings. Times in seconds."""

    action: str
    times: tuple[float, float]
    operation: int
    patience: float
    again: bool = True
    recovered: Callable[[], None] = _nobody_asks
    cancelled: Callable[[], bool] = _never
    #: How often the host could not open the seal.
    unread: int = 0


class Link:
    """Carries requests out, one at a time. ``interrupt`` and ``abort`` may come from any thread."""

    def __init__(self, host: str, settings: WinRmSettings, translator: Translator, gate: Gate, pin: str | None) -> None:
        self._host = host
        self._settings = settings
        self._translator = translator
        self._gate = gate
        self._protocol, self._session = make_protocol(settings, pin)
        self._turn = threading.Lock()
        self._wake = threading.Event()
        self._aborted = False
        #: The last request found nobody.
        self.dead = False
        #: The host has let us in once.
        self.reached = False

    def call(
        self,
        action: str,
        request: Callable[[Protocol], T],
        *,
        operation: int | None = None,
        patience: float | None = None,
        again: bool = True,
        recovered: Callable[[], None] = _nobody_asks,
        cancelled: Callable[[], bool] = _never,
    ) -> T:
        """Carry out ``request`` and return what it returns.

        ``operation`` is the time that the host has for it, ``patience`` how long a cut connection is made anew, both in
        seconds; ``recovered`` is told of each such time, and ``cancelled`` asked whether to go on. Without ``again``,
        what may have been carried out already is not repeated.

        Raises:
            NothingYetError: the host's time ran out.
            UnknownOutcomeError: without ``again``, after a cut.
            FirstbellError: whatever ``Translator`` makes of it.
        """
        settings = self._settings
        operation = settings.operation_timeout if operation is None else operation
        order = _Order(
            action,
            times=(settings.connect_timeout, operation + settings.answer_timeout),
            operation=operation,
            patience=settings.recovery_timeout if patience is None else patience,
            again=again,
            recovered=recovered,
            cancelled=cancelled,
        )
        with self._turn:
            return self._carry_out(order, request)

    def say_goodbye(self, action: str, request: Callable[[Protocol], object], *, again: bool = True) -> bool:
        """Carry out a request that only tidies up: quickly or not at all, and a failure is no matter.

        Without ``again`` it is tried once. Return whether it was carried out, or refused.
        """
        connect, operation, answer = _GOODBYE
        if self.dead or not self._turn.acquire(timeout=connect):
            return False
        try:
            order = _Order(
                action, times=(connect, operation + answer), operation=operation, patience=connect, again=again
            )
            self._carry_out(order, request)
        # Whatever it is, there is nothing left to do about it: the host ends an unused shell by itself.
        except Exception as error:  # noqa: BLE001
            return isinstance(error.__cause__, WSManFaultError)
        finally:
            self._turn.release()
        return True

    def _carry_out(self, order: _Order, request: Callable[[Protocol], T]) -> T:
        begun, pause = time.monotonic(), _PAUSE
        for attempt in itertools.count(1):
            self._wake.clear()
            self._check(order)
            sent = False
            try:
                self._get_ready(order)
                # Who ended it while there was no connection yet could not cut that.
                self._check(order)
                if attempt > 1:
                    order.recovered()
                sent = True
                result = request(self._protocol)
            # pywinrm lets through whatever is raised below it: requests, spnego, ElementTree, even KeyError.
            except Exception as error:
                self._accept(order, error, sent=sent)
                waited = time.monotonic() - begun
                if attempt == _TRIES or order.unread > _TRIES_SEAL or waited + pause > order.patience:
                    self.dead = True
                    raise self._translator.gave_up(order.action, error, attempt, waited) from error
                self._wake.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                self.dead = False
                return result
        raise AssertionError("unreachable")

    def _check(self, order: _Order) -> None:
        if self._aborted or order.cancelled():
            raise Unreachable("the connection was closed", host=self._host)

    def _get_ready(self, order: _Order) -> None:
        """Log in, if that is not done."""
        self._session.read_timeout_sec = order.times
        self._protocol.operation_timeout_sec = order.operation
        self._gate.check()
        if self._session.session is None:
            self._gate.pass_through(self._session, self._translator, sum(order.times))
        self.reached = True

    def _accept(self, order: _Order, error: Exception, *, sent: bool) -> None:
        """Take a failure as one after which the request may be tried again, else raise what it is."""
        became = outcome(error)
        if became == "late":
            self.dead = False
            raise NothingYetError(
                f"{order.action}: the host was not done within {order.operation} s",
                hint="The computer may be very busy: try again.",
                host=self._host,
            ) from None
        if became == "answered":
            raise self._translator.translate(order.action, error) from error
        # What has one connection makes no second: nothing was tried, so that the host may well be there.
        untried = self._session.settled
        self._session.close_session()
        if isinstance(error, AuthenticationError):
            raise self._gate.refuse(self._translator.refused(self._session.offered)) from error
        self._check(order)
        if sent and became == "unknown" and not order.again:
            raise UnknownOutcomeError from error
        self.dead = became == "final" or (became == "unsent" and not untried)
        order.unread += became == "unread"
        if became == "final":
            raise self._translator.translate(order.action, error) from error

    def interrupt(self) -> None:
        """End the request that is under way; ``cancelled`` is asked whether it goes on."""
        self._wake.set()
        self._session.abort()

    def abort(self) -> None:
        """End whatever is under way; the link cannot be used any more."""
        self._aborted = True
        self.interrupt()

    def close(self) -> None:
        """Disconnect, once nothing is under way."""
        self.abort()
        if self._turn.acquire(timeout=_GOODBYE[0]):
            try:
                self._session.close_session()
            finally:
                self._turn.release()
