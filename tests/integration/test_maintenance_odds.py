"""What may go wrong in a maintenance: two workers, clocks, words said at any time, records that lie, late returns."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from configs.maintenance import CommandAction, Window
from tasks.actions.base import ActionOrder, ActionResult
from tasks.backends.local import LocalBackend
from tasks.errors import ActionFailed, ActionUnknown, AuthFailed, ConfigError, MailUnavailable, TransportError
from tasks.policy.gate import Reason
from tasks.policy.maintenance import MOST_STARTS, Agreement
from tasks.policy.maintenance_state import Kind
from tasks.records.maintenance import open_maintenance_records
from tasks.records.model import PendingRestore
from tasks.repository.repository import Repository
from tasks.verbs.maintain import maintenance_holds
from tasks.verbs.maintenance import (
    HostStanding,
    accept_return,
    advance_host,
    advance_plan,
    cancel_plan,
    confirm_action,
    open_maintenance,
    plans_to_walk,
    standing_of_plan,
)
from tests.support.maintenance_site import MaintenanceSite
from tests.support.paper_computer import PaperComputer

HOST = "lab3-07"


class Odds(MaintenanceSite):
    """The records of a real site, and a computer on paper."""

    computer: PaperComputer

    def step_on(self) -> HostStanding:
        """Walk the computer once."""
        return advance_host(self.context(), self.plan, HOST, clock=self.clock, hands=self.computer.hands())

    def standing(self) -> HostStanding:
        """Return where it stands, without walking."""
        (found,) = standing_of_plan(self.context(), self.plan, clock=self.clock, hands=self.computer.hands())
        return found

    def cancel(self) -> None:
        """Stop the maintenance."""
        cancel_plan(self.context(), self.plan, by="it", reason="not today")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Odds:
    for name in [name for name in os.environ if name.startswith("FIRSTBELL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "secret enough")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = Odds(tmp_path / "school", capsys)
    made.init("secret enough")
    made.computer = PaperComputer(made.clock)
    made.open()
    return made


def once(hook: Callable[[], None], at: str, *, number: int = 1) -> Callable[[str], None]:
    """Return a hook that does something the n-th time that the computer is about to be treated so."""
    seen = 0

    def call(what: str) -> None:
        nonlocal seen
        seen += what == at
        if what == at and seen == number:
            hook()

    return call


def test_the_whole_way_on_paper(site: Odds) -> None:
    before = dict(site.computer.files)
    standing = site.step_on()
    assert (standing.state, standing.step) == ("done", "told")
    assert {**before, "Welcome": "fresh"} == site.computer.files
    assert site.computer.accepted == site.computer.identity
    # In one run, from the first snapshot to the end: what is saved is told before anything is wiped.
    told = [kind for kind, _ in site.computer.told]
    assert (told[0], told[-1]) == ("before", "after")
    # The snapshot is kept until somebody accepts.
    (hold,) = maintenance_holds(site.store())
    assert hold.ids == frozenset({standing.snapshot})
    accept_return(site.context(), site.plan, HOST, by="Aiko Ito")
    assert site.step_on().step == "accepted"
    assert maintenance_holds(site.store()) == []
    steps = site.steps()
    assert site.step_on().state == "done"
    assert site.steps() == steps


def test_what_is_saved_is_told_before_the_wipe_also_when_a_walk_died_in_between(site: Odds) -> None:
    def die() -> None:
        raise KeyboardInterrupt

    told_at_start: list[list[str]] = []
    dying = once(die, "tell")

    def hook(what: str) -> None:
        dying(what)
        if what == "start":
            told_at_start.append([kind for kind, _ in site.computer.told])

    site.computer.hook = hook
    with pytest.raises(KeyboardInterrupt):
        site.step_on()
    assert site.steps()[-1] == "verified"
    assert site.step_on().state == "done"
    assert [set(kinds) for kinds in told_at_start] == [{"before"}]


def test_a_mail_server_that_is_down_keeps_no_computer(site: Odds) -> None:
    def down(what: str) -> None:
        if what == "tell" and not site.computer.wiped:
            raise MailUnavailable("the mail server does not answer")

    site.computer.hook = down
    assert site.step_on().state == "done"


# -- two at once


def test_two_workers_at_once(site: Odds) -> None:
    both = threading.Barrier(2, timeout=60)
    free = threading.Event()

    def hold(what: str) -> None:
        if what == "save":
            both.wait()
            assert free.wait(20)

    site.computer.hook = once(lambda: hold("save"), "save")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(site.step_on)
        both.wait()
        second = site.step_on()
        free.set()
        assert first.result(20).state == "done"
    assert (second.state, second.text) == ("running", "another worker is at it")
    assert len(site.computer.wiped) == 1


@pytest.mark.parametrize("at", ["save", "prove", "clear", "start", "look", "restore", "compare", "tell"])
def test_a_worker_that_was_taken_for_dead_comes_back_to_life(
    site: Odds, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both go on from the same record, as when no lease is believed in: what is written down lets one of them go on."""
    before = dict(site.computer.files)
    monkeypatch.setattr("tasks.records.lease.is_alive", lambda *_: False)
    site.computer.hook = once(lambda: _other_worker(site), at)
    site.step_on()
    for _ in range(3):
        standing = site.step_on()
        site.later(minutes=130)
    assert standing.state == "done", (standing, site.steps())
    assert {**before, "Welcome": "fresh"} == site.computer.files
    assert len(site.computer.wiped) == 1
    assert site.steps().count("restored") == 1


