"""The scripts that check a clearance where something is wiped: they take what is good, and nothing else."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

from tasks.records.clearance import sign
from tests.support.clearances import HOST, Issuer
from tests.support.wine import WinePrefix, windows_path

SCRIPTS = Path(__file__).resolve().parents[2] / "docs" / "clearance"
SUPPORT = Path(__file__).resolve().parents[1] / "support"
#: Runs a script with token file, host, keys and profiles, and returns its exit code and what it said.
Script = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer(datetime.now(UTC).replace(microsecond=0))


@pytest.fixture(scope="module")
def tokens(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> dict[Path, tuple[str, bool]]:
    """Token file -> what it is, and whether it is good; keys.pem lies beside them."""
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "keys.pem").write_bytes(issuer.pem)
    found = {}
    for number, (name, token, good) in enumerate(
        [
            *((name, token, True) for name, token in issuer.good()),
            *((name, token, False) for name, token in issuer.bad()),
            # A shell knows no calendar.
            *((name, token, False) for name, token in issuer.strict() if name != "no such day"),
        ]
    ):
        path = folder / f"{number:03}.jws"
        path.write_text(token + "\n" * (number % 2))
        found[path] = (name, good)
    return found


def run(script: list[str], token: Path, host: str, *profiles: str) -> tuple[int, str]:
    done = subprocess.run(
        [*script, str(token), host, str(token.parent / "keys.pem"), *profiles],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


SHELL = ["sh", str(SCRIPTS / "check.sh")]
PYTHON = [sys.executable, "-I", str(SCRIPTS / "check.py")]


def test_the_shell_takes_what_is_good_and_nothing_else(tokens: dict[Path, tuple[str, bool]]) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = dict(zip(tokens, pool.map(lambda token: run(SHELL, token, HOST), tokens), strict=True))
    wrong = {
        name: answers[path]
        for path, (name, good) in tokens.items()
        if answers[path][0] != (0 if good else 20)
        or not answers[path][1].startswith("good:" if good else "do not wipe:")
    }
    assert wrong == {}


def check_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("clearance_check", SCRIPTS / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_python_takes_what_is_good_and_nothing_else(
    tokens: dict[Path, tuple[str, bool]], issuer: Issuer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = check_module().main
    keys = str(next(iter(tokens)).parent / "keys.pem")
    for path, (name, good) in tokens.items():
        assert main([str(path), HOST, keys]) == (0 if good else 20), name
        assert capsys.readouterr().out.startswith("good:") == good
    for number, (name, token) in enumerate(issuer.strict()):
        path = tmp_path / f"{number}.jws"
        path.write_text(token)
        assert main([str(path), HOST, keys]) == 20, name


@pytest.mark.parametrize("script", [SHELL, PYTHON], ids=["shell", "python"])
def test_profiles_and_what_is_not_there(
    script: list[str], tokens: dict[Path, tuple[str, bool]], tmp_path: Path
) -> None:
    good = next(iter(tokens))
    assert run(script, good, "LAB3-07", "A.Ito", "NORTH\\m.okafor")[0] == 0
    code, said = run(script, good, HOST, "a.ito", "b.new")
    assert code == 20
    assert "b.new has a profile there" in said
    for other in ("m.okafor", "ito", "a.ito,NORTH", ".*", ""):
        assert run(script, good, HOST, other)[0] == 20, other
    assert run(script, good, "")[0] == 20
    assert run(script, tmp_path / "none", HOST)[0] == 20
    (tmp_path / "token").write_bytes(good.read_bytes())
    (tmp_path / "keys.pem").write_text("no key\n")
    assert run(script, tmp_path / "token", HOST)[0] == 20


#: Accounts as schools have them.
NAMES = ("jörg.müller", "NORTH\\ümit", "o'neill", "x[1]", 'q"uote')


@pytest.mark.parametrize("script", [SHELL, PYTHON], ids=["shell", "python"])
def test_names_that_are_not_plain_letters_are_found(script: list[str], issuer: Issuer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(sign(issuer.clearance(users=NAMES), issuer.key))
    (tmp_path / "keys.pem").write_bytes(issuer.pem)
    assert run(script, token, HOST, *NAMES) == (0, run(script, token, HOST)[1])
    for other in ("jorg.muller", "müller", "x", "1", "quote"):
        assert run(script, token, HOST, other)[0] == 20, other


def powershell(windows: WinePrefix, lines: str) -> list[str]:
    return windows.powershell(f"$ErrorActionPreference = 'Continue'\n{lines}").splitlines()


#: What check.ps1 leaves to Windows.
CALLS = """    $key = [Security.Cryptography.CngKey]::Import($blob, $kind)
    (New-Object Security.Cryptography.ECDsaCng $key).VerifyHash($hash, $Signature)
