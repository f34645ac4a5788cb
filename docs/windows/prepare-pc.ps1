<#
.SYNOPSIS
Prepares this PC, so that firstbell can save and bring back the files of its teachers over WinRM.

.DESCRIPTION
It makes exactly these things, and says each one. Run it again at any time: what is right stays as it is.

  1. The service WinRM starts with Windows. Passwords never travel readable: AllowUnencrypted and Basic are off.
  2. An https listener, with a certificate of your domain's authority (-Thumbprint) or one made here.
  3. A firewall rule for that port, and only for the addresses in -AllowFrom.
  4. An account of its own in the group Administrators.
  5. Only if that account is local: LocalAccountTokenFilterPolicy = 1. Without it Windows takes the administrator's rights
     away from local accounts that come over the network. The price: any local administrator's password then works over the
     network, too. So let no two PCs have the same password (LAPS does that), or use an account of the domain.

At the end it prints the SHA-256 fingerprint of the certificate, for the inventory.
What was before is kept in the registry (HKLM\SOFTWARE\firstbell\PreparedPC); -Undo brings exactly that back.

Needs: Windows 10 or 11, Windows PowerShell 5.1, 64 bit, "Run as administrator".

.EXAMPLE
powershell.exe -NoProfile -ExecutionPolicy Bypass -File prepare-pc.ps1 -AllowFrom 10.3.0.5 -WhatIf

Shows what it would do, and changes nothing.

.EXAMPLE
powershell.exe -NoProfile -ExecutionPolicy Bypass -File prepare-pc.ps1 -AllowFrom 10.3.0.5,10.3.1.0/24 -Account NORTH\svc-firstbell

With an account of the domain, which must be there already.

.EXAMPLE
powershell.exe -NoProfile -ExecutionPolicy Bypass -File prepare-pc.ps1 -Undo

