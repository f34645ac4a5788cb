#!/bin/sh
# May this computer be wiped? Checks a firstbell clearance with openssl alone: docs/gate.md.
#
#   check.sh TOKEN-FILE HOST KEYS.pem [PROFILE ...]
#
# Exit code 0: yes. Any other: DO NOT WIPE. KEYS.pem holds one or several public keys; a PROFILE is somebody who has a
# profile on the disk, and the clearance must cover everybody that is named.
set -u
export LC_ALL=C

refuse() {
    printf 'do not wipe: %s\n' "$1" >&2
    exit 20
}

[ $# -ge 3 ] || refuse "say: check.sh TOKEN-FILE HOST KEYS.pem [PROFILE ...]"
token_file=$1 host=$2 keys=$3
shift 3
[ -n "$host" ] || refuse "no computer is named"
folder=$(mktemp -d) || refuse "no temporary folder"
trap 'rm -f "$folder"/*; rmdir "$folder"' EXIT

# A byte that ends texts elsewhere would vanish here.
token=$(tr -d '\r' <"$token_file" | tr '\000' '!') || refuse "the clearance cannot be read"
[ "${#token}" -le 16384 ] || refuse "it is too long"
case $token in
    *[!A-Za-z0-9._-]* | *.*.*.* | .* | *. | *..*) refuse "it is not a signed token" ;;
    *.*.*) ;;
    *) refuse "it is not a signed token" ;;
