# What Windows itself says of everything below a folder: sizes, attributes, times, hashes.
try {
    # powershell.exe 5.1 may still go by the old rules for paths.
    [AppContext]::SetSwitch('Switch.System.IO.UseLegacyPathHandling', $false)
    [AppContext]::SetSwitch('Switch.System.IO.BlockLongPaths', $false)
    $kept = [Type]::GetType('System.AppContextSwitches').GetField('_useLegacyPathHandling', 'Static,NonPublic')
    if ($null -ne $kept) { $kept.SetValue($null, 0) }
} catch { $null = $_ }
$sha = [Security.Cryptography.SHA256]::Create()
$root = '\\?\' + $Values.folder
$entries = @()
$folders = New-Object Collections.Generic.Queue[string]
$folders.Enqueue($root)
while ($folders.Count) {
    $folder = $folders.Dequeue()
    foreach ($path in [IO.Directory]::GetFileSystemEntries($folder)) {
        $attributes = [int] [IO.File]::GetAttributes($path)
        $isFolder = [bool] ($attributes -band 0x10)
        $isLink = [bool] ($attributes -band 0x400)
        $entry = @{
            name = [Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($path.Substring($root.Length + 1)))
            attributes = $attributes
            created = [string] [IO.File]::GetCreationTimeUtc($path).ToFileTimeUtc()
            written = [string] [IO.File]::GetLastWriteTimeUtc($path).ToFileTimeUtc()
        }
        if ($isFolder -and -not $isLink) { $folders.Enqueue($path) }
        if (-not $isFolder -and -not $isLink) {
            $stream = New-Object IO.FileStream $path, 'Open', 'Read', 'ReadWrite'
            try {
                $entry.size = [string] $stream.Length
                $entry.sha256 = [BitConverter]::ToString($sha.ComputeHash($stream)).Replace('-', '').ToLowerInvariant()
            } finally { $stream.Dispose() }
        }
        $entries += $entry
    }
}
Tell @{ entries = $entries }
