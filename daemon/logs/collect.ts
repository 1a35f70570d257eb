import { setMaxListeners } from 'node:events'
import type { Engine } from '../engine/engine.ts'
import { messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Logs } from './logs.ts'
import { createSplitter, type Splitter } from './split.ts'
import type { Transcript } from './transcript.ts'

/**
 * Reads the output of dynos into the logs. A reader that breaks is begun again where it stopped: each line is kept with the engine's
 * time and its number within that millisecond, also over a restart of the daemon.
 *
 *   (none) -- follow --> reading -- the dyno has ended, or the engine is gone for too long --> done -- follow --> reading
 */
export interface Collector {
  /** Idempotent by id. `tee` gets the output as well; whoever opened it ends it, after `settled`. */
  follow(dyno: { id: string; app: string; name: string; since: number }, tee?: Transcript): void
  /** Resolves when the output was read to its end, after 2 s at most. */
  settled(id: string): Promise<void>
  /** The last lines that the dyno wrote. */
  tail(id: string): string[]
  /** Stops reading. */
  close(): Promise<void>
}

const TAIL_LINES = 20
const DYNOS_REMEMBERED = 1000
const SETTLE = 2000
const ATTEMPTS = 10
const FIRST_RETRY = 100
const LAST_RETRY = 5000
/** After so many bytes of one dyno the others have their turn. */
const TURN = 64 * 1024

interface Reader {
  dyno: { id: string; app: string; name: string; since: number }
  tee: Transcript | undefined
  lines: string[]
  reading: Promise<void> | undefined
}

export function createCollector(engine: Pick<Engine, 'logs'>, logs: Logs, log: Log): Collector {
  const readers = new Map<string, Reader>()
  const stopping = new AbortController()
  setMaxListeners(0, stopping.signal)

  const read = async (reader: Reader): Promise<void> => {
    for (let failures = 0; !stopping.signal.aborted; ) {
      try {
        for await (const _ of readOnce(engine, logs, reader, stopping.signal)) failures = 0
        return
      } catch (error) {
        if (stopping.signal.aborted) return
        if (++failures === ATTEMPTS)
          return log.warn('output of a dyno cannot be read', { dyno: reader.dyno.id, error: messageOf(error) })
        await pause(Math.min(LAST_RETRY, FIRST_RETRY * 2 ** failures), stopping.signal)
      }
    }
  }

  const readerOf = (dyno: Reader['dyno']): Reader => {
    const known = readers.get(dyno.id)
    if (known) return known
    const reader: Reader = { dyno, tee: undefined, lines: [], reading: undefined }
    readers.set(dyno.id, reader)
    for (const [id, old] of readers)
      if (readers.size <= DYNOS_REMEMBERED) break
      else if (!old.reading) readers.delete(id)
    return reader
  }

  return {
    follow(dyno, tee) {
      const reader = readerOf(dyno)
      reader.tee ??= tee
      if (stopping.signal.aborted) return
      reader.reading ??= read(reader).finally(() => {
        reader.reading = undefined
      })
    },
    async settled(id) {
      const reading = readers.get(id)?.reading
      if (!reading) return
      const late = new AbortController()
      await Promise.race([reading, pause(SETTLE, late.signal)])
      late.abort()
    },
    tail: (id) => readers.get(id)?.lines ?? [],
    async close() {
      stopping.abort()
      await Promise.all([...readers.values()].map(({ reading }) => reading))
    },
  }
}

/** Reads until the dyno ends; yields after each chunk, so that the caller sees progress. Throws when the engine does. */
async function* readOnce(
  engine: Pick<Engine, 'logs'>,
  logs: Logs,
  reader: Reader,
  signal: AbortSignal,
): AsyncGenerator<void> {
  const { dyno } = reader
  const seen = logs.position(dyno.app, dyno.id)
  const since = seen?.at ?? dyno.since
  let skip = seen?.count ?? 0
  let at = since
  let count = 0
  let turn = 0
  const keep = (text: string): void => {
    count++
    if (at === seen?.at && skip > 0) {
      skip--
      return
    }
    reader.lines = [...reader.lines.slice(1 - TAIL_LINES), text]
    reader.tee?.write(`${text}\n`)
    logs.write(dyno.app, { at, source: 'app', dyno: dyno.name, text }, { dyno: dyno.id, at, count })
  }
  const streams: Record<'stdout' | 'stderr', Splitter> = { stdout: createSplitter(), stderr: createSplitter() }
  for await (const chunk of engine.logs(dyno.id, since, signal)) {
    const time = Math.floor(chunk.at)
    if (seen && time < since) continue
    if (time > at) count = 0
    at = Math.max(at, time)
    for (const text of streams[chunk.stream].push(chunk.data)) keep(text)
    yield
    turn += chunk.data.length
    if (turn > TURN) {
      turn = 0
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  if (signal.aborted) return
  for (const stream of [streams.stdout, streams.stderr]) for (const text of stream.end()) keep(text)
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
