#!/usr/bin/env bash
# Installs, upgrades or removes Sluice on a machine with systemd: Debian, Ubuntu, Fedora CoreOS, Flatcar. Every step looks first and does
# only what is missing, so whatever interrupted it, running it again finishes.
#
#   release in place -> database kept -> current points to it -> daemon ready -> router handed over -> done
#                                              |                     |                 |
#                                              +---------------------+-----------------+--> back: the same steps to the release before
#
# /opt/sluice/upgrading leads to the release before, from when its database is kept until the new one serves or it is back. Once a daemon has
# been ready since then, its rows count, and nothing goes back to before them.
set -euo pipefail
umask 022
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin

root=/opt/sluice
settings=/etc/sluice/sluice.env
# From an installation with --key on, releases must be signed by it.
signer=${settings%/*}/release.pub
units=/etc/systemd/system
command=/usr/local/bin/sluice
# Flatcar's /usr is read-only.
[ -w /usr/local/bin ] || command=/opt/bin/sluice
tree=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")

usage() {
  cat <<'TEXT'
Usage: install.sh [ARCHIVE [--key=FILE]] [--domain=NAME] [--api=NAME] [--yes] [--dry-run]
       install.sh --remove [--purge] [--yes] [--dry-run]

Installs the release that ARCHIVE holds, or that this script lies in; where an older one is installed, upgrades it with apps running.

  --domain=NAME  apps are served at APP.NAME (first installation; afterwards it is in /etc/sluice/sluice.env)
  --api=NAME     API and git have this name, and the ports of the apps (first installation)
  --key=FILE     takes ARCHIVE only when this public key has signed it; is kept, so that it is asked of every release from then on
  --yes          does not ask
  --dry-run      tells what would be done, and does nothing
  --remove       takes everything away but the data in /var/lib/sluice and the settings in /etc/sluice
  --purge        with --remove: these too
TEXT
}

# Nobody may be listening any more: an upgrade is not left half done for want of a terminal.
say() { printf 'sluice: %s\n' "$*" 2>/dev/null || true; }
fail() { printf 'sluice: %s\n' "$*" >&2; exit 1; }
wrong() { printf 'sluice: %s\n' "$*" >&2; exit 2; }

archive='' key='' domain='' api='' yes=false dry=false action=install purge=false
for argument; do
  case $argument in
    --yes | -y) yes=true ;;
    --dry-run) dry=true ;;
    --remove) action=remove ;;
    --purge) purge=true ;;
    --domain=*) domain=${argument#--domain=} ;;
    --api=*) api=${argument#--api=} ;;
    --key=?*) key=${argument#--key=} ;;
    --help | -h) usage; exit ;;
    -*) wrong "Unknown option $argument. See: install.sh --help" ;;
    *) [ -z "$archive" ] || wrong "One archive at a time. See: install.sh --help"; archive=$argument ;;
  esac
done
[ "$purge" = false ] || [ "$action" = remove ] || wrong "--purge goes with --remove. See: install.sh --help"
[ -z "$key" ] || [ -n "$archive" ] || wrong "--key goes with an archive, which it has signed. See: install.sh --help"
[ -z "$archive" ] || [ "$action" = install ] || wrong "--remove takes no archive. See: install.sh --help"
# https://datatracker.ietf.org/doc/html/rfc1123#section-2.1
for name in "$domain" "$api"; do
  [[ -z $name || ($name =~ ^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$ && ${#name} -le 190) ]] ||
    wrong "\"$name\" is not a domain name such as apps.example.com, in lower case."
done

# shellcheck source=systemd/signature.sh
. "$tree/systemd/signature.sh"

# What a setting of the daemon is; systemd takes quotes off.
setting() {
  local value=''
  [ ! -r "$settings" ] || value=$(sed -n "s/^$1=//p" "$settings" | tail -n 1 | sed -E "s/^([\"'])(.*)\1\$/\2/")
  printf %s "${value:-$2}"
}
# Nothing of what is no release.
manifest() { [ ! -r "$2/MANIFEST" ] || sed -n "s/^# $1 //p" "$2/MANIFEST" | head -n 1; }
release_of() { basename "$(readlink "$root/$1" 2>/dev/null || true)"; }
node() { "$tree/bin/node" "$@"; }
schema_of() { node "$tree/dist/daemon/store/snapshot.js" schema "$@"; }

confirm() {
  [ "$dry" = false ] || { say "This was only told, not done."; exit 0; }
  [ "$yes" = false ] || return 0
  [ -t 0 ] || fail "There is no terminal to ask on. If this is what you want, run it again with --yes."
  local answer
  read -rp "$1 [y/N] " answer
  [[ $answer =~ ^[Yy] ]] || fail "Nothing was done."
}

log=/run/sluice-install.log
logged() { "$@" >"$log" 2>&1 </dev/null 9>&-; }
told() { tail -n 20 "$log" >&2; }
# Runs what takes long, and shows the end of its output only when it fails.
step() {
  say "$1"
  shift
  logged "$@" || { told; return 1; }
}

# s
PATIENCE=600
# The same for what installs packages: others do so too, unattended upgrades for one, and of their locks apt waits for some only.
patiently() {
  local until=$((SECONDS + PATIENCE)) busy=''
  say "$1"
  shift
  until logged "$@"; do
    grep -qE 'Could not get lock|Transaction in progress' "$log" && [ "$SECONDS" -lt "$until" ] || return 1
    [ -n "$busy" ] || say "another program is installing; waiting for it to finish"
    busy=true
    sleep 2
  done
}

# Before looking, because another one changes what is seen. What a killed one has started may hold the lock for a while.
take_turns() {
  [ "$dry" = false ] || return 0
  exec 9>/run/sluice-install.lock
  flock --nonblock 9 && return
  say "another install.sh is at work on this machine; waiting for it"
  flock 9
}

# --- what is there ---

from_archive() {
  [ -f "$archive" ] || fail "There is no file $archive."
  if [ -e "$signer" ]; then
    [ -z "$key" ] || cmp -s "$key" "$signer" || fail "This machine takes releases signed by the key $signer, and $key is another. If that is to be its key from now on, put it there."
    key=$signer
  fi
  local work copy arguments=("--domain=$domain" "--api=$api")
  work=$(mktemp -d /var/tmp/sluice-release-XXXXXX)
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" EXIT
  mkdir "$work/fetched"
  copy=$work/fetched/${archive##*/}
  take_copy "$archive" "$work/fetched" || fail "$archive cannot be copied. Look at: df /var/tmp"
  [ -z "$key" ] || require_signature "$key" "$copy"
  [ ! -f "$copy.sha256" ] || [ "$(cut -d' ' -f1 "$copy.sha256")" = "$(sha256sum "$copy" | cut -d' ' -f1)" ] ||
    fail "$archive is not what $archive.sha256 says. Fetch both again."
  tar -xzf "$copy" -C "$work" --no-same-owner --strip-components=1 || fail "$archive cannot be unpacked. Fetch it again, and look at: df /var/tmp"
  rm -r "$work/fetched"
  [ -x "$work/install.sh" ] && [ -f "$work/MANIFEST" ] || fail "$archive is not an archive of Sluice."
  [ "$yes" = false ] || arguments+=(--yes)
  [ "$dry" = false ] || arguments+=(--dry-run)
  SLUICE_SIGNED=${key:+yes} "$work/install.sh" "${arguments[@]}"
  [ -z "$key" ] || [ "$key" -ef "$signer" ] || [ "$dry" = true ] || keep_key
}
keep_key() {
  (umask 022 && cp "$key" "$signer.part")
  sync "$signer.part"
  mv "$signer.part" "$signer"
  say "From now on only releases signed by the key $signer are installed here."
}

