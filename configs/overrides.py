"""Variables of the environment that go over keys of the configuration file.

``FIRSTBELL_S3__ENDPOINT_URL`` is ``s3.endpoint_url``: ``__`` stands between levels, so a variable with only single
underscores (``FIRSTBELL_CONFIG``, ``FIRSTBELL_PASSWORD``) is never taken for a key. An empty variable counts as not
set. A list is written as YAML: ``["*.iso", "*.vmdk"]``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from configs.model import AppConfig
from configs.problems import Problem, did_you_mean
from configs.yaml_file import parse_yaml

_PREFIX = "FIRSTBELL_"
Origins = dict[tuple[str, ...], str]


def apply_overrides(
    content: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[dict[str, Any], Origins, list[Problem]]:
    """Return a copy of the content with the environment over it, which variable gave which key, and problems."""
    merged: dict[str, Any] = copy.deepcopy(dict(content))
    origins: Origins = {}
    problems: list[Problem] = []
    for name in sorted(environ):
        if not name.startswith(_PREFIX) or "__" not in name[len(_PREFIX) :] or not environ[name]:
            continue
        levels = [level.lower() for level in name.removeprefix(_PREFIX).split("__")]
        if levels[0] not in AppConfig.model_fields:
            text = f"unknown section '{levels[0]}'." + did_you_mean(levels[0], AppConfig.model_fields)
            problems.append(Problem(name, text))
            continue
        value, text = _value(environ[name])
        path = _place(merged, levels, value) if not text else None
        if path is None:
            problems.append(Problem(name, text or "there is no such key in the configuration"))
        else:
            origins[path] = name
    return merged, origins, problems


def _value(text: str) -> tuple[Any, str]:
    if text[0] not in "[{":
        return text, ""
    document = parse_yaml(text.encode())
    return document.content, "; ".join(problem.text for problem in document.problems)


def _place(content: dict[str, Any], levels: list[str], value: Any) -> tuple[str, ...] | None:
    path: list[str] = []
    current: Any = content
    for level in levels[:-1]:
        key = _as_spelled(current, level)
        if current.get(key) is None:
            current[key] = {}
        current = current[key]
        path.append(key)
        if not isinstance(current, dict):
            return None
    last = _as_spelled(current, levels[-1])
    current[last] = value
    return (*path, last)


def _as_spelled(content: Mapping[str, Any], level: str) -> str:
    """Return the key as the file spells it: a variable has no capitals and no ``-`` to offer."""
    for key in content:
        if key.lower().replace("-", "_").replace(".", "_") == level:
            return key
    return level
