$sha = [Security.Cryptography.SHA256]::Create()
$buffer = New-Object byte[] 65536
$left = [long] $Values.size
while ($left -gt 0) {
    $count = $FieldInput.Read($buffer, 0, [int] [Math]::Min($buffer.Length, $left))
    if ($count -le 0) { break }
    $null = $sha.TransformBlock($buffer, 0, $count, $null, 0)
    $left -= $count
}
$null = $sha.TransformFinalBlock($buffer, 0, 0)
Tell @{ sha256 = [BitConverter]::ToString($sha.Hash).Replace('-', '').ToLowerInvariant(); missing = $left }
