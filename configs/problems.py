"""Problems in a file that a person wrote: collected, then told all at once, each with its path."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

#: pydantic's kind of error -> what we say instead. The texts after these are pydantic's own, which read well.
_TEXTS = {
    "missing": "field required",
    "int_parsing": "this must be a whole number",
    "int_type": "this must be a whole number",
    "int_from_float": "this must be a whole number",
    "bool_parsing": "this must be true or false",
    "bool_type": "this must be true or false",
    "string_type": "this must be one text",
    "tuple_type": "this must be a list",
    "list_type": "this must be a list",
    "dict_type": "here belong indented lines 'key: value'",
    "mapping_type": "here belong indented lines 'key: value'",
    "model_type": "here belong indented lines 'key: value'",
    "model_attributes_type": "here belong indented lines 'key: value'",
    "string_pattern_mismatch": "only letters, digits, '.', '_' and '-', beginning with a letter or digit",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where (a key path, or nothing for the whole file), what, and in which line."""

    path: str
    text: str
    line: int | None = None

    def __str__(self) -> str:
        return f"At '{self.path}': {self.text}" if self.path else self.text[:1].upper() + self.text[1:]


def render(source: str, problems: Sequence[Problem]) -> str:
    """Return the message: how many problems the source has, then each on its line."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n  ".join([f"{source}: {count}", *(str(problem) for problem in problems)])


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the known word that is nearest, or nothing."""
    folded = {one.casefold(): one for one in known}
    near = difflib.get_close_matches(word.casefold(), list(folded), n=1, cutoff=0.6)
    return f" Did you mean '{folded[near[0]]}'?" if near else ""


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[tuple[tuple[str, ...], str]]:
    """Return path and text of each problem that pydantic found, in the order of the file's keys."""
    found: dict[tuple[str, ...], str] = {}
    for one in error.errors(include_url=False, include_input=False, include_context=True):
        path = _plain_path(one["loc"])
        # a union reports each of its members; the first one is the type that people write
        found.setdefault(path, _text(one, path, model))
    return list(found.items())


def _text(one: Mapping[str, Any], path: tuple[str, ...], model: type[BaseModel]) -> str:
    kind = one["type"]
    if kind == "extra_forbidden":
        return "unknown key." + did_you_mean(path[-1], known_keys(model, path[:-1]))
    if kind == "value_error":
        return str(one["ctx"]["error"])
    if kind == "literal_error":
        return f"this must be one of {one['ctx']['expected']}"
    if kind == "union_tag_invalid":
        return f"{one['ctx']['discriminator']} must be one of {one['ctx']['expected_tags']}"
    if kind == "union_tag_not_found":
        return f"{one['ctx']['discriminator']} is missing"
    if kind in {"greater_than_equal", "less_than_equal"}:
        bound, word = (one["ctx"]["ge"], "least") if kind == "greater_than_equal" else (one["ctx"]["le"], "most")
        return f"this must be at {word} {bound}"
    return _TEXTS.get(kind, str(one["msg"]).removeprefix("Value error, "))


def known_keys(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Return the keys that the model knows at a path."""
    found = _model_at(model, path)
    return list(found.model_fields) if found is not None else []


def _model_at(model: type[BaseModel], path: Sequence[str]) -> type[BaseModel] | None:
    current: type[BaseModel] | None = model
    parts = iter(path)
    for part in parts:
        if current is None or part not in current.model_fields:
            return None
        annotation = current.model_fields[part].annotation
        if get_origin(annotation) is Mapping:
            next(parts, None)  # the key, which is anybody's choice
        kinds = (annotation, *get_args(annotation))
        current = next((one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel)), None)
    return current


def _plain_path(location: Sequence[str | int]) -> tuple[str, ...]:
    """Return pydantic's location without the mark it adds for the key of a mapping."""
    return tuple(str(part) for part in location if part != "[key]")
