"""Codes, answers, holds and overrides, and where a computer stands after them."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from configs.errors import ConfigError, InventoryError
from tasks.errors import AnswerRefused
from tasks.verbs.code_letters import code_letter
from tasks.verbs.codes import own_code, void_code
from tasks.verbs.context import Context
from tasks.verbs.decisions import Answer, decide, invite, read_ledger, standing
from tasks.verbs.holds import lift_hold, list_holds, override, place_hold
from tests.support.people_site import NOW, PeopleSite, codes_of, own, plan_for, say

HOST = "lab3-07"


@pytest.fixture
def site(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> PeopleSite:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = PeopleSite(tmp_path, capsys, groups=["lab-3"])
    (tmp_path / "inventory" / "groups.yaml").write_text("lab-3: {kind: room}\n")
    return made


def stands(context: Context, plan: Any = None, hours: float = 1) -> Any:
    return standing(context, plan, HOST, now=NOW + timedelta(hours=hours))


def test_silence_is_no_and_an_approval_is_yes_until_the_window_ends(site: PeopleSite) -> None:
    context, plan = site.context(), plan_for()
    assert stands(context, plan).missing == ("Aiko Ito (or a delegate) has not been asked",)
    codes = codes_of(context, plan, [HOST])
    assert sorted(codes) == ["a.ito", "m.okafor"]
    assert stands(context, plan).missing == ("Aiko Ito (or a delegate) has not answered",)
    answer = say(context, codes["a.ito"], "approve", hours=1)
    assert (answer.name, answer.hosts, answer.plan) == ("Aiko Ito", (HOST,), "summer")
    found = stands(context, plan, hours=2)
    assert (found.agreed, found.by) == (True, ("Aiko Ito",))
    # 06:00 in Berlin, in summer.
    assert found.until == datetime(2026, 7, 10, 4, 0, tzinfo=UTC)
    assert not standing(context, plan, HOST, now=found.until).agreed


def test_asking_twice_tells_the_same_codes_and_writes_nothing(site: PeopleSite) -> None:
    context, plan = site.context(), plan_for()
    first = codes_of(context, plan, [HOST])
    count = len(site.lines())
    assert codes_of(context, plan, [HOST]) == first
    assert len(site.lines()) == count
    # What was typed carelessly is the same code.
    say(context, first["a.ito"].lower().replace("-", " ").replace("0", "o").replace("1", "l"), "approve")


def test_more_computers_are_asked_about_with_the_same_code(site: PeopleSite) -> None:
    site.add_hosts(**{"lab3-08": {"teachers": ["a.ito"]}})
    context, plan = site.context(), plan_for(HOST, "lab3-08")
    first = codes_of(context, plan, [HOST])
    assert codes_of(context, plan, ["lab3-08"]) == first
    answer = say(context, first["a.ito"], "refuse", hosts=["LAB3-08"], reason="marking")
    assert answer.hosts == ("lab3-08",)
    assert standing(context, plan, "lab3-08", now=NOW).refused_by == ("Aiko Ito",)
    assert stands(context, plan).missing
    with pytest.raises(AnswerRefused, match="not for office-01"):
        say(context, answer.following.code, "approve", hosts=["office-01"])
    say(context, answer.following.code, "approve")
    assert stands(context, plan).agreed


def test_people_change_their_minds_with_the_next_code_each_time(site: PeopleSite) -> None:
    context, plan = site.context(), plan_for()
    code = codes_of(context, plan, [HOST])["a.ito"]
    seen = {code}
    for hours, (decision, agreed) in enumerate([("approve", True), ("refuse", False), ("approve", True)]):
        answer = say(context, code, decision, hours=hours)
        assert stands(context, plan, hours=hours).agreed is agreed
        with pytest.raises(AnswerRefused, match="used already"):
            say(context, code, "refuse", hours=hours)
        code = answer.following.code
        assert code not in seen
        seen.add(code)
        # Whoever lost the answer is told the same one again.
        assert codes_of(context, plan, [HOST])["a.ito"] == code


def test_after_the_deadline_one_can_only_refuse(site: PeopleSite) -> None:
    context, plan = site.context(), plan_for()
    code = codes_of(context, plan, [HOST])["a.ito"]
    late = 24 * 5
    for decision in ("approve", "defer"):
        with pytest.raises(AnswerRefused, match="could be agreed to until"):
            say(context, code, decision, hours=late, until=NOW + timedelta(days=30) if decision == "defer" else None)
    say(context, code, "refuse", hours=late)
    assert stands(context, plan, hours=late).refused_by == ("Aiko Ito",)


def test_a_deferral_is_a_no_until_its_day_and_silence_afterwards(site: PeopleSite) -> None:
    context, plan = site.context(), plan_for()
    code = codes_of(context, plan, [HOST])["a.ito"]
    with pytest.raises(AnswerRefused, match="needs a day"):
        say(context, code, "defer")
    with pytest.raises(AnswerRefused, match="still to come"):
        say(context, code, "defer", until=NOW - timedelta(days=1))
    answer = say(context, code, "defer", until=NOW + timedelta(days=1), reason="exam prep")
    found = stands(context, plan)
    assert (found.agreed, found.deferred_until) == (False, NOW + timedelta(days=1))
    assert [one.code for one in found.stops] == ["deferred"]
    later = stands(context, plan, hours=25)
    assert (later.agreed, later.stops) == (False, ())
    assert "put it off; that is over" in later.missing[0]
    say(context, answer.following.code, "approve", hours=25)
    assert stands(context, plan, hours=26).agreed


def test_delegates_speak_for_a_teacher_and_never_over_them(site: PeopleSite) -> None:
    context, plan = site.context(), plan_for()
    codes = codes_of(context, plan, [HOST])
    delegate = say(context, codes["m.okafor"], "approve")
    assert stands(context, plan).by == ("Mary Okafor for Aiko Ito",)
    teacher = say(context, codes["a.ito"], "refuse")
    assert not stands(context, plan).agreed
    delegate = say(context, delegate.following.code, "approve")
    assert stands(context, plan).refused_by == ("Aiko Ito",)
    say(context, teacher.following.code, "approve")
    assert stands(context, plan).agreed
    # Later, a delegate can only make it stricter.
    say(context, delegate.following.code, "refuse")
    assert stands(context, plan).refused_by == ("Mary Okafor",)


def test_every_teacher_must_agree(site: PeopleSite) -> None:
    site.host["teachers"] = ["a.ito", "NORTH\\b.berg", "c.nobody"]
    site.host["homes"] = {}
    site.write()
    context, plan = site.context(), plan_for()
    codes = codes_of(context, plan, [HOST])
    assert set(codes) == {"a.ito", "m.okafor", "b.berg"}
    for person in ("a.ito", "b.berg"):
        say(context, codes[person], "approve")
    assert stands(context, plan).missing == ("nobody in people.yaml has the account c.nobody",)
    site.people["b.berg"]["accounts"] = ["b.berg", "c.nobody"]
    site.write()
    assert stands(site.context(), plan).agreed


def test_whoever_left_the_school_can_only_say_no(site: PeopleSite) -> None:
    plan = plan_for()
    codes = codes_of(site.context(), plan, [HOST])
    site.people["a.ito"]["delegates"] = []
    del site.people["m.okafor"]
    site.write()
    context = site.context()
    with pytest.raises(ConfigError, match=r"no 'm\.okafor'"):
        say(context, codes["m.okafor"], "approve")
    say(context, codes["a.ito"], "approve")
    assert stands(context, plan).agreed
    say(context, codes["m.okafor"], "refuse")
    assert stands(context, plan).refused_by == ("Mary Okafor",)


def test_who_else_can_be_asked(site: PeopleSite) -> None:
    site.host["teachers"] = []
    site.host["homes"] = {}
    site.write()
    context = site.context()
    assert "no teacher is named" in stands(context, plan_for()).missing[0]
    assert codes_of(context, plan_for(), [HOST]) == {}
    plan = plan_for(approvals={"by": "people", "people": ["head", "b.berg"]})
    codes = codes_of(context, plan, [HOST])
    say(context, codes["head"], "approve")
    assert stands(context, plan).missing == ("Bo Berg has not answered",)
    say(context, codes["b.berg"], "approve")
    assert stands(context, plan).agreed
    nobody = plan_for(name="quiet", approvals={"by": "none"})
    assert invite(context, nobody, [HOST], now=NOW) == ()
    assert stands(context, nobody).agreed
    site.config["gate"]["approval"] = "required"
    site.write()
    assert not stands(site.context(), nobody).agreed


def test_a_changed_plan_is_another_one(site: PeopleSite) -> None:
    context, plan = site.context(), plan_for()
    code = codes_of(context, plan, [HOST])["a.ito"]
    answer = say(context, code, "approve")
    changed = plan_for(window={"start": "2026-07-06 17:00", "end": "2026-07-20 06:00"})
    assert "another version of the plan" in stands(context, changed).missing[0]
    new = codes_of(context, changed, [HOST])["a.ito"]
    with pytest.raises(AnswerRefused, match="newer code"):
        say(context, answer.following.code, "approve")
    with pytest.raises(AnswerRefused, match="is for summer, not for winter"):
        say(context, new, "approve", plan="winter")
    say(context, new, "approve", plan="summer")
    assert stands(context, changed).agreed
    assert not stands(context, plan_for(name="winter")).agreed
    assert not stands(context, None).agreed


def test_without_a_plan_an_approval_ends_by_itself(site: PeopleSite) -> None:
    context = site.context()
    say(context, codes_of(context, None, [HOST])["a.ito"], "approve")
    assert stands(context).agreed
    assert stands(context, hours=29 * 24).agreed
    assert not stands(context, hours=31 * 24).agreed
    assert not stands(context, plan_for()).agreed


def test_a_refusal_counts_where_no_plan_asks_and_not_in_another_plan(site: PeopleSite) -> None:
    context = site.context()
    summer, other = plan_for(), plan_for(name="other")
    answer = say(context, codes_of(context, summer, [HOST])["a.ito"], "refuse")
    assert stands(context).refused_by == ("Aiko Ito",)
    answer = say(context, answer.following.code, "approve")
    assert stands(context).refused_by == ()
    say(context, answer.following.code, "refuse")
    say(context, codes_of(context, other, [HOST])["a.ito"], "approve")
    assert stands(context, other).agreed
    assert not stands(context, summer).agreed


def test_of_two_schools_each_has_its_own_people_and_ledger(site: PeopleSite) -> None:
    site.add_hosts(office={"site": "south", "teachers": ["s.south"]})
    site.config["sites"]["south"] = {}
    site.people["s.south"] = {"name": "Sue South", "sites": ["south"], "delegates": ["a.ito", "m.okafor"]}
    site.people["a.ito"]["sites"] = ["north"]
    site.write()
    site.add_hosts(office={"site": "south", "teachers": ["s.south"]})
    context = site.context()
    assert set(codes_of(context, None, [HOST])) == {"a.ito", "m.okafor"}
    codes = codes_of(context, None, ["office"])
    assert set(codes) == {"s.south", "m.okafor"}
    with pytest.raises(AnswerRefused, match="not one of our codes"):
        say(context, codes["s.south"], "approve", site="north")
    assert say(context, codes["s.south"], "approve").site == "south"
    assert standing(context, None, "office", now=NOW).agreed
    with pytest.raises(InventoryError, match="not all of one school"):
        invite(context, None, [HOST, "office"], now=NOW)
    plan = plan_for(approvals={"by": "people", "people": ["s.south"]})
    assert "does not belong to this school" in stands(context, plan).missing[0]
    with pytest.raises(ConfigError, match="does not belong"):
        own(context, "s.south")
    mine = own_code(context, "south", "m.okafor", now=NOW)
    with pytest.raises(AnswerRefused, match="has not the role"):
        hold(context, mine.code, "site", "south", NOW + timedelta(days=1))


WRONG = ["", "hello", "0" * 20, "7K3QH-9XWV2-M4T8R-C5ZPB", "U" * 20, "\u017f" * 20, "7" * 5000]


@pytest.mark.parametrize("code", WRONG)
def test_wrong_codes_are_refused(site: PeopleSite, code: str) -> None:
    context = site.context()
    codes_of(context, None, [HOST])
    with pytest.raises(AnswerRefused, match="not one of our codes"):
        say(context, code, "approve")


def test_each_character_of_a_code_counts(site: PeopleSite) -> None:
    context = site.context()
    code = codes_of(context, None, [HOST])["a.ito"]
    for place, character in enumerate(code):
        if character == "-":
            continue
        wrong = code[:place] + ("A" if character != "A" else "B") + code[place + 1 :]
        with pytest.raises(AnswerRefused, match="not one of our codes"):
            say(context, wrong, "approve")
    say(context, code, "approve")


def test_a_code_put_together_of_two_is_none(site: PeopleSite) -> None:
    context = site.context()
    given = codes_of(context, None, [HOST])
    plan = codes_of(context, plan_for(), [HOST])
    mine = own(context, "a.ito").code
    for first, second in [
        (given["a.ito"], given["m.okafor"]),
        (given["a.ito"], plan["a.ito"]),
        (given["a.ito"], mine),
        (mine, given["a.ito"]),
    ]:
        mixed = first.replace("-", "")[:8] + second.replace("-", "")[8:]
        with pytest.raises(AnswerRefused, match="not one of our codes"):
            say(context, mixed, "approve")


def test_a_code_that_others_saw_is_exchanged(site: PeopleSite) -> None:
    context, plan = site.context(), plan_for()
    code = codes_of(context, plan, [HOST])["a.ito"]
    following = void_code(context, code, now=NOW)
    with pytest.raises(AnswerRefused, match="used already"):
        say(context, code, "approve")
    with pytest.raises(AnswerRefused, match="used already"):
        void_code(context, code, now=NOW)
    assert codes_of(context, plan, [HOST])["a.ito"] == following.code
    say(context, following.code, "approve")
    assert stands(context, plan).agreed


def test_a_code_is_in_no_text_that_may_be_logged(site: PeopleSite) -> None:
    context = site.context()
    (one, *_) = invite(context, None, [HOST], now=NOW)
    answer = say(context, one.code, "approve")
    for shown in (repr(one), repr([one]), repr(answer), str(answer)):
        assert one.code not in shown
        assert answer.following.code not in shown


def test_the_letter_with_a_code_says_what_it_is_for(site: PeopleSite) -> None:
    site.people["b.berg"] |= {"email": "b.berg@north.example", "language": "de"}
    site.host["teachers"] = ["a.ito", "b.berg"]
    site.host["homes"] = {}
    site.config["letters"] = {"answer_page": "https://firstbell.north.example/answer"}
    site.write()
    context = site.context()
    by_person = {one.person: one for one in invite(context, plan_for(), [HOST], now=NOW)}
    english = code_letter(context, by_person["a.ito"])
    assert (english.address, english.subject) == ("a.ito@north.example", "Your code for lab3-07")
    for text in (by_person["a.ito"].code, "Sunday 5 July 2026, 12:00", "nothing is wiped", "north.example/answer"):
        assert text in " ".join(english.text.split())
    assert by_person["a.ito"].code in english.html
    assert by_person["a.ito"].code not in english.thing
    german = code_letter(context, by_person["b.berg"])
    assert (german.subject, german.language) == ("Ihr Code für lab3-07", "de")
    assert "Sonntag" in german.text
    with pytest.raises(ConfigError, match="no mail address"):
        code_letter(context, by_person["m.okafor"])
    own_letter = code_letter(context, own(context, "a.ito"))
    assert own_letter.subject == "Your code"
    assert "keep computers from being wiped" in " ".join(own_letter.text.split())


def test_wrong_codes_are_counted_slowed_and_told(site: PeopleSite) -> None:
    context = site.context()
    code = codes_of(context, None, [HOST])["a.ito"]
    waited: list[float] = []
    for _ in range(12):
        with pytest.raises(AnswerRefused):
            decide(context, code="A" * 20, decision="approve", now=NOW, sleep=waited.append)
    assert waited[:3] == [0.0, 0.0, 1.0] or waited[:4] == [0.0, 0.0, 1.0, 2.0]
    assert max(waited) == 30.0
    # The right one is never kept waiting: nobody can keep a teacher from refusing.
    decide(context, code=code, decision="refuse", now=NOW, sleep=waited.append)
    assert len(waited) == 12
    events = [json.loads(path.read_text())["data"]["event"] for path in site.lines()]
    assert events.count("guessed") == 1
    stored = "".join(path.read_text() for path in (site.folder / "repository" / "records").rglob("*.json"))
    assert "AAAAA" not in stored
    assert code not in stored
    assert code.replace("-", "")[8:] not in stored


def test_a_school_that_cannot_be_asked_hides_no_guessing(site: PeopleSite) -> None:
    site.add_hosts(office={"site": "south"})
    site.config["sites"]["south"] = {}
    site.config["approval"]["code_key"] = f"file:{site.folder}/{{site}}.key"
    site.write()
    site.add_hosts(office={"site": "south"})
    site.key.rename(site.folder / "north.key")
    context = site.context()
    code = codes_of(context, None, [HOST])["a.ito"]
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"south\.key' is not there"):
            say(context, "A" * 20, "approve")
    assert len(list((site.folder / "repository" / "records" / "wrong-code" / "north").iterdir())) == 2
    say(context, code, "approve")


def test_a_code_is_good_in_its_time_only(site: PeopleSite) -> None:
    context, plan = site.context(), plan_for()
    code = codes_of(context, plan, [HOST])["a.ito"]
    with pytest.raises(AnswerRefused, match="good until"):
        say(context, code, "refuse", hours=24 * 10)
    with pytest.raises(AnswerRefused, match="a clock is wrong"):
        say(context, code, "approve", hours=-1)
    # A little apart is how clocks are.
    say(context, code, "approve", hours=-0.05)


def test_an_approval_from_the_future_is_not_believed(site: PeopleSite) -> None:
    context, plan = site.context(), plan_for()
    say(context, codes_of(context, plan, [HOST])["a.ito"], "approve", hours=48)
    assert not stands(context, plan).agreed
    assert stands(context, plan, hours=49).agreed


def test_a_code_of_another_school_or_key_is_none(site: PeopleSite, tmp_path: Path) -> None:
    context = site.context()
    code = codes_of(context, None, [HOST])["a.ito"]
    site.key.chmod(0o600)
    site.key.write_text("x" * 43)
    with pytest.raises(AnswerRefused, match="not one of our codes"):
        say(site.context(), code, "approve")
    found = stands(site.context())
    assert not found.agreed
    assert any("not ours" in text for text in found.problems)


def test_an_old_key_is_still_believed(site: PeopleSite) -> None:
    context, plan = site.context(), plan_for()
    code = codes_of(context, plan, [HOST])["a.ito"]
    old = site.folder / "old.key"
    site.key.rename(old)
    site.key.write_text("n" * 43)
    site.key.chmod(0o600)
    site.config["approval"]["old_code_keys"] = [f"file:{old}"]
    site.write()
    context = site.context()
    answer = say(context, code, "approve")
    assert stands(context, plan).agreed
    say(context, answer.following.code, "refuse")
    assert read_ledger(context, "north").problems == ()


def test_without_a_key_nobody_can_decide(site: PeopleSite) -> None:
    del site.config["approval"]["code_key"]
    site.write()
    context = site.context()
    with pytest.raises(ConfigError, match="no key"):
        codes_of(context, plan_for(), [HOST])
    assert not stands(context, plan_for()).agreed
    site.key.write_text("short")
    site.config["approval"]["code_key"] = f"file:{site.key}"
    site.write()
    with pytest.raises(ConfigError, match="too short"):
        codes_of(site.context(), plan_for(), [HOST])


def test_where_decisions_are_and_the_key_is_not_nothing_is_agreed(site: PeopleSite) -> None:
    codes_of(site.context(), None, [HOST])
    del site.config["approval"]["code_key"]
    site.write()
    assert stands(site.context()).problems == (
        "people have decided here, and 'approval.code_key' is not set to read what",
    )


@pytest.mark.parametrize("pair", [("approve", "approve"), ("approve", "refuse")])
def test_of_two_uses_at_once_one_counts(site: PeopleSite, pair: tuple[str, str]) -> None:
    context, plan = site.context(), plan_for()
    code = codes_of(context, plan, [HOST])["a.ito"]
    start = threading.Barrier(2)
    done: list[Answer | AnswerRefused] = []

    def use(decision: str) -> None:
        start.wait()
        try:
            done.append(say(context, code, decision))
        except AnswerRefused as error:
            done.append(error)

    threads = [threading.Thread(target=use, args=(decision,)) for decision in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [one for one in done if isinstance(one, Answer)]
    assert len(won) == 1
    assert stands(context, plan).agreed is (won[0].decision == "approve")
    assert read_ledger(context, "north", everything=True).problems == ()


def test_many_writers_keep_the_chain(site: PeopleSite) -> None:
    context = site.context()
    people = list(site.people)
    threads = [threading.Thread(target=own_code, args=(context, "north", key)) for key in people for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(site.lines()) == len(people)
    assert read_ledger(context, "north", everything=True).problems == ()


# --- Holds and overrides


def test_only_an_educator_holds_and_only_they_lift_it(site: PeopleSite) -> None:
    context, plan = site.context(), plan_for()
    say(context, codes_of(context, plan, [HOST])["a.ito"], "approve")
    assert stands(context, plan).agreed
    until = NOW + timedelta(days=60)
    with pytest.raises(AnswerRefused, match="has not the role 'educator'"):
        hold(context, own(context, "b.berg").code, "group", "lab-3", until)
    placed = hold(context, own(context, "e.exam").code, "group", "lab-3", until)
    found = stands(context, plan)
    assert (found.agreed, found.holds) == (False, ("Eva Exam holds the room lab-3: exam prep",))
    assert [one.seq for one in list_holds(context, "north", now=NOW)] == [placed.number]
    with pytest.raises(AnswerRefused, match="who alone can lift it"):
        lift_hold(context, code=own(context, "head").code, hold=placed.number, now=NOW)
    lift_hold(context, code=placed.following[0].code, hold=placed.number, now=NOW)
    assert stands(context, plan).agreed
    assert list_holds(context, "north", now=NOW) == []


def hold(context: Context, code: str, scope: Any, target: str, until: datetime, reason: str = "exam prep") -> Any:
    return place_hold(context, code=code, scope=scope, target=target, until=until, reason=reason, now=NOW)


@pytest.mark.parametrize(("scope", "target"), [("host", "LAB3-07"), ("group", "lab-3"), ("site", "north")])
def test_a_hold_keeps_its_computers_until_its_day(site: PeopleSite, scope: str, target: str) -> None:
    context, plan = site.context(), plan_for(approvals={"by": "none"})
    hold(context, own(context, "e.exam").code, scope, target, NOW + timedelta(days=3))
    assert not stands(context, plan).agreed
    assert stands(context, plan, hours=3 * 24).agreed
    # Leaving the room is no way out.
    site.host["groups"] = []
    site.write()
    assert not stands(site.context(), plan).agreed


@pytest.mark.parametrize(
    ("scope", "target", "until", "reason", "says"),
    [
        ("group", "lab-9", 3, "x", "no computer of north"),
        ("site", "south", 3, "x", "for the school north"),
        ("host", HOST, -1, "x", "still to come"),
        ("host", HOST, 3, " \n", "reason is needed"),
        ("host", HOST, 3, "x" * 1001, "at most"),
    ],
)
def test_holds_that_are_none(site: PeopleSite, scope: str, target: str, until: int, reason: str, says: str) -> None:
    context = site.context()
    code = own(context, "e.exam").code
    with pytest.raises(AnswerRefused, match=says):
        hold(context, code, scope, target, NOW + timedelta(days=until), reason)
    hold(context, code, "host", HOST, NOW + timedelta(days=3))


def test_a_code_serves_its_purpose_only(site: PeopleSite) -> None:
    context = site.context()
    mine, letter = own(context, "a.ito").code, codes_of(context, None, [HOST])["a.ito"]
    with pytest.raises(AnswerRefused, match="this is your own code"):
        say(context, mine, "approve")
    with pytest.raises(AnswerRefused, match="needs your own code"):
        hold(context, letter, "host", HOST, NOW + timedelta(days=3))


def two(context: Context, *people: str, reason: str = "the lab floods", plan: Any = None, hours: float = 0) -> Any:
    codes = [own(context, person).code for person in people]
    return override(
        context, codes=codes, hosts=[HOST], reason=reason, plan=plan, now=NOW + timedelta(hours=hours),
        sleep=lambda seconds: None,
    )  # fmt: skip


def test_two_people_go_past_what_stands_and_nothing_later(site: PeopleSite) -> None:
    context, plan = site.context(), plan_for()
    with pytest.raises(AnswerRefused, match="reason is needed"):
        two(context, "head", "deputy", reason=" ", plan=plan)
    answer = say(context, codes_of(context, plan, [HOST])["a.ito"], "refuse", reason="marking")
    hold(context, own(context, "e.exam").code, "site", "north", NOW + timedelta(days=60))
    placed = two(context, "head", "deputy", plan=plan)
    assert placed.past == ("Eva Exam holds the whole school: exam prep", "Aiko Ito refused: marking")
    found = stands(context, plan)
    assert (found.agreed, found.override) == (True, "Hanna Head and Dan Deputy: the lab floods")
    # Elsewhere it changes nothing.
    assert not stands(context).agreed
    assert not stands(context, plan_for(name="winter")).agreed
    say(context, answer.following.code, "refuse", reason="still marking")
    assert stands(context, plan).refused_by == ("Aiko Ito",)


def test_an_override_without_a_plan_ends_after_a_week(site: PeopleSite) -> None:
    site.config["gate"]["approval"] = "required"
    site.write()
    context = site.context()
    hold(context, own(context, "e.exam").code, "host", HOST, NOW + timedelta(days=60))
    two(context, "deputy", "head")
    assert stands(context).agreed
    assert not stands(context, hours=7 * 24 + 1).agreed
    with pytest.raises(AnswerRefused, match="nothing stands against it"):
        two(context, "deputy", "head", hours=1)


def test_it_takes_two_different_people_with_the_role(site: PeopleSite) -> None:
    site.people["twin"] = {"name": "Hanna Twin", "email": "HEAD@north.example", "roles": ["override"]}
    site.write()
    context = site.context()
    for pair, says in [
        (("head", "head"), "two different people"),
        (("head", "twin"), "two different people"),
        (("head", "a.ito"), "has not the role"),
    ]:
        with pytest.raises(AnswerRefused, match=says):
            two(context, *pair)
    with pytest.raises(AnswerRefused, match="codes of two"):
        override(context, codes=[own(context, "head").code], hosts=[HOST], reason="x", now=NOW)
    with pytest.raises(AnswerRefused, match="not one of our codes"):
        override(
            context, codes=[own(context, "head").code, "A" * 20], hosts=[HOST], reason="x", now=NOW,
            sleep=lambda seconds: None,
        )  # fmt: skip
    assert not stands(context).agreed


# --- Somebody who can write where the ledger lies


def agreed(site: PeopleSite) -> Any:
    context, plan = site.context(), plan_for()
    codes = codes_of(context, plan, [HOST])
    first = say(context, codes["a.ito"], "refuse")
    say(context, first.following.code, "approve")
    assert stands(context, plan).agreed
    return plan


def change(path: Path, **data: Any) -> None:
    document = json.loads(path.read_text())
    document["data"] |= data
    path.chmod(0o600)
    path.write_text(json.dumps(document, indent=1) + "\n")


def forget_here(site: PeopleSite) -> None:
    """Be another computer, which remembers nothing."""
    for path in (site.folder / "cache").rglob("*.json"):
        path.unlink()


@pytest.mark.parametrize("remembers", [True, False])
@pytest.mark.parametrize("harm", ["remove", "change", "swap", "forge", "copy"])
def test_harm_to_the_ledger_shows_and_holds(site: PeopleSite, harm: str, remembers: bool) -> None:
    plan = agreed(site)
    lines = site.lines()
    assert len(lines) == 4
    if harm == "remove":
        lines[2].unlink()
    elif harm == "change":
        change(lines[2], decision="approve")
    elif harm == "swap":
        content = [path.read_bytes() for path in lines[2:4]]
        for path, data in zip(lines[2:4], reversed(content), strict=True):
            path.chmod(0o600)
            path.write_bytes(data)
    elif harm == "forge":
        (site.ledger / "000000000005.json").write_bytes(lines[3].read_bytes().replace(b"approve", b"approve"))
        change(site.ledger / "000000000005.json", person="b.berg")
    else:
        (site.ledger / "000000000005.json").write_bytes(lines[3].read_bytes())
    if not remembers:
        forget_here(site)
    context = site.context()
    if harm != "swap" or not remembers:
        found = stands(context, plan)
        assert not found.agreed
        assert found.problems
    everything = read_ledger(context, "north", everything=True)
    assert everything.problems
    # A no can be said all the same, and the harm still shows.
    code = codes_of(context, plan, [HOST])["m.okafor"]
    say(context, code, "refuse")
    assert stands(context, plan).refused_by
    assert read_ledger(context, "north", everything=True).problems


def test_the_end_of_the_ledger_cut_off_shows_where_it_was_read(site: PeopleSite) -> None:
    context, plan = site.context(), plan_for()
    code = codes_of(context, plan, [HOST])["a.ito"]
    following = say(context, code, "approve").following.code
    say(context, following, "refuse")
    assert not stands(context, plan).agreed
    site.lines()[-1].unlink()
    found = stands(context, plan)
    assert found.problems == ("line 4 was there and is gone",)
    assert found.refused_by == ("Aiko Ito",)
    # What is written next leaves a gap that every other computer sees.
    own(context, "head")
    forget_here(site)
    assert stands(context, plan).problems == (
        "line 4 of the ledger cannot be found",
        "line 5 of the ledger does not follow the one before it",
    )


def test_a_ledger_elsewhere_does_not_get_rid_of_what_was_said(site: PeopleSite) -> None:
    context = site.context()
    hold(context, own(context, "e.exam").code, "host", HOST, NOW + timedelta(days=60))
    site.config["approval"]["ledger"] = str(site.folder / "elsewhere" / "{site}")
    site.write()
    found = stands(site.context())
    assert found.holds
    assert found.problems


def test_a_ledger_of_its_own(site: PeopleSite) -> None:
    site.config["repository"]["location"] = str(site.folder / "{site}" / "{host}")
    site.write()
    with pytest.raises(ConfigError, match="not clear where the ledger"):
        codes_of(site.context(), None, [HOST])
    site.config["approval"]["ledger"] = str(site.folder / "ledger of {site}")
    site.write()
    context = site.context()
    say(context, codes_of(context, None, [HOST])["a.ito"], "approve")
    assert stands(context).agreed
    assert len(list((site.folder / "ledger of north" / "records" / "ledger" / "north").iterdir())) == 3