Takes back what this script has done on this PC.
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    # The workers: addresses (10.3.0.5), networks (10.3.0.0/24) or ranges (10.3.0.5-10.3.0.9). Nobody else gets through.
    [string[]] $AllowFrom = @(),

    # A local account, made when it is not there; or one of the domain: NORTH\svc-firstbell.
    [string] $Account = 'svc-firstbell',

    # Of a local account that has to be made. Left out, you are asked for it. Never write it on a command line.
    [Security.SecureString] $Password,

    # A certificate of your domain's authority in Cert:\LocalMachine\My. Left out, one is made here.
    [string] $Thumbprint = '',

    [ValidateRange(1, 65535)]
    [int] $Port = 5986,

    # Take back what an earlier run has done.
    [switch] $Undo
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$RuleName = 'firstbell-winrm-https'
$CertificateName = 'firstbell WinRM'
$StatePath = 'HKLM:\SOFTWARE\firstbell\PreparedPC'
$PolicyPath = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System'
$FilterName = 'LocalAccountTokenFilterPolicy'
$ServiceSettings = 'WSMan:\localhost\Service'
$Listeners = 'WSMan:\localhost\Listener'
# Groups have other names in other languages; their numbers are the same everywhere.
$Administrators = 'S-1-5-32-544'
$IsDomainAccount = $Account.Contains('\') -or $Account.Contains('@')

# --- small helpers -----------------------------------------------------------------------------------------------

function Write-Step([string] $Text) { Write-Output "  $Text" }

# What was before, told once: a second run must not take our own work for what was before.
function Get-Before([string] $Name) {
    if (-not (Test-Path -Path $StatePath)) { return $null }
    $values = Get-ItemProperty -Path $StatePath
    if ($values.PSObject.Properties.Name -contains $Name) { return [string] $values.$Name }
    return $null
}

function Save-Before([string] $Name, [string] $Value) {
    if ($null -ne (Get-Before $Name)) { return }
    if (-not (Test-Path -Path $StatePath)) { New-Item -Path $StatePath -Force | Out-Null }
    New-ItemProperty -Path $StatePath -Name $Name -Value $Value -PropertyType String -Force | Out-Null
}

function Get-Setting([string] $Name) { (Get-Item -Path "$ServiceSettings\$Name").Value }

function Set-Setting([string] $Name, [string] $Value) {
    $now = Get-Setting $Name
    if ($now -eq $Value) { Write-Step "WinRM $Name is $Value"; return }
    if ($PSCmdlet.ShouldProcess("WinRM $Name", "set from $now to $Value")) {
        Save-Before "Setting $Name" $now
        try {
            Set-Item -Path "$ServiceSettings\$Name" -Value $Value -Force
        } catch {
            throw "WinRM $Name is $now and cannot be set to ${Value}: a group policy may hold it. Change it there. ($_)"
        }
        Write-Step "WinRM $Name set from $now to $Value"
    }
}

function Get-FilterPolicy {
    $values = Get-ItemProperty -Path $PolicyPath
    if ($values.PSObject.Properties.Name -contains $FilterName) { return [string] $values.$FilterName }
    return ''
}

# The https listener as its folder's name, certificate and port; $null when there is none.
function Get-HttpsListener {
    foreach ($listener in @(Get-ChildItem -Path $Listeners)) {
        if (@($listener.Keys) -notcontains 'Transport=HTTPS') { continue }
        $found = @{ Name = $listener.Name; Thumbprint = ''; Port = '' }
        foreach ($value in @(Get-ChildItem -Path "$Listeners\$($listener.Name)")) {
            if ($value.Name -eq 'CertificateThumbprint') { $found.Thumbprint = ([string] $value.Value).Replace(' ', '').ToUpperInvariant() }
            if ($value.Name -eq 'Port') { $found.Port = [string] $value.Value }
        }
        return $found
    }
    return $null
}

function Get-Certificate([string] $Wanted) {
    $Wanted = $Wanted.Replace(' ', '').ToUpperInvariant()
    @(Get-ChildItem -Path Cert:\LocalMachine\My | Where-Object { $_.Thumbprint -eq $Wanted }) | Select-Object -First 1
}

function Test-Certificate($Certificate) {
    $null -ne $Certificate -and $Certificate.HasPrivateKey -and $Certificate.NotAfter -gt (Get-Date).AddDays(30)
}

function Get-Fingerprint($Certificate) {
    $sha = [Security.Cryptography.SHA256]::Create()
    try { return , $sha.ComputeHash($Certificate.RawData) } finally { $sha.Dispose() }
}

# --- the steps ---------------------------------------------------------------------------------------------------

function Assert-Ready {
    if ($PSVersionTable.PSVersion.Major -lt 5) { throw 'This needs Windows PowerShell 5.1.' }
    if (-not [Environment]::Is64BitProcess) { throw 'Start the 64-bit PowerShell: not the one with (x86) in its name.' }
    $me = New-Object Security.Principal.WindowsPrincipal ([Security.Principal.WindowsIdentity]::GetCurrent())
    if (-not $me.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
        throw 'Right-click PowerShell, "Run as administrator", and start this again.'
    }
}

function Enable-Service {
    $service = Get-Service -Name WinRM
    if ([string] $service.StartType -eq 'Automatic' -and [string] $service.Status -eq 'Running') {
        Write-Step 'the service WinRM runs'
        return
    }
    if ($PSCmdlet.ShouldProcess('the service WinRM', 'start it, now and with Windows')) {
        Save-Before 'Service start' ([string] $service.StartType)
        Save-Before 'Service status' ([string] $service.Status)
        Set-Service -Name WinRM -StartupType Automatic
        Start-Service -Name WinRM
        Write-Step 'the service WinRM was started, and starts with Windows'
    }
}

# The certificate for the listener: the one named, the one in use, or one made here. $null only with -WhatIf.
function Select-Certificate($Listener) {
    if ($Thumbprint) {
        $named = Get-Certificate $Thumbprint
        if ($null -eq $named) { throw "There is no certificate $Thumbprint in Cert:\LocalMachine\My." }
        if (-not (Test-Certificate $named)) { throw "The certificate $Thumbprint has no private key here, or ends within 30 days." }
        return $named
    }
    if ($null -ne $Listener) {
        $used = Get-Certificate $Listener.Thumbprint
        if (Test-Certificate $used) { return $used }
    }
    $own = @(Get-ChildItem -Path Cert:\LocalMachine\My | Where-Object { $_.FriendlyName -eq $CertificateName -and (Test-Certificate $_) })
    if ($own.Count) { return $own[0] }
    $names = @($env:COMPUTERNAME)
    $domain = [Net.NetworkInformation.IPGlobalProperties]::GetIPGlobalProperties().DomainName
    if ($domain) { $names = @("$env:COMPUTERNAME.$domain") + $names }
    if ($PSCmdlet.ShouldProcess("a certificate for $($names -join ', ')", 'make it')) {
        # Its private key cannot leave this PC.
        $made = New-SelfSignedCertificate -DnsName $names -CertStoreLocation Cert:\LocalMachine\My `
            -FriendlyName $CertificateName -NotAfter (Get-Date).AddYears(5) -KeyLength 2048 -HashAlgorithm SHA256 `
            -KeyExportPolicy NonExportable -TextExtension @('2.5.29.37={text}1.3.6.1.5.5.7.3.1')
        Save-Before "Certificate $($made.Thumbprint)" 'made'
        return $made
    }
    return $null
}

function Set-Listener($Listener, $Certificate) {
    if ($null -eq $Certificate) { Write-Step 'the https listener needs the certificate first'; return }
    if ($null -ne $Listener -and $Listener.Thumbprint -eq $Certificate.Thumbprint -and $Listener.Port -eq "$Port") {
        Write-Step "the https listener is there, port $Port"
        return
    }
    if ($null -ne $Listener -and $null -eq (Get-Before 'Listener') -and $Listener.Port -ne "$Port") {
        # Somebody else's: a listener that other tools may use is not moved.
        throw "There is an https listener on port $($Listener.Port). Run this with -Port $($Listener.Port), or remove it first."
    }
    if ($PSCmdlet.ShouldProcess("an https listener on port $Port", 'make it')) {
        if ($null -ne $Listener) {
            Save-Before 'Listener' "$($Listener.Thumbprint) $($Listener.Port)"
            Remove-Item -Path "$Listeners\$($Listener.Name)" -Recurse -Force
        } else {
            Save-Before 'Listener' 'none'
        }
        New-Item -Path $Listeners -Transport HTTPS -Address * -Port $Port -CertificateThumbPrint $Certificate.Thumbprint -Force | Out-Null
        Write-Step "the https listener was made, port $Port"
    }
}

function Set-FirewallRule([string[]] $Addresses) {
    $rule = Get-NetFirewallRule -Name $RuleName -ErrorAction SilentlyContinue
    if ($PSCmdlet.ShouldProcess("a firewall rule: port $Port, only from $($Addresses -join ', ')", 'make it')) {
        # Made anew each time: so it is never wider than what was asked for last.
        if ($null -ne $rule) { Remove-NetFirewallRule -Name $RuleName }
        New-NetFirewallRule -Name $RuleName -DisplayName 'firstbell: WinRM over https' -Direction Inbound -Action Allow `
            -Protocol TCP -LocalPort $Port -RemoteAddress $Addresses -Profile Domain, Private | Out-Null
        Save-Before 'Rule' 'made'
        Write-Step "the firewall lets $($Addresses -join ', ') through to port $Port, in domain and private networks"
    }
    foreach ($network in @(Get-NetConnectionProfile -ErrorAction SilentlyContinue)) {
        if ([string] $network.NetworkCategory -eq 'Public') {
            Write-Warning "The network of $($network.InterfaceAlias) counts as public: the rule does not apply there. Make it private."
        }
    }
}

function Set-Account {
    $member = $Account
    if (-not $IsDomainAccount) {
        $member = "$env:COMPUTERNAME\$Account"
        if ($null -ne (Get-LocalUser -Name $Account -ErrorAction SilentlyContinue)) {
            Write-Step "the account $Account is there"
        } elseif ($PSCmdlet.ShouldProcess("the local account $Account", 'make it')) {
            $secret = $Password
            if ($null -eq $secret) { $secret = Read-Host -AsSecureString -Prompt "A long password for $Account, different on each PC" }
            New-LocalUser -Name $Account -Password $secret -PasswordNeverExpires -UserMayNotChangePassword `
                -Description 'Saves and restores files for firstbell' | Out-Null
            Save-Before 'Account' $Account
            Write-Step "the local account $Account was made"
        }
    }
    # Administrators, because: only they may start programs over WinRM by default; they have the rights to read and write
    # every teacher's files (SeBackupPrivilege, SeRestorePrivilege); and only they may make a shadow copy.
    if ($PSCmdlet.ShouldProcess($member, 'add to the group Administrators')) {
        try {
            Add-LocalGroupMember -SID $Administrators -Member $member
            Save-Before 'Member' $member
            Write-Step "$member is now an administrator"
        } catch {
            if ($_.FullyQualifiedErrorId -notlike 'MemberExists*') { throw }
            Write-Step "$member is an administrator"
        }
    }
}

