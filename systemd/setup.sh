#!/usr/bin/env bash
# Makes a Debian machine ready for Sluice: packages, the build, a container engine, the stack images. Every step looks first and does
# only what is missing, so that repeating it is quick and harmless. Usage: setup.sh [--for=demo|start|pack|test|bench]
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
cd "$(dirname "${BASH_SOURCE[0]}")/.."

purpose=start
for argument; do
  case $argument in
    --for=demo | --for=start | --for=pack | --for=test | --for=bench) purpose=${argument#--for=} ;;
    *) echo "setup: unknown argument $argument; use --for=demo, --for=start, --for=pack, --for=test or --for=bench" >&2; exit 2 ;;
  esac
done
data=${SLUICE_DATA:-.sluice}
socket=${SLUICE_ENGINE:-/var/run/docker.sock}

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
# Runs a step that takes long, tells how long it took, and shows the end of its output only when it fails: step LOG TITLE COMMAND...
step() {
  local log=$data/setup-$1.log title=$2 started=$SECONDS
  shift 2
  say "$title ..."
  if ! "$@" >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    return 1
  fi
  say "$title: done in $((SECONDS - started)) s"
}
# Runs functions at once, and ends the rest as soon as one fails. Each is a process group, so that its children end with it.
together() {
  local work
  running=()
  set -m
  for work; do
    "$work" &
    running+=($!)
  done
  set +m
  trap 'kill -- "${running[@]/#/-}" 2>/dev/null || true' EXIT
  for work; do wait -n; done
  trap - EXIT
}

check_machine() {
  [ "$(uname -s)" = Linux ] || fail "Sluice runs on Linux; this is $(uname -s). Use a Linux machine or a virtual one."
  [ "$(id -u)" = 0 ] || fail "Root is needed to start containers and install packages. Run it again as root, for example with sudo."
  command -v node >/dev/null || fail "Node.js 20.12 or newer is needed and was not found. Install it, then run this again."
  printf '%s\n' v20.12.0 "$(node --version)" | sort -VC || fail "Node.js 20.12 or newer is needed; this is $(node --version). Install a newer one, then run this again."
  mkdir -p "$data" || fail "The data folder $data cannot be made. Set SLUICE_DATA to a folder that can be written."
  local free
  free=$(df -Pm "$data" | awk 'NR==2 {print $4}')
  [ "$free" -ge 1024 ] || fail "Only $free MB are free below $data; at least 1024 MB are needed. Free some, or set SLUICE_DATA to a larger disk."
}

# The bench is a test that needs the router's peers too.
for_tests() { [ "$purpose" = test ] || [ "$purpose" = bench ]; }

