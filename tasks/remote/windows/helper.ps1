# The helper of firstbell for Windows. It reads and writes files of this computer for the firstbell worker that has started
# it, and ends when the worker goes away. Nothing of it is on the disk: this text came over standard input, and what
# C# there is (below) is compiled in memory. docs/windows.md tells an administrator what it does.
#
# Runs on Windows PowerShell 5.1 and on 7. The arguments come from the bootstrap in windows_launcher.py:
# $Token   the word that tells the worker where our answers begin
# $Mode    frames: standard output takes bytes as they are. lines: only text, and what is lost must be sent again
# $Stdin   standard input, behind this text
param([string] $Token, [string] $Mode, [IO.Stream] $Stdin)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

# The exit codes of PROTOCOL.md.
$NoInterpreter = 97
$Failed = 99

function Exit-Helper([int] $Code, [string] $Reason) {
    if ($Reason) {
        [Console]::Error.WriteLine("firstbell helper: $Reason")
        [Console]::Error.Flush()
    }
    [Environment]::Exit($Code)
}

if ($PSVersionTable.PSVersion -lt [Version]'5.1') {
    Exit-Helper $NoInterpreter "PowerShell is $($PSVersionTable.PSVersion); 5.1 or newer is needed"
}
if (-not [Environment]::Is64BitProcess) {
    Exit-Helper $NoInterpreter 'this is a 32-bit PowerShell; shadow copies and the registry need the 64-bit one'
}

$Source = @'
#CSHARP#
'@

# Compiles $Source. The compiler of .NET Framework leaves files where TEMP says: in a folder that goes with it. A virus
# scanner may hold one of them for a moment, so that it is tried again.
function Add-Source {
    $folder = Join-Path ([IO.Path]::GetTempPath()) "firstbell-$Token"
    $before = $env:TEMP, $env:TMP
    for ($try = 1; ; $try++) {
        try {
            $null = New-Item -ItemType Directory -Force -Path $folder
            $env:TEMP = $env:TMP = $folder
            $more = @{}
            if ($PSVersionTable.PSEdition -ne 'Core') { $more.ReferencedAssemblies = 'System', 'System.Core' }
            Add-Type -TypeDefinition $Source -Language CSharp -IgnoreWarnings -WarningAction SilentlyContinue @more
            return
        } catch {
            if ($try -ge 3) { throw }
            Start-Sleep -Seconds $try
        } finally {
            $env:TEMP, $env:TMP = $before
            # Its files and then itself, never a whole tree: this runs with every right there is.
            if ([IO.Directory]::Exists($folder)) {
                foreach ($file in [IO.Directory]::GetFiles($folder)) { try { [IO.File]::Delete($file) } catch { continue } }
                try { [IO.Directory]::Delete($folder) } catch { $null = $_ }
            }
        }
    }
}

# ---- shadow copies

# Whether this system can make them, as a sentence when not. Each other function here relies on it.
function Get-ShadowProblem {
    if (-not (Get-Command Get-CimInstance -ErrorAction SilentlyContinue)) { return 'not available here' }
    try {
        $null = Get-CimClass -ClassName Win32_ShadowCopy -OperationTimeoutSec 20
        $null = Get-CimInstance -ClassName Win32_ShadowCopy -OperationTimeoutSec 20
    } catch {
        return "Windows does not show its shadow copies: $($_.Exception.Message)"
    }
}

# What Win32_ShadowCopy.Create returns (learn.microsoft.com, "Create method of the Win32_ShadowCopy class").
$ShadowErrors = @{
    1 = 'access denied'; 2 = 'invalid argument'; 3 = 'volume not found'; 4 = 'this volume cannot have shadow copies'
    5 = 'unsupported context'; 6 = 'not enough space for shadow copies'; 7 = 'the volume is in use'
    8 = 'there are too many shadow copies'; 9 = 'another shadow copy is being made'; 10 = 'a provider refused'
    11 = 'no provider is registered'; 12 = 'the provider failed'
}

