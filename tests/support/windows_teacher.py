r"""Teachers' profiles in a Windows under Wine, and a fingerprint of them that is taken inside that Windows.

The files are written from this computer, in the form in which Wine keeps them: read-only as a mode, hidden and system
as Samba does (``user.DOSATTRIB``). Wine keeps no creation times of its own: they are the last write's.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from tests.support.hive_file import hive
from tests.support.teacher_home import SUBJECTS, WORDS, content_of
from tests.support.wine import WinePrefix, windows_path

HIDDEN, SYSTEM = 0x2, 0x4
_READ_ONLY, _FOLDER, _ARCHIVE = 0x1, 0x10, 0x20
#: 1970 as Windows' calendar in .NET has it: 100 ns since the year 1.
_YEAR_1 = 621_355_968_000_000_000
#: Who is signed in: Wine knows one account, and gives it all files.
SIGNED_IN = "a.ito"
#: The two people and their SIDs. The second is of a domain that does not exist: nobody resolves it, so that the
#: folder's name is the person's, and what is set for that account is read from NTUSER.DAT.
PEOPLE = {SIGNED_IN: "S-1-5-21-0-0-0-1000", "m.okafor": "S-1-5-21-1004336348-1177238915-682003330-1002"}
#: m.okafor's desktop was moved into a folder with a name of its own.
DESKTOPS = {"a.ito": "Desktop", "m.okafor": "OneDrive - Northfield/Bureau de travail"}

_PROFILES = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList"
_SHELL_FOLDERS = r"HKEY_CURRENT_USER\Software\Microsoft\Windows\CurrentVersion\Explorer\User Shell Folders"
#: Names that Windows takes, some of them only by ``\\?\``.
_NAMES: Sequence[str] = (
    "first lesson \N{BOOKS} Straße.odt",
    "cafe\u0301 (decomposed).txt",
    "café (composed).txt",
    "\u0420\u0430\u0441\u043f\u0438\u0441\u0430\u043d\u0438\u0435 7\u0430.txt",
    "\u6642\u9593\u5272 \u5fa9\u7fd2.txt",
    "trailing dot.",
    "trailing space ",
    "two dots..",
    " leading space.txt",
    "-rf",
    "100% & (more); ^up! ~$HOME `id` 'quoted', [a-z] {1}.txt",
    "CON",
    "NUL.txt",
    "COM1",
    "x" * 251 + ".txt",
    "\N{BIRD}" * 60 + ".txt",
    ".hidden to others",
)
#: 1995, the last moment of 1969, and 2100, in nanoseconds; Windows counts hundreds of them.
_TIMES = (788_918_400 * 10**9 + 700, -100, 4_102_444_800 * 10**9 + 999_999_900)
#: Not part of what a restore brings back: the account's own database, and temporary files.
_LEFT_OUT = ("NTUSER.DAT", r"AppData\Local\Temp")

_FINGERPRINT = r"""
$top = '\\?\@HOME@'
$options = [IO.EnumerationOptions]::new()
$options.RecurseSubdirectories = $true
$options.AttributesToSkip = 0
$options.IgnoreInaccessible = $false
$out = [Text.StringBuilder]::new()
foreach ($one in [IO.DirectoryInfo]::new($top).EnumerateFileSystemInfos('*', $options)) {
    $hash = '-'
    $size = 0
    if ($one -is [IO.FileInfo]) {
        $size = $one.Length
        $file = [IO.FileStream]::new($one.FullName, 'Open', 'Read', 'ReadWrite,Delete')
        $hash = [Convert]::ToHexString([Security.Cryptography.SHA256]::HashData($file))
        $file.Dispose()
    }
    $name = $one.FullName.Substring($top.Length + 1)
    $times = "$($one.LastWriteTimeUtc.Ticks)|$($one.CreationTimeUtc.Ticks)"
    $null = $out.Append("$name|$hash|$size|$([int]$one.Attributes)|$times`n")
}
[IO.File]::WriteAllText('@FILE@', $out.ToString())
"""


@dataclass(frozen=True, slots=True)
class WindowsEntry:
    """All that must come back of one path, as Windows tells it; times in 100 ns since the year 1."""

    sha256: str
    size: int
    attributes: int
    last_write: int
    created: int

    @property
    def type(self) -> str:
        """``file`` or ``dir``."""
        return "dir" if self.sha256 == "-" else "file"


def make_people(prefix: WinePrefix, names: Sequence[str] = tuple(PEOPLE)) -> None:
    """Let this Windows know profiles of these people, on a fresh image without files."""
    prefix.user = SIGNED_IN
    text = ["Windows Registry Editor Version 5.00", ""]
    for name in names:
        path = f"C:\\Users\\{name}"
        text += [f"[{_PROFILES}\\{PEOPLE[name]}]"]
        text += [f'"ProfileImagePath"=hex(2):{_bytes(path)}', '"State"=dword:00000000', ""]
        fresh_image(prefix, name)
    # The account's own: where PowerShell keeps notes of its own, which are no files of the teacher.
    text += [f"[{_SHELL_FOLDERS}]", r'"Local AppData"="C:\\windows\\temp\\account"', ""]
    file = prefix.folder / "people.reg"
    file.write_bytes("\r\n".join(text).encode("utf-16"))
    prefix.run("regedit", "/S", windows_path(file))


def home_of(prefix: WinePrefix, name: str) -> Path:
    """Return where somebody's profile lies on this computer."""
    return prefix.drive / "users" / name


