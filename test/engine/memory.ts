import type { Clock } from '../../daemon/clock.ts'
import { createAttached } from '../../daemon/engine/attached.ts'
import {
  type BuildSpec,
  buildRepository,
  type DynoSpec,
  type Engine,
  EngineError,
  type EngineEvent,
  type ExecSpec,
  type LogChunk,
  type Placed,
  type Process,
  type Terminal,
} from '../../daemon/engine/engine.ts'
import { limits } from '../../daemon/limits.ts'
import { type Channel, createChannel } from './channel.ts'
import { createImageStore, createMemoryImages, type ImageStore } from './memory-images.ts'
import { createTalk, type Talk } from './talk.ts'

/** What a process does, for tests without processes. Times are ms of the world's clock from its start. */
export interface Script {
  prints?: { stream?: 'stdout' | 'stderr'; text: string }[]
  /** Ends by itself. */
  exits?: { after: number; code: number; outOfMemory?: boolean }
  /** The kernel kills a process of it then, and it lives on. */
  starves?: { after: number }
  /** From when on it accepts connections on $PORT; without it, never. With a port of its own, or from within only, nobody reaches it. */
  listens?: { after: number; port?: number; local?: boolean }
  /** Bytes; without it nobody knows. */
  uses?: number
  ignoresTerm?: boolean
  ignoresHangup?: boolean
  /** What it does with its input and output when a client holds them; it ends with the code that comes of it. */
  talks?: (talk: Talk) => Promise<number>
  /** The engine refuses to start it, with these words. */
  refused?: string
}

/** The machine: what outlives the engine objects that look at it. */
export interface World {
  clock: Clock
  dynoScript: (spec: DynoSpec) => Script
  buildScript: (spec: BuildSpec) => Script
  execScript: (spec: ExecSpec) => Script
  readonly dynos: Map<string, Running & { image: string }>
  readonly builds: Map<string, Running>
  readonly networks: Map<string, string>
  readonly store: ImageStore
  readonly watchers: Set<Channel<EngineEvent>>
}

interface Running {
  placed: Placed
  script: Script
  log: LogChunk[]
  readers: Set<Channel<LogChunk>>
  /** Further processes, which end with it. */
  execs: Set<Running>
  ended: Promise<void>
  end(exitCode: number, outOfMemory?: boolean): void
}

export function createWorld(
  clock: Clock,
  dynoScript: World['dynoScript'],
  buildScript: World['buildScript'] = () => ({ exits: { after: 0, code: 0 } }),
  execScript: World['execScript'] = () => ({ exits: { after: 0, code: 0 } }),
  imageScript?: ImageStore['script'],
): World {
  const dynos: World['dynos'] = new Map()
  const used = (id: string) => [...dynos.values()].some(({ image }) => image === id)
  const store = createImageStore(imageScript, used)
  return {
    ...{ clock, dynoScript, buildScript, execScript, dynos, store },
    ...{ builds: new Map(), networks: new Map(), watchers: new Set() },
  }
}

/** Whether a router that probed this dyno now would get through. */
export function listening({ clock, dynos }: World, id: string): boolean {
  const dyno = dynos.get(id)
  if (!dyno?.placed.running) return false
  const { listens } = dyno.script
  return listens !== undefined && listens.port === undefined && clock.now() >= dyno.placed.startedAt + listens.after
}

/** Ends a dyno as if by itself. */
export const crash = ({ dynos }: World, id: string, code: number): void => dynos.get(id)?.end(code)

