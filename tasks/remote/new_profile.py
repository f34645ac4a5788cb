"""A Windows profile for somebody who has not signed in yet: what the helper answers to ``make-profile``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from tasks.errors import HelperFailed, ProtocolError
from tasks.remote.frames import decode_path
from tasks.remote.paging import dump
from tasks.remote.session import Session

#: The account is not known to the host (yet), the helper may not, the host cannot.
NoProfile = Literal["no-account", "denied", "unsupported"]
_REASONS: Final = frozenset(get_args(NoProfile))


@dataclass(frozen=True, slots=True)
class NewProfile:
    """A profile on the host, or why there is none: then ``home`` is empty and ``detail`` says more, to a person."""

    home: bytes
    #: It was not there before.
    made: bool = False
    reason: NoProfile | Literal[""] = ""
    detail: str = ""


def make_profile(session: Session, user: str) -> NewProfile:
    """Have the host make somebody's profile, as his first sign-in would, when it has none yet.

    Raises:
        HelperFailed: the helper refused for another reason than those of ``NoProfile``.
    """
    answer = session.request("make-profile", None, dump({"user": user}).encode("ascii"))
    try:
        frames = list(answer)
    except HelperFailed:
        header = answer.last.header if answer.last is not None else {}
        if header.get("code") not in _REASONS:
            raise
        return NewProfile(b"", reason=header["code"], detail=str(header.get("message", "")))
    try:
        (frame,) = frames
        document: dict[str, Any] = json.loads(bytes(frame.payload))
        return NewProfile(decode_path(document["home"]), bool(document["made"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError("the helper did not tell where the profile is") from error
