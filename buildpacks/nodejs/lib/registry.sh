# Packages from the npm registry, without npm.

registry=
if [[ -f $pack/etc/npm-registry ]]; then registry=$(< "$pack/etc/npm-registry"); fi
registry=${registry%/}
ca_bundle=/etc/ssl/certs/ca-certificates.crt

# What the registry says about a package, or about one version of it.
metadata() {
  local path=${1/\//%2f}${2:+/$2}
  [[ -n $registry ]] || fail 'No npm registry is set on this host.' 'The operator sets one with SLUICE_NPM_REGISTRY.'
  curl -fsSL --compressed --retry 3 --connect-timeout 10 --max-time 60 \
    -H 'Accept: application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8' "$registry/$path"
}

# resolve PACKAGE RANGE: prints the newest stable version in the range, or nothing.
resolve() {
  if [[ $2 =~ ^[=v]*([0-9]+\.[0-9]+\.[0-9]+)$ ]]; then
    echo "${BASH_REMATCH[1]}"
    return
  fi
  metadata "$1" | jq '.versions | keys' | jq -r --arg range "$2" -f "$pack/lib/range.jq" | sed '/^null$/d'
}

# fetch PACKAGE VERSION FOLDER [tar options]: the package's files in FOLDER, from the cache if it has them. Checks the registry's own checksum.
fetch() {
  local name=$1 version=$2 folder=$3 about tarball integrity archive
  shift 3
  if [[ -d $folder ]]; then return; fi
  about=$(metadata "$name" "$version") || return
  tarball=$(jq -r .dist.tarball <<< "$about")
  integrity=$(jq -r '.dist.integrity // ""' <<< "$about" | grep -o 'sha512-[A-Za-z0-9+/=]*' | head -n 1)
  archive=$(mktemp)
  curl -fsSL --retry 3 --connect-timeout 10 --max-time 600 -o "$archive" "$tarball" || return
  if [[ -n $integrity && $integrity != "sha512-$(openssl dgst -sha512 -binary "$archive" | base64 -w 0)" ]]; then
    warn "The download of $name $version does not have the checksum that the registry names."
    return 1
  fi
  rm -rf "$folder.part"
  mkdir -p "$folder.part"
  tar -xzf "$archive" -C "$folder.part" --strip-components=1 --no-same-owner "$@" || return
  rm "$archive"
  mv "$folder.part" "$folder"
}

# Below the app's own .npmrc: npm, pnpm and yarn 1 read this one for what that does not say. Not part of the slug.
write_npmrc() {
  {
    echo "registry=$registry/"
    echo 'audit=false'
    echo 'fund=false'
    echo 'update-notifier=false'
  } > "$HOME/.npmrc"
}
