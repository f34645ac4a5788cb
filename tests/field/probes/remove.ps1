# Removes one folder inside the folder of this check.
if ($Values.folder -notmatch '\\firstbell-field-[0-9a-f]+\\[a-z]+$') { throw 'this is not in the folder of this check' }
foreach ($path in [IO.Directory]::GetFiles($Values.folder, '*', 'AllDirectories')) { [IO.File]::SetAttributes($path, 'Normal') }
[IO.Directory]::Delete($Values.folder, $true)
Tell @{ there = [IO.Directory]::Exists($Values.folder) }
