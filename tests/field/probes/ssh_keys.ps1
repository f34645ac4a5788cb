$path = Join-Path $env:ProgramData 'ssh\administrators_authorized_keys'
if (-not [IO.File]::Exists($path)) { Tell @{ there = $false }; return }
$list = Get-Acl -LiteralPath $path
$others = @($list.Access | ForEach-Object { $_.IdentityReference.Translate([Security.Principal.SecurityIdentifier]).Value } |
    Where-Object { 'S-1-5-18', 'S-1-5-32-544' -notcontains $_ }).Count
Tell @{ there = $true; others = $others; inherits = -not $list.AreAccessRulesProtected }
