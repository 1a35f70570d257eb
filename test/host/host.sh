#!/bin/bash
# Makes $1/host.tar: a Debian with systemd as its first process and no Node.js, of release $2. trixie has what Sluice's own packages are; bookworm has
# nothing. Reads $1/sources.
set -euo pipefail

# Hardware and kernel, which are those below, and what comes by the clock.
masked=(systemd-modules-load.service systemd-sysctl.service systemd-udevd.service systemd-remount-fs.service systemd-logind.service
  systemd-firstboot.service getty.target dev-hugepages.mount sys-fs-fuse-connections.mount sys-kernel-debug.mount sys-kernel-tracing.mount
  sys-kernel-config.mount dev-mqueue.mount apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer
  systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service systemd-network-generator.service e2scrub_all.timer systemd-journal-catalog-update.service ldconfig.service)
case $2 in
  trixie)
    packages=systemd,systemd-sysv,dbus,ca-certificates,curl,docker-registry,git,iproute2,iptables,nftables,procps,util-linux,zstd
    # The first would take the API's port, as on every machine; the second would flush the rules of the network, which is this machine's, the engine's
    # among them.
    masked+=(docker-registry.service nftables.service)
    ;;
  bookworm) packages=systemd,systemd-sysv,dbus,iproute2,procps ;;
esac

echo "host: fetching and unpacking a Debian ($2) with systemd, for tests"
mmdebstrap --quiet --mode=root --variant=minbase --skip=check/empty \
  --keyring=/usr/share/keyrings/debian-archive-keyring.gpg --dpkgopt=force-unsafe-io \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --include="$packages" \
  --customize-hook="$(printf 'ln -sf /dev/null "$1/etc/systemd/system/%s"; ' "${masked[@]}")rm -f \"\$1/etc/machine-id\" \"\$1/etc/hostname\"" \
  "$2" "$1/host.tar" "$1/sources" >"$1/log" 2>&1 || { tail -n 15 "$1/log" >&2; exit 1; }
