r"""What can only be put back in the person's own session on Windows: by a step that runs once, when they sign in.

Three things are put into the profile, as entries like all others, so that they are planned, noted and taken back like
them: what to put back (``first-sign-in.json``), a script that does it, and a value below ``RunOnce`` by which Windows
runs that script once, at the next sign-in. The script uses no credentials, removes itself, and leaves a report. Whoever
looks at the settings next tells of that report, and the next restore of settings removes it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any, Final

from configs.catalog_variables import fill_in
from tasks.settings.apply import current_values
from tasks.settings.files import FILE, hash_of
from tasks.settings.plan import Outcome, SettingsPlan, Step
from tasks.settings.registry import RegistryCollector, stored
from tasks.settings.rehome import native_path
from tasks.settings.values import Account, Collector, Place, SettingsHost, Value

#: What this step is called in a plan.
ITEM: Final = "first-sign-in"
_NAME: Final = "What is put back when you first sign in"
_FOLDER: Final = "{localappdata}/firstbell"
WORK: Final = Place("files", f"{_FOLDER}/first-sign-in.json")
SCRIPT: Final = Place("files", f"{_FOLDER}/first-sign-in.ps1")
REPORT: Final = Place("files", f"{_FOLDER}/first-sign-in-report.json")
RUN_ONCE: Final = Place("registry", "HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\RunOnce", "firstbell")
_POWERSHELL: Final = r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe"
#: Windows runs nothing longer from there (learn.microsoft.com, "Run and RunOnce Registry Keys").
_LONGEST: Final = 260
#: How long a report without a failure is told.
_NEWS: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class SignInReport:
    """What came of it: ids of items, and what could not be put back, with words for why."""

    when: datetime
    done: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]


def with_sign_in_step(
    plan: SettingsPlan, host: SettingsHost, account: Account, collectors: Mapping[str, Collector]
) -> SettingsPlan:
    """Return the plan with what must be written now, so that the rest comes back at the next sign-in."""
    wanted = sign_in_values(plan.of(Outcome.FIRST_SIGN_IN), account)
    current, unreadable = current_values(host, account, (WORK, SCRIPT, RUN_ONCE, REPORT), collectors)
    steps: list[Step] = []
    for place, value in wanted.items():
        step = Step(ITEM, _NAME, Outcome.SET, place, value, current.get(place))
        if place in unreadable:
            step = replace(step, outcome=Outcome.KEEP, reason=unreadable[place])
        elif step.current == value:
            step = replace(step, outcome=Outcome.SAME)
        steps.append(step)
    if (old := current.get(REPORT)) is not None:
        steps.append(Step(ITEM, _NAME, Outcome.SET, REPORT, None, old))
    return SettingsPlan((*plan.steps, *steps))


def sign_in_values(steps: Iterable[Step], account: Account) -> Mapping[Place, Value]:
    """Return what to write where, so that these steps are carried out at the next sign-in; nothing without any."""
    changes = [change for step in steps if (change := _change(step, account)) is not None]
    script = native_path(fill_in(SCRIPT.container, account.variables))
    line = f'{_POWERSHELL} -NoProfile -NonInteractive -WindowStyle Hidden -ExecutionPolicy Bypass -File "{script}"'
    if not changes or len(line) > _LONGEST:
        return {}
    document = json.dumps({"version": 1, "changes": changes}, sort_keys=True, separators=(",", ":"))
    # Last what makes it run: before that all of it is there.
    return {
        WORK: Value(FILE, _encoded(document.encode("ascii"))),
        SCRIPT: Value(FILE, _encoded(_script())),
        RUN_ONCE: Value("REG_SZ", line),
    }


def read_report(host: SettingsHost, account: Account) -> SignInReport | None:
    """Return what the step has left in this profile, None where there is nothing or nothing that can be read."""
    path = fill_in(REPORT.container, account.variables)
    (answer,) = host.read_settings(account.name, account.home, [{"op": "file", "path": path}])
    try:
        found = json.loads(base64.b64decode(answer["content"]))
        when = datetime.strptime(found["when"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        failed = tuple((str(one["item"]), str(one["reason"])) for one in found["failed"])
        return SignInReport(when, tuple(str(one) for one in found["done"]), failed)
    except (KeyError, ValueError, TypeError):
        return None


def report_text(report: SignInReport, name: str, names: Mapping[str, str], now: datetime) -> str:
    """Return in a sentence what came of it, empty when that is no news; ``names`` are those of items, by their ids."""
    called = [names.get(one, one) for one in report.done if one not in {item for item, _ in report.failed}]
    text = f"when {name} signed in on {report.when:%Y-%m-%d}, settings were put back: {', '.join(called) or 'none'}"
    if report.failed:
        why = dict(report.failed)
        return f"{text}; not: " + ", ".join(f"{names.get(item, item)} ({reason})" for item, reason in why.items())
    return text if now - report.when < _NEWS else ""


def _change(step: Step, account: Account) -> Mapping[str, Any] | None:
    place, value = step.place, step.value
    if place is None or value is None:
        return None
    if place.collector == RegistryCollector.kind and place.container.startswith("HKCU\\"):
        return {
            "item": step.item,
            "key": place.container,
            "name": place.name,
            "value": stored(value),
            "expect": stored(step.current),
        }
    if place.collector == "files" and value.kind == FILE:
        try:
            path = native_path(fill_in(place.container, account.variables))
        except KeyError:
            return None
        return {"item": step.item, "path": path, "content": value.data, "expect": hash_of(step.current)}
    return None


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


@cache
def _script() -> bytes:
    """Return the script, with the ends of lines that Windows has."""
    text = resources.files("tasks.settings").joinpath("first_sign_in.ps1").read_text(encoding="ascii")
    return text.replace("\n", "\r\n").encode("ascii")


__all__: Sequence[str] = (
    "ITEM",
    "REPORT",
    "RUN_ONCE",
    "SCRIPT",
    "WORK",
    "SignInReport",
    "read_report",
    "report_text",
    "sign_in_values",
    "with_sign_in_step",
)
