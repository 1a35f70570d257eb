/**
 * A dyno on the engine, by what exists of it (one with a terminal is attached between `created` and `running`, so that no byte is lost):
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
import { messageOf } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { limits } from '../limits.ts'
import { openEnd } from './attach.ts'
import type { Attached } from './attached.ts'
import { type Connection, statusOf } from './connection.ts'
import { inspectContainer, removeContainer, stepsOf, terminate } from './container.ts'
import type { End, Ends } from './ends.ts'
import { type DynoSpec, EngineError, type Placed, type Process } from './engine.ts'
import { createListing } from './listing.ts'
import type { DynoLogs } from './logs.ts'
import type { Networks } from './network.ts'
import { createSlots } from './slots.ts'
import { dynoContainer, LABEL, labelFilter, nameOf, type Site } from './spec.ts'
import { createVolume, layeredDynos, removeVolume } from './volume.ts'

export interface Dynos {
  start(spec: DynoSpec, signal?: AbortSignal): Promise<Placed>
  stop(id: string, grace: number, hangup?: number): Promise<void>
  attach(id: string, signal?: AbortSignal): Promise<Process>
  list(): Promise<Placed[]>
  written(): Promise<Map<string, number>>
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
  attached: Attached
}

export function createDynos({ engine, site, networks, logs, ends, attached }: Parts): Dynos {
  const starting = new Map<string, { placed: Promise<Placed>; abort: AbortController }>()
  const slots = createSlots(limits.startsAtOnce)
  const listed = createListing(async (container) => {
    const found = await inspectContainer(engine, container)
    return found && placedOf(found, ends)
  })

  const erase = async (id: string): Promise<void> => {
    const here = await site()
    ends.killing(id)
    attached.drop(id)
    await removeContainer(engine, nameOf(here.installation, id))
    await failpoint('container.removed')
    await removeVolume(engine, here, id)
  }

  /** At once what does not need one another; nothing of it is under way any more when this fails. */
  const prepare = async (here: Site, spec: DynoSpec): Promise<string[]> => {
    const image = engine.ask(`find the image of ${spec.name}`, (docker) => docker.getImage(spec.image).inspect())
    const layer = spec.code.kind === 'slug' ? [createVolume(engine, here, spec, spec.code.tree)] : []
    const works = [image, networks.ofApp(spec.app, spec.network), ...layer]
    for (const result of await Promise.allSettled(works)) if (result.status === 'rejected') throw result.reason
    return (await image).Config?.Env ?? []
  }

  const place = async (spec: DynoSpec, signal: AbortSignal): Promise<Placed> => {
    const here = await site()
    const name = nameOf(here.installation, spec.id)
    const [looked, prepared] = await Promise.allSettled([inspectContainer(engine, name), prepare(here, spec)])
    if (looked.status === 'rejected') throw looked.reason
    const found = looked.value
    if (found && found.State.Status !== 'created') {
      if (attached.state(spec.id) === 'started') attached.fail(spec.id, heldElsewhere())
      return placedOf(found, ends)
    }
    try {
      if (prepared.status === 'rejected') throw prepared.reason
      signal.throwIfAborted()
      if (!found) await create(engine, dynoContainer(here, spec, prepared.value), spec.name)
      await failpoint('container.created')
      signal.throwIfAborted()
      const { terminal } = spec
      const held = terminal && (await openEnd(engine, { id: spec.id, name, terminal }, ends))
      if (held) attached.hold(spec.id, held)
      await run(engine, name, spec.name)
      await failpoint('container.started')
      // No script of ours is there to do it.
      if (terminal?.kind === 'tty' && spec.code.command === null)
        await held?.resize(terminal.columns, terminal.rows).catch(() => {})
      signal.throwIfAborted()
      if (terminal) attached.offer(spec.id)
      else attached.fail(spec.id, heldElsewhere())
      const now = await inspectContainer(engine, name)
      if (!now) throw new EngineError(`${spec.name} was removed while it started.`)
      return placedOf(now, ends)
    } catch (error) {
      // What cannot be taken away now, because the engine is gone, is stopped or swept later; why the start failed matters more.
      attached.fail(spec.id, startFailed(error))
      await erase(spec.id).catch(() => {})
      throw error
    }
  }

  /** Its container exists, and this daemon did not start it. An engine that does not answer will say so at the start. */
  const isRunByOthers = async (id: string): Promise<boolean> => {
    const found = await inspectContainer(engine, nameOf((await site()).installation, id)).catch(() => null)
    return found !== null && found.State.Status !== 'created'
  }

  return {
    start(spec, signal) {
      const known = starting.get(spec.id)
      if (known) return known.placed
      const abort = new AbortController()
      const either = signal ? AbortSignal.any([signal, abort.signal]) : abort.signal
      if (attached.state(spec.id) === 'none') attached.begin(spec.id)
      const placed = slots(() => place(spec, either), either).finally(() => starting.delete(spec.id))
      // One that was aborted while it waited for its turn.
      placed.catch((error: unknown) => attached.fail(spec.id, startFailed(error)))
      starting.set(spec.id, { placed, abort })
      return placed
    },

    async attach(id, signal) {
      // In the order of the calls, so before anything is looked up.
      const process = attached.take(id, signal)
      process.catch(() => {})
      if (attached.state(id) === 'none' && (await isRunByOthers(id)))
        if (attached.state(id) === 'none') attached.fail(id, heldElsewhere())
      return process
    },

    async stop(id, grace, hangup) {
      const start = starting.get(id)
      start?.abort.abort(new EngineError('The dyno was stopped before it had started.'))
      await start?.placed.catch(() => {})
      attached.drop(id)
      const name = nameOf((await site()).installation, id)
      const found = await inspectContainer(engine, name)
      if (found?.State.Running) {
        const steps = stepsOf(grace, { hangup, tty: found.Config.Tty })
        await terminate(engine, name, steps, () => ends.killing(id))
      }
      if (found) await logs.settled(id)
      await failpoint('container.ended')
      await erase(id)
    },

    written: async () => writtenBy(engine, await site()),

    async list() {
      const here = await site()
      const all = await containers(engine, labelFilter(here.installation, { kind: 'dyno' }))
      return listed(all.filter(({ Labels }) => !starting.has(Labels[LABEL.id] ?? '')))
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

/** By id of the dyno. */
async function writtenBy(engine: Connection, { installation }: Site): Promise<Map<string, number>> {
  const filters = { label: labelFilter(installation, { kind: 'dyno' }) }
  const sized = await engine.ask('measure containers', (docker) =>
    docker.listContainers({ all: true, size: true, filters }),
  )
  return new Map(sized.map(({ Labels, ...found }) => [Labels[LABEL.id] ?? '', (found as Sized).SizeRw ?? 0]))
}

/** What the engine adds when it is asked for sizes. */
interface Sized {
  SizeRw?: number
}

/** Containers that carry all these labels, running or not. */
export const containers = (engine: Connection, label: string[]): Promise<Docker.ContainerInfo[]> =>
  engine.ask('list containers', (docker) => docker.listContainers({ all: true, filters: { label } }))

async function create(engine: Connection, options: Docker.ContainerCreateOptions, shown: string): Promise<void> {
  try {
    await engine.ask(`create ${shown}`, (docker) => docker.createContainer(options))
  } catch (error) {
    // Another process of this installation was quicker.
    if (statusOf(error) !== 409) throw error
  }
}

const heldElsewhere = () =>
  new EngineError(
    'The output of this dyno does not go to a client of this daemon. Sluice may have restarted since: run the command again.',
  )

const startFailed = (error: unknown): EngineError =>
  error instanceof EngineError
    ? error
    : new EngineError(`The dyno did not start: ${messageOf(error)}`, { cause: error })

const run = (engine: Connection, name: string, shown: string): Promise<unknown> =>
  engine.ask(`start ${shown}`, (docker) => docker.getContainer(name).start())

const endOf = ({ ExitCode, FinishedAt, OOMKilled }: Docker.ContainerInspectInfo['State']): End => ({
  exitCode: ExitCode,
  at: Date.parse(FinishedAt),
  starved: OOMKilled,
})

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
    outOfMemory: ended && ends.outOfMemory(label('id'), endOf(State)),
    address: State.Running ? (addresses.find(Boolean) ?? null) : null,
    startedAt: Math.max(startedAt, 0),
    attached: label('attached') !== '',
  }
}
