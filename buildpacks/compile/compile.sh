#!/usr/bin/env bash
# Turns a source into a slug, inside the build container, as Heroku's slug compiler does: .slugignore, then for each buildpack
# detect and compile, then the last bin/release that there is, then the archive.
#
#   compile.sh chosen|detect BUILD_ID STACK VERSION
#
# chosen: every buildpack must fit. detect: the first that fits is used.
# Reads /sluice/in: gate (a FIFO), source.tar, packs/N (a folder) or packs/N.tar, names (one line a buildpack).
# Writes /sluice/out: stages (when each began), used (numbers of the buildpacks used), description (of the one at work, or of the last),
# release.yml, Procfile, procfiles (names like it, each with its type), app.json, archive.tar.zst; on failure: failure (one word, then text),
# memory (there when it ran out).
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
packs=/tmp/codon/tmp/buildpacks
detected=/tmp/sluice
# Of one buildpack.
most_files=50000

# shellcheck source=slugignore.sh
source "$here/slugignore.sh"

main() {
  # As in Heroku's builds and dynos: nothing of the app is anybody else's.
  umask 077
  wait_at_gate
  stage unpack
  mapfile -t names < "$in/names"
  mkdir -p "$build_dir" "$cache_dir" "$env_dir" "$packs" "$detected"
  tar -xf "$in/source.tar" -C "$build_dir" --no-same-owner || fail source "The source archive cannot be unpacked."
  remove_ignored "$build_dir"
  for n in "${!names[@]}"; do unpack "$n"; done
  announce
  stage detect
  used=()
  if [[ $mode == detect ]]; then
    choose
  else
    for n in "${!names[@]}"; do
      detect "$n" || incompatible "$n"
      run_pack "$n"
    done
  fi
  printf '%s\n' "${used[@]}" > "$out/used"
  release
  for n in "${used[@]}"; do report "$n"; done
  end_leftovers
  copy_procfile
  if [[ -f $build_dir/app.json ]]; then head -c 262144 "$build_dir/app.json" > "$out/app.json" || true; fi
  stage pack
  pack_slug
  stage end
}

# The daemon starts this script before all of /sluice/in is there. It says when it is; without a word it has died.
wait_at_gate() {
  local word=
  read -r word < "$in/gate" || true
  [[ $word == open ]] || exit 1
}

# When it began, for the daemon's log.
stage() { echo "$EPOCHREALTIME $1" >> "$out/stages"; }

fail() {
  note_memory
  printf '%s\n%s' "$1" "${2-}" > "$out/failure"
  exit 1
}

# The kernel ends the process that it pleases, which need not be one whose end anybody sees. cgroup v1 and v2.
note_memory() {
  if grep -qs '^oom_kill [1-9]' /sys/fs/cgroup/memory/memory.oom_control /sys/fs/cgroup/memory.events; then echo out > "$out/memory"; fi
}

# What a buildpack has left running would change the slug while it is packed: all but this shell and pid 1.
end_leftovers() {
  kill -KILL -1 2> /dev/null || true
}

# A line of ours. The daemon makes of the first byte what it takes to begin one: a buildpack's output may have ended within a line.
say() {
  printf '\036%s\n' "$1"
}

