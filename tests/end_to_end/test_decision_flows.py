"""The forms by which people decide, against a real Prefect server: what it learns is worth nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.backends.local import LocalBackend
from tasks.records.issued import add_clearance
from tasks.records.store import RecordStore
from tests.support.gate_site import HOST
from tests.support.people_site import PeopleSite
from tests.support.prefect_records import everything
from tests.support.prefect_stack import PrefectStack

pytestmark = pytest.mark.prefect


@pytest.fixture
def site(prefect: PrefectStack, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> PeopleSite:
    made = PeopleSite(tmp_path, capsys, groups=["lab-3"])
    (tmp_path / "inventory" / "groups.yaml").write_text("lab-3: {kind: room}\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("FIRSTBELL_CONFIG", str(tmp_path / "app.yaml"))
    monkeypatch.setenv("FIRSTBELL_INVENTORY", str(tmp_path / "inventory"))
    return made


def run(flow: Any, **parameters: Any) -> Any:
    return flow(**parameters, return_state=True)


def codes(site: PeopleSite, *arguments: str) -> dict[str, str]:
    return {one["person"]: one["code"] for one in site.run("codes", "print", *arguments)[1]}


def test_an_answer_uses_its_code_up_and_shows_no_other(prefect: PrefectStack, site: PeopleSite) -> None:
    from flows.decision_forms import YourAnswer
    from flows.decisions import answer_maintenance

    code = codes(site, HOST)["a.ito"]
    # What is chosen when somebody only types a code in is no.
    state = run(answer_maintenance, code=code)
    assert state.type.value == "COMPLETED"
    assert state.message.startswith(
        "Aiko Ito refused: lab3-07 will not be wiped. The code is used up; Aiko Ito can get"
    )
    again = run(answer_maintenance, code=code, answer=YourAnswer.YES)
    assert (again.type.value, "used already" in again.message) == ("FAILED", True)
    following = codes(site, HOST)["a.ito"]
    assert following != code
    told = everything(prefect)
    assert following not in told
    state = run(answer_maintenance, code=following, answer=YourAnswer.YES)
    assert state.message.startswith("Aiko Ito agreed: lab3-07.")


def test_a_code_that_was_not_used_up_is_taken_back(site: PeopleSite) -> None:
    from flows.decision_forms import YourAnswer
    from flows.decisions import answer_maintenance

    code = codes(site, HOST)["a.ito"]
    for answer, day in ((YourAnswer.LATER, ""), (YourAnswer.LATER, "soon"), (YourAnswer.LATER, "2020-01-01")):
        state = run(answer_maintenance, code=code, answer=answer, not_before=day)
        assert state.type.value == "FAILED"
        assert "Nothing was decided." in state.message
        site.say("refuse", "--code-file", "/dev/null")
        file = site.folder / "code"
        file.write_text(code)
        assert "used already" in site.say("approve", "--code-file", str(file))[2]
        code = codes(site, HOST)["a.ito"]
    assert site.run("ledger", "--verify")[0] == 0


def test_a_no_that_may_come_too_late_is_a_failure_that_somebody_sees(site: PeopleSite) -> None:
    from flows.decisions import answer_maintenance

    code = codes(site, HOST)["a.ito"]
    expiry = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    claims = {"id": "c1", "host": HOST, "expiry": expiry, "snapshot": "9f" * 32}
    add_clearance(RecordStore(LocalBackend(site.folder / "repository")), claims, key="k", serial="")
    state = run(answer_maintenance, code=code)
    assert state.type.value == "FAILED"
    assert state.message.startswith("Aiko Ito refused: lab3-07 will not be wiped. CALL IT NOW: lab3-07 may be wiped")


def test_a_hold_and_an_override(site: PeopleSite) -> None:
    from flows.decision_forms import HoldWhat
    from flows.decisions import lift_hold, override_refusal, place_hold

    mine = codes(site, "--own", "--site", "north", *(f"--person={key}" for key in ("e.exam", "head", "deputy")))
    state = run(place_hold, code=mine["e.exam"], name="lab-3", until="2099-09-03", reason="exam prep")
    assert state.message.startswith("Hold ")
    (hold,) = site.run("hold", "list")[1]
    assert (hold["target"], hold["until"][:10]) == ("lab-3", "2099-09-02")
    wrong = run(place_hold, code=mine["head"], what=HoldWhat.COMPUTER, name=HOST, until="2099-09-03", reason="x")
    assert (wrong.type.value, "has not the role" in wrong.message) == ("FAILED", True)
    mine |= codes(site, "--own", "--site", "north", "--person=e.exam", "--person=head")
    state = run(
        override_refusal,
        first_code=mine["head"],
        second_code=mine["deputy"],
        computers=[HOST],
        reason="water damage",
    )
    assert "Past: Eva Exam holds the room lab-3: exam prep." in state.message
    state = run(lift_hold, code=mine["e.exam"], hold=hold["hold"])
    assert state.message.startswith(f"Hold {hold['hold']} is lifted.")
