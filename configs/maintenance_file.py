"""Reading maintenance plans: each is a file of its own, called by the name of the plan."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from configs.errors import ConfigError
from configs.maintenance import MaintenancePlan
from configs.problems import Problem, did_you_mean, problems_of, render
from configs.values import NAME_PATTERN
from configs.yaml_file import read_mapping

_SUFFIX: Final = ".yaml"
_HINT: Final = "Correct the file; configs/maintenance/example.yaml shows every key."


def load_plan(path: Path) -> MaintenancePlan:
    """Return the plan in a file.

    Raises:
        ConfigError: it cannot be read, something in it is wrong, or it bears another name than its file; every problem
            stands in the message.
    """
    try:
        document = read_mapping(path, what="the maintenance plan", begins="'name:', 'site:' and so on", hint=_HINT)
    except FileNotFoundError:
        raise _missing(path) from None
    plan = plan_from(document.content, source=str(path), hint=_HINT)
    if plan.name != path.stem:
        text = f"the plan calls itself '{plan.name}' and its file '{path.name}'; both must be the same"
        raise ConfigError(render(str(path), [Problem("name", text)]), hint=_HINT)
    return plan


def plan_from(content: Mapping[str, Any], *, source: str, hint: str) -> MaintenancePlan:
    """Return the plan with this content; ``source`` heads the message when something in it is wrong.

    Raises:
        ConfigError: something is wrong; every problem stands in the message.
    """
    try:
        return MaintenancePlan.model_validate(content)
    except ValidationError as error:
        problems = [Problem(".".join(_in_file(where)), text) for where, text in problems_of(error, MaintenancePlan)]
        raise ConfigError(render(source, problems), hint=hint) from None


def _in_file(where: tuple[str, ...]) -> tuple[str, ...]:
    """Return a path as it stands in the file: without the kind of the action, which pydantic puts in."""
    return (where[0], *where[2:]) if where[:1] == ("action",) and len(where) > 2 else where


def plan_text(plan: MaintenancePlan) -> str:
    """Return the content of a plan's file, without what goes without saying."""
    import yaml

    content = plan.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)


def plan_path(folder: Path, name: str) -> Path:
    """Return where the plan of that name lies in the folder of the plans.

    Raises:
        ConfigError: a plan cannot be called so.
    """
    if not re.fullmatch(NAME_PATTERN, name, re.ASCII) or len(name) > 128:
        raise ConfigError(
            f"'{name}' is no name of a maintenance plan",
            hint="It is the name of a file in the folder of the plans, without '.yaml'.",
        )
    return folder / f"{name}{_SUFFIX}"


def plan_files(folder: Path) -> Iterator[Path]:
    """Yield the files with plans in a folder, which need not be there, by name."""
    try:
        found = sorted(one for one in folder.iterdir() if one.suffix == _SUFFIX and not one.name.startswith("."))
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(
            f"the folder of the maintenance plans {folder} cannot be read: {error.strerror}",
            hint="Check that this account may read it; 'maintenance' in the configuration says where it is.",
        ) from None
    yield from found


def _missing(path: Path) -> ConfigError:
    known = [one.stem for one in plan_files(path.parent)]
    text = f"there is no maintenance plan '{path.stem}' in {path.parent}." + did_you_mean(path.stem, known)
    shown = f"There are: {', '.join(known[:10])}. " if known else ""
    return ConfigError(text, hint=f"{shown}Write {path}; configs/maintenance/example.yaml shows every key.")
