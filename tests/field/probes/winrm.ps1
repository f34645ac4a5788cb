$told = @{}
foreach ($name in 'Service\AllowUnencrypted', 'Service\Auth\Basic', 'MaxEnvelopeSizekb', 'MaxTimeoutms', 'Shell\IdleTimeout',
    'Shell\MaxMemoryPerShellMB', 'Shell\MaxProcessesPerShell', 'Shell\MaxShellsPerUser') {
    $told[$name] = [string] (Get-Item -Path "WSMan:\localhost\$name").Value
}
$told.certificates = @()
foreach ($listener in @(Get-ChildItem -Path WSMan:\localhost\Listener)) {
    if (@($listener.Keys) -notcontains 'Transport=HTTPS') { continue }
    $values = @{}
    foreach ($value in @(Get-ChildItem -Path "WSMan:\localhost\Listener\$($listener.Name)")) { $values[$value.Name] = [string] $value.Value }
    $print = $values.CertificateThumbprint.Replace(' ', '')
    $certificate = Get-ChildItem -Path Cert:\LocalMachine\My | Where-Object { $_.Thumbprint -eq $print } | Select-Object -First 1
    if ($null -ne $certificate) {
        $hash = [Security.Cryptography.SHA256]::Create().ComputeHash($certificate.RawData)
        $told.certificates += 'SHA256:' + [Convert]::ToBase64String($hash).TrimEnd('=')
    }
}
Tell $told
