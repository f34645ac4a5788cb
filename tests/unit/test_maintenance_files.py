"""The files of plans and of people: what people write wrongly is told at once, where it stands, with what to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.errors import ConfigError
from configs.maintenance_file import load_plan, plan_files, plan_path, plan_text
from configs.people_file import accounts_of, load_people

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
PLAN: dict[str, Any] = {
    "name": "lab3",
    "kind": "reimage",
    "site": "north",
    "hosts": {"groups": ["lab-3"]},
    "window": {"start": "2026-07-06 17:00", "end": "2026-07-07 06:00"},
    "action": {"kind": "manual"},
}


def problems(path: Path, content: Any) -> list[str]:
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    with pytest.raises(ConfigError) as caught:
        load_plan(path)
    return [line.strip() for line in caught.value.message.splitlines()[1:]]


def test_the_examples_are_plans_and_people() -> None:
    assert load_plan(CONFIGS / "maintenance" / "example.yaml").site == "north"
    people = load_people(CONFIGS / "people.example.yaml", sites=["north"]).people
    assert accounts_of("m.okafor", people["m.okafor"]) == ("m.okafor",)
    assert accounts_of("a.ito", people["a.ito"]) == ("a.ito", "NORTH\\a.ito")


def test_what_a_plan_says_can_be_written_and_read_again(tmp_path: Path) -> None:
    actions: list[dict[str, Any]] = [
        {"kind": "manual", "instructions": "Boot: choose 'Windows'\nand wait # not long"},
        {"kind": "command", "argv": ["/bin/imager", "{host}", "--note", "a: b"], "environment": {"X": "env:X"}},
        {"kind": "http", "url": "https://fog/{mac}", "body": '{"host": "{host}"}', "expect": [201]},
        {"kind": "ansible", "playbook": "/srv/re image.yml"},
    ]
    for action in actions:
        path = tmp_path / "lab3.yaml"
        path.write_text(
            yaml.safe_dump({**PLAN, "action": action, "title": "Größer: 'neu'", "deadline": "2026-07-06 12:00"})
        )
        first = load_plan(path)
        path.write_text(plan_text(first))
        assert load_plan(path) == first


def test_every_problem_stands_where_it_is_in_the_file(tmp_path: Path) -> None:
    found = problems(
        tmp_path / "lab3.yaml",
        {
            **PLAN,
            "window": {"start": "2026-07-06T17:00Z", "end": "2026-02-30 06:00"},
            "action": {"kind": "command", "argv": []},
            "max_hosts": 0,
            "dedline": "2026-07-06 12:00",
        },
    )
    assert [one.partition(":")[0] for one in found] == [
        "At 'window.start'",
        "At 'window.end'",
        "At 'action.argv'",
        "At 'max_hosts'",
        "At 'dedline'",
    ]
    assert "'2026-02-30 06:00' is no day of the calendar" in found[1]
    assert "Did you mean 'deadline'?" in found[4]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": "lab4"}, "the plan calls itself 'lab4' and its file 'lab3.yaml'"),
        ({"hosts": {}}, "'hosts' names no computers"),
        ({"window": {"start": "2026-07-06 17:00", "end": "2026-07-06 17:00"}}, "the window ends before it begins"),
        ({"window": {"start": "2026-07-06 17:00", "end": "2062-07-06 17:00"}}, "is a year mistyped?"),
        ({"deadline": "2026-07-08 12:00"}, "eople could still agree ('deadline') when the window has ended"),
        ({"approvals": {"by": "people"}}, "'by: people' needs 'people': who must agree?"),
        ({"action": {"kind": "http", "url": "file:///etc/passwd"}}, "an address begins with https://"),
        ({"action": {"kind": "http", "url": "https://u:p@x.example/"}}, "no password in it"),
        ({"action": {"kind": "http", "url": "https://x.example/", "headers": {"A": "b\r\nC: d"}}}, "one line of text"),
        ({"action": {"kind": "http", "url": "https://x.example/", "headers": {"A B": "c"}}}, "a header's name has"),
        ({"action": {"kind": "wipe"}}, "At 'action': 'kind' must be one of 'command', 'http', 'ansible', 'manual'"),
        ({"action": {"argv": ["x"]}}, "At 'action': 'kind' is missing"),
    ],
)
def test_what_contradicts_itself_is_refused(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    assert any(text in one for one in problems(tmp_path / "lab3.yaml", {**PLAN, **changes}))


def test_no_name_of_a_plan_leads_out_of_its_folder(tmp_path: Path) -> None:
    for name in ("../app", "a/b", "/etc/passwd", "", ".hidden", "a\0b", "x" * 200):
        with pytest.raises(ConfigError, match="is no name of a maintenance plan"):
            plan_path(tmp_path, name)
    assert plan_path(tmp_path, "lab3.2026_a-b") == tmp_path / "lab3.2026_a-b.yaml"


def test_a_plan_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "lab3.yaml").write_text(yaml.safe_dump(PLAN))
    (tmp_path / ".lab4.yaml.swp").write_text("")
    (tmp_path / "notes.txt").write_text("")
    assert [one.name for one in plan_files(tmp_path)] == ["lab3.yaml"]
    assert list(plan_files(tmp_path / "nowhere")) == []
    with pytest.raises(ConfigError, match="Did you mean 'lab3'") as caught:
        load_plan(tmp_path / "lab33.yaml")
    assert caught.value.hint.startswith("There are: lab3. Write ")


def people(tmp_path: Path, found: dict[str, Any]) -> list[str]:
    path = tmp_path / "people.yaml"
    path.write_text(yaml.safe_dump({"people": found}))
    with pytest.raises(ConfigError) as caught:
        load_people(path, sites=["north", "south"])
    return [line.strip() for line in caught.value.message.splitlines()[1:]]


def test_no_file_is_nobody(tmp_path: Path) -> None:
    assert load_people(tmp_path / "people.yaml").people == {}


def test_people_who_cannot_be_told_apart_or_do_not_exist(tmp_path: Path) -> None:
    ito = {"name": "Aiko Ito", "delegates": ["m.okafro", "a.ito"], "sites": ["nroth"]}
    okafor = {"name": "Mary", "accounts": ["A.ITO"]}
    assert people(tmp_path, {"a.ito": ito, "m.okafor": okafor}) == [
        "At 'people.a.ito.delegates': there is no 'm.okafro' among the people. Did you mean 'm.okafor'?",
        "At 'people.a.ito.delegates': nobody is a delegate of themselves",
        "At 'people.a.ito.sites': there is no site 'nroth' in the configuration. Did you mean 'north'?",
        "At 'people.m.okafor.accounts': 'a.ito' is an account of 'a.ito', too",
    ]
    assert "this must be one of" in people(tmp_path, {"a": {"name": "A", "roles": ["boss"]}})[0]
    assert people(tmp_path, {"a": {"name": "A", "email": "a@x, b@x"}})[0].startswith("At 'people.a.email'")


def test_the_same_account_at_two_schools_is_two_people(tmp_path: Path) -> None:
    path = tmp_path / "people.yaml"
    one = {"name": "Admin", "accounts": ["teacher"], "sites": ["north"]}
    path.write_text(yaml.safe_dump({"people": {"a": one, "b": {**one, "sites": ["south"]}}}))
    assert set(load_people(path).people) == {"a", "b"}
