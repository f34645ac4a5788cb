"""Every error that firstbell raises on purpose.

::

    FirstbellError                       configs/errors.py
    ├── ConfigError                      configs/errors.py
    ├── InventoryError                   configs/errors.py
    ├── TransportError                   the control link to a host
    │   ├── Unreachable                  transient: no answer, refused, name unknown
    │   ├── AuthFailed                   never retried: a blind retry locks accounts
    │   ├── IdentityRefused              the host is not the one we know
    │   ├── HelperFailed                 the helper did not start, or broke off
    │   ├── ProtocolError                a frame that the contract forbids
    │   └── Timeout                      transient: a deadline passed
    ├── BackendError                     the store of repository files
    │   ├── NotFound
    │   ├── Denied
    │   └── StoreUnavailable             transient: overloaded, unreachable, cut off
    ├── RepositoryError
    │   ├── NoRepository                 exit 10
    │   ├── Locked                       exit 11, transient
    │   ├── WrongPassword                exit 12
    │   ├── Damaged
    │   └── SettingsUnreadable           settings/document.py: a document that is damaged or newer
    ├── ActionFailed                     what was to wipe a computer did not begin
    │   └── ActionUnknown                it may have begun: look at the computer
    ├── RestoreRefused                   a plan that may not be applied
    ├── NobodyThere                      none of the people to be saved has files there
    ├── AnswerRefused                    a code, or what was decided with it, does not count
    ├── GateHold                         exit 20: the computer may not be wiped
    ├── ClearanceInvalid                 exit 20: not a clearance for this computer now
    ├── TakenOver                        transient: another worker goes on with this
    ├── MailError                        the mail server cannot be used: login, certificate, sender
    │   ├── MailUnavailable              transient: no answer, overloaded, cut off
    │   │   └── MailUncertain            transient: cut off at the end; the letter may have been taken
    │   └── RecipientRefused             this address takes no letter
    └── ToolMissing                      a program that this verb drives is not installed
"""

from __future__ import annotations

from typing import ClassVar

from configs.errors import ConfigError, FirstbellError, InventoryError

__all__ = [
    "ActionFailed",
    "ActionUnknown",
    "AnswerRefused",
    "AuthFailed",
    "BackendError",
    "ClearanceInvalid",
    "ConfigError",
    "Damaged",
    "Denied",
    "FirstbellError",
    "GateHold",
    "HelperFailed",
    "IdentityRefused",
    "InventoryError",
    "Locked",
    "MailError",
    "MailUnavailable",
    "MailUncertain",
    "NoRepository",
    "NobodyThere",
    "NotFound",
    "ProtocolError",
    "RecipientRefused",
    "RepositoryError",
    "RestoreRefused",
    "StoreUnavailable",
    "TakenOver",
    "Timeout",
    "ToolMissing",
    "TransportError",
    "Unreachable",
    "WrongPassword",
]


class TransportError(FirstbellError):
    """The link to a host failed."""


class Unreachable(TransportError):
    """Nothing answered: connection refused, no route, unknown name, or the connection was cut."""

    transient: ClassVar[bool] = True


class AuthFailed(TransportError):
    """The host refused the credential. Never retried: a blind retry locks the account."""


class IdentityRefused(TransportError):
    """The host's key, certificate or serial is not the one we know."""


class HelperFailed(TransportError):
    """The helper could not be started on the host, or ended before its work was done."""


class ProtocolError(TransportError):
    """A frame arrived that tasks/remote/PROTOCOL.md does not allow here."""


class Timeout(TransportError):
    """A deadline passed without an answer."""

    transient: ClassVar[bool] = True


class BackendError(FirstbellError):
    """The store of repository files refused or failed."""


class NotFound(BackendError):
    """No file of that name is stored."""


class Denied(BackendError):
    """The store refused the credential or the permission."""


class StoreUnavailable(BackendError):
    """The store did not answer, was overloaded, or broke off; the same call may succeed later."""

    transient: ClassVar[bool] = True


class RepositoryError(FirstbellError):
    """The repository cannot be used."""


class NoRepository(RepositoryError):
    """There is no repository at that location."""

    exit_code: ClassVar[int] = 10


class Locked(RepositoryError):
    """Somebody else holds a lock that excludes us."""

    transient: ClassVar[bool] = True
    exit_code: ClassVar[int] = 11


class WrongPassword(RepositoryError):
    """No key of the repository opens with this password."""

    exit_code: ClassVar[int] = 12


class Damaged(RepositoryError):
    """Stored data does not have the content that its name or its MAC promises."""


class ActionFailed(FirstbellError):
    """What was to wipe a computer was not started: it is as it was, and may be started again."""


class ActionUnknown(ActionFailed):
    """It was started, or may have been, and nobody knows how it ended. Never started again by itself."""


class RestoreRefused(FirstbellError):
    """The restore was not begun: applying it could destroy something, or the request is not clear."""


class NobodyThere(FirstbellError):
    """None of the people whose files are to be saved has any on the computer."""


class AnswerRefused(FirstbellError):
    """A code, or what was decided with it, does not count; nothing was decided. The code stays good if it was."""


class ToolMissing(FirstbellError):
    """A program that firstbell drives is not installed on this worker."""


class GateHold(FirstbellError):
    """The computer may not be wiped; the message says why."""

    exit_code: ClassVar[int] = 20


class ClearanceInvalid(FirstbellError):
    """What was shown is no clearance to wipe this computer now: forged, expired, of another one, not to be read."""

    exit_code: ClassVar[int] = 20


class MailError(FirstbellError):
    """A letter could not be handed to the mail server."""


class MailUnavailable(MailError):
    """The mail server did not answer, was overloaded, or broke off; the letter may pass later."""

    transient: ClassVar[bool] = True


class MailUncertain(MailUnavailable):
    """The connection broke after the letter was handed over: the mail server may have taken it."""


class RecipientRefused(MailError):
    """The address is none, or the mail server does not take letters for it."""


class TakenOver(FirstbellError):
    """Another worker goes on with this work, or may do so: this one stops, and changes nothing more."""

    transient: ClassVar[bool] = True
