"""The field check for Windows, as far as no computer is needed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tasks.errors import Unreachable
from tasks.remote.filesystem import RemoteHost
from tasks.transports.base import Transport
from tests.field.bench import CHECKS, Bench, wire_path
from tests.field.checklist import PAGE, page
from tests.field.claims import AREAS, CLAIMS
from tests.field.outcome import Document, Line, Outcome, Scrubber
from tests.field.pc import Pc
from tests.field.run import MODULES, chosen, run
from tests.field.windows_field_check import main

ROOT = Path(__file__).resolve().parents[2]


def test_every_claim_has_its_check_and_every_check_its_claim() -> None:
    numbers = [claim.number for claim in CLAIMS]
    assert numbers == sorted(set(numbers))
    assert set(CHECKS) == set(numbers)
    assert [area for area in AREAS if any(claim.area == area for claim in CLAIMS)] == list(AREAS)
    assert [claim.area for claim in CLAIMS] == sorted((claim.area for claim in CLAIMS), key=AREAS.index)


def test_claims_are_sentences() -> None:
    for claim in CLAIMS:
        assert claim.claim.endswith("."), claim.number
        assert claim.how.endswith("."), claim.number
        if claim.how == "By a person.":
            assert claim.person.endswith("."), claim.number


def test_every_probe_is_used() -> None:
    text = "".join(Path(module.__file__ or "").read_text() for module in MODULES)
    text += "".join((ROOT / "tests" / "field" / f"{name}.py").read_text() for name in ("bench", "run"))
    names = {path.stem for path in (ROOT / "tests" / "field" / "probes").iterdir()}
    assert names == {name for name in names if re.search(rf"""["']{name}["']""", text)}


def test_the_checklist_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: make docs"


def test_the_guide_names_only_claims_that_there_are() -> None:
    numbers = {claim.number for claim in CLAIMS}
    named = set(re.findall(r"FC-\d+", (ROOT / "docs" / "windows.md").read_text(encoding="utf-8")))
    assert named <= numbers
    assert named == numbers, "each claim stands in the section of what is not verified"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (r"'C:\Users\a.ito\Desktop\exam of 4b.docx' is open", r"'C:\Users\***' is open"),
        ("/C/Users/m.okafor/Desktop/marks 4b.xlsx: in use", "/C/Users/***"),
        ("at LAB4-01 port 5986", "at *** port 5986"),
        ("10.3.0.9 does not answer", "*** does not answer"),
        ("signed in as NORTH\\svc-firstbell", "signed in as ***"),
        ("svc-firstbell of NORTH", "*** of ***"),
        ("PUT http://s3.school.example/b/k?X-Amz-Signature=abc failed", "PUT http://*** failed"),
        ("puts objects of s3://firstbell-spool/north (5.3 s)", "puts objects of s3://*** (5.3 s)"),
        ("owner S-1-5-21-1-2-3-1001, not S-1-5-18", "owner S-***, not S-1-5-18"),
        ("two\nlines", "two lines"),
        ("build 22631.4391, PowerShell 5.1.22621.4391", "build 22631.4391, PowerShell 5.1.22621.4391"),
    ],
)
def test_names_are_taken_out(text: str, clean: str) -> None:
    scrubber = Scrubber(["lab4-01", "NORTH\\svc-firstbell", "it"])
    assert scrubber.clean(text) == clean


def test_long_evidence_is_cut() -> None:
    assert len(Scrubber().clean("word " * 1000)) < 700


def test_the_result_file() -> None:
    document = Document({"Windows": "Windows 11 Education 23H2"}, cleaned_up="nothing")
    document.lines.append(Line("FC-01", Outcome("passed", "3 MiB | 2 s"), 2.04))
    document.lines.append(Line("FC-60", Outcome("failed", "Create answered 10"), 1.0))
    told = json.loads(document.as_json())
    assert [(line["number"], line["result"], line["seconds"]) for line in told["results"]] == [
        ("FC-01", "passed", 2.0),
        ("FC-60", "failed", 1.0),
    ]
    assert told["about"] == {"Windows": "Windows 11 Education 23H2"}
    markdown = document.as_markdown()
    assert "3 MiB \\| 2 s" in markdown
    assert "1 passed, 1 failed" in markdown
    assert "## Shadow copies" in markdown


def test_numbers_that_there_are_not() -> None:
    assert [claim.number for claim in chosen(["FC-02", "FC-01"])] == ["FC-01", "FC-02"]
    assert len(chosen([])) == len(CLAIMS)
    with pytest.raises(ValueError, match="there is no FC-00"):
        chosen(["FC-00", "FC-01"])


def test_a_computer_that_does_not_answer_fails_every_claim_and_crashes_none() -> None:
    def no_link() -> Transport:
        raise Unreachable("nothing answers at 10.3.0.9 port 5986", host="lab4-01")

    @contextmanager
    def no_helper() -> Iterator[RemoteHost]:
        raise Unreachable("nothing answers at 10.3.0.9 port 5986", host="lab4-01")
        yield

    seen: list[Line] = []
    document = run(Bench(Pc("winrm", no_link, no_helper), Scrubber()), CLAIMS, told=seen.append)
    assert [line.number for line in seen] == [claim.number for claim in CLAIMS]
    assert document.lines == seen
    for line in seen:
        assert line.outcome.status != "passed", line
        assert line.outcome.evidence, line
        assert "10.3.0.9" not in line.outcome.evidence
    assert "may be left" in document.cleaned_up


def test_a_computer_that_is_not_in_the_inventory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory" / "hosts.yaml").write_text("here: {site: north, transport: local}\n")
    (tmp_path / "app.yaml").write_text(f"repository: {{location: {tmp_path}/repository}}\n")
    options = ["--config", str(tmp_path / "app.yaml"), "--inventory", str(tmp_path / "inventory")]
    assert main(["lab4-01", *options]) == 1
    assert "lab4-01" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["here", *options])
    assert "worker itself" in capsys.readouterr().err


def test_paths_on_the_wire() -> None:
    assert wire_path("C:\\firstbell-field-1\\a b") == b"/C/firstbell-field-1/a b"
    assert wire_path("d:\\x") == b"/D/x"


def test_the_workflow_names_what_there_is() -> None:
    text = (ROOT / ".github" / "workflows" / "windows.yml").read_text()
    steps = yaml.safe_load(text)["jobs"]["itself"]["steps"]
    commands = "\n".join(step.get("run", "") for step in steps)
    assert commands.count("prepare-pc.ps1") == 3
    for name in re.findall(r"-m (tests[\w.]+)", commands):
        assert (ROOT / f"{name.replace('.', '/')}.py").is_file(), name
    for path in re.findall(r"\.\\docs\\[\w\\.-]+", commands):
        assert (ROOT / path.replace("\\", "/")).is_file(), path
