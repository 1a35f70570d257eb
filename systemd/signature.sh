# Signatures of archives, for pack.sh and install.sh, which have `fail`: Ed25519 (RFC 8032) over the file with an archive's checksum, by openssl,
# which the machine has already. Anybody checks one by hand:
#   openssl pkeyutl -verify -rawin -pubin -inkey KEY -in ARCHIVE.sha256 -sigfile ARCHIVE.sha256.sig && sha256sum -c ARCHIVE.sha256

# Ends with a sentence unless FILE holds such a key; the other argument is -pubin for a public one.
require_key() {
  local file=$1 kind=${2:-}
  command -v openssl >/dev/null || fail "openssl is needed for signatures. Install it, then run this again."
  [ -r "$file" ] || fail "There is no key $file."
  [[ $(openssl pkey ${kind:+"$kind"} -in "$file" -noout -text 2>/dev/null) == *ED25519* ]] ||
    fail "$file is no ${kind:+public }Ed25519 key. Make one: openssl genpkey -algorithm ed25519 -out KEY; its public half: openssl pkey -in KEY -pubout"
}

# sign KEY SUMS: makes SUMS.sig
sign() {
  openssl pkeyutl -sign -rawin -inkey "$1" -in "$2" -out "$2.sig" || fail "$2 could not be signed with $1."
}

# take_copy ARCHIVE FOLDER: with its checksum and signature, where there are some. What is looked at and unpacked must be one thing, and others may
# write to where it was fetched to.
take_copy() {
  local file
  for file in "$1" "$1.sha256" "$1.sha256.sig"; do [ ! -f "$file" ] || cp -- "$file" "$2" || return 1; done
}

# require_signature KEY ARCHIVE: its checksum is the one that was signed.
require_signature() {
  local key=$1 archive=$2 file
  require_key "$key" -pubin
  for file in "$archive.sha256" "$archive.sha256.sig"; do
    [ -f "$file" ] || fail "There is no ${file##*/}, and only a release that is signed by the key $key is installed here. Fetch it, too."
  done
  openssl pkeyutl -verify -rawin -pubin -inkey "$key" -in "$archive.sha256" -sigfile "$archive.sha256.sig" >/dev/null 2>&1 ||
    fail "${archive##*/}.sha256 is not signed by the key $key. Nothing of it was looked at. Fetch it from where you trust it."
}
