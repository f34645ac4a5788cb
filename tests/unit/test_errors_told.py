"""Every error that people may meet is drawn in the tree and told with its cure."""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module
from pathlib import Path

import configs
import inventory
import tasks
from configs.errors import FirstbellError
from tasks import errors

ROOT = Path(__file__).resolve().parents[2]
#: Programs that are sent to a host as text; and what imports Prefect, which takes its time and defines no error.
NOT_IMPORTED = {"tasks.remote.posix_person"} | {
    f"tasks.{name}"
    for name in ("snapshot", "restore", "maintain", "maintenance", "probe", "worker", "run_page", "secret_block")
}
#: Caught by the transport itself; nobody else meets it.
INTERNAL = {"NothingYetError"}


def everything() -> set[type[FirstbellError]]:
    """Return every error that some module of the product defines, but for those that stay inside one module."""
    for package in (configs, inventory, tasks):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name not in NOT_IMPORTED and not module.name.startswith("tasks.remote.posix."):
                import_module(module.name)
    found: set[type[FirstbellError]] = set()
    new = {FirstbellError}
    while new:
        found |= new
        new = {one for each in new for one in each.__subclasses__()} - found
    return {one for one in found if one.__module__.split(".")[0] in ("configs", "inventory", "tasks")}


def test_every_error_is_in_the_tree_and_on_the_page() -> None:
    names = {one.__name__ for one in everything() if not one.__name__.startswith("_")}
    drawn = set(re.findall(r"─ (\w+)", errors.__doc__ or ""))
    assert names - drawn - {"FirstbellError"} == INTERNAL
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(\w+)`", page.partition("## Errors")[2].partition("## Windows")[0]))
    assert names - told - INTERNAL == {"FirstbellError", "TransportError"}


def test_every_exit_code_is_on_the_page() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8").partition("## Why")[0]
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert {one.exit_code for one in everything()} <= codes
