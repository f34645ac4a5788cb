"""The Windows helper's script is for PowerShell 5.1, and starts: over bytes, over lines, past noise and cut links."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tasks.entries import WalkRequest
from tasks.errors import HelperFailed
from tasks.remote.filesystem import RemoteHost
from tasks.remote.launcher import launch
from tasks.remote.windows_launcher import command, launch_windows, source
from tasks.transports.base import Buffer, Stream
from tasks.transports.local import LocalStream
from tests.support.helper_host import contents, walk
from tests.support.wine import WinePrefix, WineTransport, windows_path

#: Finds what Windows PowerShell 5.1 has no syntax for, with the parser of the PowerShell that runs here.
_LINT = r"""
$errors = $null
$tree = [Management.Automation.Language.Parser]::ParseFile('FILE', [ref]$null, [ref]$errors)
$found = foreach ($node in $tree.FindAll({ $true }, $true)) {
    $kind = $node.GetType().Name
    if ($kind -in 'TernaryExpressionAst', 'PipelineChainAst') { $kind }
    if ($node.PSObject.Properties['NullConditional'] -and $node.NullConditional) { "$kind ?." }
    if ($node.PSObject.Properties['Operator'] -and "$($node.Operator)" -like 'QuestionQuestion*') {
        "$kind $($node.Operator)"
    }
    if ($kind -eq 'CommandParameterAst' -and $node.ParameterName -in 'Parallel', 'AsHashtable', 'NoEmphasis') {
        "-$($node.ParameterName)"
    }
    if ($kind -eq 'ScriptBlockAst' -and $node.CleanBlock) { 'clean' }
    if ($kind -eq 'PipelineAst' -and $node.Background) { '&' }
    if ($kind -eq 'InvokeMemberExpressionAst' -and $node.GenericTypeArguments) { 'method[type]()' }
}
@{ errors = @($errors | ForEach-Object { $_.Message }); found = @($found | Sort-Object -Unique) } |
    ConvertTo-Json -Compress
"""

_NEWER = """
function Test { process { $a ? 1 : 2; $b ?? 3; $b ??= 4; ${b}?.Name; ${b}?[0]; 'x' && 'y' || 'z'
    1..3 | ForEach-Object -Parallel { $_ }; Get-Date & ; [Array]::Empty[int]() } clean { 'gone' } }
"""


def test_the_script_has_no_syntax_newer_than_5_1(windows: WinePrefix, tmp_path: Path) -> None:
    script, newer = tmp_path / "helper.ps1", tmp_path / "newer.ps1"
    script.write_bytes(source())
    newer.write_text(_NEWER)
    lints = "\n".join(_LINT.replace("FILE", windows_path(file)) for file in (script, newer))
    ours, control = map(json.loads, windows.powershell(lints).splitlines())
    assert ours == {"errors": [], "found": []}
    # So that the search is known to find what it looks for.
    assert control["errors"] == []
    assert set(control["found"]) == {
        "TernaryExpressionAst",
        "PipelineChainAst",
        "BinaryExpressionAst QuestionQuestion",
        "AssignmentStatementAst QuestionQuestionEquals",
        "MemberExpressionAst ?.",
        "IndexExpressionAst ?.",
        "-Parallel",
        "clean",
        "&",
        "method[type]()",
    }


def test_the_command_line_is_short_and_plain() -> None:
    line = " ".join(command("0123456789abcdef", "frames"))
    assert len(line) < 2000
    assert not set('%"&|<>^!') & set(line)
    assert source().isascii()


class Changed(WineTransport):
    """A Windows where something comes before the bootstrap."""

    def __init__(self, prefix: WinePrefix, before: str) -> None:
        super().__init__("pc", prefix)
        self._before = before

    def start(self, argv: Sequence[str]) -> LocalStream:
        *arguments, bootstrap = argv
        return super().start([*arguments, self._before + bootstrap])


def test_a_restricted_powershell_is_told(windows: WinePrefix) -> None:
    transport = Changed(windows, "$ExecutionContext.SessionState.LanguageMode='ConstrainedLanguage';")
    transport.open()
    try:
        with pytest.raises(HelperFailed, match=r"^pc: PowerShell is restricted") as caught:
            launch(transport)
        assert "AppLocker" in caught.value.hint
    finally:
        transport.close()


def test_noise_is_borne_and_nothing_is_left_when_the_worker_goes(windows: WinePrefix) -> None:
    journal = windows.drive / "windows" / "Temp" / "firstbell-9999-0123456789abcdef.journal"
    journal.parent.mkdir(exist_ok=True)
    journal.write_text("")  # of a helper that was killed before it had made anything
    transport = Changed(windows, "[Console]::WriteLine('Welcome to PC!');")
    transport.open()
    try:
        channel, hello = launch(transport)
        assert hello.platform == "windows"
        (stream,) = transport._streams
        stream.finish_input()
        assert stream.wait(60) == 0
        assert stream.error_text() == ""
        channel.close()
    finally:
        transport.close()
    assert [path for path in windows.drive.rglob("firstbell*") if not path.is_symlink()] == []


def test_sudo_is_not_of_windows(windows: WinePrefix) -> None:
    with pytest.raises(HelperFailed, match="no sudo on Windows"):
        launch(WineTransport("pc", windows), become="sudo")


def test_a_file_system_without_file_ids_is_listed_as_well(windows: WinePrefix) -> None:
    folder = windows.drive / "both"
    (folder / "inner").mkdir(parents=True)
    for name in ("file.", "Übung 🎒", "empty"):
        (folder / name).write_text(name if name != "empty" else "")
    csharp = source().decode("ascii").partition("$Source = @'")[2].partition("\n'@")[0]
    script = rf"""