def _other_worker(site: Odds) -> None:
    site.computer.hook = lambda what: None
    site.step_on()


# -- clocks


@pytest.mark.parametrize("at", ["save", "prove", "clear"])
def test_a_clock_that_jumps_ahead_during_a_walk_begins_nothing(site: Odds, at: str) -> None:
    site.computer.hook = once(lambda: site.later(hours=2), at, number=2 if at != "clear" else 1)
    site.step_on()
    assert site.computer.wiped == []
    assert "started" not in site.steps()
    # The next walk asks everything anew.
    assert site.step_on().state == "done"
    assert len(site.computer.wiped) == 1


def test_a_clock_that_jumps_back_waits_until_it_is_right_again(site: Odds) -> None:
    site.computer.holds = ["the user profile of a.ito was used"] * 3
    assert site.step_on().state == "waits"
    site.later(hours=-3)
    # The window is open by this clock, too; but it cannot be right.
    site.write_maintenance()
    standing = site.step_on()
    assert standing.state == "attention"
    assert "clock" in standing.text
    assert site.computer.wiped == []


def test_nothing_before_the_window_and_nothing_after_it(site: Odds) -> None:
    site.later(hours=-2)
    standing = site.step_on()
    assert (standing.state, standing.text) == ("waits", "it is saved, and waits for its time")
    assert site.steps()[-2:] == ["saved", "verified"]
    site.later(hours=2 + 10)
    standing = site.step_on()
    assert (standing.state, standing.step) == ("untouched", "told")
    assert site.computer.wiped == []
    assert ("after", "") in site.computer.told


def test_a_clearance_that_expires_before_the_action_is_not_used(site: Odds) -> None:
    site.computer.minutes = 1
    standing = site.step_on()
    assert (standing.state, standing.reasons) == ("waits", ("too little time is left in which it may be wiped",))
    site.computer.minutes = 4
    # Less than what counts as a jump of the clock, and more than what the clearance has left.
    site.computer.hook = once(lambda: site.later(minutes=3), "clear")
    assert site.step_on().state == "done"
    assert [one for one in site.steps() if one in ("cleared", "started")] == ["cleared", "cleared", "started"]
    assert len(site.computer.wiped) == 1


# -- people


@pytest.mark.parametrize("at", ["announce", "save", "prove", "clear"])
def test_stopped_before_it_began(site: Odds, at: str) -> None:
    site.computer.hook = once(site.cancel, at)
    standing = site.step_on()
    assert (standing.state, standing.step) == ("untouched", "told")
    assert "cancelled" in site.steps()
    assert site.computer.wiped == []
    assert open_maintenance_records(site.store()) == ()


