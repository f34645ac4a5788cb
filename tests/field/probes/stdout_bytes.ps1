# All 256 values, in blocks that are not a power of two long.
$mark = [Text.Encoding]::ASCII.GetBytes("`nfirstbell-bytes`n")
$FieldOutput.Write($mark, 0, $mark.Length)
$block = New-Object byte[] 251
$sent = 0
$number = 0
$all = New-Object IO.MemoryStream
while ($sent -lt $Values.size) {
    for ($k = 0; $k -lt $block.Length; $k++) { $block[$k] = ($number + $k) % 256 }
    $count = [Math]::Min($block.Length, $Values.size - $sent)
    $all.Write($block, 0, $count)
    $sent += $count
    $number++
    if ($number -eq 256) {
        # The rest is a repetition: quicker than one by one.
        $piece = $all.ToArray()
        while ($all.Length + $piece.Length -le $Values.size) { $all.Write($piece, 0, $piece.Length) }
        if ($all.Length -lt $Values.size) { $all.Write($piece, 0, [int] ($Values.size - $all.Length)) }
        break
    }
}
$bytes = $all.ToArray()
$FieldOutput.Write($bytes, 0, $bytes.Length)
Tell @{ sent = $bytes.Length }
