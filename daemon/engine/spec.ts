import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type Docker from 'dockerode'
import {
  type BuildSpec,
  type Code,
  DYNO_UID,
  type DynoSpec,
  EngineError,
  type ExecSpec,
  type ImageBuildSpec,
  type Terminal,
} from './engine.ts'
import { EXEC, LAUNCH, SIGNAL } from './launch.ts'
import { IMAGE_EXEC, IMAGE_LAUNCH, IMAGE_SIGNAL } from './launch-image.ts'
import { markOf } from './mark.ts'

/** What every container of one installation on one engine has in common. */
export interface Site {
  installation: string
  /** Absolute path; private layers of dynos go below it, next to the slugs, on one file system with them. */
  data: string
  caBundle: string | undefined
  /** The engine's own; more cannot be given to a container. */
  cores: number
  cgroup: 1 | 2
  /** The engine tells when the kernel kills a process for its memory. */
  tellsMemory: boolean
}

export type Kind = 'dyno' | 'build'

export const LABEL = {
  installation: 'sluice.installation',
  app: 'sluice.app',
  release: 'sluice.release',
  type: 'sluice.type',
  name: 'sluice.name',
  id: 'sluice.id',
  kind: 'sluice.kind',
  attached: 'sluice.attached',
  code: 'sluice.code',
} as const

/** A name that tells one installation's things from another's on the same engine. */
export const nameOf = (installation: string, id: string): string => `sluice-${shortOf(installation)}-${id}`
export const buildNetworkOf = (installation: string): string => `sluice-build-${shortOf(installation)}`
/** The whole id, because no label of ours is on an image. */
export const imageNameOf = (installation: string, name: string): string =>
  `sluice-${installation.toLowerCase().replace(/[^a-z0-9-]/g, '')}/${name}`
/** Names of all installations' bridges begin with it. */
export const ANY_BRIDGE = 'slu'
/**
 * Names of an installation's bridges begin with this, so that one rule of the firewall is for all of them. They are interfaces of the host,
 * whose names have 15 characters at most.
 */
export const bridgePrefix = (installation: string): string => `${ANY_BRIDGE}${shortOf(installation).slice(0, 6)}-`
export const buildBridgeOf = (installation: string): string => `${bridgePrefix(installation)}build`
export const imageBuildNetworkOf = (installation: string, build: string): string =>
  `${buildNetworkOf(installation)}-${build}`
export const imageBuildBridgeOf = (installation: string, build: string): string =>
  bridgePrefix(installation) + createHash('sha256').update(build).digest('hex').slice(0, 5)
/** By what tells the subnets of a /16 apart. */
export const bridgeOf = (installation: string, subnet: string): string => {
  const octets = subnet.split(/[./]/).slice(2, 4)
  return bridgePrefix(installation) + octets.map((octet) => Number(octet).toString(16).padStart(2, '0')).join('')
}
export const shortOf = (installation: string): string => installation.replace(/[^a-zA-Z0-9]/g, '').slice(0, 12)

/** The engine's filter for what carries this installation's label. */
export const labelFilter = (installation: string, more: Partial<Record<keyof typeof LABEL, string>> = {}): string[] =>
  Object.entries({ installation, ...more }).map(([key, value]) => `${LABEL[key as keyof typeof LABEL]}=${value}`)

/** A dyno's container: https://devcenter.heroku.com/articles/dyno-isolation, as far as one engine can. */
export function dynoContainer(site: Site, spec: DynoSpec, imageEnv: string[]): Docker.ContainerCreateOptions {
  return {
    name: nameOf(site.installation, spec.id),
    Image: spec.image,
    Hostname: spec.id,
    // All of them, because an image may have labels of the same names.
    Labels: labels(site, 'dyno', spec.id, spec.app.id, {
      [LABEL.release]: spec.release.id,
      [LABEL.type]: spec.type,
      [LABEL.name]: spec.name,
      [LABEL.code]: spec.code.kind,
      [LABEL.attached]: spec.terminal ? 'true' : '',
    }),
    ...identity,
    ...(spec.terminal ? held(spec.terminal) : {}),
    ...(spec.code.kind === 'slug'
      ? slugProcess(spec, spec.code.command, [...memoryTold(site, spec), ...exactly(spec.env, spec.terminal, imageEnv)])
      : imageProcess(spec, spec.code)),
    HostConfig: {
      ...isolation(site, spec),
      NetworkMode: spec.network.name,
      LogConfig: spec.terminal ? NO_LOG : LOG,
      Mounts: spec.code.kind === 'slug' ? slugMounts(site, spec.id) : [],
    },
  }
}

/** To the process group that docker-init makes. */
const SIGNAL_GROUP = 'TINI_KILL_PROCESS_GROUP=1'

