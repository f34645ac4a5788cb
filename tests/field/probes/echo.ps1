$mark = [Text.Encoding]::ASCII.GetBytes("`nfirstbell-bytes`n")
$FieldOutput.Write($mark, 0, $mark.Length)
$buffer = New-Object byte[] 32768
$left = [long] $Values.size
while ($left -gt 0) {
    $count = $FieldInput.Read($buffer, 0, [int] [Math]::Min($buffer.Length, $left))
    if ($count -le 0) { break }
    $FieldOutput.Write($buffer, 0, $count)
    $FieldOutput.Flush()
    $left -= $count
}
Tell @{ missing = $left }
