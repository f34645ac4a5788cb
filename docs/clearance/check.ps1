<#
.SYNOPSIS
May this computer be wiped? Checks a firstbell clearance. Windows PowerShell 5.1 or newer, nothing to install: docs/gate.md.

.DESCRIPTION
Exit code 0: yes. Any other: DO NOT WIPE. Keys holds one or several public keys in PEM. Profiles are the accounts that have a
profile on the disk, such as (Get-ChildItem C:\Users -Directory).Name; the clearance must cover each of them.

.EXAMPLE
powershell -NoProfile -ExecutionPolicy Bypass -File check.ps1 -TokenFile clearance.txt -HostName lab3-07 -Keys keys.pem
#>
param(
    [Parameter(Mandatory = $true)][string]$TokenFile,
    [Parameter(Mandatory = $true)][string]$HostName,
    [Parameter(Mandatory = $true)][string]$Keys,
    [string[]]$Profiles = @()
)
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

function Get-Part([string]$Text) {
    if ($Text -cnotmatch '\A[A-Za-z0-9_-]+\z') { throw 'a part of it is not base64url' }
    $padded = $Text.Replace('-', '+').Replace('_', '/') + ('=' * ((4 - $Text.Length % 4) % 4))
    $bytes = [Convert]::FromBase64String($padded)
    if ([Convert]::ToBase64String($bytes) -cne $padded) { throw 'a part of it is not base64url' }
    , $bytes
}

function Get-Value([string]$Name, [string]$Json) {
    # A name that stands there exactly once.
    if ([regex]::Matches($Json, '"' + $Name + '":').Count -ne 1) { throw "'$Name' does not stand there once" }
    $found = [regex]::Match($Json, '"' + $Name + '":"([^"\\]*)"')
    if (-not $found.Success) { throw "'$Name' is not as it should be" }
    $found.Groups[1].Value
}

function Get-Time([string]$Text) {
    if ($Text -cnotmatch '\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\z') { throw 'its times are not as they should be' }
    $style = [Globalization.DateTimeStyles]'AssumeUniversal, AdjustToUniversal'
    $format = "yyyy-MM-dd'T'HH:mm:ss'Z'"
    [DateTime]::ParseExact($Text, $format, [Globalization.CultureInfo]::InvariantCulture, $style)
}

function Get-Keys([string]$Pem) {
    # SubjectPublicKeyInfo of a P-256 key: these 27 bytes, then both coordinates. Its id: the first 16 digits of its SHA-256.
    $head = '3059301306072A8648CE3D020106082A8648CE3D03010703420004'
    $found = @{}
    foreach ($block in [regex]::Matches($Pem, '-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----')) {
        $der = [Convert]::FromBase64String(($block.Groups[1].Value -replace '\s', ''))
        $hex = [BitConverter]::ToString($der).Replace('-', '')
        if ($der.Length -ne 91 -or -not $hex.StartsWith($head)) { throw 'a public key is not of the kind P-256' }
        $sha = [Security.Cryptography.SHA256]::Create()
        $id = [BitConverter]::ToString($sha.ComputeHash($der)).Replace('-', '').ToLowerInvariant().Substring(0, 16)
        $found[$id] = [byte[]]$der[27..90]
    }
    $found
}

function Test-Signature([byte[]]$Point, [string]$Signed, [byte[]]$Signature) {
    # BCRYPT_ECCPUBLIC_BLOB: "ECS1", the length of a coordinate, both coordinates.
    [byte[]]$blob = @(0x45, 0x43, 0x53, 0x31, 32, 0, 0, 0) + $Point
    [byte[]]$hash = [Security.Cryptography.SHA256]::Create().ComputeHash([Text.Encoding]::ASCII.GetBytes($Signed))
    $kind = [Security.Cryptography.CngKeyBlobFormat]::EccPublicBlob
    $key = [Security.Cryptography.CngKey]::Import($blob, $kind)
    (New-Object Security.Cryptography.ECDsaCng $key).VerifyHash($hash, $Signature)
}

try {
    $token = [IO.File]::ReadAllText($TokenFile).Trim()
    $parts = $token.Split('.')
    if ($token.Length -gt 16384 -or $parts.Length -ne 3) { throw 'it is not a signed token' }
    $header = [Text.Encoding]::UTF8.GetString((Get-Part $parts[0]))
    # The algorithm is ours to choose, not the token's: this header and no other.
    $kid = Get-Value 'kid' $header
    if ($header -cne ('{"alg":"ES256","kid":"' + $kid + '","typ":"firstbell-clearance"}')) {
        throw 'its header is not that of a clearance'
    }
    $known = Get-Keys ([IO.File]::ReadAllText($Keys))
    if (-not $known.ContainsKey($kid)) { throw 'it is signed by a key that is not known here' }
    $signature = Get-Part $parts[2]
    if ($signature.Length -ne 64) { throw 'its signature is not 64 bytes long' }
    if ((Test-Signature $known[$kid] ($parts[0] + '.' + $parts[1]) $signature) -ne $true) {
        throw 'its signature is wrong: somebody changed it, or it is not ours'
    }
    # From here on it is what firstbell wrote.
    $claims = [Text.Encoding]::UTF8.GetString((Get-Part $parts[1]))
    # As firstbell writes it: each claim once, in this order.
    $text = '"(?:[^"\\]|\\.)+"'
    $time = '"[0-9]{4}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2}Z"'
    $shape = '"id":T,"host":T,"site":T,"users":\[(?:T(?:,T)*)?\],"snapshot":T,"manifest":T,"captured_at":@,"verified_at":@'
    $shape = ($shape + ',"method":T,"skips":[0-9]+,"iat":@,"expiry":@').Replace('T', $text).Replace('@', $time)
    if ($claims -cnotmatch ('\A\{' + $shape + '\}\z')) { throw 'its claims are not those of a clearance' }
    $for = Get-Value 'host' $claims
    if (-not [string]::Equals($for, $HostName, [StringComparison]::OrdinalIgnoreCase)) { throw "it is for $for, not for $HostName" }
    $expiry = Get-Value 'expiry' $claims
    $now = [DateTime]::UtcNow
    if ((Get-Time $expiry) -le $now) { throw "it was good until $expiry" }
    $issued = Get-Value 'iat' $claims
    if ((Get-Time $issued) -gt $now.AddMinutes(5)) { throw "it was issued at $issued, which is still to come: a clock is wrong" }
    $captured = Get-Time (Get-Value 'captured_at' $claims)
    $verified = Get-Time (Get-Value 'verified_at' $claims)
    if ($captured -gt $verified -or $verified -gt (Get-Time $issued).AddMinutes(5) -or (Get-Time $expiry) -le (Get-Time $issued)) {
        throw 'its times contradict each other'
    }
    $list = [regex]::Match($claims, '"users":\[(.*)\],"snapshot":').Groups[1].Value
    foreach ($one in $Profiles) {
        $quoted = ',"' + $one.Replace('\', '\\').Replace('"', '\"') + '",'
        if (",$list,".IndexOf($quoted, [StringComparison]::OrdinalIgnoreCase) -lt 0) { throw "$one has a profile there, and it is not saved" }
    }
    "good: $for may be wiped until $expiry"
    exit 0
}
catch {
    [Console]::Error.WriteLine("do not wipe: $($_.Exception.Message)")
    exit 20
}
