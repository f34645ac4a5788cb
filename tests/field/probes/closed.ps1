# Closed to everybody but SYSTEM, also to administrators; numbers, because groups have other names in other languages.
$folder = $Values.folder
$null = [IO.Directory]::CreateDirectory("$folder\closed")
[IO.File]::WriteAllBytes("$folder\closed.txt", [Text.Encoding]::ASCII.GetBytes('closed to administrators'))
$tool = Join-Path $env:SystemRoot 'System32\icacls.exe'
foreach ($path in "$folder\closed.txt", "$folder\closed") {
    $said = & $tool $path /inheritance:r /grant:r '*S-1-5-18:F' 2>&1
    if ($LASTEXITCODE) { throw "icacls: $said" }
}
$opens = $true
try { [IO.File]::ReadAllBytes("$folder\closed.txt") | Out-Null } catch { $opens = $false }
Tell @{ opens = $opens }
