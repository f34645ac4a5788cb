"""The reference of every key, rendered from the models, and the JSON schema: neither can drift from the code."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, WithJsonSchema
from pydantic.fields import FieldInfo

from configs.duration import Duration
from configs.gate import GateConfig
from configs.model import AppConfig, RetentionConfig
from configs.values import size_text, text_of

#: Models whose keys stand in a section of their own at the top, and are not listed again further in.
_TOLD_ONCE = frozenset({RetentionConfig, GateConfig})


def schema_text() -> str:
    """Return the content of ``configs/schema.json``, which editors use to complete and check ``app.yaml``."""
    return json.dumps(AppConfig.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def render_model(model: type[BaseModel], *, only: Collection[str] = ()) -> str:
    """Return a table of the keys of a model, then a section for each model inside, as Markdown.

    With ``only``, those keys and no others.
    """
    return "\n".join(_sections(model, "", "", only or model.model_fields))


def _sections(model: type[BaseModel], path: str, intro: str, only: Collection[str]) -> Iterator[str]:
    if path:
        yield f"### `{path}`\n"
        yield f"{intro}\n"
    fields = {key: field for key, field in model.model_fields.items() if key in only}
    plain = {key: field for key, field in fields.items() if _model_in(field.annotation) is None}
    if plain:
        yield "| key | type | default | meaning | example |\n|---|---|---|---|---|"
        for key, field in plain.items():
            cells = (f"`{key}`", _type(field), _default(field), field.description or "", _example(field))
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        yield ""
    for key, field in fields.items():
        inner = _model_in(field.annotation)
        if inner is None:
            continue
        name = f"{path}.{key}" if path else key
        if get_origin(field.annotation) is Mapping:
            name += ".<name>"
        if inner in _TOLD_ONCE and path:
            yield f"### `{name}`\n"
            yield f"{field.description} The keys are those of `{key}`.\n"
        else:
            yield from _sections(inner, name, field.description or "", inner.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None


def _type(field: FieldInfo) -> str:
    return _title(field.metadata) or _type_name(field.annotation)


def _type_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in arguments)
    if origin in (Union, UnionType):
        return " or ".join("`null`" if one is NoneType else _type_name(one) for one in arguments)
    if hasattr(annotation, "__metadata__"):
        return _title(annotation.__metadata__) or _type_name(arguments[0])
    if origin is tuple:
        return "list"
    if origin is Mapping:
        return "mapping"
    return {int: "number", bool: "true or false", Duration: "duration"}.get(annotation, "text")


def _title(marks: Iterable[Any]) -> str:
    """Return the name that a type of ours carries for its JSON schema: size, duration, reference."""
    schemas = [one.json_schema or {} for one in marks if isinstance(one, WithJsonSchema)]
    return next((str(one["title"]).lower() for one in schemas if "title" in one), "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default in ("", None):
        return "none" if field.default is None else "empty"
    return f"`{size_text(field.default) if 'size' in _type(field) else text_of(field.default)}`"


def _example(field: FieldInfo) -> str:
    return "<br>".join(f"`{text_of(one)}`" for one in field.examples or ())