@pytest.mark.parametrize("at", ["start", "started", "look", "restore", "compare"])
def test_stopped_after_it_began_everything_still_comes_back(site: Odds, at: str) -> None:
    before = dict(site.computer.files)
    site.computer.hook = once(site.cancel, at)
    assert site.step_on().state == "done"
    assert {**before, "Welcome": "fresh"} == site.computer.files


@pytest.mark.parametrize("at", ["save", "prove", "clear"])
def test_a_teacher_who_says_no_at_the_last_moment(site: Odds, at: str) -> None:
    def refuse() -> None:
        site.computer.agreement = Agreement(agreed=False, note=Kind.REFUSED, text="Aiko Ito said no")

    site.computer.hook = once(refuse, at, number=1 if at == "clear" else 2)
    standing = site.step_on()
    assert (standing.state, standing.step, standing.reasons) == ("waits", "refused", ("Aiko Ito said no",))
    # Taken back, it does not stand there as if it were still so.
    refusal = site.computer.agreement
    site.computer.agreement = Agreement(agreed=True)
    assert site.standing().text == "it goes on with the next run"
    site.computer.agreement = refusal
    assert site.computer.wiped == []
    steps = site.steps()
    site.step_on()
    assert site.steps() == steps
    site.later(hours=11)
    standing = site.step_on()
    assert (standing.state, standing.step) == ("untouched", "told")
    assert site.records()[-2]["detail"]["because"] == "refused"


def test_nobody_answers(site: Odds) -> None:
    site.computer.agreement = Agreement(agreed=False, text="Aiko Ito has not answered yet")
    assert site.step_on().state == "waits"
    assert site.steps() == ["opened", "announced"]
    site.later(hours=11)
    assert site.step_on().state == "untouched"


def test_a_plan_that_was_changed_begins_nothing_and_brings_back_what_began(site: Odds) -> None:
    site.computer.on = False
    site.computer.does = _wipes_and_stays_away
    site.computer.on = True
    site.step_on()
    assert len(site.computer.wiped) == 1
    site.write_maintenance(title="Another one", return_minutes=5)
    with pytest.raises(ConfigError, match="not the one that people were told of"):
        open_maintenance(site.context(), site.plan)
    site.computer.on = True
    assert site.step_on().state == "done"


def test_a_changed_plan_before_it_began(site: Odds) -> None:
    site.write_maintenance(title="Another one")
    standing = site.step_on()
    assert (standing.state, standing.text) == ("attention", "the plan was changed after people were told of it")
    assert site.computer.wiped == []


def _wipes_and_stays_away(computer: PaperComputer, order: ActionOrder) -> ActionResult:
    computer.wipe(order.clearance)
    computer.on = False
    return ActionResult(done=False, text="it has begun")


# -- the gate


def test_somebody_worked_at_the_last_moment_and_that_is_saved_first(site: Odds) -> None:
    def work() -> None:
        site.computer.files["lesson 03"] = "newer"
        site.computer.holds = ["used after the snapshot was made: the user profile of a.ito"]

    site.computer.hook = once(work, "clear")
    assert site.step_on().state == "done"
    assert site.computer.files["lesson 03"] == "newer"
    assert site.steps().count("refreshed") == 2


def test_somebody_who_goes_on_working_is_left_alone(site: Odds) -> None:
    site.computer.holds = ["used after the snapshot was made: the user profile of a.ito"] * 9
    standing = site.step_on()
    assert (standing.state, standing.step) == ("waits", "held")
    assert site.computer.wiped == []
    site.computer.holds = []
    site.later(minutes=10)
    assert site.step_on().state == "done"


def test_a_gate_that_holds_anyhow_costs_no_snapshot(site: Odds) -> None:
    site.later(hours=-2)
    site.step_on()
    made = len(site.computer.snapshots)
    site.computer.barriers = (Reason("protected", "there are exams"),)
    site.later(hours=2)
    for _ in range(3):
        standing = site.step_on()
    assert (standing.state, standing.reasons) == ("waits", ("there are exams",))
    assert len(site.computer.snapshots) == made
    assert site.steps().count("held") == 1