esac
header=${token%%.*} rest=${token#*.}
claims=${rest%%.*} signature=${rest#*.}

decode() { # base64url on standard input, bytes on standard output
    text=$(tr -- '-_' '+/')
    case $((${#text} % 4)) in
        1) return 1 ;;
        2) text=$text== ;;
        3) text=$text= ;;
    esac
    printf '%s' "$text" | openssl base64 -d -A
}

for one in "$header" "$claims" "$signature"; do
    # There is one spelling of each only.
    [ "$(printf '%s' "$one" | decode | openssl base64 -A | tr '+/' '-_' | tr -d '=')" = "$one" ] || refuse "a part of it is not base64url"
done

value() { # value NAME JSON: the text of a name that stands there exactly once
    count=$(printf '%s' "$2" | grep -o "\"$1\":" | wc -l)
    [ "$count" -eq 1 ] || refuse "'$1' does not stand there once"
    printf '%s' "$2" | sed -n "s/.*\"$1\":\"\([^\"\\\\]*\)\".*/\1/p"
}

header=$(printf '%s' "$header" | decode) || refuse "its header cannot be read"
# The algorithm is ours to choose, not the token's: this header and no other.
kid=$(value kid "$header") || exit 20
[ "$header" = "{\"alg\":\"ES256\",\"kid\":\"$kid\",\"typ\":\"firstbell-clearance\"}" ] || refuse "its header is not that of a clearance"

# The key of that id: the first 16 digits of the SHA-256 of its DER.
awk -v folder="$folder" '
    /-----BEGIN PUBLIC KEY-----/ { file = folder "/key." ++n ".pem" }
    file { print > file }
    /-----END PUBLIC KEY-----/ { close(file); file = "" }' "$keys" || refuse "the public keys cannot be read"
key=
for one in "$folder"/key.*.pem; do
    [ -f "$one" ] || continue
    id=$(openssl pkey -pubin -in "$one" -outform DER 2>/dev/null | openssl dgst -sha256 -r | cut -c 1-16)
    [ "$id" = "$kid" ] && key=$one
done
[ -n "$key" ] || refuse "it is signed by a key that is not known here"
openssl pkey -pubin -in "$key" -noout -text 2>/dev/null | grep -q 'prime256v1' || refuse "the key is not of the kind P-256"

# ES256 has the two numbers side by side; openssl wants them in DER.
hex=$(printf '%s' "$signature" | decode | od -An -v -tx1 | tr -d ' \n')
[ "${#hex}" -eq 128 ] || refuse "its signature is not 64 bytes long"
integer() { # a positive DER INTEGER in hex: no leading zeros but one before a high bit
    number=$1
    while [ "${#number}" -gt 2 ] && [ "${number#00}" != "$number" ]; do number=${number#00}; done
    case $number in [89a-f]*) number=00$number ;; esac
    printf '02%02x%s' $((${#number} / 2)) "$number"
}
r=$(integer "$(printf '%s' "$hex" | cut -c 1-64)")
s=$(integer "$(printf '%s' "$hex" | cut -c 65-128)")
der=$(printf '30%02x%s%s' $(((${#r} + ${#s}) / 2)) "$r" "$s")
escaped=$(printf '%s' "$der" | sed 's/../\\0&/g;s/\\0\(..\)/\1 /g')
: >"$folder/signature"
for byte in $escaped; do
    # shellcheck disable=SC2059 - the format is the byte
    printf "\\$(printf '%03o' "0x$byte")" >>"$folder/signature"
done
printf '%s' "${token%.*}" >"$folder/signed"
[ "$(openssl dgst -sha256 -verify "$key" -signature "$folder/signature" "$folder/signed" 2>/dev/null)" = "Verified OK" ] ||
    refuse "its signature is wrong: somebody changed it, or it is not ours"

# From here on it is what firstbell wrote, if it is as firstbell writes it: each claim once, in this order.
claims=$(printf '%s' "$claims" | decode | tr '\000\n' '!!') || refuse "it cannot be read"
text='"([^"\\]|\\.)+"' moment='"[0-9]{4}-[01][0-9]-[0-3][0-9]T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z"'
shape="\"id\":$text,\"host\":$text,\"site\":$text,\"users\":\\[($text(,$text)*)?\\],\"snapshot\":$text,\"manifest\":$text"
shape="$shape,\"captured_at\":$moment,\"verified_at\":$moment,\"method\":$text,\"skips\":[0-9]+,\"iat\":$moment,\"expiry\":$moment"
printf '%s' "$claims" | grep -qE "^[{]$shape[}]\$" || refuse "its claims are not those of a clearance"
lower() { printf '%s' "$1" | tr 'A-Z' 'a-z'; }
for_host=$(value host "$claims") || exit 20
[ "$(lower "$for_host")" = "$(lower "$host")" ] || refuse "it is for $for_host, not for $host"
expiry=$(value expiry "$claims") || exit 20
issued=$(value iat "$claims") || exit 20
captured=$(value captured_at "$claims") || exit 20
verified=$(value verified_at "$claims") || exit 20
# Such times sort as text. Clocks may differ by five minutes.
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
soon=$(date -u -d "@$(($(date +%s) + 300))" +%Y-%m-%dT%H:%M:%SZ 2>/dev/null || date -u -r "$(($(date +%s) + 300))" +%Y-%m-%dT%H:%M:%SZ) || refuse "the clock cannot be read"
earlier() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort | head -n 1)" = "$1" ]; }
earlier "$now" "$expiry" || refuse "it was good until $expiry"
earlier "$soon" "$issued" && refuse "it was issued at $issued, which is still to come: a clock is wrong"
earlier "$issued" "$expiry" && ! earlier "$verified" "$captured" && ! earlier "$soon" "$verified" || refuse "its times contradict each other"

users=$(printf '%s' "$claims" | sed -n 's/.*"users":\[\(.*\)\],"snapshot":.*/\1/p')
for profile in "$@"; do
    quoted=$(printf '%s' "$profile" | sed 's/[\\"]/\\&/g')
    printf '%s' "$(lower ",$users,")" | grep -qF -- ",\"$(lower "$quoted")\"," || refuse "$profile has a profile there, and it is not saved"
done
printf 'good: %s may be wiped until %s\n' "$for_host" "$expiry"
