/** The systems whose first boot reads Ignition. */
export type System = 'fcos' | 'flatcar'

/** What an operator says of a host. */
export interface Host {
  system: System
  /** Where the first boot fetches the release, and the SHA-256 that it must have, in hex. */
  archive: { url: string; sha256: string }
  /** Apps are served at `APP.<domain>`. */
  domain: string
  sshKeys: string[]
  /** A disk that is the platform's alone; undefined: its data is on the system's. */
  disk: string | undefined
  /** When the system may reboot into its next version, for two hours: `Sun 04:00`, UTC. */
  reboot: string
  /** Further settings of the daemon. */
  settings: Record<string, string>
}

/**
 * A Butane config as far as we use it: https://coreos.github.io/butane/config-fcos-v1_4/ and config-flatcar-v1_0, which both become
 * Ignition 3.3.0.
 */
export interface Butane {
  variant: System
  version: string
  passwd: { users: { name: string; ssh_authorized_keys: string[] }[] }
  storage: { filesystems?: FileSystem[]; files: File[] }
  systemd: { units: Unit[] }
}
interface FileSystem {
  device: string
  path: string
  format: 'ext4'
  label: string
  wipe_filesystem: boolean
}
type Contents = { inline: string } | { source: string; verification: { hash: string } }
interface File {
  path: string
  mode: number
  contents: Contents
}
interface Unit {
  name: string
  enabled: boolean
  contents?: string
}

/** A host that boots into a running platform. What is installed there is what `systemd/install.sh` installs anywhere. */
export const butaneOf = (host: Host): Butane => ({
  variant: host.system,
  version: host.system === 'fcos' ? '1.4.0' : '1.0.0',
  passwd: { users: [{ name: 'core', ssh_authorized_keys: host.sshKeys }] },
  storage: {
    ...(host.disk === undefined ? {} : { filesystems: [dataOn(host.disk)] }),
    files: [archive(host), settings(host), engine, host.system === 'fcos' ? zincati(host) : locksmith(host)],
  },
  systemd: {
    units: [
      { name: 'docker.service', enabled: true },
      ...(host.disk === undefined ? [] : [mount]),
      { name: 'sluice-registry.service', enabled: true, contents: registry },
      { name: 'sluice-install.service', enabled: true, contents: install },
    ],
  },
})

const DATA = '/var/lib/sluice'
const ARCHIVE = '/opt/sluice-archive/sluice.tar.gz'

/** One that has our label is taken as it is: a host that is set up again has its data back. */
const dataOn = (device: string): FileSystem => ({
  device,
  path: DATA,
  format: 'ext4',
  label: 'sluice',
  wipe_filesystem: false,
})

const mount: Unit = {
  name: 'var-lib-sluice.mount',
  enabled: true,
  contents: `[Unit]
Description=Sluice, its data
Before=local-fs.target

[Mount]
What=/dev/disk/by-label/sluice
Where=${DATA}
Type=ext4

[Install]
RequiredBy=local-fs.target
`,
}

const archive = ({ archive: { url, sha256 } }: Host): File => ({
  path: ARCHIVE,
  mode: 0o644,
  contents: { source: url, verification: { hash: `sha256-${sha256}` } },
})

const settings = ({ domain, settings: more }: Host): File => ({
  path: '/etc/sluice/sluice.env',
  mode: 0o600,
  contents: {
    inline: Object.entries({
      SLUICE_DOMAIN: domain,
      SLUICE_HTTP_PORT: '80',
      SLUICE_TLS_PORT: '443',
      SLUICE_REGISTRY: 'http://127.0.0.1:5010',
      ...more,
    })
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  },
})

/** Dynos run on while the engine is restarted or upgraded. */
const engine: File = {
  path: '/etc/docker/daemon.json',
  mode: 0o644,
  contents: { inline: '{ "live-restore": true, "userland-proxy": false }\n' },
}

/** https://coreos.github.io/zincati/usage/updates-strategy/ */
const zincati = ({ reboot }: Host): File => {
  const [day, time] = reboot.split(' ')
  return {
    path: '/etc/zincati/config.d/55-sluice.toml',
    mode: 0o644,
    contents: {
      inline: `[updates]
strategy = "periodic"

[[updates.periodic.window]]
days = [ "${day}" ]
start_time = "${time}"
length_minutes = 120
`,
    },
  }
}

/** https://flatcar.org/docs/latest/setup/releases/update-strategies */
const locksmith = ({ reboot }: Host): File => ({
  path: '/etc/flatcar/update.conf',
  mode: 0o644,
  contents: {
    inline: `REBOOT_STRATEGY=reboot
LOCKSMITHD_REBOOT_WINDOW_START="${reboot}"
LOCKSMITHD_REBOOT_WINDOW_LENGTH=2h
`,
  },
})

/** There is no package of one here. It asks nobody who they are, so nothing but this host reaches it. */
const registry = `[Unit]
Description=Sluice, the images that are pushed to it
After=docker.service
Requires=docker.service

[Service]
ExecStartPre=-/usr/bin/docker rm -f sluice-registry
ExecStart=/usr/bin/docker run --rm --name sluice-registry -p 127.0.0.1:5010:5000 -v /var/lib/sluice-registry:/var/lib/registry \\
  -e REGISTRY_HTTP_RELATIVEURLS=true -e REGISTRY_STORAGE_DELETE_ENABLED=true registry:2
ExecStop=/usr/bin/docker stop sluice-registry
Restart=always
RestartSec=10

[Install]
WantedBy=multi-user.target
`

/** Once: the archive goes when it is installed. Until then it is tried again, because at the first boot much is not there yet. */
const install = `[Unit]
Description=Sluice, its installation at the first boot
ConditionPathExists=${ARCHIVE}
After=network-online.target docker.service
Wants=network-online.target docker.service

[Service]
Type=oneshot
ExecStart=/usr/bin/mkdir -p /opt/sluice-archive/release
ExecStart=/usr/bin/tar -xzf ${ARCHIVE} -C /opt/sluice-archive/release --strip-components=1 --no-same-owner
ExecStart=/usr/bin/bash /opt/sluice-archive/release/systemd/install.sh --yes
ExecStart=/usr/bin/rm -rf /opt/sluice-archive
TimeoutStartSec=infinity
Restart=on-failure
RestartSec=30

[Install]
WantedBy=multi-user.target
`