function Set-FilterPolicy {
    if ($IsDomainAccount) {
        Write-Step "$FilterName stays as it is: an account of the domain does not need it"
        return
    }
    $now = Get-FilterPolicy
    if ($now -eq '1') { Write-Step "$FilterName is 1"; return }
    if ($PSCmdlet.ShouldProcess($FilterName, 'set to 1: local administrators keep their rights over the network')) {
        Save-Before $FilterName "value:$now"
        New-ItemProperty -Path $PolicyPath -Name $FilterName -Value 1 -PropertyType DWord -Force | Out-Null
        Write-Step "$FilterName set to 1: local administrators keep their rights over the network"
        Write-Warning 'Let no two PCs have the same local administrator password, or one stolen password opens all of them.'
    }
}

function Write-Quotas {
    $text = @()
    foreach ($name in 'MaxMemoryPerShellMB', 'MaxShellsPerUser', 'MaxProcessesPerShell', 'IdleTimeout') {
        $value = (Get-Item -Path "WSMan:\localhost\Shell\$name").Value
        $text += "$name $value"
        if ($name -eq 'MaxMemoryPerShellMB' -and [long] $value -lt 1024) {
            Write-Warning "MaxMemoryPerShellMB is ${value}: firstbell needs 1024. Set-Item WSMan:\localhost\Shell\$name 1024"
        }
    }
    Write-Step "quotas: $($text -join ', ')"
}

