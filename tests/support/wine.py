"""PowerShell for Windows under Wine: a Windows kernel interface, registry and files without Windows.

The runtime folder holds ``pwsh`` and ``dotnet`` for Windows. It and an empty Windows drive are prepared once per
computer in the folder for temporary files; a test gets a drive of its own, a copy. It is PowerShell 7 on .NET, not 5.1,
and there are no shadow copies, reparse points, alternate streams or access lists.

Programs there start in a folder of their own drive, and see of this computer only the folder for temporary files
(``Z:``), not this work tree: a command that goes astray under Wine must not find what it could destroy.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasks.errors import Unreachable
from tasks.transports.base import AcceptIdentity, HostIdentity, Transport, refuse_unknown
from tasks.transports.local import LocalStream

VARIABLE = "FIRSTBELL_WINDOWS_RUNTIME"
CURE = (
    f"install Wine (Debian: apt install wine wine64) and set {VARIABLE} to a folder with PowerShell and .NET"
    " for Windows, see CONTRIBUTING.md"
)
#: Where every Windows has its PowerShell.
POWERSHELL = r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe"

_ROOT = Path(__file__).resolve().parents[2]
#: What Windows sees of this computer.
_DRIVES = {"Z:": Path(tempfile.gettempdir()).resolve()}
_PIPES = Path(__file__).with_name("wine_pipes.py")
#: How long Wine may take for one of our own steps, in seconds.
_DEADLINE = 120.0
#: How long a Windows that nobody closed outlives its last program, in seconds.
_LINGER = 300
#: Files up to this size are copied into a drive; larger ones are programs, which nobody writes to.
_LINKED = 64 * 1024


def find_runtime() -> Path | None:
    """Return the runtime, an unpacked folder or an archive of it, or None where there is none."""
    named = os.environ.get(VARIABLE)
    places = [Path(named)] if named else [_ROOT.parent / "shared" / "windows-runtime"]
    for place in places:
        for path in (place / "windows-runtime.tar.xz", place / "windows-runtime", place):
            if path.is_file() or (path / "pwsh" / "pwsh.exe").is_file():
                return path.resolve()
    return None


def missing() -> str:
    """Return what is missing of Wine and the runtime, nothing when both are here."""
    if shutil.which("wine") is None:
        return "wine"
    return "" if find_runtime() is not None else "PowerShell for Windows"


def require_wine() -> None:
    """Skip the test where Wine or the runtime is missing; with ``CI=true`` fail."""
    if what := missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{what} is missing, and CI=true forbids to skip its tests: {CURE}", pytrace=False)
        pytest.skip(f"{what} is missing: {CURE}")


class WinePrefix:
    """A Windows of its own: drive C:, registry, and the drives of ``windows_path``. Close it when done."""

    def __init__(self, folder: Path, runtime: Path) -> None:
        self.folder = folder
        self.runtime = runtime
        self.drive = folder / "drive_c"
        #: Who is signed in, another than this computer's user: whose all files are.
        self.user = ""

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the variables for a program in this Windows."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            **({"USER": self.user, "LOGNAME": self.user} if self.user else {}),
            "WINEPREFIX": str(self.folder),
            "WINEARCH": "win64",
            "WINEDEBUG": os.environ.get("WINEDEBUG", "-all"),
            "DOTNET_ROOT": windows_path(self.runtime / "dotnet"),
            "DOTNET_EnableWriteXorExecute": "0",  # without it .NET dies in a finalizer under Wine 8
            # Programs here live for seconds: less is spent on making them quick.
            "DOTNET_TieredPGO": "0",
            "DOTNET_GCgen0size": "4000000",
            "DOTNET_CLI_TELEMETRY_OPTOUT": "1",
            "POWERSHELL_TELEMETRY_OPTOUT": "1",
            "POWERSHELL_UPDATECHECK": "Off",
            **(extra or {}),
        }

    def argv(self, line: str) -> list[str]:
        """Return what runs this Windows command line, given ``environment``."""
        return [sys.executable, "-I", "-S", str(_PIPES), line]

    def local(self, path: str) -> Path:
        r"""Return where a Windows path such as ``C:\Users`` lies on this computer."""
        drive, rest = path[:2].upper(), path[2:].replace("\\", "/").lstrip("/")
        return (self.drive if drive == "C:" else _DRIVES[drive]) / rest

    def copy(self, path: Path) -> str:
        """Copy a file of the work tree into this Windows and return its path there."""
        folder = self.drive / "firstbell-copies"
        folder.mkdir(exist_ok=True)
        shutil.copyfile(path, folder / path.name)
        return rf"C:\firstbell-copies\{path.name}"

    def registry(self, key: str, name: str, value: str, kind: str = "REG_SZ") -> None:
        r"""Set a value; ``key`` as ``HKLM\...``."""
        self.run("reg", "add", key, *(["/v", name] if name else ["/ve"]), "/t", kind, "/d", value, "/f")

    def run(self, *argv: str, environment: Mapping[str, str] | None = None, timeout: float = _DEADLINE) -> str:
        """Run one of Wine's own programs and return what it says. Raises ``CalledProcessError``."""
        done = subprocess.run(
            ["wine", *argv],
            cwd=self.drive if self.drive.exists() else self.folder,
            env=self.environment(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=True,
        )
        return done.stdout.decode("utf-8", "replace")

    def powershell(self, script: str, *, timeout: float = _DEADLINE) -> str:
        """Run a script in PowerShell and return its standard output as text. Raises ``CalledProcessError``."""
        # By a file: a script may hold anything.
        with tempfile.NamedTemporaryFile("w", suffix=".ps1", dir=self.folder, encoding="utf-8-sig") as file:
            file.write("[Console]::OutputEncoding = New-Object Text.UTF8Encoding $false\n" + script)
            file.flush()
            line = f"{POWERSHELL} -NoLogo -NoProfile -NonInteractive -File {windows_path(Path(file.name))}"
            with run_command_line(self, line) as process:
                try:
                    output, errors = process.communicate(timeout=timeout)
                except subprocess.TimeoutExpired:
                    self.stop()
                    process.kill()
                    raise
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, script[:200], output, errors)
        return output.decode("utf-8", "replace")

    def start(self) -> None:
        """Start what runs in the background of a Windows.

        Otherwise the first program would, within its own process group, and take it along when that group is killed.
        """
        for argv in (["wineserver", f"-p{_LINGER}"], ["wine", "cmd", "/c", "exit"]):
            subprocess.run(
                argv,
                cwd=self.drive,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_DEADLINE,
                check=True,
                start_new_session=True,
            )

    def stop(self) -> None:
        """End every program of this Windows."""
        subprocess.run(["wineserver", "-k"], env=self.environment(), timeout=_DEADLINE, capture_output=True)
        subprocess.run(["wineserver", "-w"], env=self.environment(), timeout=_DEADLINE, capture_output=True)

    def close(self) -> None:
        """End every program of this Windows and remove it."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> WinePrefix:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def windows_path(path: Path) -> str:
    """Return how Windows calls a temporary file. Raises ``ValueError`` for another one: it gets a ``copy``."""
    # As it is written first: the runtime may be a link to a folder elsewhere.
    for spelling in (path.absolute(), path.resolve()):
        for drive, folder in _DRIVES.items():
            if spelling.is_relative_to(folder):
                return f"{drive}\\" + str(spelling.relative_to(folder)).replace("/", "\\")
    raise ValueError(f"Windows does not see {path}, only {tempfile.gettempdir()}: see TMPDIR and --basetemp")


def new_prefix(folder: Path) -> WinePrefix:
    """Return a fresh Windows in ``folder``, which must not be there yet."""
    require_wine()
    runtime, template = _prepared()
    _copy_drive(template, folder)
    prefix = WinePrefix(folder, runtime)
    prefix.start()
    return prefix


@contextmanager
def wine_prefix(folder: Path) -> Iterator[WinePrefix]:
    """Give a fresh Windows in ``folder``, and remove it."""
    with new_prefix(folder) as prefix:
        yield prefix


def run_command_line(prefix: WinePrefix, line: str) -> subprocess.Popen[bytes]:
    """Start a command line as a WinRM shell or sshd does, through cmd.exe; its standard streams are binary-safe pipes.

    It runs in a process group of its own, whose number is that of the process.
    """
    return subprocess.Popen(
        prefix.argv(line),
        cwd=prefix.drive,
        env=prefix.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


class WineTransport(Transport):
    """A link to a Windows under Wine, as OpenSSH's server there would give it: programs and their standard streams."""

    platform = "windows"

    def __init__(self, host: str, prefix: WinePrefix, *, idle_timeout: float = 60.0) -> None:
        self.host = host
        self.prefix = prefix
        self._idle_timeout = idle_timeout
        self._streams: list[LocalStream] = []
        self._open = False

    def open(self, accept_identity: AcceptIdentity = refuse_unknown) -> None:
        """Do nothing: there is nobody to ask."""
        self._open = True

    def start(self, argv: Sequence[str]) -> LocalStream:
        """Start a program with arguments, quoted as Windows programs take them apart."""
        return self.start_line(subprocess.list2cmdline(argv))

    def start_line(self, line: str) -> LocalStream:
        """Start a command line, through cmd.exe."""
        if not self._open:
            raise Unreachable("the transport is not open", host=self.host)
        stream = LocalStream(self.host, self.prefix.argv(line), self.prefix.environment(), self._idle_timeout)
        self._streams.append(stream)
        return stream

    def identity(self) -> HostIdentity:
        """Return an identity without a fingerprint."""
        return HostIdentity("local", "", "")

    def close(self) -> None:
        """End what was started."""
        self._open = False
        while self._streams:
            self._streams.pop().close()