/** An Engine without containers; passes the same contract as the real ones. */
export function createMemoryEngine(world: World): Engine {
  const { clock, dynos, builds, networks, watchers } = world
  const tell = (event: EngineEvent) => {
    for (const watcher of watchers) watcher.put(event)
  }

  const attached = createAttached()
  const images = createMemoryImages(world.store)

  const start = async (spec: DynoSpec, signal?: AbortSignal): Promise<Placed> => {
    await Promise.resolve()
    signal?.throwIfAborted()
    const known = dynos.get(spec.id)
    if (known) {
      if (attached.state(spec.id) === 'started') attached.fail(spec.id, heldElsewhere())
      return { ...known.placed }
    }
    const script = world.dynoScript(spec)
    if (script.refused) throw new EngineError(script.refused)
    networks.set(spec.network.name, spec.app.id)
    const placed = placedOf(spec, clock.now(), dynos.size)
    const dyno = launch(clock, placed, script, (exitCode, outOfMemory) =>
      tell({ kind: 'exited', id: spec.id, app: spec.app.id, exitCode, outOfMemory }),
    )
    dynos.set(spec.id, { ...dyno, image: spec.image })
    tell({ kind: 'started', id: spec.id, app: spec.app.id })
    if (script.starves) {
      const starve = () => dyno.placed.running && tell({ kind: 'starved', id: spec.id, app: spec.app.id })
      clock.at(clock.now() + script.starves.after, starve)
    }
    if (spec.terminal) {
      attached.hold(spec.id, talk(clock, dyno, spec.terminal))
      attached.offer(spec.id)
    } else attached.fail(spec.id, heldElsewhere())
    return { ...placed }
  }

  return {
    async start(spec, signal) {
      if (attached.state(spec.id) === 'none') attached.begin(spec.id)
      try {
        return await start(spec, signal)
      } catch (error) {
        attached.fail(spec.id, error instanceof EngineError ? error : new EngineError(String(error)))
        throw error
      }
    },

    async stop(id, grace, hangup) {
      await Promise.resolve()
      attached.drop(id)
      const dyno = dynos.get(id)
      if (!dyno) return
      await terminate(clock, dyno, { grace, hangup })
      dynos.delete(id)
    },

    async attach(id, signal) {
      if (dynos.has(id) && attached.state(id) === 'none') throw heldElsewhere()
      return attached.take(id, signal)
    },

    async exec(spec, signal) {
      signal?.throwIfAborted()
      const dyno = dynos.get(spec.id)
      if (!dyno?.placed.running) throw new EngineError('The dyno does not run, so no command can run in it.')
      const script = world.execScript(spec)
      if (script.refused) throw new EngineError(script.refused)
      const exec = launch(clock, { ...dyno.placed }, script, () => dyno.execs.delete(exec))
      dyno.execs.add(exec)
      return talk(clock, exec, spec.terminal)
    },

    list: async () => [...dynos.values()].map(({ placed }) => ({ ...placed })),

    watch(signal) {
      const events = createChannel<EngineEvent>()
      watchers.add(events)
      closeOnAbort(events, signal, () => watchers.delete(events))
      return events.read()
    },

    memoryUsed: async (id) => (dynos.get(id)?.placed.running ? (dynos.get(id)?.script.uses ?? null) : null),

    async listens(id) {
      const { port, local = false } = dynos.get(id)?.script.listens ?? {}
      return port !== undefined && dynos.get(id)?.placed.running ? [{ port, local }] : []
    },

    logs(id, since, signal) {
      const chunks = createChannel<LogChunk>()
      const dyno = dynos.get(id)
      for (const chunk of dyno?.log ?? []) if (chunk.at >= since) chunks.put(chunk)
      if (!dyno?.placed.running) chunks.close()
      dyno?.readers.add(chunks)
      closeOnAbort(chunks, signal, () => dyno?.readers.delete(chunks))
      return chunks.read()
    },

    async build(spec, signal) {
      signal.throwIfAborted()
      const script = world.buildScript(spec)
      if (script.refused) throw new EngineError(script.refused)
      return runBuild(world, spec, script, signal)
    },

    images,

    async sweepBuilds() {
      const left = (await images.kept()).filter((name) => name.startsWith(buildRepository('')))
      for (const name of left) await images.forget(name)
      for (const build of builds.values()) build.end(137)
      builds.clear()
    },

    owners: async () => ({
      apps: new Set([...dynos.values()].map(({ placed }) => placed.app).concat([...networks.values()])),
      dynos: new Set(dynos.keys()),
      builds: new Set([
        ...builds.keys(),
        ...(await images.kept()).flatMap((name) => /^build-([^:]+)/.exec(name)?.[1] ?? []),
      ]),
    }),

    written: async () => new Map([...dynos.keys()].map((id) => [id, 0])),

    async removeBuild(build) {
      builds.get(build)?.end(137)
      builds.delete(build)
      await images.forget(buildRepository(build))
    },

    async removeApp(app) {
      for (const [id, dyno] of dynos) {
        if (dyno.placed.app !== app) continue
        dyno.end(137)
        dynos.delete(id)
      }
      for (const [name, owner] of networks) if (owner === app) networks.delete(name)
    },

    ping: async () => {},
    version: async () => 'memory',
  }
}

