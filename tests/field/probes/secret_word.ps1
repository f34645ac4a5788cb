$buffer = New-Object byte[] $Values.size
$at = 0
while ($at -lt $buffer.Length) {
    $count = $FieldInput.Read($buffer, $at, $buffer.Length - $at)
    if ($count -le 0) { break }
    $at += $count
}
# It is used as the helper uses a key: as bytes, in memory.
$sha = [Security.Cryptography.SHA256]::Create()
Tell @{ sha256 = [BitConverter]::ToString($sha.ComputeHash($buffer)).Replace('-', '').ToLowerInvariant() }
