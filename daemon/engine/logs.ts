import type { Readable } from 'node:stream'
import { type Connection, explain, statusOf } from './connection.ts'
import type { LogChunk } from './engine.ts'
import { type Frame, frames } from './frames.ts'
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
    let stream: Readable | undefined
    const stop = () => stream?.destroy()
    signal.addEventListener('abort', stop)
    try {
      stream = await openLog(engine, nameOf(installation, id), since)
      if (signal.aborted) return
      for await (const frame of frames(stream)) yield stamped(frame)
    } catch (error) {
      if (signal.aborted || isGone(error)) return
      throw explain(engine.socket, 'read the output of a dyno', error)
    } finally {
      signal.removeEventListener('abort', stop)
      stop()
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

async function openLog(engine: Connection, name: string, since: number): Promise<Readable> {
  const options = { follow: true, stdout: true, stderr: true, timestamps: true, since: since / 1000 } as const
  const stream = await engine.ask('read the output of a dyno', (docker) => docker.getContainer(name).logs(options))
  return stream as Readable
}

/** Each message starts with the engine's time, in nanoseconds, and a blank. */
function stamped({ stream, data }: Frame): LogChunk {
  const blank = data.indexOf(0x20)
  const at = Date.parse(data.toString('latin1', 0, blank))
  return Number.isNaN(at) ? { stream, at: Date.now(), data } : { stream, at, data: data.subarray(blank + 1) }
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
