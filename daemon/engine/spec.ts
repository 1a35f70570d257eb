import { join } from 'node:path'
import type Docker from 'dockerode'
import { type BuildSpec, DYNO_UID, type DynoSpec, EngineError, type ExecSpec, type Terminal } from './engine.ts'
import { EXEC, LAUNCH, SIGNAL } from './launch.ts'
import { markOf } from './mark.ts'

/** What every container of one installation on one engine has in common. */
export interface Site {
  installation: string
  /** Absolute path; private layers of dynos go below it, next to the slugs, on one file system with them. */
  data: string
  caBundle: string | undefined
  /** The engine's own; more cannot be given to a container. */
  cores: number
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
} as const

/** A name that tells one installation's things from another's on the same engine. */
export const nameOf = (installation: string, id: string): string => `sluice-${shortOf(installation)}-${id}`
export const buildNetworkOf = (installation: string): string => `sluice-build-${shortOf(installation)}`
const shortOf = (installation: string): string => installation.replace(/[^a-zA-Z0-9]/g, '').slice(0, 12)

/** The engine's filter for what carries this installation's label. */
export const labelFilter = (installation: string, more: Partial<Record<keyof typeof LABEL, string>> = {}): string[] =>
  Object.entries({ installation, ...more }).map(([key, value]) => `${LABEL[key as keyof typeof LABEL]}=${value}`)

/** A dyno's container: https://devcenter.heroku.com/articles/dyno-isolation, as far as one engine can. */
export function dynoContainer(site: Site, spec: DynoSpec, imageEnv: string[]): Docker.ContainerCreateOptions {
  const name = nameOf(site.installation, spec.id)
  return {
    name,
    Image: spec.image,
    Hostname: spec.id,
    WorkingDir: '/app',
    Entrypoint: ['/bin/bash', '-c', LAUNCH, 'sluice'],
    Cmd: [spec.command, ...sizeOf(spec.terminal), spec.terminal ? markOf(spec.id) : ''],
    // To the process group that docker-init makes; the launch script takes the variable away again.
    Env: [...exactly(spec.env, spec.terminal, imageEnv), 'TINI_KILL_PROCESS_GROUP=1'],
    Labels: labels(site, 'dyno', spec.id, spec.app.id, {
      [LABEL.release]: spec.release.id,
      [LABEL.type]: spec.type,
      [LABEL.name]: spec.name,
      ...(spec.terminal ? { [LABEL.attached]: 'true' } : {}),
    }),
    ...identity,
    ...(spec.terminal ? held(spec.terminal) : {}),
    HostConfig: {
      ...isolation(site, spec),
      NetworkMode: spec.network.name,
      LogConfig: spec.terminal ? NO_LOG : LOG,
      Mounts: [
        // NoCopy: the image's own /app would be copied into the private layer.
        { Type: 'volume', Source: name, Target: '/app', ReadOnly: false, VolumeOptions: { NoCopy: true } as never },
        ...authorities(site),
      ],
    },
  }
}

/** As in attach.ts, but the engine takes only what is ASCII; nothing that people type has ^^ and this after it. */
const NO_DETACH = `ctrl-^,${[...'sluice never detaches'].map((key) => key).join(',')}`

/** A further process of a dyno. By its mark, the last argument, it is found again: see launch.ts. */
export const dynoExec = (spec: ExecSpec, mark: string): Docker.ExecCreateOptions => ({
  AttachStdin: true,
  AttachStdout: true,
  AttachStderr: true,
  DetachKeys: NO_DETACH,
  Tty: spec.terminal.kind === 'tty',
  User: `${DYNO_UID}:${DYNO_UID}`,
  WorkingDir: '/app',
  Env: spec.env,
  Cmd: ['/bin/bash', '-c', EXEC, 'sluice', spec.command, ...sizeOf(spec.terminal), mark],
})

/** A process of the dyno that signals another one of it. */
export const execSignal = (signal: string, mark: string): Docker.ExecCreateOptions => ({
  AttachStdout: true,
  AttachStderr: true,
  User: `${DYNO_UID}:${DYNO_UID}`,
  Cmd: ['/bin/bash', '-c', SIGNAL, 'sluice', mark, signal.replace('SIG', '')],
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
      NetworkMode: buildNetworkOf(site.installation),
      LogConfig: NO_LOG,
      Mounts: [...spec.mounts.map(({ host, path, readOnly }) => bind(host, path, readOnly)), ...authorities(site)],
    },
  }
}

/** Where a dyno's private layer is kept while it lives. */
export const layerOf = (data: string, id: string): { root: string; upper: string; work: string } => {
  const root = join(data, 'dynos', id)
  return { root, upper: join(root, 'upper'), work: join(root, 'work') }
}

/** The writable /app of a dyno: the shared slug below, its own layer above. */
export function dynoVolume(site: Site, spec: DynoSpec): Docker.VolumeCreateOptions {
  const { upper, work } = layerOf(site.data, spec.id)
  for (const path of [spec.slug, upper, work])
    if (/[,:\\]/.test(path))
      throw new EngineError(
        `A path of the data directory contains a comma, colon or backslash (${path}). Set SLUICE_DATA to another one.`,
      )
  return {
    Name: nameOf(site.installation, spec.id),
    Driver: 'local',
    DriverOpts: { type: 'overlay', device: 'overlay', o: `lowerdir=${spec.slug},upperdir=${upper},workdir=${work}` },
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

const isolation = (site: Site, { memory, cpu, pids }: { memory: number; cpu: number; pids: number }) => ({
  CapDrop: ['ALL'],
  SecurityOpt: ['no-new-privileges'],
  Privileged: false,
  Init: true,
  Memory: memory,
  // Equal to Memory: no swap beyond it.
  MemorySwap: memory,
  NanoCpus: Math.round(Math.min(cpu, site.cores) * 1e9),
  PidsLimit: pids,
  RestartPolicy: { Name: 'no' },
  PublishAllPorts: false,
  IpcMode: 'private',
})

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