Add-Type -IgnoreWarnings -WarningAction SilentlyContinue -TypeDefinition @'
{csharp}
'@
$paths = New-Object Firstbell.Paths
$files = New-Object Firstbell.WindowsFiles $paths, (New-Object Firstbell.FileDetails)
foreach ($entries in $files.List('/C/both'), $files.ListByName('\\?\C:\both')) {{
    $told = $entries | Sort-Object Name | ForEach-Object {{
        @($_.Name, $_.Attributes, $_.Size, $_.Created, $_.Written, ($_.Changed -gt 0), ($_.Id -gt 0)) -join '|'
    }}
    ConvertTo-Json -Compress -InputObject @($told)
}}
"""
    by_handle, by_name = map(json.loads, windows.powershell(script).splitlines())
    assert len(by_handle) == 4
    assert all(line.endswith("|True|True") for line in by_handle)
    # Times of change and file ids are what such a file system does not tell.
    assert by_name == [line.removesuffix("|True|True") + "|False|False" for line in by_handle]


class Lossy(Stream):
    """A stream that loses a piece of its input once, and says that it may have."""

    reliable = False

    def __init__(self, stream: LocalStream) -> None:
        self._stream = stream

    def write(self, data: Buffer) -> None:
        view = memoryview(data)
        self._stream.write(view[: len(view) // 2])
        self._stream.write(view[len(view) // 2 + 100 :])
        if self.on_recovered is not None:
            self.on_recovered()

    def read(self, limit: int) -> bytes:
        return self._stream.read(limit)

    def finish_input(self) -> None:
        self._stream.finish_input()

    def wait(self, timeout: float) -> int:
        return self._stream.wait(timeout)

    def error_text(self) -> str:
        return self._stream.error_text()

    def close(self) -> None:
        self._stream.close()


class LinesOnly(WineTransport):
    """A link over which pieces may be lost: the first program that it starts loses one."""

    reliable = False
    started = 0

    def start(self, argv: Sequence[str]) -> Stream:  # type: ignore[override]
        self.started += 1
        stream = super().start(argv)
        return Lossy(stream) if self.started == 1 else stream


def test_frames_travel_in_lines_where_pieces_may_be_lost(windows: WinePrefix) -> None:
    folder = windows.drive / "lines"
    folder.mkdir()
    content = bytes(range(256)) * 20_000
    (folder / "file").write_bytes(content)
    # What the real one says in part, by Wine's own cscript.
    lines = (
        "Winrs",
        "    AllowRemoteShellAccess = true",
        "    MaxShellRunTime = 2147483647",
        "    MaxMemoryPerShellMB = 1024",
    )
    (windows.drive / "windows" / "system32" / "winrm.vbs").write_text(
        "".join(f'WScript.Echo "{line}"\n' for line in lines)
    )
    transport = LinesOnly("pc", windows)
    transport.open()
    try:
        host = RemoteHost(*launch_windows(transport))
        assert transport.started == 2
        folders, skips = walk(host.source(), WalkRequest((b"/C/lines",)))
        assert skips == []
        assert [node.name for node in folders[b"/C/lines"].children] == [b"file"]
        assert contents(host.source().read([b"/C/lines/file"]))[0] == {b"/C/lines/file": content}
        told = host.facts([]).windows
        assert told is not None
        assert told.quotas == {"MaxShellRunTime": 2147483647, "MaxMemoryPerShellMB": 1024}
        host.close()
    finally:
        transport.close()
