"""What came of a check, and the result file: without secrets, and without names of people, computers and files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.field.claims import AREAS, BY_NUMBER

Status = Literal["passed", "failed", "not applicable", "needs a person"]
STATUSES: tuple[Status, ...] = ("passed", "failed", "not applicable", "needs a person")
_LONGEST = 600


@dataclass(frozen=True)
class Outcome:
    """What came of one check: its status and what was seen, in a sentence or two."""

    status: Status
    evidence: str = ""


@dataclass(frozen=True)
class Line:
    """An outcome in the result file, with its number and the seconds that it took."""

    number: str
    outcome: Outcome
    seconds: float


def passed(evidence: str = "") -> Outcome:
    """Return that a claim holds."""
    return Outcome("passed", evidence)


def failed(evidence: str) -> Outcome:
    """Return that a claim does not hold, or that it could not be tried."""
    return Outcome("failed", evidence)


def not_applicable(evidence: str) -> Outcome:
    """Return that a claim has no meaning on this computer, and why."""
    return Outcome("not applicable", evidence)


def person(number: str, evidence: str = "") -> Outcome:
    """Return that somebody has to look, and at what."""
    return Outcome("needs a person", " ".join(part for part in (evidence, BY_NUMBER[number].person) if part))


def verdict(good: bool, evidence: str) -> Outcome:
    """Return passed or failed."""
    return passed(evidence) if good else failed(evidence)


class Scrubber:
    """Takes names of people, computers and addresses out of what a result file says."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        self._words: set[str] = set()
        self.learn(words)

    def learn(self, words: Iterable[str]) -> None:
        """Take further words that must not be told. Very short ones are left: they would hit everything."""
        for word in words:
            self._words.update(part for part in (word, *re.split(r"[\\@]", word)) if len(part) > 2)

    def clean(self, text: str) -> str:
        """Return the text without them, in one line, and not endless."""
        text = " ".join(text.split())
        # What is below it may be a teacher's file, and its name may hold anything but quotes.
        text = re.sub(r"(?i)([\\/]users[\\/])[^\"'|]*", r"\1***", text)
        # Addresses of a store: a signature is a credential.
        text = re.sub(r"(https?|s3)://[^\s\"';,)]+", r"\1://***", text)
        text = re.sub(r"\b\d{1,3}(?:\.\d{1,3}){3}\b(?!\.\d)", "***", text)
        text = re.sub(r"S-1-(?:5-21|12-1)-[\d-]+", "S-***", text)
        for word in sorted(self._words, key=len, reverse=True):
            text = re.sub(rf"(?i)(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", "***", text)
        return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."


@dataclass
class Document:
    """The result file."""

    about: Mapping[str, str]
    lines: list[Line] = field(default_factory=list)
    cleaned_up: str = ""

    def counts(self) -> dict[Status, int]:
        """Return how many claims ended how."""
        return {status: sum(line.outcome.status == status for line in self.lines) for status in STATUSES}

    def as_json(self) -> str:
        """Return it for programs."""
        document: dict[str, Any] = {
            "type": "windows-field-check",
            "about": dict(self.about),
            "cleaned_up": self.cleaned_up,
            "results": [
                {
                    "number": line.number,
                    "claim": BY_NUMBER[line.number].claim,
                    "tested": BY_NUMBER[line.number].how,
                    "result": line.outcome.status,
                    "evidence": line.outcome.evidence,
                    "seconds": round(line.seconds, 1),
                }
                for line in self.lines
            ],
        }
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"

    def as_markdown(self) -> str:
        """Return it for people."""
        out = ["# Windows field check", ""]
        out += [f"* {key}: {value}" for key, value in self.about.items()]
        out += [f"* left on the computer: {self.cleaned_up}", ""]
        out += [", ".join(f"{count} {status}" for status, count in self.counts().items() if count), ""]
        for area in AREAS:
            lines = [line for line in self.lines if BY_NUMBER[line.number].area == area]
            if not lines:
                continue
            out += [f"## {area}", "", "| | claim | result | evidence |", "|---|---|---|---|"]
            out += [
                f"| {line.number} | {_cell(BY_NUMBER[line.number].claim)} | {line.outcome.status} | "
                f"{_cell(line.outcome.evidence)} |"
                for line in lines
            ]
            out.append("")
        return "\n".join(out)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