const slugProcess = (spec: DynoSpec, command: string, env: string[]) => ({
  WorkingDir: '/app',
  Entrypoint: ['/bin/bash', '-c', LAUNCH, 'sluice'],
  Cmd: launched(spec, command),
  // The launch script takes the last one away again.
  Env: [...env, SIGNAL_GROUP],
})

/**
 * The official Node.js buildpack sizes WEB_CONCURRENCY by a file of cgroup v1 or by this variable, in MB; without either it takes every
 * dyno for one of 512 MB.
 */
const memoryTold = ({ cgroup }: Site, { memory, env }: DynoSpec): string[] =>
  cgroup === 1 || env.some((one) => nameIn(one) === MEMORY) ? [] : [`${MEMORY}=${Math.floor(memory / 1024 ** 2)}`]

const MEMORY = 'MEMORY_AVAILABLE'

/** What is not said here is the image's: its ENTRYPOINT, its WORKDIR, its ENV. */
const imageProcess = (spec: DynoSpec, { command }: { command: string | null }) => ({
  ...(command === null ? {} : { Cmd: ['/bin/sh', '-c', IMAGE_LAUNCH, 'sluice', ...launched(spec, command)] }),
  Env: [...spec.env, SIGNAL_GROUP],
  Healthcheck: { Test: ['NONE'] },
})

const launched = ({ id, terminal }: DynoSpec, command: string): string[] => [
  command,
  ...sizeOf(terminal),
  terminal ? markOf(id) : '',
]

const slugMounts = (site: Site, id: string): Docker.MountSettings[] => [
  // NoCopy: the image's own /app would be copied into the private layer.
  {
    ...{ Type: 'volume' as const, Source: nameOf(site.installation, id), Target: '/app', ReadOnly: false },
    VolumeOptions: { NoCopy: true } as never,
  },
  ...authorities(site),
]

/** As in attach.ts, but the engine takes only what is ASCII; nothing that people type has ^^ and this after it. */
const NO_DETACH = `ctrl-^,${[...'sluice never detaches'].map((key) => key).join(',')}`

/** A further process of a dyno. By its mark, the last argument, it is found again: see launch.ts. */
export const dynoExec = (spec: ExecSpec, mark: string, code: Code['kind']): Docker.ExecCreateOptions => ({
  AttachStdin: true,
  AttachStdout: true,
  AttachStderr: true,
  DetachKeys: NO_DETACH,
  Tty: spec.terminal.kind === 'tty',
  User: `${DYNO_UID}:${DYNO_UID}`,
  ...(code === 'slug' ? { WorkingDir: '/app' } : {}),
  Env: spec.env,
  Cmd: [
    ...(code === 'slug' ? ['/bin/bash', '-c', EXEC] : ['/bin/sh', '-c', IMAGE_EXEC]),
    ...['sluice', spec.command, ...sizeOf(spec.terminal), mark],
  ],
})

/** A process of the dyno that signals another one of it. */
export const execSignal = (signal: string, mark: string, code: Code['kind']): Docker.ExecCreateOptions => ({
  AttachStdout: true,
  AttachStderr: true,
  User: `${DYNO_UID}:${DYNO_UID}`,
  Cmd: [
    ...(code === 'slug' ? ['/bin/bash', '-c', SIGNAL] : ['/bin/sh', '-c', IMAGE_SIGNAL]),
    ...['sluice', mark, signal.replace('SIG', '')],
  ],
})

/** A build's container: as isolated as a dyno, with the caller's folders mounted and no log of its own. */
export function buildContainer(site: Site, spec: BuildSpec, imageEnv: string[]): Docker.ContainerCreateOptions {
  return {
    name: nameOf(site.installation, `build-${spec.id}`),
    Image: spec.image,
    Hostname: 'build',
    WorkingDir: '/',
    Entrypoint: spec.command,
    Cmd: [],
    Env: exactly(spec.env, undefined, imageEnv),
    Labels: labels(site, 'build', spec.id, spec.app),
    AttachStdout: true,
    AttachStderr: true,
    ...identity,
    HostConfig: {
      ...isolation(site, spec),
      ...below,
      ReadonlyRootfs: true,
      NetworkMode: buildNetworkOf(site.installation),
      LogConfig: NO_LOG,
      Mounts: [...spec.mounts.map(({ host, path, readOnly }) => bind(host, path, readOnly)), ...authorities(site)],
    },
  }
}

const CPU_PERIOD = 100_000