@functools.cache
def _prepared() -> tuple[Path, Path]:
    """Return the unpacked runtime and a prefix to copy; both are made once per computer and kept for other sessions."""
    runtime = find_runtime()
    if runtime is None:
        raise FileNotFoundError(CURE)
    version = subprocess.run(["wine", "--version"], capture_output=True, check=True, timeout=_DEADLINE).stdout
    status = runtime.stat()
    mark = f"5 {runtime} {status.st_size} {status.st_mtime_ns} {version.decode()}"
    key = hashlib.sha256(mark.encode()).hexdigest()[:16]
    cache = Path(tempfile.gettempdir()) / f"firstbell-windows-{os.getuid()}-{key}"
    if not (cache / "prefix").is_dir():
        work = Path(tempfile.mkdtemp(prefix=f"{cache.name}."))
        try:
            _prepare(runtime, work)
            try:
                work.rename(cache)
            except OSError:  # another session was faster
                if not (cache / "prefix").is_dir():
                    raise
        finally:
            shutil.rmtree(work, ignore_errors=True)
    if cache.stat().st_uid != os.getuid():
        raise PermissionError(f"{cache} belongs to somebody else")
    return cache / "windows-runtime", cache / "prefix"


def _prepare(runtime: Path, work: Path) -> None:
    unpacked = work / "windows-runtime"
    if runtime.is_file():
        subprocess.run(["tar", "-xf", str(runtime), "-C", str(work)], check=True, timeout=_DEADLINE)
    else:
        unpacked.symlink_to(runtime)
    prefix = WinePrefix(work / "prefix", unpacked)
    prefix.folder.mkdir()
    # Without what Wine would offer to download; .NET needs its own mscoree.dll later.
    prefix.run("wineboot", "--init", environment={"WINEDLLOVERRIDES": "mscoree,mshtml="})
    # Otherwise Wine says that it is Windows 7.
    prefix.registry(r"HKCU\Software\Wine", "Version", "win10")
    drives = prefix.folder / "dosdevices"
    for drive in drives.iterdir():
        if drive.name != "c:":
            drive.unlink()
    for letter, folder in _DRIVES.items():
        (drives / letter.lower()).symlink_to(folder)
    # The known folders of this user would be those of the real home.
    for user in (prefix.drive / "users").iterdir():
        for folder in user.iterdir():
            if folder.is_symlink():
                folder.unlink()
                folder.mkdir()
    prefix.stop()
    home = prefix.drive / "windows" / "system32" / "WindowsPowerShell" / "v1.0"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)


def _copy_drive(template: Path, folder: Path) -> None:
    for path, folders, files in os.walk(template):
        target = folder / Path(path).relative_to(template)
        target.mkdir()
        for name in [*folders, *files]:
            source = Path(path, name)
            if source.is_symlink():
                (target / name).symlink_to(source.readlink())
            elif name in files:
                if source.stat().st_size > _LINKED and source.suffix != ".reg":
                    try:
                        os.link(source, target / name)
                    except OSError:  # another file system
                        (target / name).symlink_to(source)
                else:
                    shutil.copy2(source, target / name)
        folders[:] = [name for name in folders if not Path(path, name).is_symlink()]
    home = folder / "drive_c" / "windows" / "system32" / "WindowsPowerShell" / "v1.0"
    runtime = template.parent / "windows-runtime" / "pwsh"
    for entry in runtime.resolve().iterdir():
        (home / entry.name).symlink_to(entry)
    # The program finds what it needs beside itself, by the name that it was built with.
    (home / "powershell.exe").symlink_to(runtime.resolve() / "pwsh.exe")
