import type { Readable } from 'node:stream'
import { type Connection, explain, statusOf } from './connection.ts'
import { exitOf } from './container.ts'
import { createDoubt, type Doubt } from './doubt.ts'
import type { LogChunk } from './engine.ts'
import { createFraming, frames } from './frames.ts'
import { createPieces, type Pieces, startOf } from './piece.ts'
import { createSilence, type Silence } from './silence.ts'
import { nameOf } from './spec.ts'

export interface DynoLogs {
  follow(id: string, since: number, signal: AbortSignal): AsyncIterable<LogChunk>
  /** Resolves when every open follower of an ended dyno has read to the end, or after two seconds. */
  settled(id: string): Promise<void>
}

const SETTLE = 2000

export function createDynoLogs(engine: Connection, installation: string): DynoLogs {
  const open = new Map<string, Set<Promise<void>>>()

  const enter = (id: string): (() => void) => {
    const readers = open.get(id) ?? new Set()
    open.set(id, readers)
    const { promise, resolve } = ending()
    readers.add(promise)
    return () => {
      resolve()
      readers.delete(promise)
      if (readers.size === 0 && open.get(id) === readers) open.delete(id)
    }
  }

  async function* lines(id: string, since: number, signal: AbortSignal): AsyncGenerator<LogChunk> {
    const leave = enter(id)
    try {
      for await (const batch of whole(engine, { name: nameOf(installation, id), since }, signal))
        for (const chunk of batch) yield chunk
    } catch (error) {
      if (signal.aborted || isGone(error)) return
      throw explain(engine.socket, 'read the output of a dyno', error)
    } finally {
      leave()
    }
  }

  return {
    follow: lines,
    async settled(id) {
      const readers = open.get(id)
      if (!readers) return
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, SETTLE)
      })
      await Promise.race([Promise.all(readers), late])
      clearTimeout(timer)
    },
  }
}

interface Position {
  name: string
  /** ms */
  since: number
}

/**
 * Follows until the end, then reads what came last once more: the engine (20.10) may end a stream that it follows before it has sent
 * what the process printed just before it ended. By the time the end is known the log is complete.
 *
 *   following -- it may have passed over a file, or is silent while more is stored --> following again, from the newest known entry
 *             -- ended --> (wait for the exit) --> reading the end --> done
 */
async function* whole(engine: Connection, from: Position, signal: AbortSignal): AsyncGenerator<LogChunk[]> {
  const pieces = createPieces()
  let { since } = from
  for (;;) {
    const doubt = createDoubt(pieces)
    yield* follow(engine, { ...from, since }, signal, { pieces, doubt })
    if (!doubt.raised) break
    since = pieces.again().since ?? since
  }
  await unlessAborted(exitOf(engine, from.name), signal)
  since = pieces.end().since ?? since
  yield* read(engine, { ...from, since }, signal, { pieces })
}

/** Follows a log until it ends, or until there is doubt about it. */
async function* follow(
  engine: Connection,
  from: Position,
  signal: AbortSignal,
  { pieces, doubt }: { pieces: Pieces; doubt: Doubt },
): AsyncGenerator<LogChunk[]> {
  const stalled = new AbortController()
  const silence = createSilence(
    async () => (await lastTime(engine, from.name)) > pieces.newest,
    () => {
      doubt.raise()
      stalled.abort()
    },
  )
  try {
    const either = AbortSignal.any([signal, stalled.signal])
    yield* read(engine, { ...from, follow: true }, either, { pieces, doubt, silence })
  } catch (error) {
    if (!stalled.signal.aborted) throw error
  } finally {
    silence.end()
  }
}

/** One answer of the engine, in batches. Stops early in doubt. The first chunk after a loss says so. */
async function* read(
  engine: Connection,
  from: Position & { follow?: true },
  signal: AbortSignal,
  { pieces, doubt, silence }: { pieces: Pieces; doubt?: Doubt; silence?: Silence },
): AsyncGenerator<LogChunk[]> {
  let stream: Readable | undefined
  const stop = () => stream?.destroy()
  signal.addEventListener('abort', stop)
  const known = pieces.newest
  const take = createFraming()
  let first = true
  try {
    stream = await openLog(engine, from)
    if (signal.aborted) return
    for await (const bytes of stream as AsyncIterable<Buffer>) {
      const batch: LogChunk[] = []
      for (const frame of take(bytes)) {
        const piece = startOf(frame)
        if (doubt?.about(piece)) break
        const chunk = pieces.next(piece)
        if (chunk) batch.push(first && known > 0 && chunk.at > known ? { ...chunk, gap: true } : chunk)
        first = false
      }
      doubt?.took(bytes.length)
      silence?.heard(doubt?.busy ?? false)
      if (batch.length > 0) yield batch
      if (doubt?.raised) return
    }
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
}

/** When the last stored line was printed, ms; 0 without one. */
async function lastTime(engine: Connection, name: string): Promise<number> {
  const stream = await openLog(engine, { name, since: 0, tail: '1' })
  let last = 0
  for await (const frame of frames(stream)) last = Math.max(last, Date.parse(startOf(frame).stamp))
  return last
}

/** As a stream in both cases, so that a long log is never held in memory. */
function openLog(
  engine: Connection,
  { name, since, follow, tail }: Position & { follow?: true; tail?: string },
): Promise<Readable> {
  const query = new URLSearchParams({ stdout: '1', stderr: '1', timestamps: '1', since: (since / 1000).toFixed(6) })
  if (follow) query.set('follow', '1')
  if (tail) query.set('tail', tail)
  const path = `/containers/${name}/logs?${query}&`
  return engine.ask(
    'read the output of a dyno',
    ({ modem }) =>
      new Promise((resolve, reject) =>
        modem.dial(
          { path, method: 'GET', isStream: true, statusCodes: { 200: true } },
          (error: unknown, stream: unknown) => (error ? reject(error) : resolve(stream as Readable)),
        ),
      ),
  )
}

async function unlessAborted(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const { promise, resolve } = ending()
  signal.addEventListener('abort', resolve)
  work.catch(() => {})
  await Promise.race([work, promise])
  signal.removeEventListener('abort', resolve)
  signal.throwIfAborted()
}

/** No such container, or one that is being removed. */
const isGone = (error: unknown): boolean => statusOf(error) === 404 || statusOf(error) === 409

function ending(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