def test_a_snapshot_that_cannot_be_proven(site: Odds) -> None:
    site.computer.unproven = ["1 file damaged in the repository"] * 2
    standing = site.step_on()
    assert (standing.step, standing.state) == ("failed", "attention")
    assert site.computer.wiped == []
    assert site.step_on().state == "done"


def test_files_that_vanished_are_not_taken_for_the_state_to_keep(site: Odds) -> None:
    site.later(hours=-2)
    site.step_on()
    site.computer.files = {"Welcome": "somebody else set it up anew"}
    site.later(hours=2)
    standing = site.step_on()
    assert (standing.state, standing.step) == ("attention", "attention")
    assert "was it wiped already?" in standing.text
    assert site.computer.wiped == []


# -- actions


def test_an_action_that_did_not_begin_is_begun_again_with_another_clearance_and_not_for_ever(site: Odds) -> None:
    def fails(computer: PaperComputer, order: ActionOrder) -> ActionResult:
        raise ActionFailed("the imaging server does not answer")

    site.computer.does = fails
    for number in range(MOST_STARTS):
        assert site.steps().count("started") == number
        assert site.step_on().state == "attention"
    for _ in range(2):
        standing = site.step_on()
    assert standing.text == f"it was tried {MOST_STARTS} times, and nothing came of it"
    started = [one["detail"]["clearance"] for one in site.records() if one["step"] == "started"]
    assert len(set(started)) == len(started) == MOST_STARTS


def test_nobody_knows_whether_it_began(site: Odds) -> None:
    def breaks_off(computer: PaperComputer, order: ActionOrder) -> ActionResult:
        raise ActionUnknown("the connection to the imaging server was lost")

    site.computer.does = breaks_off
    assert site.step_on().state == "attention"
    for _ in range(5):
        site.later(minutes=20)
        site.step_on()
        assert site.steps().count("started") == 1
    # Its clearance is over, and the computer is as it was.
    site.computer.does = None
    site.later(minutes=30)
    assert site.step_on().state == "done"
    assert [one for one in site.steps() if one in ("started", "undone", "refreshed")] == [
        "refreshed", "started", "undone", "refreshed", "started"
    ]  # fmt: skip


def test_it_began_although_nobody_knew(site: Odds) -> None:
    def breaks_off(computer: PaperComputer, order: ActionOrder) -> ActionResult:
        computer.wipe(order.clearance)
        raise ActionUnknown("the connection to the imaging server was lost")

    before = dict(site.computer.files)
    site.computer.does = breaks_off
    assert site.step_on().state == "done"
    assert {**before, "Welcome": "fresh"} == site.computer.files
    assert len(site.computer.wiped) == 1


def test_one_in_the_midst_of_being_wiped_gets_nothing_yet(site: Odds) -> None:
    """Its files are going, by the hand of something whose end nobody knows, and it is the same computer still."""

    def breaks_off(computer: PaperComputer, order: ActionOrder) -> ActionResult:
        identity = computer.identity
        computer.wipe(order.clearance)
        computer.identity = identity
        raise ActionUnknown("the connection to the imaging server was lost")

    before = dict(site.computer.files)
    site.computer.does = breaks_off
    for _ in range(3):
        assert site.step_on().state == "waits"
        site.later(minutes=2)
    assert site.computer.restores == 0
    assert site.steps().count("held") == 1
    site.later(minutes=2)
    assert site.step_on().state == "done"
    assert {**before, "Welcome": "fresh"} == site.computer.files


def test_an_action_that_may_still_run_keeps_another_one_from_being_begun(site: Odds) -> None:
    def breaks_off(computer: PaperComputer, order: ActionOrder) -> ActionResult:
        raise ActionUnknown("the connection to the imaging server was lost")

    window = Window(start=site.plan.window.end, end=site.plan.window.end + timedelta(hours=10))
    action = CommandAction(kind="command", argv=("/usr/bin/reimage",), timeout_minutes=180)
    about = {"name": "slow", "window": window, "deadline": window.end, "action": action}
    plan = site.plan.model_copy(update=about)
    open_maintenance(site.context(), plan)
    site.later(hours=11)
    site.computer.does = breaks_off
    for hours in (0.0, 2.5, 0.4):
        site.later(hours=hours)
        advance_host(site.context(), plan, HOST, clock=site.clock, hands=site.computer.hands())
    assert len(site.computer.issued) == 1
    site.later(hours=0.2)
    advance_host(site.context(), plan, HOST, clock=site.clock, hands=site.computer.hands())
    assert len(site.computer.issued) == 2


