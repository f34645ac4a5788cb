# Removes the folder of this check, whatever is in it, and only that.
$folder = $Values.folder
if ([IO.Path]::GetFileName($folder) -notlike 'firstbell-field-*') { throw 'this is not the folder of this check' }
$tools = Join-Path $env:SystemRoot 'System32'
function Use-Tool([string] $Name) {
    $tool = Join-Path $tools $Name
    # What a tool cannot do, the next one may; what is left in the end is told.
    if ([IO.File]::Exists($tool)) { try { $null = & $tool @args 2>&1 } catch { $null = $_ } }
}
if ([IO.Directory]::Exists($folder)) {
    # A junction first, so that nothing is removed through it.
    Use-Tool 'cmd.exe' /c rmdir "$folder\loop\again"
    foreach ($closed in 'closed', 'closed.txt') {
        if ([IO.File]::Exists("$folder\$closed") -or [IO.Directory]::Exists("$folder\$closed")) {
            Use-Tool 'takeown.exe' /f "$folder\$closed" /a
            Use-Tool 'icacls.exe' "$folder\$closed" /reset /t /c /q
        }
    }
}
if ([IO.Directory]::Exists($folder)) {
    try {
        [AppContext]::SetSwitch('Switch.System.IO.UseLegacyPathHandling', $false)
        $kept = [Type]::GetType('System.AppContextSwitches').GetField('_useLegacyPathHandling', 'Static,NonPublic')
        if ($null -ne $kept) { $kept.SetValue($null, 0) }
    } catch { $null = $_ }
    try {
        foreach ($path in [IO.Directory]::GetFiles("\\?\$folder", '*', 'AllDirectories')) {
            try { [IO.File]::SetAttributes($path, 'Normal'); [IO.File]::Delete($path) } catch { $null = $_ }
        }
        [IO.Directory]::Delete("\\?\$folder", $true)
    } catch { $null = $_ }
    # By rmdir what .NET Framework cannot; only on Windows itself, which takes the question mark for no pattern.
    if ([IO.Directory]::Exists($folder) -and -not (Test-Path -Path 'HKCU:\Software\Wine')) {
        Use-Tool 'cmd.exe' /c rmdir /s /q "\\?\$folder"
    }
}
Tell @{ there = [IO.Directory]::Exists($folder) }
