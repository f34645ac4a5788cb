$used = @()
$aes = New-Object Security.Cryptography.AesCryptoServiceProvider
$aes.KeySize = 256; $aes.Mode = 'CBC'; $aes.Padding = 'PKCS7'
$plain = New-Object byte[] 100
$sealed = $aes.CreateEncryptor().TransformFinalBlock($plain, 0, 100)
$used += "AES $($sealed.Length)"
$sha = New-Object Security.Cryptography.SHA256CryptoServiceProvider
$used += "SHA-256 $($sha.ComputeHash($plain).Length)"
$mac = New-Object Security.Cryptography.HMACSHA256 (, (New-Object byte[] 32))
$used += "HMAC $($mac.ComputeHash($plain).Length)"
Tell @{ used = ($used -join ', ') }
