import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Command, type Outcome, run } from '../e2e/command.ts'
import { call, installationLabel, socketPath } from '../e2e/engine.ts'
import { newInstallation } from '../e2e/installation.ts'
import { waitFor } from '../e2e/wait.ts'
import { removeGroups } from './groups.ts'
import { bareImage, hostImage } from './image.ts'

/**
 * A machine whose first process is a real systemd: a container with this machine's network and engine, and nothing of Sluice. Many may run at
 * once, each with units and control groups of its own; ports are this machine's, so whoever starts a platform in it takes a berth.
 * Its engine is this machine's: a folder that dynos are to see must be mounted at the same path.
 */
export interface Machine {
  /** Runs a command in it, as root, with nothing of the test's environment. */
  run(
    command: [string, ...string[]],
    options?: { input?: string | null; env?: NodeJS.ProcessEnv; timeout?: number },
  ): Command
  /** The same, which must succeed; what it printed. */
  must(command: [string, ...string[]], options?: { input?: string; env?: NodeJS.ProcessEnv }): Promise<string>
  /** Writes a file, and the folders that it is in. */
  write(path: string, text: string | Buffer, mode?: number): Promise<void>
  /** Copies a file or folder of this machine into it. */
  copy(from: string, to: string): Promise<void>
  read(path: string): Promise<string>
  /** All that a unit has written since the machine was made. */
  journal(unit: string): Promise<string>
  /** Ends it as `poweroff` does, or as a power cut; its files stay. */
  down(how?: 'orderly' | 'at once'): Promise<void>
  /** Resolves when the operating system is up; its services may just be starting. */
  up(): Promise<void>
  /** Removes it. */
  stop(): Promise<void>
}

export interface Mount {
  from: string
  to: string
  readOnly?: boolean
}

/** Rejects when it does not come up, with what it said. */
export const startMachine = (mounts: Mount[] = []): Promise<Machine> => start((name) => container(name, mounts))

/**
 * A machine that has nothing but Debian 12, systemd and apt: no engine, and a network, control groups and a disk of its own, so that it can have one.
 * `ports` are this machine's that lead to its.
 */
export const startBareMachine = (ports: Record<number, number>, mounts: Mount[] = []): Promise<Machine> =>
  start((name) => bare(container(name, mounts), ports))