function launch(
  clock: Clock,
  placed: Placed,
  script: Script,
  exited: (exitCode: number, outOfMemory: boolean) => void,
): Running {
  const log = (script.prints ?? []).map(({ stream = 'stdout', text }) => ({
    stream,
    at: clock.now(),
    data: Buffer.from(text),
  }))
  const readers = new Set<Channel<LogChunk>>()
  const execs = new Set<Running>()
  let settle = () => {}
  const ended = new Promise<void>((resolve) => {
    settle = resolve
  })
  let cancel = () => {}
  const end = (exitCode: number, outOfMemory = false) => {
    if (!placed.running) return
    cancel()
    Object.assign(placed, { running: false, exitCode, outOfMemory, address: null })
    for (const reader of readers) reader.close()
    for (const exec of execs) exec.end(137)
    exited(exitCode, outOfMemory)
    settle()
  }
  const { exits } = script
  if (exits) cancel = clock.at(clock.now() + exits.after, () => end(exits.code, exits.outOfMemory))
  return { placed, script, log, readers, execs, ended, end }
}

async function terminate(
  clock: Clock,
  dyno: Running,
  { grace, hangup }: { grace: number; hangup?: number | undefined },
) {
  if (hangup !== undefined && !dyno.script.ignoresHangup) dyno.end(129)
  const cancels = [
    after(clock, hangup ?? 0, () => {
      if (!dyno.script.ignoresTerm) dyno.end(143)
    }),
    after(clock, (hangup ?? 0) + grace, () => dyno.end(137)),
  ]
  await dyno.ended
  for (const cancel of cancels) cancel()
}

function after(clock: Clock, delay: number, what: () => void): () => void {
  if (delay > 0) return clock.at(clock.now() + delay, what)
  what()
  return () => {}
}

/** Puts a client's end on a process that was launched. */
function talk(clock: Clock, running: Running, terminal: Terminal): Process {
  const { script, log, placed } = running
  return createTalk(terminal, {
    prints: log,
    talks: script.talks,
    end: running.end,
    ended: running.ended.then(() => placed.exitCode ?? 0),
    hangup: () => terminate(clock, running, { grace: limits.stopGrace, hangup: limits.hangup }),
  })
}

const heldElsewhere = () => new EngineError('The output of this dyno does not go to a client of this daemon.')

function runBuild({ clock, builds }: World, spec: BuildSpec, script: Script, signal: AbortSignal) {
  const placed = { ...placedOf(spec, clock.now(), 0), app: spec.app }
  const build = launch(clock, placed, script, () => {})
  builds.set(spec.id, build)
  const output = createChannel<Buffer>()
  for (const { data } of build.log) output.put(data)
  signal.addEventListener('abort', () => build.end(137))
  const exit = build.ended.then(() => {
    builds.delete(spec.id)
    output.close()
    signal.throwIfAborted()
    return { exitCode: placed.exitCode ?? 0, outOfMemory: placed.outOfMemory }
  })
  exit.catch(() => {})
  return { output: output.read(), exit }
}

const placedOf = (spec: DynoSpec | BuildSpec, startedAt: number, index: number): Placed => ({
  id: spec.id,
  app: typeof spec.app === 'string' ? spec.app : spec.app.id,
  release: 'release' in spec ? spec.release.id : '',
  type: 'type' in spec ? spec.type : '',
  name: 'name' in spec ? spec.name : '',
  running: true,
  exitCode: null,
  outOfMemory: false,
  address: `10.255.${Math.floor(index / 250)}.${(index % 250) + 2}`,
  startedAt,
  attached: 'terminal' in spec && spec.terminal !== undefined,
})

function closeOnAbort(channel: { close(): void }, signal: AbortSignal, left: () => void): void {
  const close = () => {
    left()
    channel.close()
  }
  if (signal.aborted) close()
  else signal.addEventListener('abort', close, { once: true })
}
