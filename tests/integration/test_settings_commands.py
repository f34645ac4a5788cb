"""Settings on the command line, on real parts: saved with every snapshot, put back after the files, taken back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.verbs.connection import connect
from tasks.verbs.people import covered_people
from tasks.verbs.saved_pages import came_back, saved_pages
from tasks.verbs.settings_capture import capture_documents
from tests.support.gate_site import HOST
from tests.support.helper_host import can_be_nobody, helper_host
from tests.support.settings_person import has_dconf
from tests.support.settings_site import WALLPAPER, SettingsSite, settings_site
from tests.support.sshd import SshServer

pytestmark = pytest.mark.skipif(
    not has_dconf(), reason="needs dconf and dbus-run-session (Debian: apt-get install dconf-cli dbus)"
)
TIMETABLE = ".config/timetable.conf"
SECRET = "the secret of the register"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[SettingsSite]:
    for name in [name for name in os.environ if name.startswith("FIRSTBELL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "secret enough")
    monkeypatch.setenv("FIRSTBELL_SETTINGS_KEY", "a passphrase of its own")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with settings_site(tmp_path / "school", capsys) as made:
        made.settle()
        yield made


@pytest.fixture
def wiped(site: SettingsSite) -> SettingsSite:
    """The computer was saved, and has a new image on it."""
    site.last("snapshot", HOST, expect=0)
    site.wipe()
    return site


def test_settings_come_back_after_the_files_and_the_second_time_nothing_changes(wiped: SettingsSite) -> None:
    shown = wiped.restore("--plan")
    assert shown["result"] is None
    assert {"gnome-wallpaper", "north-timetable", "north-printer"} <= {*shown["settings"][0]["outcomes"]["set"]}
    assert list(wiped.home.iterdir()) == []

    code, out, _ = wiped.say("restore", HOST, "--yes")
    assert code == 0
    assert "settings of a.ito: 3 values put back, each read back and right" in out
    assert "Timetable: it shows at the next sign-in" in out
    assert (wiped.home / "Desktop" / "lesson.txt").exists()
    assert wiped.dconf("read", WALLPAPER) == f"'file://{wiped.home}/sea.jpg'"
    assert (wiped.text(".printer"), wiped.text(TIMETABLE)) == ("Room 12", f"lessons={wiped.home}/Desktop\n")

    again = wiped.restore()
    assert again["settings"][0]["outcomes"].get("set") is None
    assert again["settings"][0]["put_back"] == 0
    assert again["undo_id"] == ""
    # Planned only, with no file to write: that writes no settings either.
    wiped.put(".printer", "another")
    wiped.config["settings"]["newer"] = "replace"
    wiped.write()
    assert wiped.outcomes("--plan")["set"] == ["north-printer"]
    assert wiped.outcomes("--plan", "--settings-only")["set"] == ["north-printer"]
    assert wiped.text(".printer") == "another"
    assert len(wiped.documents()) == 3


def test_what_the_teacher_chose_since_is_kept_asked_for_or_replaced(wiped: SettingsSite) -> None:
    # The image has a default, which is nobody's choice.
    wiped.put(".printer", "default of the image")
    assert "north-printer" in wiped.outcomes()["set"]
    assert wiped.text(".printer") == "Room 12"
    wiped.put(".printer", "Room 14")
    assert wiped.outcomes()["keep"] == ["north-printer"]
    wiped.config["settings"]["newer"] = "ask"
    wiped.write()
    code, out, _ = wiped.say("restore", HOST, "--yes", "--settings-only")
    assert code == 3
    assert "name them to put them back (--replace-setting)" in out
    assert "Printer of the room" in out
    assert wiped.text(".printer") == "Room 14"
    assert wiped.outcomes("--settings-only", "--replace-setting", "north-printer")["set"] == ["north-printer"]
    assert wiped.text(".printer") == "Room 12"


def test_on_the_same_profile_a_value_that_differs_is_newer(site: SettingsSite) -> None:
    site.last("snapshot", HOST, expect=0)
    site.put(".printer", "Room 14")
    (site.home / TIMETABLE).unlink()
    found = site.outcomes()
    # What is nowhere comes back: nothing is lost by that.
    assert (found["set"], found["keep"]) == (["north-timetable"], ["north-printer"])
    site.config["settings"]["newer"] = "replace"
    site.write()
    assert site.outcomes()["set"] == ["north-printer"]


def test_undo_takes_settings_back_and_then_files_but_not_what_was_changed_since(wiped: SettingsSite) -> None:
    wiped.put(".printer", "default of the image")
    wiped.restore()
    wiped.put(TIMETABLE, "mine")
    out = wiped.say("undo", HOST, "--plan")[1]
    assert "the settings of a.ito are taken back, too" in out
    assert wiped.text(".printer") == "Room 12"
    undone = wiped.last("undo", HOST, "--yes", expect=3)
    assert [one["in"] for one in undone["settings"][0]["failed"]] == ["{config}/timetable.conf"]
    assert wiped.text(".printer") == "default of the image"
    assert wiped.text(TIMETABLE) == "mine"
    assert wiped.dconf("read", WALLPAPER) == ""
    assert not (wiped.home / "Desktop" / "lesson.txt").exists()
    # Once more: what is as it was before is no failure.
    assert len(wiped.last("undo", HOST, "--yes", expect=3)["settings"][0]["failed"]) == 1
    assert wiped.text(".printer") == "default of the image"


def test_into_another_home_paths_move_along(wiped: SettingsSite) -> None:
    home = wiped.new_home("a.ito2")
    wiped.edit_host(teachers=["a.ito", "a.ito2"], homes={"a.ito": str(wiped.home), "a.ito2": str(home)})
    done = wiped.restore("--teacher", "a.ito", "--to-teacher", "a.ito2")
    assert [one["person"] for one in done["settings"]] == ["a.ito2"]
    assert wiped.dconf("read", WALLPAPER, home=home) == f"'file://{home}/sea.jpg'"
    assert wiped.text(".printer", home) == "Room 12"
    assert not (wiped.home / ".config").exists()

    other = wiped.new_home("elsewhere")
    wiped.add_host("lab3-08", teachers=["a.ito"], homes={"a.ito": str(other)})
    wiped.restore("--to", "lab3-08")
    assert wiped.dconf("read", WALLPAPER, home=other) == f"'file://{other}/sea.jpg'"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: data.replace(b"timetable.conf", b"otherthing.txt"), "its checksum does not match"),
        (lambda data: data.replace(b'"version":1', b'"version":2'), "written by a newer firstbell (version 2"),
        (lambda data: data[:200], "it is no document of settings"),
    ],
    ids=["damaged", "newer", "cut"],
)
def test_a_document_that_cannot_be_read_is_told_and_nothing_of_it_is_applied(
    site: SettingsSite, change: object, told: str
) -> None:
    site.last("snapshot", HOST, expect=0)
    site.damage("settings-a.ito.json", change)  # type: ignore[arg-type]
    site.wipe()
    code, out, _ = site.say("restore", HOST, "--yes")
    assert code == 3
    assert told in out
    assert (site.home / "Desktop" / "lesson.txt").exists()
    assert {path.name for path in site.home.iterdir()} == {"Desktop"}
    assert site.run("check")[0] == 0
    assert site.run("forget", "--dry-run")[0] == 0


def test_an_item_that_the_catalog_does_not_have_any_more_is_told_and_kept(wiped: SettingsSite) -> None:
    path = wiped.folder / "catalog.yaml"
    path.write_text(path.read_text().replace("north-timetable", "north-lessons"))
    found = wiped.outcomes()
    assert found["unknown"] == ["north-timetable"]
    assert "north-printer" in found["set"]
    assert wiped.text(TIMETABLE) is None
    _, out, _ = wiped.say("restore", HOST, "--plan")
    assert "'Timetable' is not in the catalog any more: it stays in the snapshot and is not put back" in out
    path.write_text(path.read_text().replace("north-lessons", "north-timetable"))
    assert wiped.outcomes()["set"] == ["north-timetable"]


def test_a_restore_that_was_killed_before_it_was_done_goes_on_and_is_taken_back_as_one(wiped: SettingsSite) -> None:
    # An item that does not come to an end, before the printer and after the files.
    path = wiped.folder / "catalog.yaml"
    wiped.put(".printer", "default of the image")
    usual = path.read_text()
    path.write_text(usual.replace('cat > "$HOME/.printer"', 'touch "$HOME/begun"; sleep 60'))
    command = [
        sys.executable, "-m", "flows.cli", "restore", HOST, "--yes",
        "--config", str(wiped.folder / "app.yaml"), "--inventory", str(wiped.folder / "inventory"),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        deadline = time.monotonic() + 30
        while not (wiped.home / "begun").exists():
            assert time.monotonic() < deadline and process.poll() is None, process.stdout and process.stdout.read()
            os.sched_yield()
        process.send_signal(signal.SIGKILL)
    assert wiped.text(".printer") == "default of the image"
    path.write_text(usual)
    # Not taken for the teacher's, although firstbell had written down that it would put another value there.
    again = wiped.restore()
    assert again["settings"][0]["outcomes"]["set"] == ["north-printer"]
    assert wiped.text(".printer") == "Room 12"
    undone = wiped.last("undo", HOST, "--yes", expect=0)
    assert undone["settings"][0]["failed"] == []
    assert wiped.text(".printer") == "default of the image"
    assert wiped.text(TIMETABLE) is None
    assert not (wiped.home / "Desktop" / "lesson.txt").exists()


def test_two_at_once_put_everything_back_once(wiped: SettingsSite) -> None:
    command = [
        sys.executable, "-m", "flows.cli", "restore", HOST, "--yes", "--settings-only", "--json",
        "--config", str(wiped.folder / "app.yaml"), "--inventory", str(wiped.folder / "inventory"),
    ]  # fmt: skip
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate(timeout=60) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    for out, _ in said:
        (one,) = json.loads(out.splitlines()[-1])["settings"]
        assert one["failed"] == []
    assert wiped.text(".printer") == "Room 12"
    assert wiped.dconf("read", WALLPAPER) == f"'file://{wiped.home}/sea.jpg'"


def test_secrets_are_sealed_also_what_was_there_before_and_are_never_shown(site: SettingsSite) -> None:
    site.config["settings"] |= {"on_request": ["north-keys"], "sealed_key": "env:FIRSTBELL_SETTINGS_KEY"}
    site.write()
    site.put(".config/register.secret", SECRET)
    site.last("snapshot", HOST, expect=0)
    site.wipe()
    site.put(".config/register.secret", "an older one")
    said = [str(site.say("restore", HOST, "--plan")), str(site.run("restore", HOST, "--yes", "--settings-only"))]
    assert site.text(".config/register.secret") == SECRET
    site.put(".printer", "Room 14")
    site.put("Desktop/lesson.txt", "lesson")
    site.last("snapshot", HOST, expect=0)
    documents = site.documents()
    assert {"settings-a.ito.before.sealed", "settings-a.ito.put.sealed"} <= documents[1].keys()
    for secret in (SECRET, "an older one"):
        import base64

        coded = base64.b64encode(secret.encode()).decode()
        assert not [1 for one in documents for data in one.values() if secret in str(data) or coded in str(data)]
        records = [path.read_text() for path in (site.folder / "repository" / "records").rglob("*.json")]
        assert not [1 for text in (*said, *records) if secret in text or coded in text]
    with site.repository() as (_, snapshots):
        ids = [snapshot.id.hex() for snapshot in snapshots if snapshot.id]
    code, out, _ = site.say("diff", ids[0], ids[2])
    assert "Printer of the room changed from Room 12 to Room 14" in out
    assert "Keys of the register" not in out
    code, lines = site.run("diff", ids[0], HOST)
    assert (code, lines[-1]["settings"]) == (0, 1)
    assert (lines[-2]["item"], lines[-2]["old"]["data"], lines[-2]["new"]["data"]) == (
        "north-printer", "Room 12", "Room 14",
    )  # fmt: skip
    # An item that is found to hold secrets later: no value of then is shown any more.
    catalog = site.folder / "catalog.yaml"
    usual = catalog.read_text()
    catalog.write_text(usual.replace("  order: 900\n", "  order: 900\n  sensitive: true\n"))
    told = str(site.say("diff", ids[0], ids[2])) + str(site.run("diff", ids[0], ids[2]))
    assert "Printer of the room changed (it holds secrets: its values are not shown)" in told
    assert "Room 12" not in told
    catalog.write_text(usual)

    # Without the key: told, and nothing of it is touched; the others are.
    del site.config["settings"]["sealed_key"]
    site.config["settings"]["on_request"] = []
    site.write()
    site.wipe()
    code, out, _ = site.say("restore", HOST, "--yes", "--snapshot", ids[0])
    assert code == 3
    assert "settings with secrets are sealed, and 'settings.sealed_key' is not set" in out
    assert (site.text(".config/register.secret"), site.text(".printer")) == (None, "Room 12")


def test_undo_of_a_secret_brings_back_the_one_that_was_there(site: SettingsSite) -> None:
    site.config["settings"] |= {"on_request": ["north-keys"], "sealed_key": "env:FIRSTBELL_SETTINGS_KEY"}
    site.write()
    site.put(".config/register.secret", SECRET)
    site.last("snapshot", HOST, expect=0)
    site.wipe()
    site.put(".config/register.secret", "an older one")
    site.put(".printer", "Room 12")
    site.restore("--settings-only")
    site.last("undo", HOST, "--yes", expect=0)
    assert site.text(".config/register.secret") == "an older one"


def test_a_program_that_runs_is_waited_for_and_one_that_is_missing_keeps_its_setting(wiped: SettingsSite) -> None:
    path = wiped.folder / "catalog.yaml"
    text = path.read_text().replace(
        "  name: Timetable\n", "  name: Timetable\n  closed: [timetabler]\n"
    ).replace(
        "  name: Printer of the room\n",
        "  name: Printer of the room\n  prerequisites: [{application: The Printer Tool, commands: [no-such-tool]}]\n",
    )  # fmt: skip
    path.write_text(text)
    program = shutil.copy("/bin/sleep", wiped.homes / "timetabler")
    become = ["setpriv", "--reuid=nobody", "--clear-groups"] if os.geteuid() == 0 else []
    with subprocess.Popen([*become, str(program), "60"]) as running:
        try:
            deadline = time.monotonic() + 60
            while Path(f"/proc/{running.pid}/comm").read_text().strip() != "timetabler":
                assert time.monotonic() < deadline
            code, out, _ = wiped.say("restore", HOST, "--yes")
        finally:
            running.kill()
    assert code == 3
    assert "close timetabler on the computer first (or sign out), and restore again" in out
    assert "The Printer Tool is not installed on this computer" in out
    assert (wiped.text(TIMETABLE), wiped.text(".printer")) == (None, None)
    assert wiped.outcomes()["set"] == ["north-timetable"]


def test_a_host_without_python_is_saved_and_the_missing_settings_are_told(site: SettingsSite, tmp_path: Path) -> None:
    servers = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/libexec/sftp-server")
    found = next((path for path in servers if Path(path).exists()), None)
    if found is None:
        pytest.skip("no sftp-server program is installed")
    script = tmp_path / "login"
    script.write_text(f'#!/bin/sh\ncase "$SSH_ORIGINAL_COMMAND" in internal-sftp) exec {found};; *) exit 97;; esac\n')
    script.chmod(0o755)
    with SshServer(tmp_path / "sshd", config=[f"ForceCommand {script}"]) as server:
        ssh = {"key_files": [str(server.client_key)], "known_hosts": str(server.known_hosts), "use_agent": False}
        site.edit_host(transport="ssh", address="127.0.0.1", port=server.port, user=server.user, ssh=ssh)
        code, lines = site.run("snapshot", HOST)
        saved = next(line for line in lines if line["type"] == "host_result")
        assert saved["files"] == 1
        assert code == 0, saved
        assert any("the settings of a.ito are not saved" in note for note in saved["notes"]), saved["notes"]


@pytest.mark.skipif(not can_be_nobody(), reason="needs another account")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs to log in as somebody else")
def test_a_login_that_may_not_act_as_the_person_is_told(site: SettingsSite) -> None:
    context = site.context()
    with connect(context, context.host(HOST)) as remote:
        facts = remote.facts(["a.ito"])
        people = covered_people(context.host(HOST), facts)[0]
    notes: list[str] = []
    with helper_host(uid=12345) as remote:
        assert capture_documents(context, remote, facts, people, lambda: b"", notes) == {}
    assert notes == [
        "the settings of a.ito are not saved: the helper refused a request: this account may not act as a.ito (denied)"
    ]


def test_what_it_should_know_before_a_new_image(site: SettingsSite) -> None:
    site.config["settings"] |= {"on_request": ["north-keys"], "sealed_key": "env:FIRSTBELL_SETTINGS_KEY"}
    site.write()
    site.put(".config/register.secret", SECRET)
    site.put(".config/register.pem", "certificate")
    site.last("snapshot", HOST, expect=0)
    page = site.folder / "page.html"
    code, out, _ = site.say("settings", HOST, "--html", str(page))
    assert code == 0
    assert "Certificate of the register  (north-certificate, 1 value)" in out
    found = site.last("settings", HOST, expect=0)
    items = {one["item"]: one for one in found["people"][0]["items"]}
    assert items["north-certificate"]["fate"] == "cannot"
    assert items["north-certificate"]["do_first"] == "Ask the office for a new certificate."
    assert items["north-keys"]["fate"] == "by-itself"
    assert "linux-firefox" not in items
    text = page.read_text()
    assert "Ask the office for a new certificate." in text
    assert SECRET not in text + out + str(found)

    # The teacher's own page tells the same, in plain words.
    pages = saved_pages(site.context(), site.context().host(HOST))
    told = {one.name: one.fate for one in pages[0].settings}
    assert (told["Certificate of the register"], told["Printer of the room"]) == ("cannot", "by-itself")
    assert "Keys of the register" in told


def test_what_came_back_is_told(wiped: SettingsSite) -> None:
    context = wiped.context()
    wiped.restore()
    wiped.put(".printer", "mine")
    with wiped.repository() as (_, snapshots):
        first = snapshots[0].id
    assert first is not None
    back = came_back(context, context.host(HOST), first.hex(), "a.ito", datetime.now(UTC))
    told = {one.state: one.names for one in back.settings}
    assert told["back"] == ("Desktop wallpaper", "Timetable")
    assert told["kept"] == ("Printer of the room",)


def test_a_sealed_document_that_does_not_open_is_told_and_the_others_come_back(
    site: SettingsSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.config["settings"] |= {"on_request": ["north-keys"], "sealed_key": "env:FIRSTBELL_SETTINGS_KEY"}
    site.write()
    site.put(".config/register.secret", SECRET)
    site.last("snapshot", HOST, expect=0)
    site.wipe()
    monkeypatch.setenv("FIRSTBELL_SETTINGS_KEY", "another passphrase")
    code, out, _ = site.say("restore", HOST, "--yes")
    assert code == 3
    assert "the sealed settings do not open" in out
    assert (site.text(".config/register.secret"), site.text(".printer")) == (None, "Room 12")
    monkeypatch.setenv("FIRSTBELL_SETTINGS_KEY", "a passphrase of its own")
    site.damage("settings-a.ito.sealed", lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    assert "the sealed settings do not open" in str(site.restore(expect=3)["settings"][0]["notes"])
    assert site.text(".config/register.secret") is None


def test_what_firstbell_has_put_there_once_it_is_forgotten_counts_as_the_teachers(wiped: SettingsSite) -> None:
    wiped.restore()
    wiped.put(".printer", "mine")
    with wiped.repository() as (_, snapshots):
        images = [one.id.hex() for one in snapshots if one.id and "before-restore" in one.tags]
    assert images
    for name in images:
        (found,) = (wiped.folder / "repository" / "snapshots").rglob(name)
        found.unlink()
    assert wiped.outcomes()["keep"] == ["north-printer"]
    assert wiped.text(".printer") == "mine"