def fresh_image(prefix: WinePrefix, name: str) -> None:
    """Let somebody's profile be as a first sign-in leaves it: nothing of what was there is left."""
    home = home_of(prefix, name)
    shutil.rmtree(home, ignore_errors=True)
    folders = {"Desktop": "%USERPROFILE%\\" + DESKTOPS[name].replace("/", "\\"), "Personal": "%USERPROFILE%\\Documents"}
    for folder in (DESKTOPS[name], "Documents", "Pictures", "AppData/Local/Temp", "AppData/Roaming"):
        (home / folder).mkdir(parents=True)
    explorer = {"CurrentVersion": {"Explorer": {"User Shell Folders": folders}}}
    (home / "NTUSER.DAT").write_bytes(hive({"Software": {"Microsoft": {"Windows": explorer}}}))
    _mark(home / "NTUSER.DAT", HIDDEN)
    _mark(home / "AppData", HIDDEN)


def fill(prefix: WinePrefix, name: str = "a.ito", *, seed: int = 7, files: int = 400, large_mib: int = 24) -> Path:
    """Put a teacher's files into a profile: about so many, and one video of ``large_mib`` MiB; return its folder.

    The same seed gives the same bytes, names, attributes and times.
    """
    rnd = random.Random(f"{name} {seed}")
    home = home_of(prefix, name)
    desktop = home / DESKTOPS[name]
    for index in range(files):
        place = rnd.choice((desktop, home / "Documents", home / "Documents", home / "Pictures"))
        folder = place / rnd.choice(SUBJECTS) / (f"{2024 + index % 3}" if index % 3 else ".")
        folder.mkdir(parents=True, exist_ok=True)
        words = " ".join(rnd.choices(WORDS, k=rnd.randint(1, 4)))
        kind = rnd.choice((".docx", ".pptx", ".odt", ".txt", ".jpg", ".pdf"))
        path = folder / f"{words} {index}{kind}"
        _write(path, content_of(rnd, kind, int(rnd.lognormvariate(9.5, 1.4))), rnd)
        if index % 25 == 1:
            path.chmod(0o444)
        if index % 40 == 2:
            _mark(path, HIDDEN)
    _write_large(home / "Pictures" / "class film.mp4", large_mib, rnd)
    _awkward(home, desktop, rnd)
    _age_folders(home, rnd)
    return home


def wipe(prefix: WinePrefix, name: str = "a.ito") -> int:
    """Reimage: the profile is a fresh one; return how many of the files of before are left, which is none."""
    fresh_image(prefix, name)
    return sum(len(files) for _, _, files in os.walk(home_of(prefix, name))) - 1


def fingerprint(prefix: WinePrefix, name: str = "a.ito", *, below: str = "") -> dict[str, WindowsEntry]:
    r"""Return what every path of a profile is, as PowerShell sees it; ``below`` is another place than ``C:\Users``."""
    home = below or f"C:\\users\\{name}"
    # By a file: PowerShell may say something of its own on its standard output.
    file = prefix.folder / "fingerprint"
    prefix.powershell(_FINGERPRINT.replace("@HOME@", home).replace("@FILE@", windows_path(file)))
    found = {}
    for line in file.read_text().split("\n")[:-1]:
        path, sha256, *numbers = line.split("|")
        if not _is_left_out(path):
            found[path] = WindowsEntry(sha256.lower(), *map(int, numbers))
    return found


def glance(prefix: WinePrefix, name: str = "a.ito") -> dict[str, WindowsEntry]:
    """Return the same as ``fingerprint``, as this computer sees what Wine keeps: quicker, and without a PowerShell."""
    home = home_of(prefix, name)
    found = {}
    for folder, folders, files in os.walk(home):
        for each in (*folders, *files):
            path = Path(folder, each)
            told = str(path.relative_to(home)).replace("/", "\\")
            if not _is_left_out(told):
                found[told] = _glance_at(path)
    return found