/** What the builder is told: https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageBuild */
export const imageBuildQuery = (site: Site, spec: ImageBuildSpec, network: string) => ({
  dockerfile: spec.dockerfile,
  ...(spec.target === undefined ? {} : { target: spec.target }),
  buildargs: spec.args,
  nocache: spec.cache.length === 0,
  cachefrom: JSON.stringify(spec.cache.map((name) => imageNameOf(site.installation, name))),
  networkmode: network,
  rm: true,
  forcerm: true,
  memory: spec.memory,
  // Equal to memory: no swap beyond it.
  memswap: spec.memory,
  cpushares: below.CpuShares,
  cpuperiod: CPU_PERIOD,
  cpuquota: Math.round(Math.min(spec.cpu, site.cores) * CPU_PERIOD),
})

/** Where a dyno's private layer is kept while it lives. */
export const layerOf = (data: string, id: string): { root: string; upper: string; work: string } => {
  const root = join(data, 'dynos', id)
  return { root, upper: join(root, 'upper'), work: join(root, 'work') }
}

/** The writable /app of a dyno: the shared slug below, its own layer above. */
export function dynoVolume(site: Site, spec: DynoSpec, tree: string): Docker.VolumeCreateOptions {
  const { upper, work } = layerOf(site.data, spec.id)
  for (const path of [tree, upper, work])
    if (/[,:\\]/.test(path))
      throw new EngineError(
        `A path of the data directory contains a comma, colon or backslash (${path}). Set SLUICE_DATA to another one.`,
      )
  return {
    Name: nameOf(site.installation, spec.id),
    Driver: 'local',
    DriverOpts: { type: 'overlay', device: 'overlay', o: `lowerdir=${tree},upperdir=${upper},workdir=${work}` },
    Labels: labels(site, 'dyno', spec.id, spec.app.id),
  }
}

const identity = {
  User: `${DYNO_UID}:${DYNO_UID}`,
  Tty: false,
  OpenStdin: false,
  StopSignal: 'SIGTERM',
} as const

/** Standard input ends with the client that holds it. */
const held = ({ kind }: Terminal) => ({
  Tty: kind === 'tty',
  OpenStdin: true,
  StdinOnce: true,
  AttachStdin: true,
  AttachStdout: true,
  AttachStderr: true,
})

/** Room for what is not read yet while the reader is behind, or the daemon down. */
const LOG = { Type: 'local', Config: { 'max-size': '20m', 'max-file': '3', compress: 'false' } }
const NO_LOG = { Type: 'none', Config: {} }

/** The launch script's second and third argument. */
const sizeOf = (terminal: Terminal | undefined): string[] =>
  terminal?.kind === 'tty' ? [String(terminal.columns), String(terminal.rows)] : ['', '']

/** Where more want the CPU than there is, a dyno gets as much as its size has cores, by the weight of a core. */
const CORE_SHARES = 1024

const isolation = (site: Site, { memory, cpu, pids }: { memory: number; cpu: number; pids: number }) => ({
  CapDrop: ['ALL'],
  SecurityOpt: ['no-new-privileges'],
  Privileged: false,
  Init: true,
  Memory: memory,
  // Equal to Memory: no swap beyond it.
  MemorySwap: memory,
  CpuShares: Math.round(Math.min(cpu, site.cores) * CORE_SHARES),
  // When memory runs out the kernel ends dynos before what carries them, the daemon, the routers and the engine.
  OomScoreAdj: 250,
  NanoCpus: Math.round(Math.min(cpu, site.cores) * 1e9),
  PidsLimit: pids,
  RestartPolicy: { Name: 'no' },
  PublishAllPorts: false,
  IpcMode: 'private',
})

/**
 * A build has an eighth of a dyno's weight where both want the CPU, likewise for the disk where the kernel knows such weights, and goes first when
 * the machine runs out of memory.
 */
const below = { CpuShares: 128, BlkioWeight: 62, OomScoreAdj: 500 }

const labels = (site: Site, kind: Kind, id: string, app: string, more: Record<string, string> = {}) => ({
  [LABEL.installation]: site.installation,
  [LABEL.kind]: kind,
  [LABEL.id]: id,
  [LABEL.app]: app,
  ...more,
})

const bind = (host: string, path: string, readOnly: boolean): Docker.MountSettings => ({
  Type: 'bind',
  Source: host,
  Target: path,
  ReadOnly: readOnly,
})

const authorities = (site: Site): Docker.MountSettings[] =>
  site.caBundle ? [bind(site.caBundle, '/etc/ssl/certs/ca-certificates.crt', true)] : []

/** The given environment and nothing of the image's or of the engine's: a name without `=` takes it away. */
function exactly(env: string[], terminal: Terminal | undefined, imageEnv: string[]): string[] {
  const named = new Set(env.map(nameIn))
  const others = new Set(imageEnv.map(nameIn))
  if (terminal?.kind === 'tty') others.add('TERM')
  return [...env, ...[...others].filter((name) => !named.has(name))]
}

const nameIn = (variable: string): string => variable.split('=', 1)[0] ?? ''