check_machine() {
  local glibc free folder
  [ "$(uname -s)" = Linux ] || fail "Sluice runs on Linux; this is $(uname -s)."
  [ -d /run/systemd/system ] || fail "systemd does not run on this machine. Without it: npm start, from a checkout."
  [ "$dry" = true ] || [ "$(id -u)" = 0 ] || fail "Root is needed to install. Run it again as root, for example with sudo."
  [ -n "$version" ] || fail "$tree is not an unpacked archive of Sluice. Make one with: npm run pack"
  [ "linux-$(machine)" = "$(manifest platform "$tree")" ] || fail "This archive is for $(manifest platform "$tree"); this machine is linux-$(machine)."
  glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2)
  [ -z "$glibc" ] || printf '%s\n' "$(manifest glibc "$tree")" "$glibc" | sort -VC || fail "glibc $(manifest glibc "$tree") or newer is needed; this machine has $glibc. Use a newer system."
  [ -e "$root/releases" ] || [ ! -e "$root/package.json" ] ||
    fail "There is a checkout of Sluice at $root. Stop its units and move it away (systemctl stop sluiced sluice-router; mv $root $root-checkout), then run this again: data and settings are taken over."
  [ ! -e "$settings" ] || [ "${domain:-$(setting SLUICE_DOMAIN localhost)} ${api:-$(setting SLUICE_API_HOST '')}" = "$(setting SLUICE_DOMAIN localhost) $(setting SLUICE_API_HOST '')" ] ||
    fail "$settings has other names already, as SLUICE_DOMAIN and SLUICE_API_HOST. Change them there, then: systemctl restart sluiced sluice-router"
  for folder in /opt:600 "$(dirname "$data"):1024"; do
    free=$(df -Pm "${folder%:*}" | awk 'NR==2 {print $4}')
    [ "$free" -ge "${folder#*:}" ] || fail "Only $free MB are free below ${folder%:*}; at least ${folder#*:} MB are needed. Free some, then run this again."
  done
}
# Of a first start, and before anything is changed.
check_ports() {
  ! systemctl -q is-active sluiced sluice-http.socket || return 0
  local port taken
  for port in "$(setting SLUICE_PORT 5000)" $(port_of sluice-http.socket) $(port_of sluice-https.socket); do
    taken=$(sockets | awk -v port=":$(printf %04X "$port")" '$4 == "0A" && substr($2, length($2) - 4) == port')
    [ -z "$taken" ] || fail "Port $port is taken by another program (see: ss -ltnp). Stop it, then run this again. Nothing was started."
  done
}
# The second table is not there without IPv6.
sockets() { cat /proc/net/tcp /proc/net/tcp6 2>/dev/null || true; }
# As the unit of this release has it, and drop-ins of this machine; an empty one takes back those before it.
port_of() {
  cat "$tree/systemd/$1" "$units/$1.d"/*.conf 2>/dev/null |
    awk -F= '$1 == "ListenStream" { if ($2 == "") ports = ""; else { sub(/.*:/, "", $2); ports = ports " " $2 } } END { print ports }'
}
machine() { case $(uname -m) in x86_64) echo x64 ;; aarch64) echo arm64 ;; *) uname -m ;; esac; }

check_release() {
  [ ! -e "$signer" ] || [ -n "${SLUICE_SIGNED:-}" ] || [ "$tree" -ef "$root/releases/$version" ] ||
    fail "This machine takes only releases signed by the key $signer, and whether this one is tells its archive: $root/current/install.sh ARCHIVE"
  (cd "$tree" && sha256sum --quiet --strict -c MANIFEST >/dev/null 2>&1) || fail "The release in $tree is damaged. Fetch the archive again."
  node -e 'require("sqlite3")' 2>/dev/null || (cd "$tree" && node -e 'require("sqlite3")') || fail "The release does not run on this machine. What it said is above."
  local schema
  schema=$(schema_of "$data/sluice.db") || fail "The database $data/sluice.db cannot be read."
  [ "$schema" -le "$(manifest schema "$tree")" ] || [ "$version" = "$before" ] ||
    fail "The database is from a newer Sluice (schema $schema; $version knows $(manifest schema "$tree")). Nothing was changed. Install that version, or a newer one."
  [ ! -e "$data/sluice.db" ] || key_is_there || [ -e "$data/seal.key" ] ||
    fail "The database $data/sluice.db is there, and the key that its config vars are sealed with is not. Put that back as ${settings%/*}/seal.key, then run this again. Nothing was changed."
  [ ! -e "$root/releases/$version" ] || cmp -s "$tree/MANIFEST" "$root/releases/$version/MANIFEST" ||
    fail "Another Sluice $version is installed already. Give this one a version of its own: npm run pack -- --version=X.Y.Z"
}

# Before anything is changed: apps need Docker itself, which may see the folders of this machine.
check_engine() {
  local unit
  case $(kind_of_engine) in
    docker) return ;;
    podman) fail "What answers at $engine is Podman, and Sluice needs Docker. Where Podman can go: apt-get remove podman-docker, or systemctl disable --now podman.socket. Then run this again. Nothing was changed." ;;
    snap) fail "Docker is a snap on this machine, which does not see $data. Where it can go: snap remove docker. Then run this again: Docker will be installed by apt-get. Nothing was changed." ;;
  esac
  for unit in docker.service docker.socket containerd.service; do
    [[ $(systemctl is-enabled "$unit" 2>/dev/null) != masked* ]] ||
      fail "$unit is masked, so the Docker engine may not start on this machine. If it may: systemctl unmask $unit. Then run this again. Nothing was changed."
  done
}

# Nothing when none answers. https://docs.docker.com/reference/api/engine/
kind_of_engine() {
  node -e '
    const { request } = require("http")
    const get = (path) => new Promise((resolve, reject) => {
      const asked = request({ socketPath: process.argv[1], path, timeout: 3000 }, async (answer) => {
        let text = ""
        for await (const part of answer) text += part
        resolve(JSON.parse(text))
      })
      asked.on("timeout", () => asked.destroy(new Error("no answer"))).on("error", reject).end()
    })
    Promise.all([get("/version"), get("/info")]).then(([{ Components }, { DockerRootDir }]) => {
      const podman = Components?.some(({ Name }) => Name.startsWith("Podman"))
      console.log(podman ? "podman" : DockerRootDir?.startsWith("/var/snap/") ? "snap" : "docker")
    }, () => {})' "$engine" 2>/dev/null
}
answers() { [ -n "$(kind_of_engine)" ]; }

missing_packages() {
  local wanted=(git:git tar:tar zstd:zstd setpriv:util-linux nft:nftables iptables:iptables) pair
  [ -n "$(setting SLUICE_REGISTRY '')" ] || command -v registry >/dev/null || ! command -v apt-get >/dev/null || wanted+=(docker-registry:docker-registry)
  answers || command -v dockerd >/dev/null || wanted+=(dockerd:docker.io)
  for pair in "${wanted[@]}"; do
    command -v "${pair%%:*}" >/dev/null || echo "${pair#*:}"
  done
  [ -e /etc/ssl/certs/ca-certificates.crt ] || [ -e /etc/pki/tls/certs/ca-bundle.crt ] || echo ca-certificates
}

units_of() { find "$1/systemd" -maxdepth 1 \( -name '*.service' -o -name '*.socket' \) -printf '%f\n' 2>/dev/null | sort; }

same_units() {
  local unit
  for unit in $(units_of "$tree"); do
    cmp -s "$tree/systemd/$unit" "$units/$unit" && systemctl -q is-enabled "$unit" && systemctl -q is-active "$unit" || return 1
  done
}

tell_plan() {
  local what="installed"
  [ -z "$current" ] || [ "$current" = "$version" ] || what="put in place of $current, with apps running"
  [ -z "$interrupted" ] || what="put in place; an upgrade from $interrupted was interrupted"
  say "Sluice $version will be $what:"
  say "  release    $root/releases/$version, with its own Node.js $(manifest node "$tree")"
  [ ${#packages[@]} = 0 ] || say "  packages   ${packages[*]}"
  answers || systemctl -q is-active docker || say "  engine     docker.service, started now and whenever this machine starts"
  [ -n "$current" ] || say "  stacks     the images that apps are built and run on: fetched, or, where no image hub is reached, made of Debian's packages (mmdebstrap and debian-archive-keyring are installed then)"
  say "  units      $(units_of "$tree" | tr '\n' ' ')in $units"
  if [ -e "$settings" ]; then say "  settings   $settings, as they are"; else say "  settings   $settings: apps at APP.${domain:-localhost}, API and git at ${api:-port 5000 of this machine}"; fi
  key_is_there || say "  key        ${settings%/*}/seal.key, which seals config vars: keep a copy elsewhere"
  [ ! -e "$data/sluice.db" ] || [ "$current" = "$version" ] || say "  database   $data/sluice.db; as it is now it is kept in $kept"
  say "  data       $data"
}

# --- doing it ---

put_release() {
  local release=$root/releases/$version part=$root/releases/.$version.part
  mkdir -p "$root/releases"
  if ! [ "$tree" -ef "$release" ]; then
    rm -rf "$root"/releases/.*.part
    cp -R --preserve=mode,links,timestamps "$tree" "$part" || fail "The release could not be copied to $root. Look at: df $root"
    chmod 755 "$part"
    ! command -v restorecon >/dev/null || restorecon -RF "$part"
    sync -f "$part"
    [ ! -e "$release" ] || { mv "$release" "$root/releases/.old.part"; }
    mv -T "$part" "$release"
    rm -rf "$root/releases/.old.part"
    tree=$release
  fi
}

install_packages() {
  [ ${#packages[@]} -gt 0 ] || return 0
  if command -v apt-get >/dev/null; then
    apt_install
  elif command -v rpm-ostree >/dev/null; then
    # Fedora has other names.
    local names=("${packages[@]/#git/git-core}")
    patiently "layering ${packages[*]}" rpm-ostree install --assumeyes --idempotent --apply-live "${names[@]/#docker.io/moby-engine}" ||
      { told; fail "rpm-ostree could not install: ${packages[*]}. Why is above. Then run this again."; }
  else
    fail "These are missing, and there is no apt-get to install them: ${packages[*]}. Install them, then run this again."
  fi
}

# Nothing is removed for them, and of files that somebody has made or changed none is replaced.
apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  local lists apt=(apt-get -q -y -o Acquire::Retries=3)
  # A mirror that others put here may be away: what matters is whether the packages come.
  patiently "updating the package lists" "${apt[@]}" update || true
  lists=$(grep -E '^[EW]:' "$log" || true)
  without_registry_service
  with_live_restore
  patiently "installing ${packages[*]}" "${apt[@]}" -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
    install --no-install-recommends --no-remove "${packages[@]}" && return
  told
  ! grep -q 'remove is disabled' "$log" ||
    fail "These packages stand in the way of ${packages[*]}: $(would_go). Where they can go, remove them by apt-get remove, then run this again. Nothing was installed or removed."
  [ -z "$lists" ] || printf '%s\n' "$lists" | tail -n 5 >&2
  fail "These packages could not be installed: ${packages[*]}. Why is above; see to the network and the sources in /etc/apt, then run this again."
}
would_go() { sed -n '/^The following packages will be REMOVED/,/^[^ ]/ s/^  *//p' "$log" | xargs; }

# The package starts a service on the API's port; the daemon runs a registry of its own.
without_registry_service() {
  [[ " ${packages[*]} " == *" docker-registry "* ]] && [ ! -e "$units/docker-registry.service" ] || return 0
  ln -s /dev/null "$units/docker-registry.service"
}

# Dynos run on while the engine is restarted or upgraded. One that has settings, or runs already, keeps to what it has.
with_live_restore() {
  [ ! -e /etc/docker/daemon.json ] && ! answers || return 0
  mkdir -p /etc/docker
  # half of it would keep the engine from starting
  echo '{ "live-restore": true, "userland-proxy": false }' >/etc/docker/.sluice.part
  sync /etc/docker/.sluice.part
  mv /etc/docker/.sluice.part /etc/docker/daemon.json
}

start_engine() {
  answers && return
  with_live_restore
  systemctl enable --now docker || fail "The Docker engine does not start. See: journalctl -u docker"
  local tries
  for ((tries = 0; tries < 60; tries++)); do
    answers && return
    sleep 1
  done
  fail "docker.service is up, but $engine did not answer within a minute. See: journalctl -u docker"
}

# What the program ends with that makes them.
WANTS_PACKAGES=69
make_stacks() {
  local code=0 make=("$tree/bin/node" "$tree/dist/buildpacks/stack/main.js" "$engine")
  say "looking for the stack images, or making them (minutes, the first time)"
  logged "${make[@]}" || code=$?
  if [ $code = "$WANTS_PACKAGES" ] && command -v apt-get >/dev/null; then
    packages=(mmdebstrap debian-archive-keyring)
    install_packages
    code=0
    say "making the stack images"
    logged "${make[@]}" || code=$?
  fi
  [ $code = 0 ] || { told; fail "The stack images could not be made; why is above. Then run this again."; }
}

write_settings() {
  [ ! -e "$settings" ] || return 0
  mkdir -p "$(dirname "$settings")"
  local part=$settings.part
  (
    umask 077
    if [ -e /etc/sluice.env ]; then cat /etc/sluice.env
    else
      echo "# Settings of Sluice, one NAME=value a line: see daemon/README.md. After a change: systemctl restart sluiced sluice-router"
      printf '%s\n' "SLUICE_DOMAIN=${domain:-localhost}" SLUICE_HTTP_PORT=80 SLUICE_TLS_PORT=443 ${api:+"SLUICE_API_HOST=$api"}
    fi >"$part"
  )
  sync "$part"
  mv "$part" "$settings"
}

# As it is, or encrypted for this machine (systemd-creds).
key_is_there() { [ -e "${settings%/*}/seal.key" ] || [ -e "${settings%/*}/seal.key.cred" ]; }

# systemd hands it to the daemon. A platform that ran without has one with its data.
write_key() {
  local key
  key=${settings%/*}/seal.key
  if ! key_is_there; then
    (umask 077 && if [ -e "$data/seal.key" ]; then cat "$data/seal.key"; else head -c 32 /dev/urandom; fi >"$key.part")
    sync "$key.part"
    mv "$key.part" "$key"
  fi
}

# Somebody may have installed the command for another platform's users there (npm install --global).
put_command() {
  if [ -e "$command" ] && ! is_ours; then say "$command is not ours, and stays; that of this machine is $root/current/bin/sluice"
  else ln -sfn "$root/current/bin/sluice" "$command"; fi
}
is_ours() { [[ -L $command && $(readlink "$command") == "$root"/* ]]; }

point() {
  ln -sfn "releases/$2" "$root/.$1" && mv -T "$root/.$1" "$root/$1"
}

# The units of a release in place of those of all others.
lay_units() {
  local release=$root/releases/$1 unit other
  for other in "$root"/releases/*; do
    for unit in $(units_of "$other"); do
      [ -e "$release/systemd/$unit" ] || [ ! -e "$units/$unit" ] || { systemctl -q disable --now "$unit"; rm -f "$units/$unit"; }
    done
  done
  for unit in $(units_of "$release"); do
    cmp -s "$release/systemd/$unit" "$units/$unit" || { cp "$release/systemd/$unit" "$units/.$unit" && mv "$units/.$unit" "$units/$unit"; } || return 1
  done
  lay_lists "$release" && systemctl daemon-reload && units_of "$release" | xargs systemctl -q enable 2>/dev/null
}

lay_lists() {
  local kind
  for kind in sysusers tmpfiles; do
    [ -e "$1/systemd/sluice.$kind" ] || continue
    mkdir -p "/etc/$kind.d" && cp "$1/systemd/sluice.$kind" "/etc/$kind.d/sluice.conf" || return 1
  done
  ! [ -e /etc/sysusers.d/sluice.conf ] || systemd-sysusers /etc/sysusers.d/sluice.conf || return 1
  ! [ -e /etc/tmpfiles.d/sluice.conf ] || systemd-tmpfiles --create /etc/tmpfiles.d/sluice.conf || return 1
  take_over_data
}

# Of a daemon that ran as root. Trees of dynos are theirs. What is in the folder itself comes last, so that a part of it is seen.
take_over_data() {
  [ -d "$data" ] && id sluice >/dev/null 2>&1 || return 0
  is_of_root || return 0
  # What goes meanwhile, in dynos that run, is no fault.
  find "$data" -depth -user root -exec chown -h sluice:sluice {} + 2>/dev/null || ! is_of_root
}
is_of_root() { [ -n "$(find "$data" -mindepth 1 -maxdepth 1 -user root ! -name lost+found -print -quit)" ]; }

# systemd says when it is ready: the API answers, and every app had its look. A start that goes on may take 15 minutes. s.
READY=960
start_daemon() { timeout "$READY" systemctl start sluiced && systemctl -q is-active sluiced; }

# In place of the router that serves comes one of the release, which takes over its connections.
HANDED=90
hand_over() {
  local waited
  systemctl -q is-active sluice-router || { timeout "$READY" systemctl start sluice-http.socket sluice-https.socket sluice-router; return; }
  router_is "$1" && return
  systemctl reload sluice-router || return 1
  for ((waited = 0; waited < HANDED * 5; waited++)); do
    router_is "$1" && systemctl -q is-active sluice-router && return
    sleep 0.2
  done
  return 1
}
router_is() { [ "$(readlink "/proc/$(systemctl show -P MainPID sluice-router)/exe")" = "$root/releases/$1/bin/node" ]; }

switch_to() {
  point current "$1" && touch "$root/releases/$1" && lay_units "$1" && start_daemon && hand_over "$1" && [ "$(systemctl show -P NRestarts sluiced)" = 0 ]
}

# What a program wrote last may come to the journal after its end.
last_words() {
  journalctl --sync 2>/dev/null || true
  journalctl -q --no-pager -o cat -n 15 -u sluiced -u sluice-router --since "@$began" 2>/dev/null | sed 's/^/    /' >&2 || true
}

install_first() {
  point current "$version"
  lay_units "$version" || fail "The units could not be put in place. See: systemctl status sluiced"
  check_ports
  say "starting"
  # The sockets first: they want their ports of all addresses, and the daemon may have 80 of one (SLUICE_EXEC_HOST).
  if ! systemctl start sluice-http.socket sluice-https.socket || ! start_daemon || ! hand_over "$version"; then
    # One that serves goes on.
    [ -n "$current" ] || systemctl stop sluiced sluice-router sluice-http.socket sluice-https.socket || true
    last_words
    fail "Sluice does not start; its last words are above. Mend what they say, then run this again."
  fi
  finish
}

upgrade() {
  # A lost connection must not leave the daemon stopped.
  trap '' HUP INT TERM PIPE
  if [ -z "$before" ]; then
    before=$current
    say "stopping the daemon of $before; apps are served on"
    systemctl stop sluiced || fail "The daemon of $before does not stop. See: journalctl -u sluiced"
    keep_database || not_kept "$before"
    point upgrading "$before"
  else
    systemctl stop sluiced || true
    # Where nothing was migrated yet, the rows of now are those to come back to.
    [ "$(schema_of "$data/sluice.db")" != "$(schema_of "$kept")" ] || keep_database || not_kept "$(release_of current)"
  fi
  [ "$version" != "$before" ] || { go_back && finish && return; fail "$before does not run. See: journalctl -u sluiced -u sluice-router"; }
  say "starting the daemon of $version, then handing over to its router"
  if switch_to "$version"; then finish; return; fi
  last_words
  say "$version did not come up; its last words are above. Going back to $before."
  go_back || fail "Nor does $before come up again. Its database is $kept. See: journalctl -u sluiced -u sluice-router"
  rm -f "$root/upgrading"
  fail "$version was not installed. $before runs as before, and has served all along. $put_aside"
}

# Nobody writes to it: the daemon has stopped.
keep_database() {
  [ ! -e "$data/sluice.db" ] || {
    "$root/releases/$before/bin/node" "$root/releases/$before/dist/daemon/store/snapshot.js" take "$data/sluice.db" "$kept" &&
      chown --reference="$data/sluice.db" "$kept"
  }
}

not_kept() {
  start_daemon || true
  fail "The database could not be copied to $kept. Look at: df $data. $1 runs on."
}

# Rows of the newer schema are of no use to the release that comes back; they are put aside.
go_back() {
  systemctl stop sluiced || true
  if [ -e "$kept" ] && [ "$(schema_of "$data/sluice.db")" != "$(schema_of "$kept")" ]; then
    cp --preserve=mode "$kept" "$data/sluice.db.part" && chown --reference="$data/sluice.db" "$data/sluice.db.part" && sync "$data/sluice.db.part" &&
      put_aside &&
      rm -f "$data/sluice.db-wal" "$data/sluice.db-shm" && mv "$data/sluice.db.part" "$data/sluice.db" || return 1
  fi
  switch_to "$before"
}

put_aside=''
put_aside() {
  rm -f "$aside" "$aside-wal"
  [ ! -e "$data/sluice.db-wal" ] || cp --preserve=mode,ownership "$data/sluice.db-wal" "$aside-wal" || return 1
  ln "$data/sluice.db" "$aside" && put_aside="What $version wrote into the database is in $aside."
}

# The release before and the one before that stay, and whatever a process still runs from.
OLD=2
finish() {
  rm -f "$root/upgrading"
  local old used
  used=$(readlink /proc/[0-9]*/exe 2>/dev/null || true)
  find "$root/releases" -mindepth 1 -maxdepth 1 ! -name "$(release_of current)" -printf '%T@ %f\n' | sort -rn | tail -n "+$((OLD + 1))" |
    while read -r _ old; do grep -qF "$root/releases/$old/" <<<"$used" || rm -rf "$root/releases/$old"; done
}

tell_done() {
  local name
  name=$(setting SLUICE_API_HOST '')
  if [ -n "$name" ]; then name=https://$name; else name=http://localhost:$(setting SLUICE_PORT 5000); fi
  say "Sluice $version runs. API and git: $name; apps: http://APP.$(setting SLUICE_DOMAIN localhost)"
  say "On this machine, as root:  sluice init, for names, certificates, a password, a laptop, a first app; sluice status; sluice doctor"
  say "Settings: $settings"
}

install() {
  version=$(manifest version "$tree")
  check_machine
  take_turns
  current=$(release_of current)
  interrupted=$(release_of upgrading)
  before=$interrupted
  ! systemctl -q is-active sluiced || before=''
  check_release
  check_engine
  check_ports
  mapfile -t packages < <(missing_packages)
  if [ "$current" = "$version" ] && [ -z "$interrupted" ] && [ ${#packages[@]} = 0 ] && [ -e "$command" ] && same_units && router_is "$version"; then
    say "Sluice $version is installed, and runs. There is nothing to do."
    return
  fi
  tell_plan
  confirm "Go on?"
  began=$(date +%s)
  install_packages
  start_engine
  put_release
  make_stacks
  write_settings
  write_key
  mkdir -p "$(dirname "$command")"
  put_command
  [ -n "$before" ] || rm -f "$root/upgrading"
  if [ -n "$before" ] || { [ -n "$current" ] && [ "$current" != "$version" ]; }; then upgrade; else install_first; fi
  tell_done
}

# --- and back ---

remove() {
  local installation unit
  [ "$dry" = true ] || [ "$(id -u)" = 0 ] || fail "Root is needed to remove. Run it again as root, for example with sudo."
  take_turns
  [ -e "$root/current" ] || [ "$purge" = true ] || { say "Sluice is not installed. Data: $data; settings: $(dirname "$settings")."; return; }
  say "Sluice will be removed: its units, users and $root; all apps end, and their containers, networks and images go."
  if [ "$purge" = true ]; then say "ALL DATA GOES TOO: $data and $(dirname "$settings"). Nothing brings it back."; fi
  confirm "Go on?"
  tree=$root/current
  for unit in $(units_of "$tree"); do systemctl -q disable --now "$unit" 2>/dev/null || true; done
  installation=$(cat "$data/installation" 2>/dev/null || true)
  if [ -n "$installation" ] && [ -e "$tree" ]; then
    node "$tree/dist/daemon/engine/removal.js" "$engine" "$installation" || fail "The engine did not give everything up; why is above. Run this again."
  fi
  for unit in $(units_of "$tree"); do rm -f "$units/$unit"; done
  systemctl daemon-reload
  systemctl reset-failed 'sluice*' 2>/dev/null || true
  remove_users
  ! is_ours || rm -f "$command"
  rm -rf /etc/sysusers.d/sluice.conf /etc/tmpfiles.d/sluice.conf "$root"
  if [ "$purge" = true ]; then
    # It may be a disk of its own.
    [ ! -d "$data" ] || { find "$data" -mindepth 1 -delete && { rmdir "$data" 2>/dev/null || true; }; }
    rm -rf "${settings%/*}" "$units"/sluiced.service.d "$units"/sluice-{router.service,http.socket,https.socket}.d
    say "Sluice and its data are gone."
  else
    say "Sluice is gone. Left are its data, $data, and its settings, $(dirname "$settings"): installing it again brings everything back."
    say "To remove them too: rm -rf $data $(dirname "$settings")"
  fi
  say "Packages that were installed for it (git, docker.io, ...) stay, with /etc/docker: others may use them."
}

# Their numbers may be others' soon, who must not own what is left.
remove_users() {
  local name
  for name in $(awk '$1 == "u" { print $2 }' /etc/sysusers.d/sluice.conf 2>/dev/null); do
    find "$data" -depth \( -user "$name" -o -group "$name" \) -exec chown -h root:root {} + 2>/dev/null || true
  done
  for name in $(awk '$1 == "u" { print $2 }' /etc/sysusers.d/sluice.conf 2>/dev/null); do userdel "$name" 2>/dev/null || true; done
  for name in $(awk '$1 == "g" || $1 == "u" { print $2 }' /etc/sysusers.d/sluice.conf 2>/dev/null); do groupdel "$name" 2>/dev/null || true; done
}

data=$(setting SLUICE_DATA /var/lib/sluice)
engine=$(setting SLUICE_ENGINE /var/run/docker.sock)
kept=$data/before-upgrade.db
aside=$data/after-upgrade.db
if [ "$action" = remove ]; then remove
elif [ -n "$archive" ]; then from_archive
else install; fi
exit