function Write-ForInventory($Certificate) {
    if ($null -eq $Certificate) { return }
    $hash = Get-Fingerprint $Certificate
    $hex = [BitConverter]::ToString($hash).Replace('-', '')
    $text = 'SHA256:' + [Convert]::ToBase64String($hash).TrimEnd('=')
    Write-Output ''
    Write-Output "Certificate: $($Certificate.Subject), until $($Certificate.NotAfter.ToString('yyyy-MM-dd'))"
    Write-Output "SHA-256:     $hex"
    Write-Output ''
    Write-Output 'For the inventory (hosts.yaml):'
    Write-Output ''
    Write-Output "  $($env:COMPUTERNAME.ToLowerInvariant()):"
    Write-Output '    transport: winrm'
    Write-Output "    user: '$Account'"
    if ($Port -ne 5986) { Write-Output "    port: $Port" }
    Write-Output '    winrm:'
    Write-Output "      fingerprint: $text"
}

# --- taking it back ----------------------------------------------------------------------------------------------

function Undo-All {
    if (-not (Test-Path -Path $StatePath)) { Write-Output 'There is nothing to take back on this PC.'; return }
    if (-not $PSCmdlet.ShouldProcess('what prepare-pc.ps1 has done on this PC', 'take it back')) { return }

    if (Get-Before 'Rule') { Remove-NetFirewallRule -Name $RuleName -ErrorAction SilentlyContinue; Write-Step 'firewall rule removed' }

    if ([string] (Get-Service -Name WinRM).Status -eq 'Running') {
        $before = Get-Before 'Listener'
        $listener = Get-HttpsListener
        if ($null -ne $before -and $null -ne $listener) {
            Remove-Item -Path "$Listeners\$($listener.Name)" -Recurse -Force
            Write-Step 'https listener removed'
        }
        if ($null -ne $before -and $before -ne 'none') {
            $print, $oldPort = $before.Split(' ')
            if ($null -ne (Get-Certificate $print)) {
                New-Item -Path $Listeners -Transport HTTPS -Address * -Port $oldPort -CertificateThumbPrint $print -Force | Out-Null
                Write-Step 'the https listener of before is back'
            } else {
                Write-Warning 'The certificate of the https listener of before is gone: that listener was not made again.'
            }
        }
        foreach ($name in 'AllowUnencrypted', 'Auth\Basic', 'Auth\Negotiate', 'Auth\Kerberos') {
            $value = Get-Before "Setting $name"
            # What let passwords travel readable stays off: nothing needs it that should.
            if ($null -ne $value -and $name -like 'Auth\[NK]*') {
                Set-Item -Path "$ServiceSettings\$name" -Value $value -Force
                Write-Step "WinRM $name is $value again"
            }
        }
    }

    foreach ($certificate in @(Get-ChildItem -Path Cert:\LocalMachine\My)) {
        if (Get-Before "Certificate $($certificate.Thumbprint)") {
            Remove-Item -Path "Cert:\LocalMachine\My\$($certificate.Thumbprint)" -Force
            Write-Step 'certificate removed'
        }
    }

    $start = Get-Before 'Service start'
    if ($null -ne $start) {
        if ((Get-Before 'Service status') -ne 'Running') { Stop-Service -Name WinRM -Force }
        Set-Service -Name WinRM -StartupType $start
        Write-Step "the service WinRM starts as before: $start"
    }

    $filter = Get-Before $FilterName
    if ($null -ne $filter) {
        $filter = $filter.Substring('value:'.Length)
        if ($filter -eq '') { Remove-ItemProperty -Path $PolicyPath -Name $FilterName }
        else { New-ItemProperty -Path $PolicyPath -Name $FilterName -Value ([int] $filter) -PropertyType DWord -Force | Out-Null }
        Write-Step "$FilterName is as before"
    }

    $member = Get-Before 'Member'
    if ($null -ne $member) {
        try { Remove-LocalGroupMember -SID $Administrators -Member $member }
        catch { if ($_.FullyQualifiedErrorId -notlike 'MemberNotFound*' -and $_.FullyQualifiedErrorId -notlike 'PrincipalNotFound*') { throw } }
        Write-Step "$member is no administrator any more"
    }
    $made = Get-Before 'Account'
    if ($null -ne $made -and $null -ne (Get-LocalUser -Name $made -ErrorAction SilentlyContinue)) {
        Remove-LocalUser -Name $made
        Write-Step "the local account $made was removed"
    }

    Remove-Item -Path $StatePath -Recurse -Force
}

