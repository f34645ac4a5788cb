# The word comes in two halves, so that this text does not find itself.
$word = $Values.first + $Values.second
$told = @{ searched = 0; found = 0; logs = @() }
$since = (Get-Date).AddMinutes(-15)
foreach ($one in @(@('Microsoft-Windows-PowerShell/Operational', @(4103, 4104)), @('Windows PowerShell', @(400, 600, 800)), @('Security', @(4688)))) {
    try {
        $events = @(Get-WinEvent -FilterHashtable @{ LogName = $one[0]; Id = $one[1]; StartTime = $since } -MaxEvents 4000 -ErrorAction Stop)
    } catch {
        if ($_.FullyQualifiedErrorId -notlike 'NoMatchingEventsFound*') { $told.logs += "$($one[0]): not readable"; continue }
        $events = @()
    }
    $told.logs += "$($one[0]): $($events.Count)"
    $told.searched += $events.Count
    $told.found += @($events | Where-Object { $_.ToXml().Contains($word) }).Count
}
Tell $told