async function start(specOf: (name: string) => Container): Promise<Machine> {
  const name = `sluice-host-${newInstallation()}`
  const { Id } = await call<{ Id: string }>('POST', `/containers/create?name=${name}`, specOf(name))
  let pid = 0
  const up = async (): Promise<void> => {
    await call('POST', `/containers/${Id}/start`)
    const { State } = await call<{ State: { Pid: number } }>('GET', `/containers/${Id}/json`)
    pid = State.Pid
    const active = async () => {
      const { output } = await machine.run(['systemctl', 'is-active', 'basic.target'])
      if (output.trim() !== 'active') throw new Error(output)
      return true
    }
    await waitFor(`${name} to boot`, active, { within: 150_000 })
  }
  const inside = (path: string): string => join('/proc', String(pid), 'root', path)
  const machine: Machine = {
    run: (command, { input, env, timeout } = {}) => {
      const enter = [
        '--target',
        String(pid),
        '--mount',
        '--uts',
        '--ipc',
        '--net',
        '--pid',
        '--cgroup',
        '--',
        ...command,
      ]
      return run(['nsenter', ...enter], {
        cwd: '/',
        env: { PATH, LANG: 'C.UTF-8', HOME: '/root', ...env },
        input: input ?? '',
        ...(timeout === undefined ? {} : { timeout }),
      })
    },
    async must(command, options) {
      const outcome = await machine.run(command, options)
      if (outcome.code !== 0) throw new Error(`${command.join(' ')} ended with ${told(outcome)}`)
      return outcome.stdout
    },
    async write(path, text, mode = 0o644) {
      await mkdir(dirname(inside(path)), { recursive: true })
      await writeFile(inside(path), text, { mode })
    },
    async copy(from, to) {
      await mkdir(dirname(inside(to)), { recursive: true })
      await cp(from, inside(to), { recursive: true, verbatimSymlinks: true, preserveTimestamps: true })
    },
    read: (path) => readFile(inside(path), 'utf8'),
    journal: (unit) => machine.must(['journalctl', '--unit', unit, '--output', 'cat', '--no-pager']),
    async down(how = 'orderly') {
      await call('POST', how === 'orderly' ? `/containers/${Id}/stop?t=${PATIENCE}` : `/containers/${Id}/kill`)
    },
    up,
    async stop() {
      await call('DELETE', `/containers/${Id}?force=true&v=true`)
      await removeGroups(name)
    },
  }
  await up().catch(async (error: unknown) => {
    await machine.stop()
    throw error
  })
  return machine
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** s that systemd may take to end its units. */
const PATIENCE = 60

const told = ({ code, output }: Outcome): string => `${code}:\n${output}`

type Container = ReturnType<typeof container>

/** `--privileged` takes more than every machine gives: all but CAP_SYS_RESOURCE is enough. */
const container = (name: string, mounts: Mount[]) => ({
  Image: hostImage,
  Hostname: name,
  Cmd: ['/bin/sh', '-ec', init(name)],
  Labels: { [installationLabel]: name.slice('sluice-host-'.length) },
  StopSignal: 'SIGRTMIN+3',
  HostConfig: {
    NetworkMode: 'host',
    CapAdd: ['ALL'],
    CapDrop: ['SYS_RESOURCE'],
    SecurityOpt: ['seccomp=unconfined', 'apparmor=unconfined'],
    MaskedPaths: [],
    ReadonlyPaths: [],
    DeviceCgroupRules: ['a *:* rwm'],
    Tmpfs: { '/run': 'exec', '/run/lock': '', '/tmp': 'exec' },
    Binds: [
      `${socketPath}:/run/docker.sock`,
      ...mounts.map(({ from, to, readOnly }) => `${from}:${to}:${readOnly ? 'ro' : 'rw'}`),
    ],
  },
})

/** Below /var/lib are what the engine keeps and what dynos stand on, which an overlay cannot be below; the volume begins as what the image has there. */
const bare = (made: Container, ports: Record<number, number>) => ({
  ...made,
  Image: bareImage,
  Cmd: ['/bin/sh', '-ec', bareInit(made.Hostname)],
  Volumes: { '/var/lib': {} },
  ExposedPorts: Object.fromEntries(Object.keys(ports).map((its) => [`${its}/tcp`, {}])),
  HostConfig: {
    ...made.HostConfig,
    NetworkMode: 'bridge',
    Binds: made.HostConfig.Binds.filter((bind) => !bind.startsWith(`${socketPath}:`)),
    PortBindings: Object.fromEntries(
      Object.entries(ports).map(([its, ours]) => [`${its}/tcp`, [{ HostIp: '127.0.0.1', HostPort: String(ours) }]]),
    ),
  },
})

/**
 * systemd takes the root that it sees for its own. So it gets a part of the second version's tree: on a machine with the first, whose engine
 * uses that, two of them would share groups, and each end the other's processes. What it mounts for a unit (credentials, extensions) it mounts
 * elsewhere first, and in a container it leaves to whoever made that to let mounts spread.
 */
const init = (name: string): string => `
  umount --recursive /sys/fs/cgroup
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  mkdir -p /sys/fs/cgroup/${name}
  echo $$ >/sys/fs/cgroup/${name}/cgroup.procs
  exec unshare --cgroup /bin/sh -ec '
    umount /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    mount --make-rshared /
    exec /sbin/init'`

/**
 * An engine in it needs the controllers too. Where they are the first version's the container has groups of its own in each, which the engine outside
 * removes; systemd before 256 keeps to such a tree, with the second version's beside it.
 */
const bareInit = (name: string): string => `
  export controllers=$(awk -F: '$2 ~ /^[a-z_,]+$/ { print $2 }' /proc/self/cgroup)
  [ -n "$controllers" ] || exec /bin/sh -ec ${quoted(init(name))}
  umount --recursive /sys/fs/cgroup
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  mkdir -p /sys/fs/cgroup/${name}
  echo $$ >/sys/fs/cgroup/${name}/cgroup.procs
  umount /sys/fs/cgroup
  exec unshare --cgroup /bin/sh -ec '
    mount -t tmpfs cgroup /sys/fs/cgroup
    for controller in $controllers; do
      mkdir /sys/fs/cgroup/$controller
      mount -t cgroup -o $controller cgroup /sys/fs/cgroup/$controller
    done
    mkdir /sys/fs/cgroup/unified
    mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
    mount --make-rshared /
    unset controllers
    exec /sbin/init'`

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
