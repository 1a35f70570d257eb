#!/usr/bin/env bash
# Makes a Debian machine ready for Sluice: packages, the build, a container engine, the stack images. Every step looks first and does
# only what is missing, so that repeating it is quick and harmless. Usage: setup.sh [--for=demo|start|test]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

purpose=start
for argument; do
  case $argument in
    --for=demo | --for=start | --for=test) purpose=${argument#--for=} ;;
    *) echo "setup: unknown argument $argument; use --for=demo, --for=start or --for=test" >&2; exit 2 ;;
  esac
done
data=${SLUICE_DATA:-.sluice}
socket=${SLUICE_ENGINE:-/var/run/docker.sock}
stamps=node_modules/.sluice

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
# Runs a step that takes long, tells how long it took, and shows the end of its output only when it fails.
step() {
  local title=$1 started=$SECONDS log=$data/setup.log
  shift
  say "$title ..."
  if ! "$@" >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    return 1
  fi
  say "$title: done in $((SECONDS - started)) s"
}

check_machine() {
  [ "$(uname -s)" = Linux ] || fail "Sluice runs on Linux; this is $(uname -s). Use a Linux machine or a virtual one."
  [ "$(id -u)" = 0 ] || fail "Root is needed to start containers and install packages. Run it again as root, for example with sudo."
  command -v node >/dev/null || fail "Node.js 20 or newer is needed and was not found. Install it, then run this again."
  local major
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 20 ] || fail "Node.js 20 or newer is needed; this is $(node --version). Install a newer one, then run this again."
  mkdir -p "$data" || fail "The data folder $data cannot be made. Set SLUICE_DATA to a folder that can be written."
  local free
  free=$(df -Pm "$data" | awk 'NR==2 {print $4}')
  [ "$free" -ge 1024 ] || fail "Only $free MB are free below $data; at least 1024 MB are needed. Free some, or set SLUICE_DATA to a larger disk."
}

missing_packages() {
  local wanted=(git:git tar:tar zstd:zstd mmdebstrap:mmdebstrap iptables:iptables)
  [ -S "$socket" ] || command -v dockerd >/dev/null || wanted+=(dockerd:docker.io)
  node -e 'require("sqlite3")' 2>/dev/null || wanted+=(python3:python3 make:make g++:g++)
  for pair in "${wanted[@]}"; do
    command -v "${pair%%:*}" >/dev/null || [ -x "/usr/sbin/${pair%%:*}" ] || echo "${pair#*:}"
  done
  [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
  [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || echo debian-archive-keyring
}

install_packages() {
  local packages
  mapfile -t packages < <(missing_packages)
  [ ${#packages[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || fail "These packages are missing and there is no apt-get to install them: ${packages[*]}. Install them by hand."
  export DEBIAN_FRONTEND=noninteractive
  local apt=(apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  step "updating the package lists" "${apt[@]}" update ||
    fail "The package lists could not be fetched. Check the network and the sources in /etc/apt, then run this again."
  step "installing ${packages[*]}" "${apt[@]}" install --no-install-recommends "${packages[@]}" ||
    fail "These packages could not be installed: ${packages[*]}. Check the network and the disk, then run this again."
}

# The hash of what a step depends on, kept beside its result.
fresh() { [ -e "$stamps/$1" ] && [ "$(cat "$stamps/$1")" = "$2" ]; }
stamp() { mkdir -p "$stamps" && printf %s "$2" >"$stamps/$1"; }

install_modules() {
  local hash
  hash=$(cat package-lock.json <(node --version) | sha256sum)
  fresh modules "$hash" && return
  # Headers that came with Node spare a download when sqlite3 is compiled.
  local prefix
  prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
  [ -e "$prefix/include/node/node.h" ] && export npm_config_nodedir=$prefix
  step "installing npm packages (sqlite3 is compiled: a minute or two)" npm ci --no-audit --no-fund ||
    fail "npm could not install the packages. Check the network and npm's registry setting, then run this again."
  node -e 'require("sqlite3")' 2>/dev/null || step "compiling sqlite3" npm rebuild sqlite3 --foreground-scripts ||
    fail "The sqlite3 package could not be compiled. Its messages are above."
  stamp modules "$hash"
}

build() {
  local hash
  hash=$(find daemon router buildpacks cli test tsconfig.json package-lock.json -type f \( -name '*.ts' -o -name '*.json' \) -print0 |
    sort -z | xargs -0 sha256sum | sha256sum)
  [ -e dist/daemon/main.js ] && fresh build "$hash" && return
  rm -rf dist
  step "compiling TypeScript" npm run --silent build || fail "The TypeScript sources do not compile. The messages are above."
  stamp build "$hash"
}

answers() { [ -S "$socket" ] && curl_engine >/dev/null 2>&1; }
curl_engine() {
  node -e '
    const request = require("http").get({ socketPath: process.argv[1], path: "/_ping", timeout: 3000 }, (answer) =>
      process.exit(answer.statusCode === 200 ? 0 : 1))
    request.on("timeout", () => process.exit(1)).on("error", () => process.exit(1))' "$socket"
}

start_engine() {
  answers && return
  [ "$socket" = /var/run/docker.sock ] ||
    fail "The engine at $socket does not answer. Start it, or unset SLUICE_ENGINE to have one started."
  if [ -d /run/systemd/system ]; then
    step "starting docker.service" systemctl start docker || fail "docker.service does not start. See: journalctl -u docker"
  else
    mount_cgroups
    drop_stale_pids
    say "starting dockerd"
    setsid --fork dockerd >>"$data/engine.log" 2>&1 </dev/null
  fi
  local tries
  for ((tries = 0; tries < 150; tries++)); do
    answers && return
    sleep 0.2
  done
  tail -n 15 "$data/engine.log" >&2 2>/dev/null || true
  fail "The Docker engine did not answer within 30 seconds. Its last messages are above."
}

# Machines without an init system may have mounted no controllers.
mount_cgroups() {
  [ -e /sys/fs/cgroup/cgroup.controllers ] || [ -d /sys/fs/cgroup/memory ] && return
  mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null ||
    fail "No cgroup controllers are mounted and mounting them failed; containers cannot be limited here."
}

# A pid file that names a process of another program keeps the engine from starting.
drop_stale_pids() {
  local file pid
  for file in /var/run/docker.pid /run/docker/containerd/containerd.pid; do
    [ -e "$file" ] || continue
    pid=$(cat "$file")
    grep -qaE 'dockerd|containerd' "/proc/$pid/cmdline" 2>/dev/null || rm -f "$file"
  done
}

check_machine
install_packages
install_modules
build
start_engine
node dist/buildpacks/stack.js
[ "$purpose" = test ] || say "ready ($SECONDS s)"