"""


def test_powershell_takes_what_is_good_and_nothing_else(
    windows: WinePrefix, tokens: dict[Path, tuple[str, bool]], issuer: Issuer, tmp_path: Path
) -> None:
    """Wine has no elliptic keys: the two calls for them go to a stand-in, all else is the script as it is."""
    text = (SCRIPTS / "check.ps1").read_text()
    assert text.count(CALLS) == 1
    stand_in = "    [EllipticCheck]::Verify([byte[]]$blob[8..71], $hash, $Signature)\n"
    (tmp_path / "check.ps1").write_text(text.replace(CALLS, stand_in))
    script, source = windows_path(tmp_path / "check.ps1"), windows.copy(SUPPORT / "EllipticCheck.cs")
    whole = windows.copy(SCRIPTS / "check.ps1")
    good, *_ = tokens
    asked = [(windows_path(path), HOST, "") for path in tokens]
    for profiles in ("'A.Ito','NORTH\\m.okafor'", "'a.ito','b.new'", "'m.okafor'"):
        asked.append((windows_path(good), "LAB3-07", f"-Profiles {profiles}"))
    names = tmp_path / "names.jws"
    names.write_text(sign(issuer.clearance(users=NAMES), issuer.key))
    (tmp_path / "keys.pem").write_bytes(issuer.pem)
    # By their numbers: what goes to the console may be in another code page.
    plain = ",".join("(" + "+".join(f"[string][char]{ord(one)}" for one in name) + ")" for name in NAMES)
    asked.append((windows_path(names), HOST, f"-Profiles {plain}"))
    asked.append((windows_path(good), "lab3-0", ""))
    asked.append((windows_path(tmp_path / "none"), HOST, ""))
    keys = windows_path(good.parent / "keys.pem")
    lines = [
        "$errors = $null",
        f"[void][Management.Automation.Language.Parser]::ParseFile('{whole}', [ref]$null, [ref]$errors)",
        '"mistakes: $errors"',
    ]
    lines += [f"Add-Type -Path '{source}' -ReferencedAssemblies System.Runtime.Numerics, System.Runtime"]
    lines += [
        f"$LASTEXITCODE = 0; $said = & '{script}' -TokenFile '{token}' -HostName {host} -Keys '{keys}' {more}\n"
        f'"{number} $LASTEXITCODE $said"'
        for number, (token, host, more) in enumerate(asked)
    ]
    told = powershell(windows, "\n".join(lines))
    assert "mistakes: " in told
    answers = {int(line.split()[0]): line for line in told if line[:1].isdigit()}
    expected = [*tokens.values(), ("profiles", True), ("a stranger", False), ("part of a name", False), ("names", True)]
    expected += [("part of the host", False), ("no file", False)]
    wrong = {
        name: answers[number]
        for number, (name, good) in enumerate(expected)
        if not answers[number].startswith(f"{number} 0 good: " if good else f"{number} 20 ")
    }
    assert wrong == {}


def test_the_times_of_the_tokens_are_of_now(issuer: Issuer) -> None:
    """The scripts have no clock but the computer's: a slow run must not make good tokens bad."""
    assert datetime.now(UTC) - issuer.now < timedelta(minutes=30)
