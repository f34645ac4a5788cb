# Holds a file open as a program does, until its input ends.
$null = [IO.Directory]::CreateDirectory($Values.folder)
$path = Join-Path $Values.folder $Values.name
[IO.File]::WriteAllBytes($path, [Text.Encoding]::ASCII.GetBytes($Values.content))
$stream = New-Object IO.FileStream $path, 'Open', 'ReadWrite', ([IO.FileShare] $Values.share)
Tell @{ held = $true }
$null = $FieldInput.ReadByte()
$stream.Dispose()
