"""Changing entries of a YAML file that people also edit: what is not changed keeps its text and its comments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from configs.yaml_file import parse_yaml


class _Dumper(yaml.SafeDumper):
    """Mappings one key a line, lists on one line."""

    def represent_list(self, data: Any) -> yaml.SequenceNode:
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)


_Dumper.add_representer(list, _Dumper.represent_list)
_Dumper.add_representer(tuple, _Dumper.represent_list)


def render_entry(name: str, content: Mapping[str, Any]) -> str:
    """Return one entry as YAML, ending in a line break."""
    typed = {key: int(value) if key == "port" and str(value).isdigit() else value for key, value in content.items()}
    return yaml.dump(
        {name: typed or None}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=110
    ).replace(": null\n", ":\n")


def edit_entries(text: str, entries: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the text with these entries replaced where they stand, or added at the end.

    A file that cannot be changed in place (its entries share a line, or an anchor goes with a replaced entry) is
    written anew as a whole, without its comments.
    """
    before = _entries(text)
    wanted = {**before, **entries}
    anew = "".join(render_entry(name, content) for name, content in wanted.items())
    edited = _edited(text, before, entries)
    return edited if _entries(edited) == _entries(anew) else anew


def _entries(text: str) -> dict[str, Any]:
    """Return the entries of a text; one without keys is an empty one."""
    return {name: content or {} for name, content in (parse_yaml(text.encode()).content or {}).items()}


def _edited(text: str, before: Mapping[str, Any], entries: Mapping[str, Mapping[str, Any]]) -> str:
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    starts = parse_yaml(text.encode()).lines
    order = sorted(starts[(name,)] for name in before)
    for name in sorted((one for one in entries if one in before), key=lambda one: -starts[(one,)]):
        first = starts[(name,)] - 1
        last = next((line - 1 for line in order if line - 1 > first), len(lines))
        # blank lines and comments at the margin belong to the entry that follows
        while last > first + 1 and (not lines[last - 1].strip() or lines[last - 1].startswith("#")):
            last -= 1
        lines[first:last] = [render_entry(name, entries[name])]
    return "".join(lines) + "".join(
        render_entry(name, content) for name, content in entries.items() if name not in before
    )