def _glance_at(path: Path) -> WindowsEntry:
    info = path.stat()
    attributes = 0 if info.st_mode & 0o222 else _READ_ONLY
    with contextlib.suppress(OSError):
        attributes |= int(os.getxattr(path, "user.DOSATTRIB"), 16) & (HIDDEN | SYSTEM)
    if path.name.startswith("."):
        attributes |= HIDDEN  # so Wine has it
    ticks = _YEAR_1 + info.st_mtime_ns // 100
    if path.is_dir():
        return WindowsEntry("-", 0, attributes | _FOLDER, ticks, ticks)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return WindowsEntry(digest, info.st_size, attributes | _ARCHIVE, ticks, ticks)


def _is_left_out(path: str) -> bool:
    return any(path == left or path.startswith(left + "\\") for left in _LEFT_OUT)


def differences(before: dict[str, WindowsEntry], after: dict[str, WindowsEntry]) -> list[str]:
    """Return one line for each path that is not as it was; nothing when all came back."""
    lines = [f"missing: {path!r}" for path in before.keys() - after.keys()]
    lines += [f"new: {path!r}" for path in after.keys() - before.keys()]
    for path in before.keys() & after.keys():
        for field in fields(WindowsEntry):
            old, new = getattr(before[path], field.name), getattr(after[path], field.name)
            if old != new:
                lines.append(f"{path!r}: {field.name} was {old}, is {new}")
    return sorted(lines)


def contents(root: Path) -> dict[str, str]:
    """Return the hash of every file below a folder of this computer, by its path: what another client restored."""
    found = {}
    for folder, _, files in os.walk(root):
        for file in files:
            path = Path(folder, file)
            with path.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
            found[str(path.relative_to(root)).replace("/", "\\")] = digest
    return found


def _awkward(home: Path, desktop: Path, rnd: random.Random) -> None:
    for name in _NAMES:
        _write(desktop / "names" / name, name.encode() * 10, rnd)
        if len(name.encode()) < 200:
            _write(desktop / "names" / f"{name} folder." / "inside.txt", name.encode(), rnd)
    for index, when in enumerate(_TIMES):
        _write(home / "Documents" / "times" / f"{index}.txt", b"%d" % index, rnd)
        os.utime(home / "Documents" / "times" / f"{index}.txt", ns=(when, when))
    deep = home / "Documents" / "deep"
    for level in range(12):
        deep = deep / f"level {level} of a very deep folder"
    _write(deep / "at the bottom.txt", b"still here", rnd)
    _write(home / "Documents" / "signed contract.pdf", rnd.randbytes(5000), rnd)
    (home / "Documents" / "signed contract.pdf").chmod(0o444)
    _write(desktop / "empty.txt", b"", rnd)
    (desktop / "empty folder" / "empty too ").mkdir(parents=True)
    (desktop / "empty folder.").mkdir()
    # Windows makes such folders read-only, too; Wine sets that of no folder.
    for folder in (desktop, home / "Documents" / SUBJECTS[2]):
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "desktop.ini", b"[.ShellClassInfo]\r\nLocalizedResourceName=@shell32.dll,-21769\r\n", rnd)
        _mark(folder / "desktop.ini", HIDDEN | SYSTEM)
    both = desktop / "hidden and read-only.txt"
    _write(both, b"both", rnd)
    _mark(both, HIDDEN)
    both.chmod(0o444)
    _write(home / "AppData" / "Roaming" / "Lesson Planner" / "settings.xml", b"<settings/>", rnd)
    _write(home / "AppData" / "Local" / "Temp" / "of no use.tmp", b"left out", rnd)


def _write(path: Path, data: bytes, rnd: random.Random) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    _age(path, rnd)


def _write_large(path: Path, mib: int, rnd: random.Random) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(rnd.randbytes(1 << 20))
    _age(path, rnd)


def _age(path: Path, rnd: random.Random) -> None:
    age = rnd.randint(0, 3 * 365 * 86400 * 10**7) * 100
    os.utime(path, ns=(1_760_000_000 * 10**9 - age, 1_760_000_000 * 10**9 - age))


def _age_folders(home: Path, rnd: random.Random) -> None:
    for folder, _, _ in os.walk(home, topdown=False):
        _age(Path(folder), rnd)


def _mark(path: Path, attributes: int) -> None:
    os.setxattr(path, "user.DOSATTRIB", b"0x%x" % attributes)


def _bytes(text: str) -> str:
    """Return a text as the editor of the registry writes one that is to be expanded."""
    return ",".join(f"{byte:02x}" for byte in (text + "\0").encode("utf-16-le"))
