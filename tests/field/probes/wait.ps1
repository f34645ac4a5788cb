Tell @{ pid = $PID; started = [string] (Get-Process -Id $PID).StartTime.ToFileTimeUtc() }
$null = $FieldInput.ReadByte()
