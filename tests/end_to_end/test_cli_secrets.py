"""What must stay secret is in no process list, on no host, and in nothing that anybody reads."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support.command_run import CommandRun, wait_until
from tests.support.loopback_site import LoopbackSite
from tests.support.sshd import make_key
from tests.support.teacher_home import make_home

pytestmark = [pytest.mark.ssh, pytest.mark.s3]

PASSPHRASE = "Kranich-77-of-the-key"


def everything_that_runs(but: int) -> bytes:
    """Return the command lines of all processes, and the environments of all below an sshd."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.append((process / "cmdline").read_bytes())
            if int(process.name) != but and b"SSH_CONNECTION=" in (environment := (process / "environ").read_bytes()):
                found.append(environment)
        except OSError:
            continue
    return b"\n".join(found)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="there is no /proc")
def test_secrets_stay_on_the_worker(school: LoopbackSite, tmp_path: Path) -> None:
    server = school.sshd
    assert server is not None
    key = make_key(tmp_path / "key", passphrase=PASSPHRASE)
    server.authorize(key)
    home = tmp_path / "a.ito"
    make_home(home, files=40, large_mib=16)
    ssh = {
        "key_files": [str(key)],
        "key_passphrase": "env:FIRSTBELL_PASSPHRASE",
        "known_hosts": str(server.known_hosts),
        "use_agent": False,
    }
    school.add_host("sealed", "a.ito", home, ssh=ssh)
    environment = {**school.environment(), "FIRSTBELL_PASSPHRASE": PASSPHRASE}
    private = "".join(key.read_text().split("-----")[2].split())[60:100]
    secrets = [school.password, school.s3.secret_key, PASSPHRASE, private]
    said = []
    for arguments in (("snapshot", "sealed", "--debug", "--verbose"), ("restore", "sealed", "--yes", "--debug")):
        if arguments[0] == "restore":
            shutil.rmtree(home)
        seen: list[bytes] = []
        with CommandRun(school, *arguments, environment=environment) as run:
            pid = run.pid

            def look(seen: list[bytes] = seen, run: CommandRun = run, pid: int = pid) -> bool:
                seen.append(everything_that_runs(pid))
                return run.ended

            wait_until(look, what="its end")
            assert run.wait() == 0, run.errors
        assert any(b"firstbell-helper" in one for one in seen), "the helper was never looked at"
        said += [*(one.decode(errors="replace") for one in seen), run.output, run.errors]
    for name in ("FIRSTBELL_PASSWORD", "FIRSTBELL_S3_SECRET", "FIRSTBELL_PASSPHRASE"):
        wrong = f"Wrong-{name}-value-123"
        secrets.append(wrong)
        with CommandRun(school, "snapshot", "sealed", "--debug", environment={**environment, name: wrong}) as run:
            assert run.wait() != 0
        said += [run.output, run.errors]
    on_the_host = [path.read_bytes() for path in server.home.rglob("*") if path.is_file()]
    on_the_host += [path.read_bytes() for path in home.rglob("*.t*") if path.is_file()]
    said += [text.decode(errors="replace") for text in on_the_host]
    said += [server.log]
    for secret in secrets:
        assert not any(secret in text for text in said), f"a secret was told: {secret[:4]}..."
    assert os.listdir(server.home) == []
