$count = @(Get-CimInstance -ClassName Win32_ShadowCopy -OperationTimeoutSec 30).Count
if (-not $Values.try) { Tell @{ before = $count }; return }
$watch = [Diagnostics.Stopwatch]::StartNew()
$made = Invoke-CimMethod -ClassName Win32_ShadowCopy -MethodName Create -Arguments @{ Volume = "$env:SystemDrive\"; Context = 'ClientAccessible' } -OperationTimeoutSec 120
$told = @{ before = $count; code = [int] $made.ReturnValue; seconds = $watch.Elapsed.TotalSeconds }
if ($made.ReturnValue -eq 0) {
    $copy = Get-CimInstance -ClassName Win32_ShadowCopy -Filter "ID='$($made.ShadowID)'" -OperationTimeoutSec 30
    try {
        $tool = Join-Path $env:SystemRoot 'System32\cmd.exe'
        $told.entries = @(& $tool /c dir /b "$($copy.DeviceObject)\" 2>$null).Count
    } finally { $copy | Remove-CimInstance -OperationTimeoutSec 60 }
}
$told.after = @(Get-CimInstance -ClassName Win32_ShadowCopy -OperationTimeoutSec 30).Count
Tell $told
