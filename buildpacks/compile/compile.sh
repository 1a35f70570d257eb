#!/usr/bin/env bash
# Turns a source into a slug, inside the build container, as Heroku's slug compiler does: .slugignore, then for each buildpack
# detect and compile, then the last one's release, then the archive.
#
#   compile.sh chosen|detect BUILD_ID STACK VERSION
#
# chosen: every buildpack must fit. detect: the first that fits is used.
# Reads /sluice/in: source.tar, packs/N (a folder) or packs/N.tar, names (one line a buildpack).
# Writes /sluice/out: used (numbers of the buildpacks used), description, release.yml, Procfile, archive.tar.zst; on failure: failure (one word, then text).
# All of these are made by the user's code or within its reach: the daemon reads them as it would read a stranger's.
# stdout and stderr are the build's output. Everything is below one mount of /tmp, so that buildpacks can hard-link from cache to build.
set -euo pipefail

mode=$1
build_id=$2
stack=$3
version=$4

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
in=/sluice/in
out=/sluice/out
build_dir=/tmp/build_${build_id%%-*}
cache_dir=/tmp/codon/tmp/cache
env_dir=/tmp/env
packs=/tmp/buildpacks
detected=/tmp/sluice

# shellcheck source=slugignore.sh
source "$here/slugignore.sh"

main() {
  umask 022
  mapfile -t names < "$in/names"
  mkdir -p "$build_dir" "$cache_dir" "$env_dir" "$packs" "$detected"
  tar -xf "$in/source.tar" -C "$build_dir" --no-same-owner || fail source "The source archive cannot be unpacked."
  remove_ignored "$build_dir"
  for n in "${!names[@]}"; do unpack "$n"; done
  announce
  if [[ $mode == detect ]]; then choose; fi
  used=()
  for n in "${chosen[@]}"; do run_pack "$n"; done
  printf '%s\n' "${used[@]}" > "$out/used"
  release "${used[-1]}"
  for n in "${used[@]}"; do report "$n"; done
  if [[ -f $build_dir/Procfile ]]; then head -c 262144 "$build_dir/Procfile" > "$out/Procfile"; fi
  pack_slug
}

fail() {
  printf '%s\n%s' "$1" "${2-}" > "$out/failure"
  exit 1
}

# Archives from the web may have one folder around everything. Executable bits get lost on the way; a buildpack may write to its own folder.
unpack() {
  local pack=$packs/$1 inner
  mkdir -p "$pack"
  if [[ -d $in/packs/$1 ]]; then
    cp -R "$in/packs/$1/." "$pack"
  else
    tar -xf "$in/packs/$1.tar" -C "$pack" --no-same-owner || fail buildpack "The buildpack ${names[$1]} cannot be unpacked."
  fi
  if [[ ! -e $pack/bin/compile ]]; then
    inner=$(find "$pack" -mindepth 3 -maxdepth 3 -path '*/bin/compile' -print -quit)
    [[ -n $inner ]] || fail buildpack "The buildpack ${names[$1]} has no bin/compile."
    mv "$pack" "$pack.outer"
    mv "$pack.outer/${inner:${#pack}+1:-12}" "$pack"
  fi
  chmod -R u+rwX "$pack"
  chmod -f +x "$pack"/bin/* || true
}

announce() {
  chosen=("${!names[@]}")
  if [[ $mode == detect ]]; then
    echo '-----> Determining which buildpack to use for this app'
  elif ((${#names[@]} == 1)); then
    echo "-----> Using buildpack: ${names[0]}"
  else
    echo '-----> Using buildpacks:'
    for n in "${!names[@]}"; do echo "       $((n + 1)). ${names[n]}"; done
  fi
}

# Exactly the names that Heroku's builds have (the official buildpacks' specs list them); config vars are files in the env dir only.
in_pack() {
  local n=$1
  shift
  cd "$packs/$n"
  env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/app DYNO=run.1 STACK="$stack" \
    REQUEST_ID="$build_id" SOURCE_VERSION="$version" BUILDPACK_LOG_FILE=/dev/null "$@" < /dev/null
}

detect() {
  (in_pack "$1" ./bin/detect "$build_dir" > "$detected/name.$1" 2> "$detected/error.$1")
}

choose() {
  for n in "${!names[@]}"; do
    if detect "$n"; then
      chosen=("$n")
      return
    fi
  done
  fail undetected
}

run_pack() {
  local n=$1 name exports=() i
  if ! detect "$n"; then
    fail incompatible "${names[n]}"$'\n'"$(head -c 16384 "$detected/error.$n")"
  fi
  name=$(head -c 200 "$detected/name.$n" | head -n 1)
  echo "-----> $name app detected"
  printf '%s' "$name" > "$out/description"
  for i in "${used[@]}"; do exports+=("$packs/$i/export"); done
  # The exports of earlier buildpacks are bash, to be sourced; `--` parts them from the command.
  if ! (in_pack "$n" bash -c 'while [[ $1 != -- ]]; do [[ -f $1 ]] && source "$1"; shift; done; shift; exec "$@"' compile \
    "${exports[@]}" -- ./bin/compile "$build_dir" "$cache_dir" "$env_dir") 2>&1; then
    report "$n"
    fail compile "$name"
  fi
  used+=("$n")
}

# Optional, and only the last buildpack's counts.
release() {
  : > "$out/release.yml"
  [[ -f $packs/$1/bin/release ]] || return 0
  (in_pack "$1" ./bin/release "$build_dir") 2> "$detected/error.$1" | head -c 65536 > "$out/release.yml" ||
    fail release "$(< "$out/description")"$'\n'"$(head -c 16384 "$detected/error.$1")"
}

# Statistics that buildpacks offer; never shown, never fatal.
report() {
  if [[ -f $packs/$1/bin/report ]]; then
    (in_pack "$1" timeout 10 ./bin/report "$build_dir" "$cache_dir" "$env_dir") > /dev/null 2>&1 || true
  fi
}

# Names get `./app` in front; the targets of symbolic links (flag S) stay as they are.
pack_slug() {
  local transform='s,^\.\(/\|$\),./app\1,S'
  tar -C "$build_dir" --sort=name --numeric-owner --transform "$transform" -cf - . 2> "$detected/error" |
    zstd -3 -T0 -q -o "$out/archive.tmp" || fail pack "$(head -c 2000 "$detected/error")"
  mv "$out/archive.tmp" "$out/archive.tar.zst"
}

main
