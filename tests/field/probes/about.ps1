$about = @{
    powershell = [string] $PSVersionTable.PSVersion
    edition = [string] $PSVersionTable.PSEdition
    is64 = [Environment]::Is64BitProcess
    language = [string] $ExecutionContext.SessionState.LanguageMode
    windows = [string] [Environment]::OSVersion.Version
    culture = [Globalization.CultureInfo]::InstalledUICulture.Name
    runtime = [string] [Environment]::Version
}
function Get-Value($Path, $Name) {
    $values = Get-ItemProperty -Path $Path -ErrorAction SilentlyContinue
    if ($null -ne $values -and $values.PSObject.Properties.Name -contains $Name) { return [string] $values.$Name }
    return ''
}
$current = 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion'
$about.product = Get-Value $current 'ProductName'
$about.edition_id = Get-Value $current 'EditionID'
$about.release = Get-Value $current 'DisplayVersion'
$about.build = "$(Get-Value $current 'CurrentBuild').$(Get-Value $current 'UBR')"
$about.framework = Get-Value 'HKLM:\SOFTWARE\Microsoft\NET Framework Setup\NDP\v4\Full' 'Release'
$about.filter_policy = Get-Value 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System' 'LocalAccountTokenFilterPolicy'
$about.fips = Get-Value 'HKLM:\SYSTEM\CurrentControlSet\Control\Lsa\FipsAlgorithmPolicy' 'Enabled'
$about.default_shell = Get-Value 'HKLM:\SOFTWARE\OpenSSH' 'DefaultShell'
$about.user = [Environment]::UserName
$about.domain = [Environment]::UserDomainName
$about.computer = [Environment]::MachineName
$about.local = $about.domain -eq $about.computer
$about.drive = [Environment]::GetEnvironmentVariable('SystemDrive')
$about.profile = [Environment]::GetEnvironmentVariable('USERPROFILE')
try {
    $me = New-Object Security.Principal.WindowsPrincipal ([Security.Principal.WindowsIdentity]::GetCurrent())
    $about.admin = $me.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)
} catch { $about.admin_problem = "$_" }
$about.scanners = @()
try {
    $found = Get-CimInstance -Namespace root/SecurityCenter2 -ClassName AntiVirusProduct -OperationTimeoutSec 20
    $about.scanners = @($found | ForEach-Object { [string] $_.displayName })
} catch { $about.scanner_problem = "$_" }
Tell $about
