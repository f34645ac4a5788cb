$path = Join-Path $Values.folder $Values.name
if ($Values.make) {
    $null = [IO.Directory]::CreateDirectory($Values.folder)
    [IO.File]::WriteAllText($path, 'with an entry of its own')
    $tool = Join-Path $env:SystemRoot 'System32\icacls.exe'
    # Guests may read: an entry that is not inherited.
    $said = & $tool $path /grant '*S-1-5-32-546:(R)' 2>&1
    if ($LASTEXITCODE) { throw "icacls: $said" }
}
$list = Get-Acl -LiteralPath $path
$rules = @($list.Access | Where-Object { -not $_.IsInherited } | ForEach-Object {
    "$($_.IdentityReference.Translate([Security.Principal.SecurityIdentifier]).Value) $([int] $_.FileSystemRights) $($_.AccessControlType)" })
Tell @{ rules = $rules; owner = $list.GetOwner([Security.Principal.SecurityIdentifier]).Value
    me = [Security.Principal.WindowsIdentity]::GetCurrent().User.Value }
