# Counts what Windows itself calls offline or to be recalled; names are not told, and nothing is opened.
$counts = @{ files = 0; cloud = 0 }
foreach ($folder in $Values.folders) {
    $tool = Join-Path $env:SystemRoot 'System32\cmd.exe'
    $counts.files += @(& $tool /c dir /s /b /a-d "$folder" 2>$null).Count
    # O: offline, as dir and the Explorer understand it.
    $counts.cloud += @(& $tool /c dir /s /b /a-d-L "$folder" 2>$null | Where-Object {
        ([int] [IO.File]::GetAttributes($_)) -band 0x441000 }).Count
}
Tell $counts
