"""A maintenance from its announcement to the end, with the letters that it sends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.verbs.maintenance_wiring import real_hands
from tests.support.mail_server import PASSWORD, MailServer
from tests.support.maintenance_site import MaintenanceSite
from tests.support.plan_site import clock_of

ITO = "a.ito@north.example"


def test_a_teacher_hears_before_and_after_and_the_room_is_ready_again(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "secret enough")
    monkeypatch.setenv("FIRSTBELL_MAIL_PASSWORD", PASSWORD)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mail = MailServer.start(tmp_path / "mail")
    try:
        (tmp_path / "site").mkdir()
        site = MaintenanceSite(tmp_path / "site", capsys)
        site.people = {"a.ito": {"name": "Aiko Ito", "email": ITO, "sites": ["north"]}}
        site.config["mail"] = mail.config()
        site.write_all()
        (site.folder / "inventory" / "groups.yaml").write_text(yaml.safe_dump({"lab-3": {"kind": "room"}}))
        site.init("secret enough")
        end = clock_of(12)
        site.write_maintenance(window={"start": clock_of(2), "end": end}, deadline=end)
        site.open()
        real = real_hands()
        hands = site.hands(announce=real.announce, tell=real.tell)
        for _ in range(6):
            standing = site.walk(hands)["lab3-07"]
            if site.steps()[-1] in ("told", "accepted"):
                break
            site.later(hours=1)
        assert site.steps()[-1] in ("told", "accepted"), standing
        assert len(site.wiped) == 1
        letters = [str(one["Subject"]) for one in mail.to(ITO)]
        assert letters == ["Your computer will be set up anew", "What is saved of your files", "Your files are back"]
        assert site.last("readiness", "--site", "north", expect=0)["rooms"][0]["not_ready"] == []
        # Walked again, nobody is written to.
        site.walk(hands)
        assert len(mail.notes) == 3
    finally:
        mail.stop()