# Archives from the web may have one folder around everything. Executable bits get lost on the way; a buildpack may write to its own folder.
unpack() {
  local pack=$packs/$1 inner
  mkdir -p "$pack"
  if [[ -d $in/packs/$1 ]]; then
    cp -R "$in/packs/$1/." "$pack"
  else
    tar -xvf "$in/packs/$1.tar" -C "$pack" --no-same-owner | awk -v most="$most_files" 'NR > most { exit 3 }' || {
      if ((PIPESTATUS[1] == 3)); then fail buildpack "The buildpack ${names[$1]} has more than $most_files files."; fi
      fail buildpack "The buildpack ${names[$1]} cannot be unpacked."
    }
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
  if [[ $mode == detect ]]; then
    say '-----> Determining which buildpack to use for this app'
  elif ((${#names[@]} == 1)); then
    say "-----> Using buildpack: ${names[0]}"
  else
    say '-----> Using buildpacks:'
    for n in "${!names[@]}"; do say "       $((n + 1)). ${names[n]}"; done
  fi
}

# Exactly the names that Heroku's builds have (the official buildpacks' specs list them); config vars are files in the env dir only.
# Scripts are called by their full path, which buildpacks take apart to find their own folder.
# To be called in a subshell, by functions without stderr: the shell would print there that a script was killed, with this command.
in_pack() {
  local n=$1
  shift
  cd "$packs/$n"
  exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/app DYNO=run.1 STACK="$stack" \
    REQUEST_ID="$build_id" ${version:+"SOURCE_VERSION=$version"} BUILDPACK_LOG_FILE=/dev/null "$@" < /dev/null
}

detect() {
  (in_pack "$1" "$packs/$1/bin/detect" "$build_dir" > "$detected/name.$1" 2> "$detected/error.$1")
} 2> /dev/null

choose() {
  for n in "${!names[@]}"; do
    if detect "$n"; then
      run_pack "$n"
      return
    fi
  done
  local manifest
  for manifest in heroku.yml Dockerfile ''; do [ ! -f "$build_dir/$manifest" ] || break; done
  fail undetected "$manifest"
}

# What detect said on stderr follows as it is, up to its last line feed.
incompatible() {
  printf 'incompatible\n%s\n' "${names[$1]}" > "$out/failure"
  head -c 16384 "$detected/error.$1" >> "$out/failure"
  exit 1
}

# The exports of earlier buildpacks are bash, to be sourced before the compile of later ones; `--` parts them from the command.
run_pack() {
  local n=$1 name exports=() i
  stage compile
  name=$(head -c 200 "$detected/name.$n" | head -n 1)
  say "----->${name:+ $name} app detected"
  printf '%s' "$name" > "$out/description"
  for i in "${used[@]}"; do exports+=("$packs/$i/export"); done
  if ! (in_pack "$n" bash -c 'while [[ $1 != -- ]]; do [[ -f $1 ]] && source "$1"; shift; done; shift; exec "$@"' compile \
    "${exports[@]}" -- "$packs/$n/bin/compile" "$build_dir" "$cache_dir" "$env_dir") 2>&1; then
    report "$n"
    fail compile "$name"
  fi
  used+=("$n")
} 2> /dev/null

# Optional; of several only the last one counts, whichever buildpack has it.
release() {
  local n last=
  : > "$out/release.yml"
  for n in "${used[@]}"; do
    if [[ -f $packs/$n/bin/release ]]; then last=$n; fi
  done
  [[ -n $last ]] || return 0
  (in_pack "$last" "$packs/$last/bin/release" "$build_dir") 2> "$detected/error.$last" | head -c 65536 > "$out/release.yml" ||
    fail release "$(head -n 1 "$detected/name.$last")"$'\n'"$(head -c 16384 "$detected/error.$last")"
} 2> /dev/null

# Statistics that buildpacks offer; never shown, never fatal.
report() {
  if [[ -f $packs/$1/bin/report ]]; then
    (in_pack "$1" timeout 10 "$packs/$1/bin/report" "$build_dir" "$cache_dir" "$env_dir") || true
  fi
} > /dev/null 2>&1

# As it is after all buildpacks; a byte more than the daemon takes tells it that there is more.
copy_procfile() {
  find "$build_dir" -mindepth 1 -maxdepth 1 -iname procfile -printf '%Y %f\n' | head -n 10 > "$out/procfiles"
  if [[ -f $build_dir/Procfile ]]; then head -c 262145 "$build_dir/Procfile" > "$out/Procfile" || true; fi
}

# Names get `./app` in front; the targets of symbolic links (flag S) stay as they are.
# Sorted, so that the same files make the same archive. They keep their times: static servers tell browsers by them what has changed, and
# Python whether what it compiled still holds. Only the top folder's, which nobody sees in a dyno, would always be another one.
pack_slug() {
  touch -d @0 "$build_dir"
  local transform='s,^\.\(/\|$\),./app\1,S'
  tar -C "$build_dir" --sort=name --numeric-owner --transform "$transform" -cf - . 2> "$detected/error" |
    zstd -3 -T0 -q -o "$out/archive.tmp" || fail pack "$(head -c 2000 "$detected/error")"
  mv "$out/archive.tmp" "$out/archive.tar.zst"
}

main
