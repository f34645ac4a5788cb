"""``docs/windows/prepare-pc.ps1`` in a Windows that is partly pretended: repeatable, and undone as a whole."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.wine import WinePrefix

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "docs" / "windows" / "prepare-pc.ps1"
PRETEND = ROOT / "tests" / "support" / "pretend_windows.ps1"
STORY = ROOT / "tests" / "support" / "prepare_pc_story.ps1"


@pytest.fixture(scope="module")
def story(windows: WinePrefix) -> dict[str, dict[str, Any]]:
    names = f"$pretend = '{windows.copy(PRETEND)}'\n$prepare = '{windows.copy(SCRIPT)}'\n"
    said = windows.powershell(names + STORY.read_text())
    return {step["name"]: step for step in json.loads(said[said.index("[{") :])}


def test_it_refuses_to_open_the_port_to_everybody(story: dict[str, dict[str, Any]]) -> None:
    assert "-AllowFrom" in story["nobody"]["failed"]
    assert "let everybody through" in story["everybody"]["failed"]
    assert story["nobody"]["state"]["Calls"] == story["everybody"]["state"]["Calls"] == []


def test_a_look_changes_nothing(story: dict[str, dict[str, Any]]) -> None:
    look = story["look"]
    assert look["failed"] == ""
    assert look["state"]["Calls"] == []
    assert not look["state"]["Kept"]
    assert look["state"]["Filter"] == ""


def test_the_first_run_prepares_the_pc(story: dict[str, dict[str, Any]]) -> None:
    first = story["first"]
    assert first["failed"] == ""
    state = first["state"]
    assert state["Service"] == {"StartType": "Automatic", "Status": "Running"}
    assert state["Settings"]["AllowUnencrypted"] == state["Settings"]["Auth\\Basic"] == "false"
    assert state["Listener"] == {"Port": "5986", "CertificateThumbprint": state["Certificates"][0]}
    assert state["Rule"]["RemoteAddress"] == ["10.3.0.5", "10.3.1.0/24"]
    assert state["Rule"]["Profile"] == ["Domain", "Private"]
    assert "svc-firstbell" in state["Users"]
    assert "PC\\svc-firstbell" in state["Members"]
    assert state["Filter"] == "1"
    said = "\n".join(first["said"])
    assert "counts as public" in said
    assert "stolen password" in said
    assert "not-told-to-anybody" not in said


def test_the_fingerprint_is_one_that_the_inventory_takes(story: dict[str, dict[str, Any]]) -> None:
    from inventory.folders import check_fingerprint

    said = "\n".join(story["first"]["said"])
    text = re.search(r"fingerprint: (\S+)", said)
    digits = re.search(r"SHA-256:\s+([0-9A-F]{64})", said)
    assert text
    assert digits
    assert check_fingerprint(text[1]) == check_fingerprint(digits[1])


def test_a_second_run_changes_nothing_but_the_rule(story: dict[str, dict[str, Any]]) -> None:
    again = story["again"]
    assert again["failed"] == ""
    assert again["state"]["Calls"] == ["Remove-NetFirewallRule", "New-NetFirewallRule"]
    assert story["narrower"]["state"]["Rule"]["RemoteAddress"] == ["10.3.0.5"]


def test_undo_brings_back_what_was(story: dict[str, dict[str, Any]]) -> None:
    undone = story["undo"]
    assert undone["failed"] == ""
    state = undone["state"]
    assert state["Service"] == {"StartType": "Manual", "Status": "Stopped"}
    assert state["Listener"] is None
    assert state["Certificates"] == []
    assert state["Rule"] is None
    assert state["Users"] == ["teacher"]
    assert state["Members"] == ["PC\\Administrator"]
    assert state["Filter"] == ""
    assert not state["Kept"]
    # What let passwords travel readable is not brought back.
    assert state["Settings"]["Auth\\Basic"] == "false"
    assert story["undo again"]["state"]["Calls"] == []


def test_an_account_of_the_domain_needs_no_policy(story: dict[str, dict[str, Any]]) -> None:
    domain = story["domain"]
    assert domain["failed"] == ""
    assert domain["state"]["Filter"] == ""
    assert domain["state"]["Users"] == ["teacher"]
    assert "NORTH\\svc-firstbell" in domain["state"]["Members"]


def test_its_own_listener_may_move_and_one_of_others_stays(story: dict[str, dict[str, Any]]) -> None:
    moved = story["other port"]
    assert moved["failed"] == ""
    assert moved["state"]["Listener"]["Port"] == "5987"
    others = story["port of others"]
    assert "There is an https listener on port 5987" in others["failed"]
    assert others["state"]["Listener"]["Port"] == "5987"


def test_the_scripts_are_ascii_and_parse(windows: WinePrefix) -> None:
    """What Windows PowerShell 5.1 does not know would be taken by this parser: so it is looked for."""
    scripts = [SCRIPT, *sorted((ROOT / "tests" / "field" / "probes").glob("*.ps1"))]
    for script in scripts:
        script.read_bytes().decode("ascii")
    names = ", ".join(f"'{windows.copy(script)}'" for script in scripts)
    newer = "QuestionMark QuestionQuestion QuestionQuestionEquals QuestionDot QuestionLBracket AndAnd OrOr Clean"
    said = windows.powershell(
        f"foreach ($name in {names}) {{\n"
        "$errors = $null; $tokens = $null; $parser = [Management.Automation.Language.Parser]\n"
        "$null = $parser::ParseFile($name, [ref] $tokens, [ref] $errors)\n"
        f"$new = @($tokens | Where-Object {{ '{newer}'.Split(' ') -contains [string] $_.Kind }})\n"
        'if (@($errors).Count -or $new.Count) { [Console]::Out.WriteLine("$name $errors $new") } }\n'
        "[Console]::Out.Write('done')"
    )
    assert said == "done"
