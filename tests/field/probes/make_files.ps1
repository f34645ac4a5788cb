# Files with known values, and what the folder says of them afterwards.
$folder = $Values.folder
$null = [IO.Directory]::CreateDirectory($folder)
foreach ($file in $Values.files) {
    $path = [IO.Path]::Combine($folder, $file.name)
    $null = [IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($path))
    $content = New-Object byte[] $file.size
    (New-Object Random $file.seed).NextBytes($content)
    [IO.File]::WriteAllBytes($path, $content)
    [IO.File]::SetCreationTimeUtc($path, [DateTime]::FromFileTimeUtc([long] $file.created))
    [IO.File]::SetLastWriteTimeUtc($path, [DateTime]::FromFileTimeUtc([long] $file.written))
    [IO.File]::SetAttributes($path, [IO.FileAttributes] [int] $file.attributes)
}
Tell @{ made = @($Values.files).Count }
