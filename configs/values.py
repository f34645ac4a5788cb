"""Values that people write in a file: sizes, durations, references to secrets, patterns with placeholders.

Each has one spelling that is stored and several that are understood. The messages are complete sentences for the
person who wrote the file; a message about a secret never repeats it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, StringConstraints, WithJsonSchema

from configs.duration import Duration

#: Powers of 1024 for the IEC names and the bare letters (as restic reads them), of 1000 for the SI names.
_UNITS = {
    "": 1, "b": 1, "byte": 1, "bytes": 1,
    "k": 2**10, "kib": 2**10, "kb": 10**3,
    "m": 2**20, "mib": 2**20, "mb": 10**6,
    "g": 2**30, "gib": 2**30, "gb": 10**9,
    "t": 2**40, "tib": 2**40, "tb": 10**12,
}  # fmt: skip
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)\s*([a-z]*)", re.ASCII | re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_REFERENCE = re.compile(
    r"env:[A-Za-z_{][A-Za-z0-9_{}.-]*|file:(?:/|~/|\{)[^\0\n]*|block:[a-z0-9-]+/[A-Za-z0-9_.{}-]+", re.ASCII
)
#: What needs no quotes among the items of a YAML list.
_PLAIN = re.compile(r"[A-Za-z0-9/._~][^,:#\[\]{}\"']*")
#: What a site, a group or a host may be called: it becomes part of a path, a bucket name and a tag.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


def parse_size(value: object) -> object:
    """Return bytes for ``2 GiB``, ``500MB`` or a plain number; anything that is no text is passed on.

    Raises:
        ValueError: the text is no size.
    """
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    factor = _UNITS.get(match[2].lower()) if match else None
    if match is None or factor is None:
        msg = f"'{value}' is not a size; write for example '2 GiB', '500 MiB' or a number of bytes"
        raise ValueError(msg)
    return int(float(match[1]) * factor) if "." in match[1] else int(match[1]) * factor


def parse_duration(value: object) -> Duration:
    """Return the duration that ``36h`` or ``14d`` spells; see ``Duration``.

    Raises:
        ValueError: the text is no duration.
    """
    if isinstance(value, Duration):
        return value
    if isinstance(value, str):
        return Duration.parse(value)
    msg = "a duration is written with its unit, for example '36h' or '14d'"
    raise ValueError(msg)


def placeholders(pattern: str) -> tuple[str, ...]:
    """Return the names in braces, in the order they stand."""
    return tuple(_PLACEHOLDER.findall(pattern))


def expand(pattern: str, values: Mapping[str, str]) -> str:
    """Return the pattern with each ``{name}`` replaced.

    Raises:
        KeyError: a placeholder has no value; the key is its name.
    """
    return _PLACEHOLDER.sub(lambda match: values[match[1]], pattern)


def check_reference(value: str) -> str:
    """Return a reference to a secret unchanged.

    Raises:
        ValueError: the text is no reference. It may be the secret itself, so the message does not repeat it.
    """
    if _REFERENCE.fullmatch(value) is None:
        msg = (
            "this is not a reference to a secret. Put the secret into an environment variable and write 'env:NAME', "
            "into a file only its owner can read and write 'file:/path/to/it', or into a Prefect secret block and "
            "write 'block:secret/name'"
        )
        raise ValueError(msg)
    return value


Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}], "title": "Size"}),
]
DurationText = Annotated[
    Duration,
    BeforeValidator(parse_duration),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "title": "Duration"}),
]
SecretReference = Annotated[
    str,
    AfterValidator(check_reference),
    WithJsonSchema({"type": "string", "pattern": "^(env|file|block):", "title": "Reference"}),
]
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=128)]


def text_of(value: Any) -> str:
    """Return a value the way a person would write it in the file."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_item(one)}" for key, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_item(one) for one in value) + "]"
    return str(value)


def size_text(size: int) -> str:
    """Return a size in the largest unit that divides it: ``2 GiB``, ``1500 bytes``."""
    for unit, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} bytes"


def _item(value: Any) -> str:
    text = text_of(value)
    if not isinstance(value, str) or _PLAIN.fullmatch(text):
        return text
    # within double quotes a backslash would mean something to YAML
    return f"'{text}'" if "\\" in text else f'"{text}"'
