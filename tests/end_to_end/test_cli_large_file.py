"""One large file of which a little changes, and the memory that it takes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.command_run import CommandRun, host_result
from tests.support.loopback_site import LoopbackSite

pytestmark = [pytest.mark.ssh, pytest.mark.s3]

MIB = 1 << 20
SIZE = 256 * MIB
#: What a worker may take, in bytes: far below the limit of 400 MB, since this file is far from the largest.
MEMORY = 400 * 1_000_000


@pytest.fixture(scope="module")
def film(school: LoopbackSite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random bytes that is in a first snapshot, made within bounded memory."""
    home = tmp_path_factory.mktemp("large") / "a.ito"
    (home / "Desktop").mkdir(parents=True)
    path = home / "Desktop" / "film.mp4"
    rnd = random.Random(99)
    with path.open("wb") as file:
        for _ in range(SIZE // (16 * MIB)):
            file.write(rnd.randbytes(16 * MIB))
    school.add_host("cinema", "a.ito", home)
    with CommandRun(school, "snapshot", "cinema", "--json") as run:
        assert run.peak_memory() < MEMORY
    assert host_result(run.output)["bytes_added"] >= SIZE
    return path


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param([(100 * MIB, 2 * MIB + 600_000)], id="in one piece"),
        pytest.param([(number * 84 * MIB + 77, 800_000) for number in range(3)], id="in three places"),
        pytest.param([(SIZE, 2 * MIB)], id="at the end"),
    ],
)
def test_a_hundredth_that_changed_adds_little(
    school: LoopbackSite, film: Path, changes: Sequence[tuple[int, int]]
) -> None:
    rnd = random.Random(str(changes))
    with film.open("r+b") as file:
        for offset, length in changes:
            file.seek(offset)
            file.write(rnd.randbytes(length))
    school.add_host("cinema", "a.ito", film.parent.parent)
    result = host_result(school.run("snapshot", "cinema", "--json").stdout)
    assert result["state"] == "complete"
    assert sum(length for _, length in changes) <= result["bytes_added"] < 0.06 * SIZE
