"""Our forget rules against the stock client's, on the same snapshots."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from configs.model import RetentionConfig
from tasks.backends.registry import open_backend
from tasks.policy.retention import apply_rules
from tasks.repository.repository import Repository

pytestmark = pytest.mark.restic
NOW = datetime(2026, 8, 24, 12, tzinfo=UTC)
Restic = Callable[..., str]


@dataclass(frozen=True)
class Stored:
    id: bytes
    time: datetime
    hostname: str
    paths: tuple[str, ...]
    tags: tuple[str, ...]


@pytest.fixture(scope="module")
def restic(tmp_path_factory: pytest.TempPathFactory) -> Restic:
    if shutil.which("restic") is None:
        pytest.skip("restic is not installed")
    folder = tmp_path_factory.mktemp("retention")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TZ": "UTC",
        "RESTIC_REPOSITORY": str(folder / "repository"),
        "RESTIC_PASSWORD": "correct horse",
    }

    def run(*arguments: str) -> str:
        command = ["restic", *arguments]
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    # a cheap key: restic's own would cost half a second in each of the two dozen calls below
    password = environment["RESTIC_PASSWORD"]
    Repository.init(open_backend(environment["RESTIC_REPOSITORY"]), password, scrypt_n=2**10).close()
    file = folder / "file"
    file.write_text("content", encoding="utf-8")
    random_numbers = random.Random(20260824)
    when = datetime(2026, 8, 20, 15, 30, tzinfo=UTC)
    for number in range(14):
        tags = ["--tag", "exams"] if number % 5 == 4 else []
        time = when.strftime("%Y-%m-%d %H:%M:%S")
        run("backup", "-q", "--time", time, "--host", f"host-{number % 2}", *tags, str(file))
        when -= timedelta(minutes=random_numbers.choice([7, 50, 300, 1500, 9000, 60000, 400000]))
    return run


@pytest.fixture(scope="module")
def stored(restic: Restic) -> list[Stored]:
    found = json.loads(restic("snapshots", "--json"))
    assert len(found) == 14
    return [
        Stored(
            bytes.fromhex(one["id"]),
            datetime.fromisoformat(one["time"][:19]).replace(tzinfo=UTC),
            one["hostname"],
            tuple(one["paths"]),
            tuple(one.get("tags") or ()),
        )
        for one in found
    ]


@pytest.mark.parametrize(
    "rules",
    [
        {"keep_last": 3},
        {"keep_hourly": 5, "keep_yearly": 1},
        {"keep_daily": 3, "keep_weekly": 2},
        {"keep_weekly": 4},
        {"keep_monthly": 2, "keep_last": 1},
        {"keep_yearly": 9},
        {"keep_within": "45d"},
        {"keep_within": "1y2m3d4h", "keep_tags": ["exams"]},
        {"keep_last": 1, "keep_hourly": 2, "keep_daily": 2, "keep_weekly": 2, "keep_monthly": 2, "keep_yearly": 2},
    ],
    ids=lambda rules: ",".join(f"{key}={value}" for key, value in rules.items()),
)
def test_same_decisions_as_restic(restic: Restic, stored: list[Stored], rules: dict[str, object]) -> None:
    arguments = []
    for key, value in rules.items():
        option = "--" + key.replace("_", "-").removesuffix("s")
        arguments += [f"{option}={one}" for one in (value if isinstance(value, list) else [value])]
    theirs = {
        one["id"]
        for group in json.loads(restic("forget", "--dry-run", "--json", *arguments))
        for one in group["keep"] or ()
    }
    nothing = {f"keep_{name}": 0 for name in ("last", "hourly", "daily", "weekly", "monthly", "yearly")}
    policy = RetentionConfig.model_validate({**nothing, **rules})
    # restic keeps the oldest while counts are left from 0.16 on; before, we keep that one more and no other
    version = tuple(int(part) for part in restic("version").split()[1].split(".")[:2])
    ours = set()
    for host in {one.hostname for one in stored}:
        for one, why in apply_rules([one for one in stored if one.hostname == host], policy, NOW):
            if any(version >= (0, 16) or not text.endswith("the oldest there is") for text in why):
                ours.add(one.id.hex())
    assert ours == theirs
    assert 0 < len(ours) < len(stored) or rules == {"keep_yearly": 9}