def test_a_person_does_it_and_says_so(site: Odds) -> None:
    with pytest.raises(ConfigError, match="nothing was begun"):
        confirm_action(site.context(), site.plan, HOST, by="it")
    site.computer.does = lambda computer, order: ActionResult(done=False, text="boot from the network")
    standing = site.step_on()
    assert (standing.state, standing.step) == ("waits", "begun")
    assert "maintenance confirm" in standing.needs
    assert standing.clearance_until is not None
    confirm_action(site.context(), site.plan, HOST, by="it")
    # Said, but the computer looks as before: it is not given up.
    assert (site.step_on().state, site.steps()[-1]) == ("waits", "done")
    site.computer.wipe("by hand")
    assert site.step_on().state == "done"


def test_an_upgrade_is_done_when_somebody_says_so(site: Odds) -> None:
    window = Window(start=site.plan.window.end, end=site.plan.window.end + timedelta(hours=10))
    about = {"name": "upgrade", "kind": "upgrade", "window": window, "deadline": window.end}
    plan = site.plan.model_copy(update=about)
    open_maintenance(site.context(), plan)
    site.later(hours=11)
    site.computer.does = lambda computer, order: ActionResult(done=False, text="begun")

    def walk() -> HostStanding:
        return advance_host(site.context(), plan, HOST, clock=site.clock, hands=site.computer.hands())

    assert walk().state == "waits"
    # What has begun elsewhere is not begun again, although its clearance is over: it stays itself, so nothing shows.
    site.later(hours=3)
    assert walk().state == "waits"
    site.later(hours=2)
    assert walk().state == "attention"
    confirm_action(site.context(), plan, HOST, by="it")
    assert walk().state == "done"
    assert site.computer.restores == 1


# -- coming back


def test_one_that_is_late_needs_somebody_and_is_not_forgotten(site: Odds) -> None:
    before = dict(site.computer.files)
    site.computer.does = _wipes_and_stays_away
    assert site.step_on().state == "waits"
    site.later(hours=5)
    standing = site.step_on()
    assert (standing.state, standing.step) == ("attention", "attention")
    steps = site.steps()
    site.step_on()
    assert site.steps() == steps
    site.computer.on = True
    assert site.step_on().state == "done"
    assert {**before, "Welcome": "fresh"} == site.computer.files


def test_another_computer_under_its_name_gets_nothing(site: Odds) -> None:
    site.computer.does = _wipes_and_stays_away
    site.step_on()
    site.computer.on, site.computer.serial = True, "another"
    standing = site.step_on()
    assert (standing.state, standing.reasons) == ("attention", ("another serial number",))
    assert site.computer.restores == 0
    site.computer.serial = "PF2"
    assert site.step_on().state == "done"


def test_who_has_no_profile_yet_gets_theirs_by_the_delivery(site: Odds) -> None:
    def put_off() -> None:
        site.store().add_pending(PendingRestore(HOST, "a.ito", site.computer.newest, {}))

    site.computer.no_profile = True
    site.computer.hook = once(put_off, "restore")
    standing = site.step_on()
    assert site.steps()[-1] == "put-off"
    snapshot = standing.snapshot
    pending = PendingRestore(HOST, "a.ito", snapshot, {})
    assert site.step_on() == standing
    assert (standing.state, standing.needs) == ("waits", "a.ito signs in on this computer once")
    # Or nobody would know that somebody has to sign in.
    assert site.computer.told[-1] == ("after", "")
    told = site.computer.told.count(("after", ""))
    restores = site.computer.restores
    # Delivered, and worked with since: it is not restored a second time.
    site.computer.files = {**site.computer.snapshots[snapshot], "lesson 01": "newer"}
    del site.computer.files["lesson 02"]
    site.store().add_pending(replace(pending, open=False))
    standing = site.step_on()
    assert site.computer.restores == restores
    assert site.computer.files["lesson 01"] == "newer"
    assert standing.step == "told"
    assert site.computer.told.count(("after", "")) > told


