# Compresses or encrypts a file by Windows' own tools.
$null = [IO.Directory]::CreateDirectory($Values.folder)
$path = Join-Path $Values.folder $Values.name
[IO.File]::WriteAllText($path, 'the same text again and again ' * 4000)
$tool = Join-Path $env:SystemRoot "System32\$($Values.tool).exe"
$said = & $tool $Values.option $path 2>&1
Tell @{ code = $LASTEXITCODE; attributes = [int] [IO.File]::GetAttributes($path); said = "$said".Substring(0, [Math]::Min(200, "$said".Length)) }
