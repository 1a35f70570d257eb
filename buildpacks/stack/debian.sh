#!/bin/bash
# Makes the two layers of a Debian 13 stack: $1/run.tar, a whole root file system, and $1/build.tar, what the build image
# adds to it. Reads $1/{sources,run.packages,build.packages}. Runs in mount and pid namespaces of its own, so that
# however it ends no mount and no process is left.
set -euo pipefail

work=$1 root=$1/root log=$1/log
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
# As Ubuntu's own images, on which Heroku's stand: no manuals, but every licence.
lean=(path-exclude=/usr/share/doc/'*' path-include=/usr/share/doc/'*'/copyright
  path-exclude=/usr/share/man/'*' path-exclude=/usr/share/groff/'*' path-exclude=/usr/share/info/'*'
  path-exclude=/usr/share/lintian/'*' path-exclude=/usr/share/locale/'*' path-include=/usr/share/locale/locale.alias)
# Nothing here survives a crash of the host: the images are made in the engine, whole or not at all.
unsafe=force-unsafe-io

say() { printf 'stack: [%3ds] %s\n' "$SECONDS" "$*"; }
names() { tr '\n' , <"$1" | sed 's/,$//'; }
installed() { grep -c '^Status: install ok installed' "$root/var/lib/dpkg/status"; }

make_run() {
  say "fetching and unpacking Debian 13 with $(wc -l <"$work/run.packages") packages of Heroku's run image"
  mmdebstrap --quiet --mode=root --variant=minbase --format=directory --skip=cleanup/apt/lists,check/empty \
    --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    "${lean[@]/#/--dpkgopt=}" --dpkgopt="$unsafe" --include="$(names "$work/run.packages")" \
    --customize-hook='echo "en_US.UTF-8 UTF-8" >>"$1/etc/locale.gen" && chroot "$1" locale-gen' \
    trixie "$root" "$work/sources" >>"$log" 2>&1
  sed -i "/$unsafe/d" "$root"/etc/dpkg/dpkg.cfg.d/* 
  chroot "$root" groupadd --gid 1000 heroku
  chroot "$root" useradd --uid 1000 --gid 1000 --home-dir /app --shell /bin/bash --no-create-home heroku
  install -d -o 1000 -g 1000 "$root/app"
  # Heroku's prompt. It cannot come from the dyno's environment: the shell that starts a command drops PS1.
  printf '%s\n' 'PS1='"'"'\[\033[01;34m\]\w\[\033[00m\] \[\033[01;32m\]$ \[\033[00m\]'"'" >"$root/etc/bash.bashrc"
  # Host keys are for each machine to make, and never for an image.
  rm -rf "$root"/etc/ssh/ssh_host_* "$root"/usr/lib/ssl/cert.pem "$root"/var/log/*.log "$root"/var/log/apt/*
  say "packing the run image ($(installed) packages)"
  pack run.tar . 
}

make_build() {
  say "adding $(wc -l <"$work/build.packages") packages of Heroku's build image"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs tmpfs "$root/run"
  cp /etc/resolv.conf "$root/run/resolv.conf"
  touch "$root/etc/resolv.conf"
  mount --bind "$root/run/resolv.conf" "$root/etc/resolv.conf"
  cp /etc/ssl/certs/ca-certificates.crt "$root/run/ca.pem" 2>>"$log" || true
  paths >"$work/before"
  touch "$work/marker"
  xargs chroot "$root" apt-get install -y --no-install-recommends -o Dpkg::Options::="--$unsafe" \
    -o Dpkg::Use-Pty=0 -o Acquire::https::CAInfo=/run/ca.pem <"$work/build.packages" >>"$log" 2>&1
  rm -rf "$root"/var/log/*.log "$root"/var/log/apt/*
  say "packing the build image ($(installed) packages)"
  paths >"$work/after"
  pack build.tar --no-recursion --null --verbatim-files-from --files-from=<(added) --files-from=<(removed)
}

# Everything below the root file system that belongs into an image, NUL-terminated, sorted.
paths() { (cd "$root" && find . -xdev "${outside[@]}" -print0 | sort -z); }
outside=('(' -path './var/lib/apt/lists/*' -o -path './var/cache/apt/*' -o -path './tmp/*' -o -path './run/*'
  -o -path ./etc/resolv.conf -o -path ./etc/hostname ')' -prune -o)

added() { (cd "$root" && find . -xdev "${outside[@]}" -cnewer "$work/marker" -print0); }

# A layer takes a file away by an empty one named .wh.NAME beside it.
removed() {
  comm -z -23 "$work/before" "$work/after" | while IFS= read -r -d '' path; do
    [ -d "$root/${path%/*}" ] || continue
    touch "$root/${path%/*}/.wh.${path##*/}"
    printf '%s\0' "${path%/*}/.wh.${path##*/}"
  done
}

pack() {
  tar -C "$root" --create --file "$work/$1" --numeric-owner --one-file-system --format=posix --xattrs --xattrs-include='security.*' \
    --exclude='./var/lib/apt/lists/*' --exclude='./var/cache/apt/*' --exclude='./tmp/*' --exclude='./run/*' \
    --exclude=./etc/resolv.conf --exclude=./etc/hostname "${@:2}" 2>>"$log"
}

trap 'code=$?; [ $code = 0 ] || { echo "stack: the last lines of $log:"; tail -n 15 "$log"; }' EXIT
make_run
make_build
