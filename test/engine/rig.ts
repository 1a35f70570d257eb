import { randomUUID } from 'node:crypto'
import type {
  BuildSpec,
  DynoSpec,
  Engine,
  EngineEvent,
  ImageBuildSpec,
  LogChunk,
  Process,
} from '../../daemon/engine/engine.ts'
import { waitFor } from '../e2e/wait.ts'

/** What an implementation brings to be held to the contract. */
export interface Rig {
  /** A further engine object over the same containers, as after a restart of the daemon. */
  engine(): Engine
  image: string
  slug: string
  /** Dynos run their commands in the image as it is, in place of above a slug. */
  asImage?: boolean
  network: { name: string; subnet: string }
  commands: Commands
  dockerfiles: Dockerfiles
  /** Names of all that exists of this rig in the engine and on the disk. */
  leftovers(): Promise<string[]>
}

/** Commands with these effects. Those that stay print a line `ready` first. */
export interface Commands {
  stays: string
  ignoresTerm: string
  exits(code: number): string
  /** A process of it is killed for its memory, of which it has 64 MiB; it stays. */
  starves: string
  /** As before, but it ends of it, with another status than that of SIGKILL. */
  starvesToDeath: string
  /** `line 1` to `line <count>` on stdout, then `the end` on stderr, then exit 0. */
  prints(count: number): string
  /** Prints `ready`, then its input, and after that `end of input`. */
  echoes: string
  /** `yes` or `no`: has it a terminal; then `size <rows> <columns>`, again after each change, for ever. */
  shows: string
  /** Prints `ready`; after a SIGINT `interrupted`, then exit 7. */
  heedsInterrupt: string
  /** Only SIGKILL ends it. */
  ignoresAll: string
  /** So many bytes. */
  floods(size: number): string
  /** argv of builds: `line 1` to `line <count>`, then exit; and one that stays. */
  buildPrints(count: number, code: number): string[]
  buildStays: string[]
}

/** Texts of Dockerfiles with these effects. */
export interface Dockerfiles {
  /** Two stages; a step that prints `built for <value of ARG FOR>`; its CMD prints `the command of the image` and ends. */
  good: string
  /** Prints `before`, and fails with 3 in the step after. */
  fails: string
  /** Prints `ready` and stays. */
  stays: string
}

const MiB = 1024 * 1024
export const never = new AbortController().signal

/** One app of a test; its name is in every id, so that tests do not meet. */
export const appOf = (rig: Rig, app = randomUUID()) => ({
  id: app,
  spec: (command: string, more: Partial<DynoSpec> = {}): DynoSpec => ({
    id: randomUUID(),
    app: { id: app, name: 'contract' },
    release: { id: randomUUID(), version: 7 },
    type: 'web',
    name: 'web.1',
    image: rig.image,
    code: rig.asImage ? { kind: 'image', command } : { kind: 'slug', tree: rig.slug, command },
    env: rig.asImage ? [] : ['PATH=/usr/local/bin:/usr/bin:/bin', 'HOME=/app'],
    memory: 256 * MiB,
    cpu: 1,
    pids: 64,
    network: rig.network,
    ...more,
  }),
  imageBuild: (more: Partial<ImageBuildSpec> = {}): ImageBuildSpec => ({
    build: randomUUID(),
    name: 'web',
    dockerfile: 'Dockerfile',
    args: {},
    cache: [],
    memory: 256 * MiB,
    pids: 64,
    cpu: 1,
    ...more,
  }),
  build: (command: string[], more: Partial<BuildSpec> = {}): BuildSpec => ({
    id: randomUUID(),
    app,
    image: rig.image,
    command,
    env: ['PATH=/usr/local/bin:/usr/bin:/bin'],
    mounts: [],
    memory: 256 * MiB,
    pids: 64,
    cpu: 1,
    ...more,
  }),
})

/** A behaviour of an engine, as a test with an app of its own. */
export type Declare = (name: string, body: (app: ReturnType<typeof appOf>) => Promise<void>) => void

/** What this work, which must fail, fails with. */
export async function rejection(work: Promise<unknown>): Promise<Error> {
  try {
    await work
  } catch (error) {
    return error as Error
  }
  throw new Error('it succeeded')
}

/** All output of a dyno, until it ends. */
export async function outputOf(engine: Engine, id: string, since = 0): Promise<LogChunk[]> {
  const chunks: LogChunk[] = []
  for await (const chunk of engine.logs(id, since, never)) chunks.push(chunk)
  return chunks
}

export const textOf = (chunks: LogChunk[]): string => Buffer.concat(chunks.map(({ data }) => data)).toString()

/** Resolves when the dyno has printed this. */
export async function printed(engine: Engine, id: string, text: string): Promise<void> {
  const enough = new AbortController()
  let seen = ''
  for await (const { data } of engine.logs(id, 0, enough.signal)) {
    seen += data.toString()
    if (seen.includes(text)) return enough.abort()
  }
  throw new Error(`the dyno ended without printing "${text}"; it printed: ${seen}`)
}

/** Starts a dyno and holds its input and output. */
export async function hold(engine: Engine, spec: DynoSpec): Promise<Process> {
  const attached = engine.attach(spec.id)
  await Promise.all([attached, engine.start(spec)])
  return attached
}

/** Reads all that a process prints, as it comes. */
export function reading({ output }: Process) {
  const chunks: { stream: 'stdout' | 'stderr'; data: Buffer }[] = []
  const textOf = (stream?: string) =>
    Buffer.concat(chunks.filter((one) => !stream || one.stream === stream).map(({ data }) => data)).toString('latin1')
  const whole = (async () => {
    for await (const chunk of output) chunks.push(chunk)
  })()
  return {
    /** Resolves when it was printed. */
    sees: (text: string) => waitFor(`"${text}" from a process`, () => textOf().includes(text), { every: 10 }),
    /** All of it, or of one stream, when the output has ended. */
    async end(stream?: 'stdout' | 'stderr'): Promise<string> {
      await whole
      return textOf(stream)
    },
  }
}

/** Resolves with the exit code when the engine lists the dyno as ended. */
export async function ended(engine: Engine, id: string): Promise<number> {
  const one = await waitFor(`dyno ${id} to end`, async () =>
    (await engine.list()).find((placed) => placed.id === id && !placed.running),
  )
  return one.exitCode ?? Number.NaN
}

/** Collects events until `enough`; the subscription exists when this returns. */
export function collectEvents(engine: Engine, enough: (seen: EngineEvent[]) => boolean): Promise<EngineEvent[]> {
  const stop = new AbortController()
  const events = engine.watch(stop.signal)
  return (async () => {
    const seen: EngineEvent[] = []
    for await (const event of events) {
      seen.push(event)
      if (enough(seen)) stop.abort()
    }
    return seen
  })()
}
