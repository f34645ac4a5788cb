# Runs prepare-pc.ps1 ($prepare) again and again in the Windows of $pretend, and tells what came of each run, as JSON.
. (Get-Content -Raw -LiteralPath $pretend | ForEach-Object { [ScriptBlock]::Create($_) })
$env:COMPUTERNAME = 'PC'
$script = [ScriptBlock]::Create((Get-Content -Raw -LiteralPath $prepare))
$policies = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System'
if (-not (Test-Path $policies)) { Microsoft.PowerShell.Management\New-Item -Path $policies -Force | Out-Null }
New-ItemProperty -Path $policies -Name Firstbell -Value 1 -Force | Out-Null
$secret = [Security.SecureString]::new()
'not-told-to-anybody'.ToCharArray() | ForEach-Object { $secret.AppendChar($_) }
function State {
    $left = @{}
    foreach ($key in @($global:Pretend.Keys)) { $left[$key] = $global:Pretend[$key] }
    $left.Certificates = @($global:Pretend.Certificates | ForEach-Object { $_.Thumbprint })
    $values = Get-ItemProperty -Path $policies
    $left.Filter = if ($values.PSObject.Properties.Name -contains 'LocalAccountTokenFilterPolicy') { [string] $values.LocalAccountTokenFilterPolicy } else { '' }
    $left.Kept = Test-Path -Path 'HKLM:\SOFTWARE\firstbell\PreparedPC'
    $global:Pretend.Calls = @()
    $left | ConvertTo-Json -Depth 6 | ConvertFrom-Json
}
function Step([string] $Name, [hashtable] $Arguments) {
    $said = @(); $failed = ''
    try { $said = @(& $script @Arguments 3>&1 | ForEach-Object { "$_" }) } catch { $failed = "$_" }
    @{ name = $Name; said = $said; failed = $failed; state = State }
}
$steps = @()
$steps += Step 'nobody' @{}
$steps += Step 'everybody' @{ AllowFrom = '10.3.0.5,0.0.0.0/0' }
$global:Pretend.Service.Status = 'Running'
$steps += Step 'look' @{ AllowFrom = '10.3.0.5'; WhatIf = $true }
$global:Pretend.Service.Status = 'Stopped'
$steps += Step 'first' @{ AllowFrom = '10.3.0.5, 10.3.1.0/24'; Password = $secret }
$steps += Step 'again' @{ AllowFrom = '10.3.0.5, 10.3.1.0/24' }
$steps += Step 'narrower' @{ AllowFrom = '10.3.0.5' }
$steps += Step 'undo' @{ Undo = $true }
$steps += Step 'undo again' @{ Undo = $true }
$steps += Step 'domain' @{ AllowFrom = '10.3.0.5'; Account = 'NORTH\svc-firstbell' }
$steps += Step 'other port' @{ AllowFrom = '10.3.0.5'; Account = 'NORTH\svc-firstbell'; Port = 5987 }
$global:Pretend.Calls = @()
Microsoft.PowerShell.Management\Remove-Item -Path 'HKLM:\SOFTWARE\firstbell\PreparedPC' -Recurse
$steps += Step 'port of others' @{ AllowFrom = '10.3.0.5'; Account = 'NORTH\svc-firstbell'; Port = 5986 }
[Console]::Out.Write(($steps | ConvertTo-Json -Depth 6 -Compress))
