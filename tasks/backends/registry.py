"""From the text of a location to an open backend. Each kind is one line here, imported when it is used."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast

from tasks.errors import ConfigError

if TYPE_CHECKING:
    from tasks.backends.base import Backend
    from tasks.backends.s3_options import S3Options
    from tasks.backends.shared import SharedBackends

#: scheme of a location -> "module:function" that opens it.
BACKENDS: Final = {
    "local": "tasks.backends.local:open_location",
    "memory": "tasks.backends.memory:open_location",
    "s3": "tasks.backends.s3:open_location",
}

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)


class Opener(Protocol):
    """What stands behind a line of ``BACKENDS``; ``rest`` is the location without its scheme."""

    def __call__(self, rest: str, options: S3Options | None, connections: int) -> Backend:
        """Return the backend, without retries."""
        ...


def open_backend(
    location: str, options: S3Options | None = None, *, connections: int = 8, shared: SharedBackends | None = None
) -> Backend:
    """Return the backend for a location, already wrapped in retries.

    A location is ``/dir`` or ``local:/dir``, ``s3://bucket/prefix``, restic's ``s3:http://host:port/bucket/prefix``,
    or ``memory:name``. ``connections`` is how many threads may transfer at the same time; who gives
    the same ``shared`` shares them. Nothing is created yet: ``Backend.ensure_location`` does that.

    Raises:
        ConfigError: the text is no location that firstbell knows.
    """
    from tasks.backends.retry import RetryBackend

    scheme, rest = split_location(location)
    module, _, function = BACKENDS[scheme].partition(":")
    opener = cast("Opener", getattr(import_module(module), function))
    if shared is None:
        return RetryBackend(opener(rest, options, connections))
    return RetryBackend(shared.open(location, lambda: opener(rest, options, connections)))


def split_location(location: str) -> tuple[str, str]:
    """Return (scheme, rest) of a location; a text without a scheme is a directory."""
    found = _SCHEME.fullmatch(location)
    if not location.strip() or (found and found[1].lower() not in BACKENDS):
        # The text itself stays out of the message: in other tools' spellings a location may carry a password.
        kind = f"'{found[1]}:' is" if found else "an empty text is"
        raise ConfigError(
            f"{kind} not a kind of location that firstbell knows",
            hint="Use a directory, 's3://bucket/prefix' or 's3:http://host:port/bucket/prefix'.",
        )
    return (found[1].lower(), found[2]) if found else ("local", location)
