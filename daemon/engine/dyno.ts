/**
 * A dyno on the engine, by what exists of it:
 *
 *              createVolume       createContainer        startContainer            the command ends
 *   nothing ----------------> layer ------------> created ------------> running ----------------------> exited
 *      ^                        |                    |                     |                              |
 *      +------------------------+--------------------+-----erase-----------+------------------------------+
 *
 * `start` goes on from whichever it finds, so it may be repeated after a crash at any line; `erase` takes away what there is, in
 * any state. Names are made from the dyno's id, so the engine itself refuses a second container of one dyno.
 */
import type Docker from 'dockerode'
import { limits } from '../limits.ts'
import { type Connection, statusOf } from './connection.ts'
import { inspectContainer, removeContainer, terminate } from './container.ts'
import type { Ends } from './ends.ts'
import { type DynoSpec, EngineError, type Placed } from './engine.ts'
import type { DynoLogs } from './logs.ts'
import type { Networks } from './network.ts'
import { createSlots } from './slots.ts'
import { dynoContainer, LABEL, labelFilter, nameOf, type Site } from './spec.ts'
import { createVolume, layeredDynos, removeVolume } from './volume.ts'

export interface Dynos {
  start(spec: DynoSpec, signal?: AbortSignal): Promise<Placed>
  stop(id: string, grace: number): Promise<void>
  list(): Promise<Placed[]>
  /** Removes whatever an app has left. */
  eraseApp(app: string): Promise<void>
  /** Removes dynos that were created and never started, and layers without a dyno. */
  sweep(): Promise<void>
}

export interface Parts {
  engine: Connection
  site(): Promise<Site>
  networks: Networks
  logs: DynoLogs
  ends: Ends
}

/** Inspections at once while listing. */
const LOOKS_AT_ONCE = 16

export function createDynos({ engine, site, networks, logs, ends }: Parts): Dynos {
  const starting = new Map<string, { placed: Promise<Placed>; abort: AbortController }>()
  const slots = createSlots(limits.startsAtOnce)

  const erase = async (id: string): Promise<void> => {
    const here = await site()
    ends.killing(id)
    await removeContainer(engine, nameOf(here.installation, id))
    await removeVolume(engine, here, id)
  }

  const place = async (spec: DynoSpec, signal: AbortSignal): Promise<Placed> => {
    const here = await site()
    const name = nameOf(here.installation, spec.id)
    const found = await inspectContainer(engine, name)
    if (found && found.State.Status !== 'created') return placedOf(found, ends)
    try {
      await networks.ofApp(spec.app, spec.network)
      signal.throwIfAborted()
      if (!found) await create(engine, here, spec)
      signal.throwIfAborted()
      await run(engine, name, spec.name)
      signal.throwIfAborted()
      const now = await inspectContainer(engine, name)
      if (!now) throw new EngineError(`${spec.name} was removed while it started.`)
      return placedOf(now, ends)
    } catch (error) {
      // What cannot be taken away now, because the engine is gone, is stopped or swept later; why the start failed matters more.
      await erase(spec.id).catch(() => {})
      throw error
    }
  }

  return {
    start(spec, signal) {
      const known = starting.get(spec.id)
      if (known) return known.placed
      const abort = new AbortController()
      const either = signal ? AbortSignal.any([signal, abort.signal]) : abort.signal
      const placed = slots(() => place(spec, either), either).finally(() => starting.delete(spec.id))
      starting.set(spec.id, { placed, abort })
      return placed
    },

    async stop(id, grace) {
      const start = starting.get(id)
      start?.abort.abort(new EngineError('The dyno was stopped before it had started.'))
      await start?.placed.catch(() => {})
      const name = nameOf((await site()).installation, id)
      const found = await inspectContainer(engine, name)
      if (found?.State.Running) await terminate(engine, name, grace, () => ends.killing(id))
      if (found) await logs.settled(id)
      await erase(id)
    },

    async list() {
      const here = await site()
      const all = await containers(engine, labelFilter(here.installation, { kind: 'dyno' }))
      const found = await inspectAll(
        engine,
        all.filter(({ Labels }) => !starting.has(Labels[LABEL.id] ?? '')).map(({ Id }) => Id),
      )
      return found.map((one) => placedOf(one, ends))
    },

    async eraseApp(app) {
      const here = await site()
      const left = await containers(engine, labelFilter(here.installation, { kind: 'dyno', app }))
      const ids = new Set(left.map(({ Labels }) => Labels[LABEL.id] ?? ''))
      for (const id of await layeredDynos(engine, here, app)) ids.add(id)
      for (const id of ids) await erase(id)
      await networks.removeOfApp(app)
    },

    async sweep() {
      const here = await site()
      const all = await containers(engine, labelFilter(here.installation, { kind: 'dyno' }))
      const whole = new Set(all.filter(({ State }) => State !== 'created').map(({ Labels }) => Labels[LABEL.id] ?? ''))
      const ids = new Set(all.map(({ Labels }) => Labels[LABEL.id] ?? ''))
      for (const id of await layeredDynos(engine, here)) ids.add(id)
      for (const id of ids) if (!whole.has(id) && !starting.has(id)) await erase(id)
    },
  }
}

/** Containers that carry all these labels, running or not. */
export const containers = (engine: Connection, label: string[]): Promise<Docker.ContainerInfo[]> =>
  engine.ask('list containers', (docker) => docker.listContainers({ all: true, filters: { label } }))

async function create(engine: Connection, site: Site, spec: DynoSpec): Promise<void> {
  const image = await engine.ask(`find the image of ${spec.name}`, (docker) => docker.getImage(spec.image).inspect())
  await createVolume(engine, site, spec)
  const options = dynoContainer(site, spec, image.Config?.Env ?? [])
  try {
    await engine.ask(`create ${spec.name}`, (docker) => docker.createContainer(options))
  } catch (error) {
    // Another process of this installation was quicker.
    if (statusOf(error) !== 409) throw error
  }
}

const run = (engine: Connection, name: string, shown: string): Promise<unknown> =>
  engine.ask(`start ${shown}`, (docker) => docker.getContainer(name).start())

async function inspectAll(engine: Connection, ids: string[]): Promise<Docker.ContainerInspectInfo[]> {
  const found: Docker.ContainerInspectInfo[] = []
  const rest = [...ids]
  const look = async () => {
    for (let id = rest.pop(); id !== undefined; id = rest.pop()) {
      const one = await inspectContainer(engine, id)
      if (one) found.push(one)
    }
  }
  await Promise.all(Array.from({ length: LOOKS_AT_ONCE }, look))
  return found
}

function placedOf({ Config, State, NetworkSettings }: Docker.ContainerInspectInfo, ends: Ends): Placed {
  const label = (name: keyof typeof LABEL) => Config.Labels[LABEL[name]] ?? ''
  const ended = !State.Running && State.Status !== 'created'
  const addresses = Object.values(NetworkSettings.Networks).map(({ IPAddress }) => IPAddress)
  const startedAt = Date.parse(State.StartedAt)
  return {
    id: label('id'),
    app: label('app'),
    release: label('release'),
    type: label('type'),
    name: label('name'),
    running: State.Running,
    exitCode: ended ? State.ExitCode : null,
    outOfMemory: ended && ends.outOfMemory(label('id'), State.ExitCode, State.OOMKilled),
    address: State.Running ? (addresses.find(Boolean) ?? null) : null,
    startedAt: Math.max(startedAt, 0),
  }
}
