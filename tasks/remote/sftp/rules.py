"""Standing rules that leave something out, as ``PROTOCOL.md`` says they match."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tasks.remote.sftp.replies import RequestError

#: What a cache tag file begins with (bford.info/cachedir).
TAG_SIGNATURE: Final = b"Signature: 8a477f597d28d172789f06886806bc55"


class Rule:
    """One rule."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        try:
            self.id = str(document["id"])
            self.dirs_only = bool(document.get("dirs_only"))
            self.min_size = int(document.get("min_size") or 0)
            self.tag = str(document.get("tag") or "").encode("utf-8", "surrogatepass")
            self._regex = re.compile(document.get("regex") or "(?:.*)", re.DOTALL)
        except (re.error, KeyError, TypeError, ValueError) as error:
            raise RequestError("bad-rule", str(error)) from error
        self.reason = "too-large" if self.min_size else "excluded"

    def agrees(self, path: str, size: int, *, is_dir: bool) -> bool:
        """Tell whether the rule excludes an entry, by its path as text and its size in bytes."""
        if self.dirs_only and not is_dir:
            return False
        if self.min_size and (is_dir or size < self.min_size):
            return False
        return self._regex.fullmatch(path) is not None


class Rules:
    """All rules of a walk; ``tags`` are those that look into folders."""

    def __init__(self, documents: Iterable[Mapping[str, Any]]) -> None:
        rules = [Rule(document) for document in documents]
        self.tags = [rule for rule in rules if rule.tag]
        self._rules = [rule for rule in rules if not rule.tag]

    def find(self, path: bytes, size: int, *, is_dir: bool) -> Rule | None:
        """Return the first rule that excludes an entry, or None."""
        text = path.decode("utf-8", "replace")
        return next((rule for rule in self._rules if rule.agrees(text, size, is_dir=is_dir)), None)
