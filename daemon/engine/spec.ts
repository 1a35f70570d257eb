import { join } from 'node:path'
import type Docker from 'dockerode'
import { type BuildSpec, DYNO_UID, type DynoSpec, EngineError } from './engine.ts'

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
    Cmd: [spec.command],
    // To the process group that docker-init makes; the launch script takes the variable away again.
    Env: [...exactly(spec.env, imageEnv), 'TINI_KILL_PROCESS_GROUP=1'],
    Labels: labels(site, 'dyno', spec.id, spec.app.id, {
      [LABEL.release]: spec.release.id,
      [LABEL.type]: spec.type,
      [LABEL.name]: spec.name,
    }),
    ...identity,
    HostConfig: {
      ...isolation(site, spec),
      NetworkMode: spec.network.name,
      LogConfig: { Type: 'local', Config: { 'max-size': '10m', 'max-file': '2' } },
      Mounts: [
        // NoCopy: the image's own /app would be copied into the private layer.
        { Type: 'volume', Source: name, Target: '/app', ReadOnly: false, VolumeOptions: { NoCopy: true } as never },
        ...authorities(site),
      ],
    },
  }
}

/** A build's container: as isolated as a dyno, with the caller's folders mounted and no log of its own. */
export function buildContainer(site: Site, spec: BuildSpec, imageEnv: string[]): Docker.ContainerCreateOptions {
  return {
    name: nameOf(site.installation, `build-${spec.id}`),
    Image: spec.image,
    Hostname: 'build',
    WorkingDir: '/',
    Entrypoint: spec.command,
    Cmd: [],
    Env: exactly(spec.env, imageEnv),
    Labels: labels(site, 'build', spec.id, spec.app),
    AttachStdout: true,
    AttachStderr: true,
    ...identity,
    HostConfig: {
      ...isolation(site, spec),
      NetworkMode: buildNetworkOf(site.installation),
      LogConfig: { Type: 'none', Config: {} },
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

/**
 * Sources the slug's profile scripts (with `||`, which keeps a `set -e` of theirs from ending the shell), then runs the command (`$1`) as a child in the foreground. After a SIGTERM it stays until every
 * process has ended, because the container ends with it; a shell such as that of `a | b` dies of the signal at once while `a` still
 * finishes its work. Processes that left the process group get the signal then. Its own variables must not collide with config vars.
 */
export const LAUNCH = `unset TINI_KILL_PROCESS_GROUP
for __sluice in /app/.profile.d/*.sh /app/.profile; do
  if [ -f "$__sluice" ] && [ -r "$__sluice" ]; then . "$__sluice" || :; set +eu; fi
done
unset __sluice
[ "$PWD" = /app ] || cd /app
__sluice_others() {
  local process
  __sluice_found=()
  for process in /proc/[0-9]*; do
    process=\${process#/proc/}
    [ "$process" = 1 ] || [ "$process" = $$ ] || __sluice_found+=("$process")
  done
  [ \${#__sluice_found[@]} -gt 0 ]
}
__sluice_outside_group() {
  local line
  read -r line <"/proc/$1/stat" || return
  set -- \${line##*) }
  [ "$3" != $$ ]
}
exec 9>&2 2>/dev/null
trap __sluice_term=1 TERM
SHLVL=$((SHLVL - 1)) bash -c "$1" 2>&9 9>&-
__sluice_code=$?
if [ "$__sluice_term" = 1 ] && __sluice_others; then
  for __sluice in "\${__sluice_found[@]}"; do
    if __sluice_outside_group "$__sluice"; then kill -TERM "$__sluice"; fi
  done
  while __sluice_others; do sleep 0.05; done
fi
exit $__sluice_code`

const identity = {
  User: `${DYNO_UID}:${DYNO_UID}`,
  Tty: false,
  OpenStdin: false,
  StopSignal: 'SIGTERM',
} as const

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

/** The given environment and nothing of the image's: a name without `=` takes it away. */
function exactly(env: string[], imageEnv: string[]): string[] {
  const named = new Set(env.map(nameIn))
  return [...env, ...imageEnv.map(nameIn).filter((name) => !named.has(name))]
}

const nameIn = (variable: string): string => variable.split('=', 1)[0] ?? ''
