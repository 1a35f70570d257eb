import { cpus } from 'node:os'
import type Docker from 'dockerode'
import { type BuildSpec, DYNO_UID, type DynoSpec } from './engine.ts'

/** What is the same for all containers of one installation. */
export interface Surroundings {
  installation: string
  /** The host's certificate authorities, shown to every container in place of the image's. */
  caBundle: string | undefined
}

export const LABEL = {
  installation: 'sluice.installation',
  kind: 'sluice.kind',
  id: 'sluice.id',
  app: 'sluice.app',
  release: 'sluice.release',
  type: 'sluice.type',
  name: 'sluice.name',
} as const

export const containerName = (id: string): string => `sluice-${id}`

/** Where every stack has its certificate authorities. */
const CA_PATH = '/etc/ssl/certs/ca-certificates.crt'

/**
 * The first process of a dyno, given the command as its one argument: sources what the buildpacks left, as Heroku does, each on its own
 * so that one that fails does not stop the rest, and becomes the command. The variable is for the init process alone: it has it signal
 * the whole process group, as Heroku signals all processes of a dyno.
 */
const LAUNCH = `unset TINI_KILL_PROCESS_GROUP
for script in .profile.d/*.sh; do if [ -r "$script" ]; then . "./$script"; fi; done
if [ -r .profile ]; then . ./.profile; fi
exec bash -c "$1"`

const LOG = { Type: 'local', Config: { 'max-size': '10m', 'max-file': '2' } }

export function dynoOptions(spec: DynoSpec, around: Surroundings, volume: string): Docker.ContainerCreateOptions {
  return {
    name: containerName(spec.id),
    Image: spec.image,
    Entrypoint: ['/bin/bash', '-c', LAUNCH, 'sluice'],
    Cmd: [spec.command],
    Env: [...spec.env, 'TINI_KILL_PROCESS_GROUP=1'],
    WorkingDir: '/app',
    User: `${DYNO_UID}:${DYNO_UID}`,
    Hostname: spec.id,
    Labels: {
      [LABEL.installation]: around.installation,
      [LABEL.kind]: 'dyno',
      [LABEL.id]: spec.id,
      [LABEL.app]: spec.app.id,
      [LABEL.release]: spec.release.id,
      [LABEL.type]: spec.type,
      [LABEL.name]: spec.name,
    },
    HostConfig: {
      ...confined(spec),
      LogConfig: LOG,
      NetworkMode: spec.network.name,
      Binds: [`${volume}:/app`, ...caBinds(around)],
    },
  }
}

export function buildOptions(spec: BuildSpec, around: Surroundings, network: string): Docker.ContainerCreateOptions {
  return {
    name: containerName(spec.id),
    Image: spec.image,
    Entrypoint: spec.command,
    Cmd: [],
    Env: spec.env,
    WorkingDir: '/',
    User: `${DYNO_UID}:${DYNO_UID}`,
    Labels: {
      [LABEL.installation]: around.installation,
      [LABEL.kind]: 'build',
      [LABEL.id]: spec.id,
      [LABEL.app]: spec.app,
    },
    HostConfig: {
      ...confined(spec),
      LogConfig: { Type: 'none', Config: {} },
      NetworkMode: network,
      Binds: [
        ...spec.mounts.map(({ host, path, readOnly }) => `${host}:${path}${readOnly ? ':ro' : ''}`),
        ...caBinds(around),
      ],
    },
  }
}

/** No privileges, no way to get any, and bounds for what is shared with the neighbours. */
const confined = ({ memory, cpu, pids }: { memory: number; cpu: number; pids: number }): Docker.HostConfig => ({
  Init: true,
  CapDrop: ['ALL'],
  SecurityOpt: ['no-new-privileges'],
  Memory: memory,
  MemorySwap: memory,
  NanoCpus: Math.round(Math.min(cpu, cpus().length) * 1e9),
  PidsLimit: pids,
  RestartPolicy: { Name: 'no' },
})

const caBinds = ({ caBundle }: Surroundings): string[] => (caBundle ? [`${caBundle}:${CA_PATH}:ro`] : [])