missing_packages() {
  local wanted=(git:git tar:tar zstd:zstd mmdebstrap:mmdebstrap iptables:iptables setpriv:util-linux nft:nftables)
  registry_there || wanted+=(docker-registry:docker-registry)
  ! for_tests ||
    wanted+=(ssh:openssh-client tmux:tmux rsyslogd:rsyslog curl:curl openssl:openssl pebble:pebble nginx:nginx-light shellcheck:shellcheck
      ip:iproute2 zsh:zsh fish:fish ignition-validate:ignition)
  [ "$purpose" != bench ] || wanted+=(haproxy:haproxy caddy:caddy wrk:wrk h2load:nghttp2-client taskset:util-linux)
  # Tests start engines of their own, too.
  command -v dockerd >/dev/null || { ! for_tests && answers; } || wanted+=(dockerd:docker.io)
  modules_match || wanted+=(python3:python3 make:make g++:g++)
  for pair in "${wanted[@]}"; do
    command -v "${pair%%:*}" >/dev/null || echo "${pair#*:}"
  done
  ! for_tests || compgen -G '/usr/lib/*/rsyslog/lmnsd_gtls.so' >/dev/null || echo rsyslog-gnutls
  [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
  [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || echo debian-archive-keyring
}

# For images that are pushed; one that was named to the daemon runs elsewhere, or not at all.
registry_there() { [ -n "${SLUICE_REGISTRY:-}" ] || command -v docker-registry || command -v registry; } >/dev/null

# The package starts a service on port 5000, which is the API's; the daemon runs a registry of its own.
without_service() {
  local unit=/etc/systemd/system/docker-registry.service options=/etc/default/docker-registry
  [[ " ${packages[*]} " == *" docker-registry "* ]] || return 0
  mkdir -p "${unit%/*}"
  [ -e "$unit" ] || ln -s /dev/null "$unit"
  # The script of machines without systemd reads this before it looks at what it was told.
  [ -e "$options" ] || echo '[ "$1" != start ] || exit 0 # started by Sluice, not here' >"$options"
}

install_packages() {
  [ ${#packages[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || fail "These packages are missing and there is no apt-get to install them: ${packages[*]}. Install them by hand."
  export DEBIAN_FRONTEND=noninteractive
  local apt=(apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  step apt "updating the package lists" update_lists ||
    fail "The package lists could not be fetched. Check the network and the sources in /etc/apt, then run this again."
  without_service
  step apt "installing ${packages[*]}" "${apt[@]}" install --no-install-recommends "${packages[@]}" ||
    fail "These packages could not be installed: ${packages[*]}. Check the network and the disk, then run this again."
}

# apt waits for its other locks, and not for that of the lists, which a new machine's own timer holds for a while.
update_lists() {
  local until=$((SECONDS + 300)) said
  until said=$("${apt[@]}" update 2>&1); do
    [[ $said == *'Could not get lock'* && $SECONDS -lt $until ]] || { echo "$said"; return 1; }
    sleep 2
  done
}

# Whether node_modules holds what the lock file names; what is for other platforms may be absent.
modules_fetched() {
  node -e '
    const packages = (path) => JSON.parse(require("fs").readFileSync(path, "utf8")).packages
    const [wanted, there] = [packages("package-lock.json"), packages("node_modules/.package-lock.json")]
    for (const [path, { version, optional }] of Object.entries(wanted))
      if (path && !optional && there[path]?.version !== version) process.exit(1)' 2>/dev/null
}
modules_match() { modules_fetched && node -e 'require("sqlite3")' 2>/dev/null; }

fetch_modules() {
  modules_fetched && return
  step npm "fetching npm packages" npm ci --ignore-scripts --prefer-offline --no-audit --no-fund ||
    fail "npm could not install the packages. Check the network and npm's registry setting, then run this again."
}

compile_modules() {
  modules_match && return
  # Headers that came with Node spare a download.
  local prefix
  prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
  [ ! -e "$prefix/include/node/node.h" ] || export npm_config_nodedir=$prefix
  step sqlite3 "compiling sqlite3 (about two minutes)" npm rebuild ||
    fail "npm could not compile sqlite3. See $data/setup-sqlite3.log, and try: npm rebuild sqlite3"
  modules_match || fail "The npm packages are there, but sqlite3 does not load. See $data/setup-sqlite3.log, and try: npm rebuild sqlite3"
}

build() {
  local hash
  hash=$(find daemon router buildpacks cli test tsconfig.json package-lock.json -type f \( -name '*.ts' -o -name '*.json' \) -print0 |
    sort -z | xargs -0 sha256sum | sha256sum)
  [ "$(cat dist/.sources 2>/dev/null)" = "$hash" ] && return
  [ -e dist/.sources ] || rm -rf dist
  rm -f dist/.sources
  step build "compiling TypeScript" npm run --silent build || fail "The TypeScript sources do not compile. The messages are above."
  printf %s "$hash" >dist/.sources
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
    step engine "starting docker.service" systemctl start docker || fail "docker.service does not start. See: journalctl -u docker"
  else
    start_dockerd
    return
  fi
  local tries
  for ((tries = 0; tries < 150; tries++)); do
    answers && return
    sleep 0.2
  done
  fail "docker.service is up, but $socket did not answer within 30 seconds. See: journalctl -u docker"
}

# Live restore: containers go on when the engine is killed, upgraded or restarted, and are found again. A machine with settings of its
# own for the engine keeps to them.
start_dockerd() {
  local log=$data/engine.log pid waited flags=(--live-restore --userland-proxy=false)
  [ ! -e /etc/docker/daemon.json ] || flags=()
  mount_cgroups
  drop_stale_pids
  say "starting the Docker engine (log: $log)"
  setsid dockerd "${flags[@]}" >>"$log" 2>&1 </dev/null 9>&- &
  pid=$!
  for ((waited = 0; waited < 300; waited++)); do
    answers && return
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  tail -n 15 "$log" >&2
  fail "The Docker engine did not start. Its last messages are above; the whole log is $log."
}

# Machines without an init system may have mounted no controllers.
mount_cgroups() {
  [ -e /sys/fs/cgroup/cgroup.controllers ] || [ -d /sys/fs/cgroup/memory ] && return
  local controller
  mount -t tmpfs cgroup /sys/fs/cgroup || fail "Control groups cannot be mounted here, so containers could not be limited. Use a virtual machine."
  for controller in $(awk '$4 == 1 { print $1 }' /proc/cgroups 2>/dev/null); do
    mkdir -p "/sys/fs/cgroup/$controller"
    mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller" 2>/dev/null || rmdir "/sys/fs/cgroup/$controller"
  done
  [ -d /sys/fs/cgroup/memory ] || mount -t cgroup2 cgroup2 /sys/fs/cgroup ||
    fail "The kernel offers no memory controller, so containers could not be limited. Use another kernel."
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

# Two at once would install and compile into the same folders.
take_turns() {
  exec 9>"$data/setup.lock"
  flock --nonblock 9 && return
  say "another set-up is running; waiting for it"
  flock 9
}

make_images() {
  [ "$purpose" != pack ] || return 0
  start_engine
  node dist/buildpacks/stack/main.js "$socket"
  [ "$purpose" != test ] || node dist/test/host/image.js "$socket"
}

check_machine
take_turns
mapfile -t packages < <(missing_packages)
together install_packages fetch_modules
build
# The one needs a compiler and a core for long, the other the network and a disk.
together compile_modules make_images
for_tests || say "ready ($SECONDS s)"
