"""Settings of people on Windows: the real registry and files of a Windows under Wine, through the real helper.

Two drives: the old computer, where a.ito's settings are captured, and the new one, where the same teacher is b.ono.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from configs.catalog_captures import CommandCapture, FilesCapture, RegistryCapture
from tasks.errors import HelperFailed
from tasks.remote.filesystem import RemoteHost, RemoteSettings
from tasks.settings.command import CommandCollector
from tasks.settings.files import FilesCollector
from tasks.settings.first_sign_in import RUN_ONCE, read_report, sign_in_values, with_sign_in_step
from tasks.settings.plan import Outcome, SettingsPlan, Step
from tasks.settings.registry import RegistryCollector
from tasks.settings.registry_log import marvin32
from tasks.settings.rehome import rehome
from tasks.settings.values import Account, Change, Collector, Entry, Place, Value
from tests.support.windows_helper import windows_host
from tests.support.windows_settings import account_in, add_person, allow
from tests.support.wine import WinePrefix, run_command_line, windows_path, wine_prefix

pytestmark = pytest.mark.wine

OTHER = "S-1-5-21-1-2-3-1002"
KEY = r"HKEY_CURRENT_USER\Software\Firstbell test"
#: Every kind, in the words of regedit; what is in {} is the name of the home.
VALUES = r"""
@="no name"
"Text"="C:\\users\\{}\\Pictures\\sea.jpg"
"Empty"=""
"Umläut Ж"="Zoë — 7ª"
"Number"=dword:fffffffe
"Large"=hex(b):01,00,00,00,00,00,00,80
"Bytes"=hex:00,01,fe,ff
"No bytes"=hex:
"None"=hex(0):61,00
"""


@dataclass
class Computer:
    """One Windows, its helper, and who is signed in there."""

    windows: WinePrefix
    remote: RemoteHost
    host: RemoteSettings
    account: Account
    home: Path

    def registry(self, text: str) -> None:
        """Let regedit take a file over."""
        file = self.windows.folder / "import.reg"
        file.write_bytes(("Windows Registry Editor Version 5.00\n\n" + text).replace("\n", "\r\n").encode("utf-16"))
        self.windows.run("regedit", "/S", windows_path(file))

    def exported(self, key: str) -> str:
        """Return what regedit writes of a key: what another program than ours sees."""
        file = self.windows.folder / "export.reg"
        self.windows.run("regedit", "/E", windows_path(file), key)
        return file.read_bytes().decode("utf-16").replace("\r\n", "\n").replace(",\\\n  ", ",")


def _computer(windows: WinePrefix, name: str) -> Iterator[Computer]:
    home = add_person(windows, name)
    with windows_host(windows) as remote:
        yield Computer(windows, remote, remote.settings(), account_in(name), home)


@pytest.fixture(scope="module")
def old(windows: WinePrefix) -> Iterator[Computer]:
    yield from _computer(windows, "a.ito")


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Computer]:
    with wine_prefix(tmp_path_factory.mktemp("windows-new") / "prefix") as prefix:
        # As a helper would leave it that was killed while it had a hive loaded.
        prefix.run("reg", "add", r"HKU\firstbell-0123456789abcdef\Software", "/f")
        yield from _computer(prefix, "b.ono")


def _hex(kind: int, text: str) -> str:
    return f"hex({kind}):" + ",".join(f"{byte:02x}" for byte in text.encode("utf-16-le"))


def _key(home: str) -> str:
    expand = _hex(2, f"%USERPROFILE%\\x;C:\\users\\{home}\\AppData\\Roaming\\y\0")
    many = _hex(7, f"C:\\users\\{home}\0D:\\none\0\0")
    below = f'[{KEY}\\Below\\Deep]\n"Deep"="c:\\\\users\\\\{home}"\n'
    return f'[{KEY}]{VALUES.format(home)}"Expand"={expand}\n"Many"={many}\n\n{below}'


def _entries(found: list[Entry] | str) -> Mapping[Place, Value]:
    assert not isinstance(found, str), found
    return {entry.place: entry.value for entry in found}


def _lines(text: str) -> set[str]:
    return {line for line in text.split("\n") if line}


def test_nothing_is_written_before_it_is_allowed(old: Computer) -> None:
    put = {"op": "put", "path": f"{old.account.home}/x", "content": "", "expect": None}
    set_ = {"op": "registry-set", "key": r"HKCU\Software\x", "name": "x", "value": None, "expect": None}
    answers = old.host.read_settings(old.account.name, old.account.home, [put, set_])
    assert [answer["reason"] for answer in answers] == ["refused", "refused"]
    with pytest.raises(HelperFailed, match="not allowed yet"):
        old.host.write_settings(old.account.name, old.account.home, [put, set_])
    assert not (old.home / "x").exists()


def test_every_kind_of_value_comes_into_a_new_drive_whose_user_has_another_name(old: Computer, new: Computer) -> None:
    old.registry(_key("a.ito"))
    collector = RegistryCollector()
    capture = RegistryCapture(kind="registry", key=r"HKCU\Software\Firstbell test", subtree=True)
    (found,) = collector.capture(old.host, old.account, [capture])
    saved = _entries(found)
    kinds = {place.name: value.kind for place, value in saved.items()}
    assert kinds == {
        "": "REG_SZ", "Text": "REG_SZ", "Empty": "REG_SZ", "Umläut Ж": "REG_SZ", "Number": "REG_DWORD",
        "Large": "REG_QWORD", "Bytes": "REG_BINARY", "No bytes": "REG_BINARY", "None": "REG_NONE",
        "Expand": "REG_EXPAND_SZ", "Many": "REG_MULTI_SZ", "Deep": "REG_SZ",
    }  # fmt: skip
    assert saved[Place("registry", r"HKCU\Software\Firstbell test", "Large")].data == 2**63 + 1

    moved = {
        place: rehome(value, old.account.variables, new.account.variables, windows=True)
        for place, value in saved.items()
    }
    allow(new.host, new.account)
    changes = [Change(place, value, None) for place, value in moved.items()]
    assert all(result.ok for result in collector.apply(new.host, new.account, changes))
    # As regedit sees it, but for the letters of the one path that was written otherwise.
    expected = _key("b.ono").replace("c:\\\\users\\\\b.ono", "C:\\\\users\\\\b.ono")
    assert _lines(new.exported(KEY)) - {f"[{KEY}\\Below]"} - _lines(expected) == {
        "Windows Registry Editor Version 5.00"
    }
    now, unreadable = collector.current(new.host, new.account, list(moved))
    assert (now, unreadable) == (moved, {})
    # The second time something stands there already.
    again = collector.apply(new.host, new.account, changes)
    assert {(result.ok, result.conflict) for result in again} == {(False, True)}


def test_a_value_is_changed_and_removed_only_where_it_is_as_expected(old: Computer) -> None:
    old.registry('[HKEY_CURRENT_USER\\Software\\Other test]\n"Kept"=dword:1\n"Gone"="x"\n"Set"="x"\n')
    collector = RegistryCollector()
    place = r"HKCU\Software\Other test"
    changes = [
        Change(Place("registry", place, "Kept"), Value("REG_DWORD", 7), Value("REG_SZ", "\x01")),
        Change(Place("registry", place, "gone"), None, Value("REG_SZ", "x")),
        Change(Place("registry", place, "Set"), Value("REG_EXPAND_SZ", "%x%"), Value("REG_SZ", "x")),
        Change(Place("registry", r"HKLM\Software\Other test", "All"), Value("REG_SZ", "x"), None),
    ]
    allow(old.host, old.account)
    kept, gone, set_, machine = collector.apply(old.host, old.account, changes)
    assert (kept.ok, kept.conflict, gone.ok, set_.ok, machine.ok) == (False, True, True, True, False)
    assert "whole computer" in machine.reason
    assert _lines(old.exported(r"HKEY_CURRENT_USER\Software\Other test")) >= {
        '"Kept"=dword:00000001', f'"Set"={_hex(2, "%x%" + chr(0))}'
    }  # fmt: skip
    now, _ = collector.current(old.host, old.account, [change.place for change in changes])
    assert {place.name: value.data for place, value in now.items()} == {"Kept": 1, "Set": "%x%"}


def test_of_the_computer_values_are_read_and_filtered(old: Computer) -> None:
    root = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall"
    for name, version in (("Notepad++", "8"), ("GIMP 3", "3.0")):
        old.windows.registry(rf"{root}\{name}", "DisplayName", name)
        old.windows.registry(rf"{root}\{name}", "DisplayVersion", version)
        old.windows.registry(rf"{root}\{name}", "InstallSource", "x")
    capture = RegistryCapture(kind="registry", key=root, values=("DisplayName", "*Version"), subtree=True)
    (found,) = RegistryCollector().capture(old.host, old.account, [capture])
    entries = _entries(found).items()
    ours = {(place.name, value.data) for place, value in entries if place.container.endswith(("Notepad++", "GIMP 3"))}
    assert ours == {
        ("DisplayName", "GIMP 3"), ("DisplayName", "Notepad++"), ("DisplayVersion", "3.0"), ("DisplayVersion", "8"),
    }  # fmt: skip
    (older := old.windows.drive / "Program Files (x86)" / "Old").mkdir(parents=True)
    (older / "old.exe").write_bytes(b"")
    asked = {
        "op": "programs", "programs": ["gimp*", "Word*"], "commands": ["x"], "keys": [root, rf"{root}\none"],
        "paths": ["/C/Program Files/Old/*.exe", "/C/Program Files/None/*.exe"],
        "running": ["PowerShell.exe", "excel.exe"],
    }  # fmt: skip
    (answer,) = old.host.read_settings(old.account.name, old.account.home, [asked])
    assert answer == {
        "ok": True, "programs": ["gimp*"], "commands": [], "keys": [root], "paths": ["/C/Program Files/Old/*.exe"],
        "running": ["PowerShell.exe"],
    }  # fmt: skip


def test_files_come_back_with_their_bytes_in_the_other_home(old: Computer, new: Computer) -> None:
    roaming = old.home / "AppData" / "Roaming"
    for name, content in (("Sigs/Mit Ä.htm", b"\0\xff"), ("Sigs/Cache/x", b"no"), ("Sigs/deep/er/y.RTF", b"y")):
        (roaming / name).parent.mkdir(parents=True, exist_ok=True)
        (roaming / name).write_bytes(content)
    (roaming / "large.bin").write_bytes(bytes(600_000))
    sigs = f"{old.account.home}/AppData/Roaming/Sigs"
    asked = {"op": "glob", "pattern": f"{sigs}/**", "exclude": ["cache", f"{sigs}/deep/**/Y*"]}
    (answer,) = old.host.read_settings(old.account.name, old.account.home, [asked])
    assert answer == {"ok": True, "paths": [f"{sigs}/Mit Ä.htm"], "more": False, "denied": []}
    collector = FilesCollector(ignore_case=True)
    captures = [
        FilesCapture(kind="files", paths=("{appdata}/sigs/**",), exclude=("Cache",)),
        FilesCapture(kind="files", paths=("{appdata}/*.bin", "{appdata}/none/*", "{documents}/x")),
    ]
    signatures, large = (_entries(found) for found in collector.capture(old.host, old.account, captures))
    assert {place.container for place in signatures} == {"{appdata}/sigs/Mit Ä.htm", "{appdata}/sigs/deep/er/y.RTF"}
    assert [value.kind for value in large.values()] == ["file-reference"]
    allow(new.host, new.account)
    changes = [Change(place, value, None) for place, value in signatures.items()]
    assert all(result.ok for result in collector.apply(new.host, new.account, changes))
    assert (new.home / "AppData/Roaming/sigs/Mit Ä.htm").read_bytes() == b"\0\xff"
    assert [(one.ok, one.conflict) for one in collector.apply(new.host, new.account, changes)] == [(False, True)] * 2
    other = [
        Change(Place("files", "{appdata}/sigs/Mit Ä.htm"), Value("file", "eA=="), signatures[changes[0].place]),
        Change(Place("files", "{appdata}/sigs/deep/er/y.RTF"), None, signatures[changes[1].place]),
        Change(Place("files", "/C/windows/system.ini"), Value("file", ""), None),
        Change(Place("files", "/C/windows/firstbell-no"), Value("file", ""), None),
    ]
    assert [one.ok for one in collector.apply(new.host, new.account, other)] == [True, True, False, False]
    assert [path.name for path in (new.home / "AppData/Roaming/sigs").rglob("*") if path.is_file()] == ["Mit Ä.htm"]
    assert not list(new.windows.drive.rglob(".firstbell-*"))


def test_commands_are_run_as_the_administrator_and_as_the_person_only_by_that_person(old: Computer) -> None:
    add_person(old.windows, "m.okafor", OTHER, {"Control Panel": {"Desktop": {"Wallpaper": "x"}}})
    as_admin = CommandCapture(
        kind="command", argv=("cmd.exe", "/c", "echo 1& echo 2"), format="lines", run_as="administrator"
    )
    as_person = CommandCapture(kind="command", argv=("cmd.exe", "/c", "echo hello"))
    absent = CommandCapture(kind="command", argv=("no-such-program.exe",), run_as="administrator")
    collector = CommandCollector()
    lines, hello, nothing = collector.capture(old.host, old.account, [as_admin, as_person, absent])
    assert [list(_entries(one).values()) for one in (lines, hello)] == [
        [Value("text", "1\n2")],
        [Value("text", "hello")],
    ]
    assert nothing == []
    lines, refused = collector.capture(old.host, account_in("m.okafor"), [as_admin, as_person])
    assert list(_entries(lines).values()) == [Value("text", "1\n2")]
    assert refused == "only the person, signed in, can ask Windows for this"
    endless = ["cmd.exe", "/c", "for /L %i in () do rem"]
    late = {"op": "command", "argv": endless, "as": "administrator", "seconds": 1}
    whole = {"op": "command", "argv": ["/C/windows/system32/cmd.exe", "/c", 'echo "a b"'], "as": "administrator"}
    answers = old.host.read_settings(old.account.name, old.account.home, [late, whole])
    assert [answer.get("reason") for answer in answers] == ["late", None]
    assert base64.b64decode(answers[1]["out"]).rstrip() in (b'"a b"', b'\\"a b\\"')


def test_of_somebody_who_is_not_signed_in_the_files_are_read(old: Computer) -> None:
    desktop = {"Wallpaper": r"C:\users\m.okafor\x.jpg", "Mask": (3, b"\1\2\3\4\5"), "Width": (4, b"\xff" * 4)}
    add_person(old.windows, "m.okafor", OTHER, {"Control Panel": {"Desktop": desktop}})
    account = account_in("m.okafor")
    (answer,) = old.host.read_settings(account.name, account.home, [{"op": "identity"}])
    assert (answer["signed_in"], answer["account"].split(":")[0]) == (False, OTHER)
    collector = RegistryCollector()
    captures = [
        RegistryCapture(kind="registry", key=r"HKCU\Control Panel\Desktop", values=("w*", "mask")),
        RegistryCapture(kind="registry", key=r"HKCU\Control Panel", subtree=True, exclude=("Wallpaper",)),
        RegistryCapture(kind="registry", key=r"HKCU\Software\Classes\x", subtree=True),
    ]
    few, all_, classes = collector.capture(old.host, account, captures)
    assert {place.name: value.data for place, value in _entries(few).items()} == {
        "Wallpaper": r"C:\users\m.okafor\x.jpg", "Mask": "AQIDBAU=", "Width": 2**32 - 1,
    }  # fmt: skip
    assert len(_entries(all_)) == 2
    assert classes == "the profile has no UsrClass.dat: that person has not signed in yet"
    place = Place("registry", r"HKCU\Control Panel\Desktop", "WIDTH")
    assert collector.current(old.host, account, [place]) == ({place: Value("REG_DWORD", 2**32 - 1)}, {})
    programs = {"op": "programs", "keys": [r"HKCU\Control Panel\Desktop", r"HKCU\None"]}
    (answer,) = old.host.read_settings(account.name, account.home, [programs])
    assert answer["keys"] == [r"HKCU\Control Panel\Desktop"]


def test_a_hive_is_loaded_for_one_request_only_and_refused_as_what_it_is_not(old: Computer) -> None:
    """Wine loads hives that it has written itself, as text, and forgets them when they are unloaded.

    So this proves that the hive is loaded, written to and let go of, whatever comes; that Windows writes it back is for
    the field check.
    """
    home = add_person(old.windows, "m.okafor", OTHER)
    account = account_in("m.okafor")
    (home / "NTUSER.DAT").write_text('WINE REGISTRY Version 2\n\n#arch=win64\n\n[Software\\\\X] 1\n"a"="b"\n')
    collector = RegistryCollector()
    changes = [
        Change(Place("registry", r"HKCU\Software\X", "a"), Value("REG_SZ", "c"), Value("REG_SZ", "b")),
        Change(Place("registry", r"HKCU\Software\X", "a"), Value("REG_SZ", "d"), Value("REG_SZ", "c")),
        Change(Place("registry", r"HKCU\Software\New\Key", "n"), Value("REG_QWORD", 5), None),
        Change(Place("registry", r"HKCU\Software\X", "a"), None, Value("REG_SZ", "b")),
        Change(Place("registry", r"HKCU\Software\Classes\x", ""), Value("REG_SZ", "x"), None),
    ]
    allow(old.host, old.account)
    assert {result.reason for result in collector.apply(old.host, account, changes)} == {
        "the plan does not name this person"
    }
    allow(old.host, account)
    results = collector.apply(old.host, account, changes)
    assert [(result.ok, result.conflict) for result in results] == [
        (True, False), (True, False), (True, False), (False, True), (False, False),
    ]  # fmt: skip
    assert "while the person is signed in" in results[-1].reason
    (home / "NTUSER.DAT").write_bytes(b"regf")
    assert [result.ok for result in collector.apply(old.host, account, changes)] == [False] * 5
    assert "firstbell-" not in old.windows.run("reg", "query", "HKU")


def test_what_a_killed_helper_has_left_loaded_is_let_go_of_by_the_next(new: Computer) -> None:
    assert "HKEY_USERS" in (listed := new.windows.run("reg", "query", "HKU"))
    assert "firstbell-" not in listed


def test_what_waits_for_the_first_sign_in_is_done_once_and_told(old: Computer, new: Computer) -> None:
    new.registry('[HKEY_CURRENT_USER\\Keyboard Layout\\Preload]\n"1"="00000409"\n"2"="mine"\n')
    (new.home / "AppData/Roaming/kept.xml").write_bytes(b"newer")
    preload = r"HKCU\Keyboard Layout\Preload"
    steps = [
        _step("keyboards", Place("registry", preload, "1"), Value("REG_SZ", "00000407"), Value("REG_SZ", "00000409")),
        _step("keyboards", Place("registry", preload, "2"), Value("REG_SZ", "ours"), Value("REG_SZ", "other")),
        _step("pins", Place("registry", r"HKCU\Software\Pins", "q"), Value("REG_QWORD", 2**63), None),
        _step("pins", Place("registry", r"HKCU\Software\Pins", "m"), Value("REG_MULTI_SZ", ("a", "", "b")), None),
        _step("pins", Place("registry", r"HKCU\Software\Pins", "e"), Value("REG_EXPAND_SZ", "%x%"), None),
        _step("pins", Place("registry", r"HKCU\Software\Pins", "n"), Value("REG_NONE", "AQI="), None),
        _step("pins", Place("registry", r"HKCU\Software\Pins", "d"), Value("REG_DWORD", 2**32 - 1), None),
        _step("notes", Place("files", "{appdata}/deep/notes Ä.bin"), Value("file", "AAH/"), None),
        _step("kept", Place("files", "{appdata}/kept.xml"), Value("file", "AAH/"), None),
        _step("told", Place("command", "x"), Value("text", "x"), None),
    ]
    allow(new.host, new.account)
    values = sign_in_values(steps, new.account)
    changes = [Change(place, value, None) for place, value in values.items()]
    collectors: dict[str, Collector] = {"files": FilesCollector(ignore_case=True), "registry": RegistryCollector()}
    for change in changes:
        (result,) = collectors[change.place.collector].apply(new.host, new.account, [change])
        assert result.ok, result
    assert read_report(new.host, new.account) is None

    # What Windows does when that person signs in: the line goes away, and is run.
    line = str(values[RUN_ONCE].data)
    assert len(line) < 260
    assert line in new.exported(r"HKEY_CURRENT_USER\Software\Microsoft\Windows\CurrentVersion\RunOnce").replace(
        "\\\\", "\\"
    ).replace('\\"', '"')
    with run_command_line(new.windows, line.replace("-WindowStyle Hidden ", "")) as process:
        said = b"".join(process.communicate(timeout=60))
    assert (process.returncode, said) == (0, b"")
    report = read_report(new.host, new.account)
    assert report is not None
    assert report.done == ("keyboards", "pins", "notes")
    assert report.failed == (("keyboards", "it was changed meanwhile"), ("kept", "it was changed meanwhile"))
    folder = new.home / "AppData/Local/firstbell"
    assert [path.name for path in folder.iterdir()] == ["first-sign-in-report.json"]
    now, _ = collectors["registry"].current(
        new.host, new.account, [step.place for step in steps if step.place and step.place.collector == "registry"]
    )
    assert {place.name: value.data for place, value in now.items()} == {
        "1": "00000407", "2": "mine", "q": 2**63, "m": ("a", "", "b"), "e": "%x%", "n": "AQI=", "d": 2**32 - 1,
    }  # fmt: skip
    # The next restore of settings removes the report.
    (rest,) = with_sign_in_step(SettingsPlan(()), new.host, new.account, collectors).changes()
    (result,) = collectors["files"].apply(new.host, new.account, [rest])
    assert result.ok
    assert list(folder.iterdir()) == []
    assert (new.home / "AppData/Roaming/deep/notes Ä.bin").read_bytes() == b"\0\1\xff"
    assert (new.home / "AppData/Roaming/kept.xml").read_bytes() == b"newer"


def _step(item: str, place: Place, value: Value, current: Value | None) -> Step:
    return Step(item, item, Outcome.FIRST_SIGN_IN, place, value, current)


def test_the_hash_of_logs_is_that_of_windows(windows: WinePrefix) -> None:
    """.NET hashes texts with the same function, and a seed of its own that it can be asked for."""
    script = (
        "$type = [object].Assembly.GetType('System.Marvin')\n"
        "$seed = $type.GetProperty('DefaultSeed', [Reflection.BindingFlags]'Static,NonPublic,Public').GetValue($null)\n"
        "foreach ($text in 'a', 'abc', 'abcdefgh') { \"$seed $($text.GetHashCode())\" }"
    )
    lines = windows.powershell(script).splitlines()
    for text, line in zip(("a", "abc", "abcdefgh"), lines, strict=True):
        seed, told = map(int, line.split())
        found = marvin32(text.encode("utf-16-le"), seed)
        assert (found >> 32 ^ found) & 0xFFFFFFFF == told & 0xFFFFFFFF
