"""The same on S3: our backend and restic's see one repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.backends.registry import open_backend
from tasks.repository.opened import opened
from tasks.repository.repository import Repository
from tests.support.plain_folder import describe, make_folder, take
from tests.support.stock_restic import PASSWORD, StockRestic

pytestmark = [pytest.mark.restic, pytest.mark.s3]


def test_both_use_one_repository(tmp_path: Path, s3_location: str) -> None:
    make_folder(tmp_path / "home", target_utf8_only=True)
    Repository.init(open_backend(s3_location), PASSWORD, scrypt_n=1024).close()
    restic = StockRestic(s3_location, tmp_path)
    with opened(open_backend(s3_location), PASSWORD) as repository:
        take(repository, tmp_path / "home")
    restic.check()
    restic.run("restore", "latest", "--target", str(tmp_path / "restored"))
    assert describe(tmp_path / "restored" / (tmp_path / "home").relative_to("/")) == describe(tmp_path / "home")
    restic.run("forget", "--prune", "--quiet", "--keep-last", "1")
    with opened(open_backend(s3_location), PASSWORD) as repository:
        snapshot = repository.find_snapshot("latest")
        assert repository.load_tree(snapshot.tree).nodes
        take(repository, tmp_path / "home", hostname="lab3-08")
    restic.check()