# A note of what we have made outlives us: whoever runs next removes what it names.
$Journal = Join-Path $env:SystemRoot "Temp\firstbell-$PID-$Token.journal"
$Shadows = New-Object 'Collections.Generic.Dictionary[string,string]'

# Makes a shadow copy of a drive that lasts until it is removed; returns where its files are. Its id is in the journal
# before anything is read from it.
function New-Shadow([string] $Drive) {
    if (-not (Test-Path -LiteralPath $Journal)) { [IO.File]::WriteAllText($Journal, '') }
    for ($try = 1; ; $try++) {
        $made = Invoke-CimMethod -ClassName Win32_ShadowCopy -MethodName Create -OperationTimeoutSec 100 `
            -Arguments @{ Volume = "${Drive}:\"; Context = 'ClientAccessible' }
        if ($made.ReturnValue -ne 9 -or $try -ge 4) { break }
        Start-Sleep -Seconds (2 * $try)
    }
    if ($made.ReturnValue -ne 0) {
        $reason = $ShadowErrors[[int]$made.ReturnValue]
        if (-not $reason) { $reason = "error $($made.ReturnValue)" }
        throw $reason
    }
    [IO.File]::AppendAllText($Journal, "$($made.ShadowID)`n")
    $Shadows[$Drive] = $made.ShadowID
    (Get-CimInstance -ClassName Win32_ShadowCopy -Filter "ID='$($made.ShadowID)'" -OperationTimeoutSec 30).DeviceObject
}

function Remove-ShadowById([string] $Id) {
    if ($Id -match '^\{[0-9A-Fa-f-]{36}\}$') {
        Get-CimInstance -ClassName Win32_ShadowCopy -Filter "ID='$Id'" -OperationTimeoutSec 30 |
            Remove-CimInstance -OperationTimeoutSec 60
    }
}

# Removes what we have made. Never fails: what stays is in the journal.
function Remove-Shadows {
    foreach ($drive in @($Shadows.Keys)) {
        try {
            Remove-ShadowById $Shadows[$drive]
            $null = $Shadows.Remove($drive)
        } catch {
            continue
        }
    }
    if (-not $Shadows.Count -and (Test-Path -LiteralPath $Journal)) {
        Remove-Item -LiteralPath $Journal -Force -ErrorAction SilentlyContinue
    }
}

# Removes what a helper left that was killed. Its process id may be another program's by now.
function Clear-Leftovers {
    foreach ($file in Get-ChildItem -Path (Join-Path $env:SystemRoot 'Temp\firstbell-*.journal') -ErrorAction SilentlyContinue) {
        if ($file.Name -notmatch '^firstbell-(\d+)-[0-9a-f]+\.journal$') { continue }
        try {
            $process = Get-Process -Id $Matches[1] -ErrorAction SilentlyContinue
            if ($process -and $process.ProcessName -match '^(powershell|pwsh)$' -and
                $process.StartTime.ToUniversalTime() -le $file.CreationTimeUtc) { continue }
            $ids = @(Get-Content -LiteralPath $file.FullName | Where-Object { $_ })
            if ($ids.Count) {
                if (Get-ShadowProblem) { continue }
                foreach ($id in $ids) { Remove-ShadowById $id }
            }
            Remove-Item -LiteralPath $file.FullName -Force
        } catch {
            continue
        }
    }
}

# Called by the C# for `list` with `shadow`: makes those that are missing, returns JSON by drive.
function Update-Shadows([string[]] $Drives) {
    $outcome = New-Object 'Collections.Generic.Dictionary[string,string]'
    $problem = if (@($Drives | Where-Object { -not $Shadows.ContainsKey($_) }).Count) { Get-ShadowProblem }
    foreach ($drive in $Drives) {
        if ($Shadows.ContainsKey($drive)) {
            $outcome[$drive] = 'made'
        } elseif ($problem) {
            $outcome[$drive] = $problem
        } else {
            try {
                $device = New-Shadow $drive
                if (-not $device) { throw 'it is gone again' }
                $Helper.Paths.SetShadow($drive[0], $device + '\')
                $outcome[$drive] = 'made'
            } catch {
                $outcome[$drive] = $_.Exception.Message
            }
        }
    }
    [Firstbell.Json]::Write($outcome.PSObject.BaseObject)
}

# ---- facts that PowerShell knows

# What WinRM grants a shell, by its own names. Asked of a program of Windows, with a deadline: the drive WSMan: may wait for
# ever. Elsewhere than over WinRM its service need not run.
function Add-Quotas($Quotas) {
    $script = Join-Path $env:SystemRoot 'System32\winrm.vbs'
    if ($Mode -ne 'lines' -or -not (Test-Path -LiteralPath $script)) { return }
    $start = New-Object Diagnostics.ProcessStartInfo (Join-Path $env:SystemRoot 'System32\cscript.exe')
    $start.Arguments = "//nologo `"$script`" get winrm/config/winrs"
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    $start.RedirectStandardInput = $true
    $start.RedirectStandardOutput = $true
    $process = [Diagnostics.Process]::Start($start)
    $process.StandardInput.Close()
    $said = $process.StandardOutput.ReadToEndAsync()
    if ($process.WaitForExit(15000) -and $said.Wait(1000)) {
        foreach ($match in [regex]::Matches($said.Result, '(?m)^\s*(\w+) = (\d{1,18})\s*$')) {
            $Quotas[$match.Groups[1].Value] = [long]$match.Groups[2].Value
        }
    } else {
        $process.Kill()
    }
}

function Get-MoreFacts {
    $quotas = New-Object 'Collections.Generic.Dictionary[string,object]'
    try {
        Add-Quotas $quotas
    } catch {
        $null = $_ # told as not known
    }
    $problem = Get-ShadowProblem
    $all = New-Object 'Collections.Generic.Dictionary[string,object]'
    $all['powershell'] = $PSVersionTable.PSVersion.ToString()
    $all['language_mode'] = $ExecutionContext.SessionState.LanguageMode.ToString()
    $all['shadow_copies'] = if ($problem) { [string]$problem } else { 'allowed' }
    $all['quotas'] = $quotas.PSObject.BaseObject
    [Firstbell.Json]::Write($all.PSObject.BaseObject)
}

# ---- serving

$code = $Failed
$reason = ''
$link = $null
try {
    Add-Source
    $privileges = [Firstbell.Privileges]::Enable([Firstbell.Privileges]::ForReading)
    $Helper = New-Object Firstbell.Helper
    $facts = New-Object Firstbell.Facts $Helper.Files
    $facts.More = [Func[string]] { Get-MoreFacts }
    $Helper.Own($facts, $privileges)
    $Helper.MakeShadows = [Func[string[], string]] { param($drives) Update-Shadows $drives }
    $stdout = [Console]::OpenStandardOutput()
    $in = $Stdin
    $out = $stdout
    if ($Mode -eq 'lines') {
        $link = New-Object Firstbell.LineLink $Stdin, $stdout
        $in = $link.Input
        $out = $link.Output
    }
    $server = New-Object Firstbell.Server $in, $out, $Helper
    $server.Hello = [Func[Firstbell.Fields]] { $facts.Hello() }
    $server.Facts = [Func[Collections.Generic.List[object], string]] { param($users) $facts.Document($users) }
    $server.Settings = New-Object Firstbell.Settings $Helper
    $server.Writer = New-Object Firstbell.Writer
    Clear-Leftovers
    try { [Firstbell.LoadedHive]::Sweep() } catch { $null = $_ }
    $code = [Firstbell.Start]::Run($server, $link, $stdout, $Token)
} catch {
    $problem = $_.Exception
    while ($problem.InnerException) { $problem = $problem.InnerException }
    $reason = "$($problem.GetType().Name): $($problem.Message)"
} finally {
    Remove-Shadows
}
Exit-Helper $code $reason
