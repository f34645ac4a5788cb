#!/bin/sh
# Make the Windows runtime of the tests: PowerShell for Windows, as its makers publish it (MIT licence), to run under Wine.
#   tests/support/windows_runtime.sh FOLDER          fetches the zip from PowerShell's releases and checks its SHA-256
#   tests/support/windows_runtime.sh FOLDER ZIP      takes a zip that you have: PowerShell-7.x-win-x64.zip
# Then: export FIRSTBELL_WINDOWS_RUNTIME=FOLDER. POWERSHELL_VERSION picks another version.
set -eu
version=${POWERSHELL_VERSION:-7.6.9}
name=PowerShell-$version-win-x64.zip
releases=https://github.com/PowerShell/PowerShell/releases/download/v$version

[ $# -ge 1 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
folder=$1
if [ -e "$folder/pwsh" ]; then
    echo "$folder/pwsh is there already" >&2
    exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ $# -ge 2 ]; then
    zip=$2
else
    zip=$work/$name
    curl --fail --location --silent --show-error --output "$zip" "$releases/$name"
    # One line for each file of the release: SHA-256, then its name; it may be in UTF-16 and in capitals.
    curl --fail --location --silent --show-error --output "$work/hashes" "$releases/hashes.sha256"
    python3 - "$zip" "$work/hashes" "$name" <<'PYTHON'
import hashlib, re, sys

zip_file, hashes, name = sys.argv[1:]
told = open(hashes, "rb").read().replace(b"\0", b"").decode("ascii", "replace")
known = re.search(r"([0-9A-Fa-f]{64})\s+\*?" + re.escape(name), told)
with open(zip_file, "rb") as file:
    found = hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else hashlib.sha256(file.read()).hexdigest()
if known is None or known[1].lower() != found:
    sys.exit(f"{name}: its SHA-256 {found} is not the one that the release tells")
PYTHON
fi
python3 - "$zip" "$work/pwsh" <<'PYTHON'
import sys, zipfile

with zipfile.ZipFile(sys.argv[1]) as archive:
    archive.extractall(sys.argv[2])
PYTHON
[ -f "$work/pwsh/pwsh.exe" ] || { echo "there is no pwsh.exe in $zip: it must be the zip for win-x64" >&2; exit 1; }
mkdir -p "$folder"
# This zip brings its .NET along.
mkdir -p "$folder/dotnet"
mv "$work/pwsh" "$folder/pwsh"
echo "export FIRSTBELL_WINDOWS_RUNTIME=$(cd "$folder" && pwd)"