# --- what happens ------------------------------------------------------------------------------------------------

Assert-Ready
if ($Undo) { Undo-All; return }

# With powershell.exe -File, "a,b" arrives as one text.
$addresses = @($AllowFrom | ForEach-Object { $_.Split(',') } | ForEach-Object { $_.Trim() } | Where-Object { $_ })
if (-not $addresses.Count) { throw 'Name the workers with -AllowFrom, for example: -AllowFrom 10.3.0.5' }
foreach ($address in $addresses) {
    if ($address -eq 'Any' -or $address -eq '*' -or $address -like '*/0') { throw "-AllowFrom $address would let everybody through." }
}

Write-Output "Preparing $env:COMPUTERNAME for firstbell"
Enable-Service
if ([string] (Get-Service -Name WinRM).Status -ne 'Running') {
    # Only with -WhatIf: the settings can be read only while the service runs.
    Write-Step 'the rest can be shown once the service WinRM runs'
    return
}
Set-Setting 'AllowUnencrypted' 'false'
Set-Setting 'Auth\Basic' 'false'
Set-Setting 'Auth\Negotiate' 'true'
Set-Setting 'Auth\Kerberos' 'true'
$listener = Get-HttpsListener
$certificate = Select-Certificate $listener
Set-Listener $listener $certificate
Set-FirewallRule $addresses
Set-Account
Set-FilterPolicy
Write-Quotas
Write-ForInventory $certificate
