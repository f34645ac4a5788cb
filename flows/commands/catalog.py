"""``firstbell catalog [validate|show]``: the settings that are captured, and what is wrong with a school's own."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from configs.catalog import Catalog, CatalogItem

_PLATFORMS = ("windows", "macos", "linux")
_CLASSES = ("by-itself", "first-sign-in", "needs-it", "cannot")


def add(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Declare the verb and what it can do."""
    parser = verbs.add_parser("catalog", parents=[common], help="settings that are captured: show, validate")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", parents=[common], help="list the settings, or show one of them")
    show.add_argument("id", nargs="?", metavar="ID", help="of this item, everything")
    show.add_argument("--platform", choices=_PLATFORMS, help="of this platform only")
    show.add_argument("--desktop", choices=("gnome", "kde"), help="of Linux, what belongs to this desktop")
    show.add_argument("--class", dest="restore", choices=_CLASSES, help="that come back in this way only")
    show.add_argument("--site-file", type=Path, metavar="FILE", help="with the school's own items in this file")
    show.set_defaults(run=run_show)
    validate = actions.add_parser("validate", parents=[common], help="check the catalog, and a school's own file")
    validate.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the school's file")
    validate.set_defaults(run=run_validate)


def run_validate(arguments: argparse.Namespace) -> int:
    """Tell every problem of the catalogs and of the school's file; 0 when there is none."""
    from configs.catalog import PLATFORMS, catalog_problems, load_catalog

    problems = catalog_problems(arguments.file)
    if arguments.json:
        document = {"type": "catalog_check", "file": str(arguments.file or ""), "sound": not problems}
        sys.stdout.write(json.dumps({**document, "problems": problems}) + "\n")
        return 1 if problems else 0
    if problems:
        sys.stderr.write("\n".join(problems) + "\n")
        sys.stderr.write("docs/settings.md shows how an item is written, and every key.\n")
        return 1
    for platform in PLATFORMS:
        catalog = load_catalog(platform, arguments.file)
        sys.stdout.write(f"{platform:<8} {len(catalog):>4} items  {catalog.tag}\n")
    sys.stdout.write("every item is sound\n")
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """List the items that were asked for, or show one of them."""
    from configs.catalog import PLATFORMS, load_catalog

    platforms = [one for one in PLATFORMS if arguments.platform in {None, one}]
    if arguments.desktop:
        platforms = [one for one in platforms if one == "linux"]
    catalogs = [load_catalog(one, arguments.site_file) for one in platforms]
    if arguments.desktop:
        catalogs = [one.for_desktop(arguments.desktop) for one in catalogs]
    if arguments.id is not None:
        item = _find(catalogs, arguments.id)
        sys.stdout.write(_document(item) if arguments.json else "\n".join(_lines(item)) + "\n")
        return 0
    items = [one for catalog in catalogs for one in catalog if arguments.restore in {None, one.restore}]
    if arguments.json:
        sys.stdout.write("".join(map(_document, items)))
        return 0
    rows = [("ID", "COMES BACK", "SETTING"), *((one.id, _class_text(one), one.name) for one in items)]
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    for row in rows:
        sys.stdout.write(f"{row[0]:<{first}}  {row[1]:<{second}}  {row[2]}\n")
    sys.stdout.write(f"{len(items)} {'item' if len(items) == 1 else 'items'}\n")
    return 0


def _find(catalogs: list[Catalog], item_id: str) -> CatalogItem:
    from configs.errors import ConfigError
    from configs.problems import did_you_mean

    found = next((one for catalog in catalogs if (one := catalog.get(item_id)) is not None), None)
    if found is None:
        known = [one.id for catalog in catalogs for one in catalog]
        raise ConfigError(
            f"the catalog has no item '{item_id}'.{did_you_mean(item_id, known)}",
            hint="'firstbell catalog show' lists all of them.",
        )
    return found


def _class_text(item: CatalogItem) -> str:
    mark = ", secret" if item.sensitive else ", on request" if item.opt_in else ""
    return item.restore + mark


def _document(item: CatalogItem) -> str:
    return json.dumps({"type": "catalog_item", **item.model_dump(mode="json")}, ensure_ascii=False) + "\n"


def _lines(item: CatalogItem) -> Iterator[str]:
    from configs.catalog_item import AFTER_TITLES, RESTORE_TITLES
    from configs.catalog_show import capture_lines, version_text

    yield f"{item.name}  ({item.id})"
    yield from _wrapped("", item.why)
    yield ""
    yield from _wrapped("comes back", f"{RESTORE_TITLES[item.restore]} ({_class_text(item)})")
    told = {
        "because": item.because,
        "do first": item.do_first,
        "not with it": item.limits,
        "afterwards": AFTER_TITLES[item.after] if item.comes_back else None,
        "comes after": ", ".join(item.requires),
        "needs": ", ".join(one.application for one in item.prerequisites),
        "not running": ", ".join(item.closed),
        "versions": version_text(item),
        "never stored": ", ".join(item.redact),
    }
    for label, text in told.items():
        if text:
            yield from _wrapped(label, text)
    for line in capture_lines(item, code=""):
        yield from _wrapped("captures", line)


def _wrapped(label: str, text: str) -> list[str]:
    first = f"  {label:<13}" if label else "  "
    return textwrap.wrap(
        text,
        width=110,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