def test_a_restore_that_is_cut_goes_on(site: Odds) -> None:
    def cut() -> None:
        raise TransportError("the link was cut")

    site.computer.hook = once(cut, "restore")
    assert site.step_on().state == "attention"
    assert site.step_on().state == "done"


@pytest.mark.parametrize("at", ["save", "look"])
def test_a_login_that_was_refused_is_not_tried_every_ten_minutes(site: Odds, at: str) -> None:
    tries = 0

    def refuse(what: str) -> None:
        nonlocal tries
        if what == at:
            tries += 1
            raise AuthFailed("the login was refused")

    site.computer.hook = refuse
    for _ in range(6):
        standing = site.step_on()
        site.later(minutes=10)
        assert (standing.state, standing.reasons, tries) == ("attention", ("the login was refused",), 1)
    site.later(minutes=5)
    site.step_on()
    assert tries == 2
    site.computer.hook = lambda what: None
    site.later(minutes=65)
    assert site.step_on().state == "done"


def test_one_that_is_off_is_woken_and_waited_for(site: Odds) -> None:
    site.computer.on = False
    standing = site.step_on()
    assert (standing.state, standing.step) == ("waits", "unreachable")
    assert site.computer.woken == 2
    site.computer.on = True
    assert site.step_on().state == "done"


# -- records that lie


def _log(site: Odds) -> list[Path]:
    return sorted((site.folder / "repository" / "records" / "maintenance-step" / "lab3" / HOST).iterdir())


def _ruin(path: Path) -> None:
    path.write_text("{")


def _newer(path: Path) -> None:
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))


def _of_another(path: Path) -> None:
    data = json.loads(path.read_text())
    data["data"]["host"] = "lab3-08"
    path.write_text(json.dumps(data))


def _another_story(path: Path) -> None:
    data = json.loads(path.read_text())
    data["id"] = "0" * 16
    path.write_text(json.dumps(data))


@pytest.mark.parametrize("number", [0, 3, 5])
@pytest.mark.parametrize("lie", [_ruin, _newer, _of_another, _another_story, Path.unlink])
def test_a_record_that_cannot_be_relied_on_stops_everything(
    site: Odds, lie: Callable[[Path], object], number: int
) -> None:
    site.computer.holds = ["held"] * 3
    site.step_on()
    paths = _log(site)
    lie(paths[number])
    before = len(_log(site))
    standing = site.step_on()
    assert standing.state == "attention"
    assert "cannot be relied on" in standing.text
    assert site.computer.wiped == []
    # Nothing is tidied away, and people are told.
    assert len(_log(site)) == before
    assert site.computer.told[-1][0] == "attention"


def test_a_word_that_cannot_be_read_stops_everything(site: Odds) -> None:
    site.computer.agreement = Agreement(agreed=False)
    site.step_on()
    cancel_plan(site.context(), site.plan, by="it", reason="not today")
    (word,) = (site.folder / "repository" / "records" / "maintenance-word" / "lab3").iterdir()
    _newer(word)
    site.computer.agreement = Agreement(agreed=True)
    standing = site.step_on()
    assert standing.state == "attention"
    assert "cannot be read" in standing.text
    assert site.computer.wiped == []


def test_records_that_cannot_be_read_keep_nobody_who_was_wiped_from_coming_back(site: Odds) -> None:
    before = dict(site.computer.files)
    site.computer.does = _wipes_and_stays_away
    site.step_on()
    site.cancel()
    (word,) = (site.folder / "repository" / "records" / "maintenance-word" / "lab3").iterdir()
    _newer(word)
    (record,) = (site.folder / "repository" / "records" / "maintenance" / HOST).iterdir()
    _ruin(record)
    # What it is about cannot be told, so nothing at all is let go.
    with pytest.raises(ConfigError, match="cannot be read"):
        maintenance_holds(site.store())
    site.computer.on = True
    assert site.step_on().state == "done"
    assert {**before, "Welcome": "fresh"} == site.computer.files


