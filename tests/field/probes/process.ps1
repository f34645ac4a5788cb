# The same number may be another program's by now: it has another start.
$process = Get-Process -Id $Values.pid -ErrorAction SilentlyContinue
$same = $null -ne $process
if ($same -and $Values.started) { $same = [string] $process.StartTime.ToFileTimeUtc() -eq $Values.started }
Tell @{ runs = $same }
