import type { Clock } from '../../daemon/clock.ts'
import {
  type BuildSpec,
  type DynoSpec,
  type Engine,
  EngineError,
  type EngineEvent,
  type LogChunk,
  type Placed,
} from '../../daemon/engine/engine.ts'
import { type Channel, createChannel } from './channel.ts'

/** What a process does, for tests without processes. Times are ms of the world's clock from its start. */
export interface Script {
  prints?: { stream?: 'stdout' | 'stderr'; text: string }[]
  /** Ends by itself. */
  exits?: { after: number; code: number; outOfMemory?: boolean }
  /** From when on it accepts connections; without it, never. */
  listens?: { after: number }
  ignoresTerm?: boolean
  /** The engine refuses to start it, with these words. */
  refused?: string
}

/** The machine: what outlives the engine objects that look at it. */
export interface World {
  clock: Clock
  dynoScript: (spec: DynoSpec) => Script
  buildScript: (spec: BuildSpec) => Script
  readonly dynos: Map<string, Running>
  readonly builds: Map<string, Running>
  readonly networks: Map<string, string>
  readonly watchers: Set<Channel<EngineEvent>>
}

interface Running {
  placed: Placed
  script: Script
  log: LogChunk[]
  readers: Set<Channel<LogChunk>>
  ended: Promise<void>
  end(exitCode: number, outOfMemory?: boolean): void
}

export const createWorld = (
  clock: Clock,
  dynoScript: World['dynoScript'],
  buildScript: World['buildScript'] = () => ({ exits: { after: 0, code: 0 } }),
): World => ({
  clock,
  dynoScript,
  buildScript,
  dynos: new Map(),
  builds: new Map(),
  networks: new Map(),
  watchers: new Set(),
})

/** Whether a router that probed this dyno now would get through. */
export function listening({ clock, dynos }: World, id: string): boolean {
  const dyno = dynos.get(id)
  if (!dyno?.placed.running) return false
  const { listens } = dyno.script
  return listens !== undefined && clock.now() >= dyno.placed.startedAt + listens.after
}

/** Ends a dyno as if by itself. */
export const crash = ({ dynos }: World, id: string, code: number): void => dynos.get(id)?.end(code)

/** An Engine without containers; passes the same contract as the real ones. */
export function createMemoryEngine(world: World): Engine {
  const { clock, dynos, builds, networks, watchers } = world
  const tell = (event: EngineEvent) => {
    for (const watcher of watchers) watcher.put(event)
  }

  return {
    async start(spec, signal) {
      await Promise.resolve()
      signal?.throwIfAborted()
      const known = dynos.get(spec.id)
      if (known) return { ...known.placed }
      const script = world.dynoScript(spec)
      if (script.refused) throw new EngineError(script.refused)
      networks.set(spec.network.name, spec.app.id)
      const placed = placedOf(spec, clock.now(), dynos.size)
      const dyno = launch(clock, placed, script, (exitCode, outOfMemory) =>
        tell({ kind: 'exited', id: spec.id, app: spec.app.id, exitCode, outOfMemory }),
      )
      dynos.set(spec.id, dyno)
      tell({ kind: 'started', id: spec.id, app: spec.app.id })
      return { ...placed }
    },

    async stop(id, grace) {
      await Promise.resolve()
      const dyno = dynos.get(id)
      if (!dyno) return
      await terminate(clock, dyno, grace)
      dynos.delete(id)
    },

    list: async () => [...dynos.values()].map(({ placed }) => ({ ...placed })),

    watch(signal) {
      const events = createChannel<EngineEvent>()
      watchers.add(events)
      closeOnAbort(events, signal, () => watchers.delete(events))
      return events.read()
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

    async sweepBuilds() {
      for (const build of builds.values()) build.end(137)
      builds.clear()
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
    exited(exitCode, outOfMemory)
    settle()
  }
  const { exits } = script
  if (exits) cancel = clock.at(clock.now() + exits.after, () => end(exits.code, exits.outOfMemory))
  return { placed, script, log, readers, ended, end }
}

async function terminate(clock: Clock, dyno: Running, grace: number): Promise<void> {
  if (!dyno.script.ignoresTerm) dyno.end(143)
  const cancel = clock.at(clock.now() + grace, () => dyno.end(137))
  if (grace === 0) dyno.end(137)
  await dyno.ended
  cancel()
}

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
})

function closeOnAbort(channel: { close(): void }, signal: AbortSignal, left: () => void): void {
  const close = () => {
    left()
    channel.close()
  }
  if (signal.aborted) close()
  else signal.addEventListener('abort', close, { once: true })
}
