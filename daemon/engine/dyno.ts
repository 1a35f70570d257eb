import type Docker from 'dockerode'
import { limits } from '../limits.ts'
import { remove } from './build.ts'
import { type Connection, statusOf, unlessMissing } from './connection.ts'
import type { DynoSpec, Placed } from './engine.ts'
import { ensureNetwork } from './network.ts'
import { containerName, dynoOptions, LABEL, type Surroundings } from './spec.ts'
import { createVolume, removeVolume } from './volume.ts'

/** Dynos of one installation on one engine. */
export interface Host {
  engine: Connection
  around: Surroundings
  /** The data folder, for writable layers. */
  data: string
}

/** Starts a dyno or finds it started; what a failure leaves is removed. */
export async function startDyno({ engine, around, data }: Host, spec: DynoSpec, signal?: AbortSignal): Promise<Placed> {
  const found = await inspect(engine, spec.id)
  if (found && found.State.Status !== 'created') return placedOf(found)
  try {
    signal?.throwIfAborted()
    if (!found) {
      const labels = { [LABEL.installation]: around.installation, [LABEL.app]: spec.app.id }
      await ensureNetwork(engine, { ...spec.network, open: true, labels })
      const volume = await createVolume(engine, data, spec)
      await engine.ask('make a container', (docker) => docker.createContainer(dynoOptions(spec, around, volume)))
    }
    signal?.throwIfAborted()
    await engine.ask('start a container', (docker) => docker.getContainer(containerName(spec.id)).start())
    const started = await inspect(engine, spec.id)
    if (!started) throw new Error('the container vanished')
    return placedOf(started)
  } catch (error) {
    await remove(engine, { id: containerName(spec.id) }).catch(() => {})
    await removeVolume(engine, data, spec.id).catch(() => {})
    throw error
  }
}

/** SIGTERM, SIGKILL after `grace`, then everything of it goes, once `read` says that its output was read. */
export async function stopDyno(
  { engine, data }: Host,
  id: string,
  grace: number,
  read: () => Promise<void>,
): Promise<void> {
  const container = { id: containerName(id) }
  const stop = engine.ask(
    'stop a container',
    (docker) => docker.getContainer(container.id).stop({ t: Math.ceil(grace / 1000) }),
    grace + STOP_ANSWER,
  )
  await unlessMissing(stop, undefined).catch((error: unknown) => {
    if (statusOf(error) !== NOT_MODIFIED) throw error
  })
  await read()
  await remove(engine, container)
  await removeVolume(engine, data, id)
}

/** The engine's answer to stopping what does not run. */
const NOT_MODIFIED = 304
const STOP_ANSWER = 30_000

/** Every dyno of the installation. Only ended ones are inspected one by one, for their exit codes. */
export async function listDynos({ engine, around }: Host): Promise<Placed[]> {
  const filters = { label: [`${LABEL.installation}=${around.installation}`, `${LABEL.kind}=dyno`] }
  const containers = await engine.ask('list containers', (docker) => docker.listContainers({ all: true, filters }))
  const placed = await Promise.all(
    containers.map(async (container): Promise<Placed | undefined> => {
      if (container.State === 'running') return runningOf(container)
      const found = await inspect(engine, container.Id)
      return found && found.State.Status !== 'created' ? placedOf(found) : undefined
    }),
  )
  return placed.filter((one) => one !== undefined)
}

const inspect = (engine: Connection, id: string): Promise<Docker.ContainerInspectInfo | undefined> =>
  unlessMissing(
    engine.ask('look at a container', (docker) =>
      docker.getContainer(id.length === 64 ? id : containerName(id)).inspect(),
    ),
    undefined,
  )

const identity = (labels: Record<string, string>) => ({
  id: labels[LABEL.id] ?? '',
  app: labels[LABEL.app] ?? '',
  release: labels[LABEL.release] ?? '',
  type: labels[LABEL.type] ?? '',
  name: labels[LABEL.name] ?? '',
})

const runningOf = (container: Docker.ContainerInfo): Placed => ({
  ...identity(container.Labels),
  running: true,
  exitCode: null,
  outOfMemory: false,
  address: Object.values(container.NetworkSettings.Networks)[0]?.IPAddress || null,
  startedAt: container.Created * 1000,
})

const SIGKILLED = 137

function placedOf({ Config, State, NetworkSettings }: Docker.ContainerInspectInfo): Placed {
  return {
    ...identity(Config.Labels),
    running: State.Running,
    exitCode: State.Running ? null : State.ExitCode,
    outOfMemory: !State.Running && State.OOMKilled && State.ExitCode === SIGKILLED,
    address: State.Running ? Object.values(NetworkSettings.Networks)[0]?.IPAddress || null : null,
    startedAt: Date.parse(State.StartedAt),
  }
}

/** Lets so many starts go on at a time; more only slow one another down. */
export function createGate(width: number = limits.startsAtOnce): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let inside = 0
  return async (work) => {
    if (inside >= width) await new Promise<void>((resolve) => waiting.push(resolve))
    inside++
    try {
      return await work()
    } finally {
      inside--
      waiting.shift()?.()
    }
  }
}
