# Windows' own listing of one folder: names only, as it has them.
Tell @{ names = @([IO.Directory]::GetFileSystemEntries($Values.folder) | ForEach-Object {
    [Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($_.Substring($_.LastIndexOf('\') + 1)))
}) }
