$folder = Join-Path $Values.folder 'loop'
$null = [IO.Directory]::CreateDirectory($folder)
[IO.File]::WriteAllText("$folder\inside.txt", 'inside')
$null = New-Item -ItemType Junction -Path "$folder\again" -Value $folder
Tell @{ attributes = [int] [IO.File]::GetAttributes("$folder\again") }