def test_two_maintenances_of_one_computer(site: Odds) -> None:
    late = site.plan.window.end
    window = Window(start=late, end=late + timedelta(hours=10))
    other = site.plan.model_copy(update={"name": "other", "window": window, "deadline": window.end})
    open_maintenance(site.context(), other)
    site.computer.does = _wipes_and_stays_away
    site.step_on()
    site.later(hours=11)
    standing = advance_host(site.context(), other, HOST, clock=site.clock, hands=site.computer.hands())
    assert (standing.state, standing.text) == ("waits", "the maintenance 'lab3' has this computer")
    site.computer.on, site.computer.does = True, None
    assert site.step_on().state == "done"
    assert advance_host(site.context(), other, HOST, clock=site.clock, hands=site.computer.hands()).state == "done"
    assert len(site.computer.wiped) == 2


def test_looking_changes_nothing(site: Odds) -> None:
    site.step_on()
    before = sorted(path for path in (site.folder / "repository").rglob("*"))
    assert site.standing().step == "told"
    assert sorted(path for path in (site.folder / "repository").rglob("*")) == before


def test_a_plan_whose_file_is_gone_begins_nothing_and_brings_back_what_began(site: Odds) -> None:
    before = dict(site.computer.files)
    site.computer.does = _wipes_and_stays_away
    site.step_on()
    (site.folder / "maintenance" / "lab3.yaml").unlink()
    (opened,) = plans_to_walk(site.context(), "north")
    assert (opened.plan.name, opened.withdrawn) == ("lab3", True)
    site.computer.on = True
    hands = site.computer.hands()
    (standing,) = advance_plan(site.context(), opened.plan, clock=site.clock, hands=hands, withdrawn=True)
    assert standing.state == "done"
    assert {**before, "Welcome": "fresh"} == site.computer.files


def test_a_plan_whose_file_is_gone_before_it_began(site: Odds) -> None:
    (opened,) = plans_to_walk(site.context(), "north")
    assert not opened.withdrawn
    (site.folder / "maintenance" / "lab3.yaml").write_text("name: lab3")
    (opened,) = plans_to_walk(site.context(), "north")
    assert opened.withdrawn
    hands = site.computer.hands()
    (standing,) = advance_plan(site.context(), opened.plan, clock=site.clock, hands=hands, withdrawn=True)
    assert standing.state == "attention"
    assert site.computer.wiped == []
    site.later(hours=11)
    (standing,) = advance_plan(site.context(), opened.plan, clock=site.clock, hands=hands, withdrawn=True)
    assert standing.state == "untouched"
    # It is over, and looked at no more; to be told that twice changes nothing.
    assert plans_to_walk(site.context(), "north") == ()
    assert plans_to_walk(site.context(), "north") == ()


def test_one_that_nobody_has_accepted_is_not_over(site: Odds) -> None:
    site.step_on()
    assert len(plans_to_walk(site.context(), "north")) == 1
    accept_return(site.context(), site.plan, HOST, by="Aiko Ito")
    assert len(plans_to_walk(site.context(), "north")) == 1
    site.step_on()
    assert plans_to_walk(site.context(), "north") == ()


def test_a_computer_that_was_moved_to_another_repository_is_not_taken_for_untouched(
    tmp_path: Path, site: Odds, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Odds(tmp_path / "other", capsys, teachers={HOST: "a.ito", "lab3-08": "m.okafor"})
    made.computer = PaperComputer(made.clock)
    made.config["repository"]["location"] = f"{tmp_path}/repository-{{group}}"
    made.write()
    made.write_all()
    Repository.init(LocalBackend(tmp_path / "repository-lab-3"), "secret enough", scrypt_n=2**4).close()
    made.open()
    made.computer.does = _wipes_and_stays_away
    assert made.step_on().step == "begun"
    made.hosts[HOST]["groups"] = ["lab-4"]
    made.write_all()
    made.computer.on = True
    with pytest.raises(ConfigError, match="are not where"):
        made.step_on()
    assert len(made.computer.snapshots) == 2
    made.hosts[HOST]["groups"] = ["lab-3"]
    made.write_all()
    assert made.step_on().state == "done"
