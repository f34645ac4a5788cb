# Left by firstbell in this profile; Windows runs it once, when its owner signs in. It puts back the settings that lie
# beside it, each only where what stands there is still what was seen, says in a report what came of it, and removes
# itself. It knows no password and talks to nobody. For Windows PowerShell 5.1.
$ErrorActionPreference = 'Stop'
$folder = Split-Path -Parent $PSCommandPath
$work = Join-Path $folder 'first-sign-in.json'
$done = New-Object Collections.ArrayList
$failed = New-Object Collections.ArrayList
$hash = [Security.Cryptography.SHA256]::Create()

# A value of the registry as .NET takes it: of its bytes, by the number of its kind.
function ConvertTo-Data($Stored) {
    $bytes = [Convert]::FromBase64String($Stored.data)
    $zero = [string][char]0
    switch ($Stored.kind) {
        { $_ -in 1, 2 } { return [Text.Encoding]::Unicode.GetString($bytes).TrimEnd([char]0) }
        4 { return [BitConverter]::ToInt32($bytes, 0) }
        11 { return [BitConverter]::ToInt64($bytes, 0) }
        7 {
            $text = [Text.Encoding]::Unicode.GetString($bytes)
            while ($text.EndsWith($zero + $zero)) { $text = $text.Substring(0, $text.Length - 1) }
            if ($text.EndsWith($zero)) { $text = $text.Substring(0, $text.Length - 1) }
            if ($text) { return , [string[]]$text.Split([char]0) }
            return , (New-Object string[] 0)
        }
    }
    return , $bytes
}

$kinds = @{ 0 = -1; 1 = 1; 2 = 2; 3 = 3; 4 = 4; 7 = 7; 11 = 11 } # REG_NONE is -1 for .NET

function Test-Same($Key, [string] $Name, $Expect) {
    if ($null -eq $Key -or $Key.GetValueNames() -notcontains $Name) { return $null -eq $Expect }
    if ($null -eq $Expect -or [int]$Key.GetValueKind($Name) -ne $kinds[[int]$Expect.kind]) { return $false }
    $now = $Key.GetValue($Name, $null, 'DoNotExpandEnvironmentNames')
    $then = ConvertTo-Data $Expect
    return (@($now) -join "`n") -ceq (@($then) -join "`n")
}

function Set-RegistryValue($Change) {
    $path = $Change.key.Substring(5)
    $key = [Microsoft.Win32.Registry]::CurrentUser.OpenSubKey($path)
    if (Test-Same $key $Change.name $Change.value) { return }
    if (-not (Test-Same $key $Change.name $Change.expect)) { throw 'it was changed meanwhile' }
    $key = [Microsoft.Win32.Registry]::CurrentUser.CreateSubKey($path)
    $data = ConvertTo-Data $Change.value
    $key.SetValue($Change.name, $data, [Microsoft.Win32.RegistryValueKind]$kinds[[int]$Change.value.kind])
    $key.Dispose()
}

function Get-Hash([byte[]] $Content) {
    return ([BitConverter]::ToString($hash.ComputeHash($Content)) -replace '-').ToLowerInvariant()
}

function Set-File($Change) {
    $content = [Convert]::FromBase64String($Change.content)
    $there = $null
    if ([IO.File]::Exists($Change.path)) { $there = Get-Hash ([IO.File]::ReadAllBytes($Change.path)) }
    if ($there -eq (Get-Hash $content)) { return }
    if ($there -ne $Change.expect) { throw 'it was changed meanwhile' }
    $null = [IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($Change.path))
    [IO.File]::WriteAllBytes($Change.path, $content)
}

function ConvertTo-Text([string] $Text) { return ConvertTo-Json -InputObject $Text -Compress }

try {
    $changes = @((ConvertFrom-Json ([IO.File]::ReadAllText($work))).changes)
    foreach ($change in $changes) {
        try {
            if ($change.key) { Set-RegistryValue $change } else { Set-File $change }
            if ($done -notcontains $change.item) { $null = $done.Add($change.item) }
        } catch {
            $null = $failed.Add(@{ item = $change.item; reason = $_.Exception.Message })
        }
    }
} catch {
    $null = $failed.Add(@{ item = ''; reason = $_.Exception.Message })
}
$items = foreach ($one in $failed) { '{"item":' + (ConvertTo-Text $one.item) + ',"reason":' + (ConvertTo-Text $one.reason) + '}' }
$names = foreach ($one in $done) { ConvertTo-Text $one }
$report = '{"version":1,"when":"' + [DateTime]::UtcNow.ToString('yyyy-MM-ddTHH:mm:ssZ') + '","done":[' + (@($names) -join ',') +
    '],"failed":[' + (@($items) -join ',') + ']}'
[IO.File]::WriteAllText((Join-Path $folder 'first-sign-in-report.json'), $report)
[IO.File]::Delete($work)
[IO.File]::Delete($PSCommandPath)
