"""What the stock restic client says when it fails, as our errors, with the cure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from tasks.errors import (
    BackendError,
    Damaged,
    Denied,
    FirstbellError,
    Locked,
    NoRepository,
    RepositoryError,
    StoreUnavailable,
    WrongPassword,
)
from tasks.repository.restic_process import Finished

#: Exit codes since restic 0.17; before, each failure is 1 and the text decides.
_CODES: Final[Mapping[int, type[FirstbellError]]] = {10: NoRepository, 11: Locked, 12: WrongPassword}
#: What restic 0.14 to 0.18 write to standard error. The first that is found decides: a check that lost its connection
#: also says that the repository contains errors.
_TEXTS: Final[Sequence[tuple[type[FirstbellError], str]]] = (
    (WrongPassword, r"wrong password or no key found"),
    (Locked, r"repository is already locked|unable to create lock"),
    (StoreUnavailable, r"connection (refused|reset)|no such host|i/o timeout|tls handshake|503 service|slow ?down"),
    (BackendError, r"x509: |http response to https client"),
    (Denied, r"access ?denied|signature we calculated|access key id|invalidaccesskeyid|403 forbidden"),
    (Denied, r"permission denied"),
    (NoRepository, r"is there a repository at the following|repository does not exist|specified bucket does not"),
    (Damaged, r"contains errors|were damaged|ciphertext verification failed"),
)
_HINTS: Final[Mapping[type[FirstbellError], str]] = {
    NoRepository: "Check the location; 'firstbell init' makes a repository.",
    Locked: "Wait for the other run to end. A lock that a dead run left is removed by 'restic unlock'.",
    WrongPassword: "Check the password that the configuration refers to.",
    Denied: "Check the credentials of the repository's store, and what they allow.",
    Damaged: "Stop forgetting snapshots, keep a copy of the repository, and follow restic's guide to repair it.",
    BackendError: "Check http or https in the address, and give the authority's certificates (s3.ca_bundle).",
    StoreUnavailable: "Check that the store runs and can be reached, then try again.",
}


def failure(what: str, finished: Finished) -> FirstbellError:
    """Return the error to raise for a command that did not end with 0; ``what`` names location and command."""
    said = "\n".join(finished.errors)
    kind = _CODES.get(finished.code)
    if kind is None:
        kind = next((kind for kind, text in _TEXTS if re.search(text, said, re.IGNORECASE)), RepositoryError)
    # The last lines say most; a check of a much damaged repository writes thousands.
    shown = "\n".join(finished.errors[-10:]) or "it gave no reason"
    return kind(f"{what} failed with exit code {finished.code}: {shown}", hint=_HINTS.get(kind, ""))
