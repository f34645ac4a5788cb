"""What a real host says about itself and its people."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.remote.facts import Facts
from tasks.remote.launcher import helper_source
from tests.support.helper_host import helper_host, interpreters


@pytest.fixture(scope="module", params=interpreters(), ids=lambda path: path.parent.parent.name)
def facts(request: pytest.FixtureRequest) -> Iterator[Facts]:
    with helper_host(request.param) as host:
        yield host.facts([pwd.getpwuid(os.geteuid()).pw_name, "no-such-user-here"])


def test_the_host(facts: Facts) -> None:
    assert facts.platform in ("linux", "darwin")
    assert facts.system
    assert facts.hostname
    assert facts.python.startswith("3.")
    assert facts.uid == os.geteuid()
    assert abs(facts.time_ns - time.time_ns()) < 60 * 10**9
    machine_id = Path("/etc/machine-id")
    if machine_id.exists():
        assert facts.machine_id == machine_id.read_text().strip()
    root = next(disk for disk in facts.disk if disk.path == b"/")
    assert 0 < root.free < root.total


def test_the_user_who_was_asked_for(facts: Facts) -> None:
    (user,) = facts.users
    known = pwd.getpwuid(os.geteuid())
    assert (user.name, user.uid, user.gid) == (known.pw_name, known.pw_uid, known.pw_gid)
    assert user.home == os.path.realpath(os.fsencode(known.pw_dir))
    assert user.exists


def test_all_people() -> None:
    with helper_host() as host:
        facts = host.facts(None)
    expected = {user.pw_name for user in pwd.getpwall() if 1000 <= user.pw_uid < 60000 and Path(user.pw_dir).is_dir()}
    assert expected <= {user.name for user in facts.users}
    assert not {"root", "daemon", "nobody"} & {user.name for user in facts.users}


@pytest.mark.parametrize("interpreter", interpreters(), ids=lambda path: path.parent.parent.name)
def test_folders_by_the_names_of_the_desktop(interpreter: Path, tmp_path: Path) -> None:
    # The helper asks the system for the home; here a small program takes its place with the same functions.
    (tmp_path / ".config").mkdir()
    for name in ("Schreibtisch", 'Dokumente "neu"', "elsewhere", "Music", "Pictures"):
        (tmp_path / name).mkdir()
    (tmp_path / "Bilder").symlink_to("Pictures")
    (tmp_path / ".config" / "user-dirs.dirs").write_text(
        "# comment\n"
        'XDG_DESKTOP_DIR="$HOME/Schreibtisch"\n'
        'XDG_DOCUMENTS_DIR="$HOME/Dokumente \\"neu\\""\n'
        f'XDG_DOWNLOAD_DIR="{tmp_path}/elsewhere/"\n'
        'XDG_PICTURES_DIR="$HOME/Bilder"\n'
        'XDG_VIDEOS_DIR="$HOME/"\n'
        'XDG_TEMPLATES_DIR="$HOME/missing"\n'
        'XDG_PUBLICSHARE_DIR="relative"\n'
    )
    found = folders_of(interpreter, tmp_path)
    assert found == {
        "desktop": f"{tmp_path}/Schreibtisch",
        "documents": f'{tmp_path}/Dokumente "neu"',
        "downloads": f"{tmp_path}/elsewhere",
        "pictures": f"{tmp_path}/Pictures",
        "music": f"{tmp_path}/Music",
    }


def folders_of(interpreter: Path, home: Path) -> dict[str, str]:
    """Run the helper's own look at a home, in its own interpreter."""
    source = helper_source().decode("ascii")
    main = source.rindex("# The bootstrap of launcher.py")
    program = source[:main] + (
        f"\nfound = Facts().folders({os.fsencode(home)!r})\n"
        "print(json.dumps({key: path.decode() for key, path in found.items()}))\n"
    )
    output = subprocess.run(
        [interpreter, "-I", "-S", "-B", "-"], input=program, capture_output=True, text=True, check=True
    )
    return dict(json.loads(output.stdout))
