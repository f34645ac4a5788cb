"""``make demo``: the main job, and a whole maintenance of three classroom computers, on real parts.

One computer is saved, wiped and brought back. Then a plan for three: their teachers are asked by mail, two agree and
one refuses; two are cleared, really wiped by an imaging program that also changes their host keys, known again, and get
everything back. The last picture is the page that tells whether the rooms are ready. Every step checks what it says.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

from tasks.reports.units import count_of
from tests.support import classroom
from tests.support.classroom import erase, wait_for_key
from tests.support.demo import Demo, main
from tests.support.loopback_site import LoopbackSite
from tests.support.plan_site import ZONE
from tests.support.sshd import find_sshd
from tests.support.teacher_home import Entry, differences, fingerprint
from tests.support.three_rooms import IT, NAMES, PLAN, TEACHERS, ThreeRooms

#: Codes of people: docs/people.md.
_CODE: Final = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{5}(?:-[0-9A-HJKMNP-TV-Z]{5}){3}\b")
#: After so many walks everything must be back.
_WALKS: Final = 8


class SchoolDemo(Demo):
    """Save, wipe and bring back classroom computers whose teachers agree, on real parts."""

    command = "make demo"
    host = "room12-1"
    #: Who agrees, the first one in the Prefect UI's form and the second one on the command line; and who refuses.
    agree = ("room12-1", "room14-1")
    refuse = "room16-1"

    def __init__(self, folder: Path, *, keep: bool) -> None:
        super().__init__(folder, keep=keep)
        self.school: ThreeRooms
        self.home = self.school.classroom[self.host].home
        self.page = folder / "readiness.html"

    def make_site(self) -> LoopbackSite:
        self.school = ThreeRooms(self.folder, tied=not self.keep)
        return self.school

    def make_computer(self) -> str:
        # They were made and switched on with the school.
        return f"mail server, and {len(TEACHERS)} computers, each with a real sshd"

    def wipe(self) -> int:
        erase(self.home)
        return sum(1 for _ in self.home.rglob("*"))

    def go_on(self) -> None:
        """Tell the second act."""
        rooms = self.school.classroom
        before = {name: fingerprint(rooms[name].home) for name in TEACHERS}
        untouched = inodes(rooms[self.refuse].home)
        keys = {name: rooms[name].fingerprint for name in TEACHERS}
        self.sound_out()
        self.ask()
        standing = self.carry_out(keys)
        self.compare(before, untouched, keys, standing)
        self.close_it()
        self.last_picture()

    def sound_out(self) -> None:
        """Tell beforehand what the plan touches."""
        (found,) = self.cli("maintenance", "plan", PLAN)
        named = sorted(one["host"] for one in found["hosts"])
        teachers = sorted(teacher for one in found["hosts"] for teacher in one["teachers"])
        expect(named == sorted(TEACHERS), f"the plan touches {named}")
        expect(teachers == sorted(NAMES), f"the plan touches the teachers {teachers}")
        expect(all(one["last_snapshot"] for one in found["hosts"]), "the nightly run has not saved all of them")
        expect(not found["refused"], f"the plan is refused: {found['refused']}")
        finish = datetime.fromisoformat(found["finish"]).astimezone(ZONE)
        self.say(
            f"the plan, beforehand: {len(named)} computers, {len(teachers)} teachers, {found['bytes'] / 1e6:.0f} MB, "
            f"{count_of(len(found['class_days']), 'class day')} touched, done by {finish:%H:%M}; nobody is asked yet"
        )

    def ask(self) -> None:
        """Open the maintenance, and let the teachers answer by the codes from their letters."""
        self.deployment("open-maintenance/open-plan", {"plan": PLAN})
        self.deployment("run-open-maintenance/maintenance-north", {"site": "north"})
        codes = {name: self.code_for(teacher) for name, teacher in TEACHERS.items()}
        first, second = self.agree
        self.say(
            f"{len(codes)} letters went out, each with a code; {NAMES[TEACHERS[first]]}'s begins {codes[first][:5]}-"
        )
        expect(not self.school.erased(), "something was wiped although nobody had agreed")
        by_form = {"code": codes[first], "answer": "yes: go ahead"}
        answers = together(
            lambda: self.deployment("answer-maintenance/answer", by_form),
            lambda: self.answer("approve", second, codes[second]),
            lambda: self.answer("refuse", self.refuse, codes[self.refuse], "--reason", "exam prep until Friday"),
        )
        for said in answers[1:]:
            self.say(said)
        expect(f"{NAMES[TEACHERS[first]]} agreed" in answers[0], f"the form said: {answers[0]}")

    def code_for(self, teacher: str) -> str:
        """Return the code out of the letter that a teacher got."""
        assert self.school.mail is not None
        letters = self.school.mail.to(f"{teacher}@north.example")
        found = [match[0] for letter in letters for match in _CODE.finditer(text_of(letter))]
        expect(len(found) == 1, f"{teacher} got {len(letters)} letters with {len(found)} codes")
        return found[0]

    def answer(self, verb: str, host: str, code: str, *more: str) -> str:
        """Answer on the command line, as somebody does at the IT desk, and return what it said."""
        done = self.school.run(verb, "--code-file", "-", *more, input=f"{code}\n")
        said = done.stdout.splitlines()[0]
        expect(host in said and NAMES[TEACHERS[host]] in said, f"firstbell {verb} said: {said}")
        return f"firstbell {verb}: {said}"

    def carry_out(self, keys: dict[str, str]) -> dict[str, dict[str, Any]]:
        """Walk until the computers that may be wiped are back, and return where each stands."""
        rooms = self.school.classroom
        # Without serial numbers IT must vouch for those that came back.
        by_hand = not all(one.own_serial for one in rooms.computers.values())
        self.deployment("run-maintenance/run-now", {"plan": PLAN}, partly=by_hand)
        for _ in range(_WALKS):
            erased = self.school.erased()
            expect(set(erased) <= set(self.agree), f"wiped: {sorted(erased)}")
            for name in erased:
                wait_for_key(rooms[name])
            standing = self.standing()
            if all(standing[name]["state"] == "done" for name in self.agree):
                break
            for name in erased:
                if not rooms[name].own_serial and standing[name]["state"] == "attention":
                    self.vouch(name)
            self.deployment("run-open-maintenance/maintenance-north", {"site": "north"}, partly=by_hand)
        else:
            raise SystemExit(f"not everything is back: {json.dumps(standing, indent=1)}")
        erased = self.school.erased()
        expect(set(erased) == set(self.agree), f"wiped: {sorted(erased)}")
        expect(all(erased.values()), f"nothing was there to be wiped: {erased}")
        for name, number in erased.items():
            expect(rooms[name].fingerprint != keys[name], f"{name} has the host key of before")
            how = f"known again by its serial number {rooms[name].serial}" if rooms[name].own_serial else "known again"
            self.say(f"{name}: cleared, wiped ({number} paths erased), back with another host key, {how}")
        return standing

    def vouch(self, host: str) -> None:
        """Accept a computer by hand, as IT does where its serial number proves nothing."""
        shown = self.school.classroom[host].fingerprint
        self.school.run("maintenance", "accept-identity", host, "--fingerprint", shown, "--by", IT)
        self.say(f"{host}: no serial number to know it by, so {IT} has compared its new host key")

    def standing(self) -> dict[str, dict[str, Any]]:
        """Return where the computers stand."""
        return {one["host"]: one for one in self.cli("maintenance", "status", PLAN, codes=(0, 1, 3))}

    def compare(
        self,
        before: dict[str, dict[bytes, Entry]],
        untouched: dict[str, tuple[int, int, int]],
        keys: dict[str, str],
        standing: dict[str, dict[str, Any]],
    ) -> None:
        """Compare all three computers with what they were."""
        rooms = self.school.classroom
        for name in TEACHERS:
            lost = differences(before[name], fingerprint(rooms[name].home))
            expect(not lost, "\n".join([f"{name} is not as it was:", *lost[:20]]))
        back = sum(len(before[name]) for name in self.agree)
        self.say(f"restored by itself: all {back} paths on {' and '.join(self.agree)} are back, {self.equal}")
        name = self.refuse
        expect(inodes(rooms[name].home) == untouched, f"somebody was at the files of {name}")
        expect(rooms[name].fingerprint == keys[name], f"{name} has another host key")
        expect(
            (standing[name]["step"], standing[name]["clearance_until"]) == ("refused", None),
            f"{name} stands at {standing[name]}",
        )
        refused = self.school.run("clearance", "issue", name, "--json", check=False)
        expect(refused.returncode == 20 and "refused" in refused.stdout, f"clearance issue {name}: {refused}")
        self.say(
            f"{name}: {standing[name]['text']}; not one file was touched, and asked for a clearance the gate holds"
        )
        for name in self.agree:
            (letter,) = (one for one in self.letters(TEACHERS[name]) if "back" in one["Subject"])
            expect(name in text_of(letter), f"the letter to {TEACHERS[name]} does not name {name}")
            (self.folder / f"letter-{TEACHERS[name]}.html").write_text(text_of(letter, "html"))
        self.say(f'letters to both: "{letter["Subject"]}"')

    def letters(self, teacher: str) -> list[EmailMessage]:
        """Return the letters that a teacher got."""
        assert self.school.mail is not None
        return self.school.mail.to(f"{teacher}@north.example")

    def close_it(self) -> None:
        """Let the teachers accept, which releases their snapshots."""
        together(
            *(
                lambda name=name: self.school.run("maintenance", "accept", PLAN, name, "--by", NAMES[TEACHERS[name]])
                for name in self.agree
            )
        )

    def last_picture(self) -> None:
        """Show whether the rooms are ready."""
        headline, _, _, told = together(
            lambda: self.deployment("show-readiness/readiness-north", {"site": "north"}),
            lambda: self.school.run("readiness", "--html", str(self.page)),
            lambda: self.school.run("maintenance", "run", PLAN),
            lambda: self.school.run("ledger", "--verify").stdout,
        )
        standing = self.standing()
        expect(all(standing[name]["step"] == "accepted" for name in self.agree), f"not accepted: {standing}")
        self.say("accepted by both teachers: their snapshots may go when their time comes")
        self.say(f"the ledger of what people were asked and said: {told.splitlines()[-1].strip()}")
        expect("3 of 3 rooms ready" in headline, f"the readiness page says: {headline}")
        expect(headline.partition(":")[2].strip() in self.page.read_text(), f"{self.page} says something else")
        self.say(f"the last picture, {self.page}: {headline}")

    def cli(self, *arguments: str, codes: Sequence[int] = (0,)) -> list[dict[str, Any]]:
        """Run ``firstbell ... --json`` and return what it said."""
        done = self.school.run(*arguments, "--json", check=False)
        expect(
            done.returncode in codes, f"firstbell {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    def pids(self) -> list[int]:
        return [*super().pids(), *self.school.pids()]

    def sights(self) -> list[str]:
        return [
            f"  the readiness page    {self.page}",
            f"  what teachers got     {self.folder}/letter-*.html, {self.folder}/mail/letters",
            f"  the maintenance       firstbell maintenance status {PLAN}; firstbell ledger",
        ]


def inodes(home: Path) -> dict[str, tuple[int, int, int]]:
    """Return of each path what changes when anybody writes to it: its file, its times of writing and of change."""
    found = {}
    for path in [home, *home.rglob("*")]:
        info = path.lstat()
        found[str(path)] = (info.st_ino, info.st_mtime_ns, info.st_ctime_ns)
    return found


def text_of(letter: EmailMessage, kind: str = "plain") -> str:
    """Return the body of a letter."""
    body = letter.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def expect(true: bool, otherwise: str) -> None:
    """Raise ``SystemExit`` with a reason unless it is true."""
    if not true:
        raise SystemExit(otherwise)


def together(*doing: Callable[[], Any]) -> list[Any]:
    """Do several things at the same time, and return their results in order."""
    with ThreadPoolExecutor(len(doing)) as pool:
        return [one.result() for one in [pool.submit(do) for do in doing]]


def run(argv: Sequence[str] | None = None) -> int:
    """Run the demo, or say in one line what it needs."""
    if find_sshd() is None:
        sys.stderr.write("make demo needs an sshd for its classroom computers: apt install openssh-server\n")
        return 2
    if what := classroom.missing():
        sys.stderr.write(f"the computers have no serial numbers of their own, for want of {what}: {classroom.CURE}\n")
    return main(argv, SchoolDemo)


if __name__ == "__main__":
    raise SystemExit(run())
