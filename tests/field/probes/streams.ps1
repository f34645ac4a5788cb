$path = Join-Path $Values.folder $Values.name
if ($Values.make) {
    $null = [IO.Directory]::CreateDirectory($Values.folder)
    Set-Content -LiteralPath $path -Value 'from the internet' -Encoding ASCII
    Set-Content -LiteralPath $path -Stream 'Zone.Identifier' -Value '[ZoneTransfer]', 'ZoneId=3' -Encoding ASCII
}
Tell @{ zone = (@(Get-Content -LiteralPath $path -Stream 'Zone.Identifier') -join ' ') }
