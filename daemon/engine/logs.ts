import type { Readable } from 'node:stream'
import { type Connection, explain, statusOf } from './connection.ts'
import type { LogChunk } from './engine.ts'
import { frames } from './frames.ts'
import { createPieces, type Piece, startOf } from './piece.ts'
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

  async function* follow(id: string, since: number, signal: AbortSignal): AsyncGenerator<LogChunk> {
    const leave = enter(id)
    try {
      yield* whole(engine, { name: nameOf(installation, id), since }, signal)
    } catch (error) {
      if (signal.aborted || isGone(error)) return
      throw explain(engine.socket, 'read the output of a dyno', error)
    } finally {
      leave()
    }
  }

  return {
    follow,
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
 */
async function* whole(engine: Connection, { name, since }: Position, signal: AbortSignal): AsyncGenerator<LogChunk> {
  const pieces = createPieces()
  const from = (since / 1000).toFixed(3)
  yield* read(engine, { name, since: from, follow: true }, signal, pieces.next)
  await unlessAborted(engine.docker.getContainer(name).wait(), signal)
  const again = pieces.again()
  yield* read(engine, { name, since: again.since ?? from, follow: false }, signal, again.next)
}

async function* read(
  engine: Connection,
  { name, ...options }: { name: string; since: string; follow: boolean },
  signal: AbortSignal,
  next: (piece: Piece) => LogChunk | null,
): AsyncGenerator<LogChunk> {
  let stream: Readable | undefined
  const stop = () => stream?.destroy()
  signal.addEventListener('abort', stop)
  try {
    stream = await openLog(engine, name, options)
    if (signal.aborted) return
    for await (const frame of frames(stream)) {
      const chunk = next(startOf(frame))
      if (chunk) yield chunk
    }
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
}

/** As a stream in both cases, so that a long log is never held in memory. */
function openLog(engine: Connection, name: string, options: { since: string; follow: boolean }): Promise<Readable> {
  const query = new URLSearchParams({ stdout: '1', stderr: '1', timestamps: '1', since: options.since })
  if (options.follow) query.set('follow', '1')
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
