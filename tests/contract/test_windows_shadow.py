"""Making, noting, removing and sweeping of shadow copies, against stand-ins for the calls that only Windows has."""

from __future__ import annotations

import json
from importlib import resources

from tests.support.wine import WinePrefix

#: In place of CIM: a computer whose shadow copies are a list, and whose next answers are given.
_STAND_INS = r"""
$Token = '0123456789abcdef'
$copies = New-Object Collections.ArrayList
$answers = New-Object Collections.Queue
$slept = 0
$refuse = $false
function Start-Sleep { param($Seconds) $script:slept += $Seconds }
function Get-CimClass { param($ClassName, $OperationTimeoutSec) 'Win32_ShadowCopy' }
function Get-CimInstance {
    param($ClassName, $Filter, $OperationTimeoutSec)
    $copies.ToArray() | Where-Object { -not $Filter -or $Filter -eq "ID='$($_.ID)'" }
}
function Invoke-CimMethod {
    param($ClassName, $MethodName, $Arguments, $OperationTimeoutSec)
    $code = $answers.Dequeue()
    if ($code -ne 0) { return [pscustomobject]@{ ReturnValue = [uint32]$code; ShadowID = $null } }
    $id = "{$([Guid]::NewGuid())}"
    $device = "\\?\GLOBALROOT\Device\HarddiskVolumeShadowCopy$($copies.Count + 1)"
    $null = $copies.Add([pscustomobject]@{ ID = $id; DeviceObject = $device; Volume = $Arguments.Volume })
    [pscustomobject]@{ ReturnValue = [uint32]0; ShadowID = $id }
}
function Remove-CimInstance {
    param([Parameter(ValueFromPipeline)] $InputObject, $OperationTimeoutSec)
    process {
        if ($script:refuse) { throw 'not now' }
        $copies.Remove($InputObject)
    }
}
function Tell([string] $What, $Value) { ConvertTo-Json -Compress @{ $What = $Value } }
"""

_STORY = r"""
$Helper = [pscustomobject]@{ Paths = New-Object Firstbell.Paths }
foreach ($code in 9, 9, 0, 6) { $answers.Enqueue($code) }
Tell outcome (Update-Shadows @('C', 'D'))
Tell slept $slept
Tell volume @($copies | ForEach-Object { $_.Volume })
Tell noted ((Get-Content -LiteralPath $Journal) -join ',' -eq (@($copies | ForEach-Object { $_.ID }) -join ','))
Tell through $Helper.Paths.Read('/C/Users/a')
Tell live $Helper.Paths.Read('/D/Users/a')
Tell again (Update-Shadows @('C'))
Tell count $copies.Count

$refuse = $true
Remove-Shadows
Tell kept (Test-Path -LiteralPath $Journal)
$refuse = $false
$other = [pscustomobject]@{ ID = "{$([Guid]::NewGuid())}"; DeviceObject = 'another program'; Volume = 'C:\' }
$null = $copies.Add($other)
$dead = Join-Path $env:SystemRoot 'Temp\firstbell-999999-fedcba9876543210.journal'
[IO.File]::WriteAllText($dead, (Get-Content -Raw -LiteralPath $Journal))
Clear-Leftovers
Tell swept @($copies | ForEach-Object { $_.DeviceObject })
$journals = Get-ChildItem (Join-Path $env:SystemRoot 'Temp\firstbell-*')
Tell journals @($journals | ForEach-Object { $_.FullName -eq $Journal })

$answers.Enqueue(0)
Tell more (Update-Shadows @('E'))
Remove-Shadows
Tell left @($copies | ForEach-Object { $_.DeviceObject })
Tell gone (-not (Test-Path -LiteralPath $Journal))
foreach ($code in 9, 9, 9, 9) { $answers.Enqueue($code) }
Tell busy (Update-Shadows @('F'))
Remove-Shadows
Tell clean (-not (Test-Path -LiteralPath $Journal))
function Get-CimClass { throw 'WMI is broken' }
Tell broken (Update-Shadows @('G'))
"""


def test_shadow_copies_from_making_to_sweeping(windows: WinePrefix) -> None:
    folder = resources.files("tasks.remote").joinpath("windows")
    script = folder.joinpath("helper.ps1").read_text("ascii")
    part = script[script.index("# ---- shadow copies") : script.index("# ---- facts")]
    csharp = "\n".join(folder.joinpath(name).read_text("ascii") for name in ("Json.cs", "Paths.cs", "Errors.cs"))
    compile_ = f"Add-Type -TypeDefinition @'\n{csharp}\n'@\n"
    (windows.drive / "windows" / "Temp").mkdir(exist_ok=True)
    told: dict[str, object] = {}
    for line in windows.powershell(compile_ + _STAND_INS + part + _STORY).splitlines():
        told.update(json.loads(line))
    outcomes = {name: json.loads(str(told.pop(name))) for name in ("outcome", "again", "more", "busy", "broken")}
    assert outcomes == {
        "outcome": {"C": "made", "D": "not enough space for shadow copies"},
        "again": {"C": "made"},
        "more": {"E": "made"},
        "busy": {"F": "another shadow copy is being made"},
        "broken": {"G": "Windows does not show its shadow copies: WMI is broken"},
    }
    assert told == {
        "slept": 6,
        "volume": ["C:\\"],
        "noted": True,
        "through": r"\\?\GLOBALROOT\Device\HarddiskVolumeShadowCopy1\Users\a",
        "live": r"\\?\D:\Users\a",
        "count": 1,
        # What could not be removed stays noted, and the next run does it; what others have made is not touched.
        "kept": True,
        "swept": ["another program"],
        "journals": [True],
        "left": ["another program"],
        "gone": True,
        "clean": True,
    }
