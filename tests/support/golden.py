"""Texts kept in files, so that a change of wording is seen in review."""

from __future__ import annotations

import os
from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[1] / "testdata"


def check_golden(name: str, text: str) -> None:
    """Compare with the kept text. ``UPDATE_GOLDEN=1`` writes the kept text anew, for a look at ``git diff``."""
    path = _FOLDER / name
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"no kept text {name}; write it with UPDATE_GOLDEN=1"
    assert text == path.read_text(encoding="utf-8")
