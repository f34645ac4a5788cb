# What prepare-pc.ps1 asks of Windows and Wine has not: services, WinRM's settings, certificates, firewall, local accounts.
# Pretended here as functions, which PowerShell finds before commands; the registry is the real one of Wine.
# It shows that the script keeps its own promises (repeatable, -WhatIf, -Undo), not that Windows takes its calls.
$global:Pretend = @{
    Service = @{ StartType = 'Manual'; Status = 'Stopped' }
    Settings = @{ 'AllowUnencrypted' = 'false'; 'Auth\Basic' = 'true'; 'Auth\Negotiate' = 'true'; 'Auth\Kerberos' = 'true' }
    Listener = $null
    Certificates = @()
    Rule = $null
    Users = @('teacher')
    Members = @('PC\Administrator')
    Calls = @()
}

function Use([string] $Call) { $global:Pretend.Calls += $Call }

function Get-Service($Name) { [pscustomobject] $global:Pretend.Service }
function Set-Service($Name, $StartupType) { Use 'Set-Service'; $global:Pretend.Service.StartType = "$StartupType" }
function Start-Service($Name) { Use 'Start-Service'; $global:Pretend.Service.Status = 'Running' }
function Stop-Service($Name, [switch] $Force) { Use 'Stop-Service'; $global:Pretend.Service.Status = 'Stopped' }

function Get-Item($Path) {
    if ($Path -like 'WSMan:\localhost\Shell\*') { return [pscustomobject] @{ Value = '2147483647' } }
    [pscustomobject] @{ Value = $global:Pretend.Settings[$Path.Substring('WSMan:\localhost\Service\'.Length)] }
}
function Set-Item($Path, $Value, [switch] $Force) {
    Use "Set-Item $Path"
    $global:Pretend.Settings[$Path.Substring('WSMan:\localhost\Service\'.Length)] = "$Value"
}
function New-Item($Path, $Transport, $Address, $Port, $CertificateThumbPrint, [switch] $Force) {
    if ($Path -notlike 'WSMan:*') { return Microsoft.PowerShell.Management\New-Item -Path $Path -Force:$Force }
    Use 'New-Item listener'
    $global:Pretend.Listener = @{ Port = "$Port"; CertificateThumbprint = $CertificateThumbPrint }
}
function Remove-Item($Path, [switch] $Recurse, [switch] $Force) {
    if ($Path -like 'WSMan:*') { Use 'Remove-Item listener'; $global:Pretend.Listener = $null }
    elseif ($Path -like 'Cert:*') {
        Use 'Remove-Item certificate'
        $global:Pretend.Certificates = @($global:Pretend.Certificates | Where-Object { $Path -notlike "*$($_.Thumbprint)" })
    } else { Microsoft.PowerShell.Management\Remove-Item -Path $Path -Recurse:$Recurse -Force:$Force }
}
function Get-ChildItem($Path) {
    if ($Path -like 'Cert:*') { return $global:Pretend.Certificates }
    $listener = $global:Pretend.Listener
    if ($null -eq $listener) { return }
    if ($Path -eq 'WSMan:\localhost\Listener') { return [pscustomobject] @{ Name = 'Listener_1'; Keys = @('Transport=HTTPS', 'Address=*') } }
    foreach ($name in $listener.Keys) { [pscustomobject] @{ Name = $name; Value = $listener[$name] } }
}

function New-SelfSignedCertificate($DnsName, $CertStoreLocation, $FriendlyName, $NotAfter, $KeyLength, $HashAlgorithm, $KeyExportPolicy, $TextExtension) {
    Use 'New-SelfSignedCertificate'
    $number = $global:Pretend.Certificates.Count + 1
    $made = [pscustomobject] @{
        Subject = "CN=$(@($DnsName)[0])"; Thumbprint = 'AB' * 19 + "0$number"; FriendlyName = $FriendlyName
        NotAfter = $NotAfter; HasPrivateKey = $true; RawData = [Text.Encoding]::ASCII.GetBytes("certificate $number")
    }
    $global:Pretend.Certificates += $made
    $made
}

function Get-NetFirewallRule($Name, $ErrorAction) { $global:Pretend.Rule }
function Remove-NetFirewallRule($Name, $ErrorAction) { Use 'Remove-NetFirewallRule'; $global:Pretend.Rule = $null }
function New-NetFirewallRule($Name, $DisplayName, $Direction, $Action, $Protocol, $LocalPort, $RemoteAddress, $Profile) {
    Use 'New-NetFirewallRule'
    $global:Pretend.Rule = @{ Name = $Name; LocalPort = "$LocalPort"; RemoteAddress = @($RemoteAddress); Profile = @($Profile) }
}
function Get-NetConnectionProfile($ErrorAction) { [pscustomobject] @{ InterfaceAlias = 'Ethernet'; NetworkCategory = 'Public' } }

function Get-LocalUser($Name, $ErrorAction) { $global:Pretend.Users | Where-Object { $_ -eq $Name } }
function New-LocalUser($Name, $Password, [switch] $PasswordNeverExpires, [switch] $UserMayNotChangePassword, $Description) {
    Use 'New-LocalUser'
    if ($Password -isnot [Security.SecureString]) { throw 'no password' }
    $global:Pretend.Users += $Name
}
function Remove-LocalUser($Name) { Use 'Remove-LocalUser'; $global:Pretend.Users = @($global:Pretend.Users | Where-Object { $_ -ne $Name }) }
function Add-LocalGroupMember($SID, $Member) {
    if ($global:Pretend.Members -contains $Member) { Write-Error -Message 'is a member' -ErrorId 'MemberExists' -ErrorAction Stop }
    Use "Add-LocalGroupMember $SID"
    $global:Pretend.Members += $Member
}
function Remove-LocalGroupMember($SID, $Member) {
    Use 'Remove-LocalGroupMember'
    $global:Pretend.Members = @($global:Pretend.Members | Where-Object { $_ -ne $Member })
}
function Read-Host { throw 'nobody is here to ask' }
function New-Object($TypeName) {
    if ($TypeName -ne 'Security.Principal.WindowsPrincipal') { return Microsoft.PowerShell.Utility\New-Object $TypeName }
    [pscustomobject] @{} | Add-Member -PassThru -MemberType ScriptMethod -Name IsInRole -Value { $true }
}
