import { setMaxListeners } from 'node:events'
import type { Engine, LogChunk } from '../engine/engine.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import { createAllowance } from './allowance.ts'
import { createIntake, type Intake, type Position } from './intake.ts'
import type { Logs } from './logs.ts'
import { createLosses, type Losses } from './losses.ts'
import { textOf } from './split.ts'
import type { Transcript } from './transcript.ts'

/**
 * Reads the output of dynos into the logs. A reader that breaks is begun again where it stopped: each line is kept with the engine's
 * time and its number within that time, also over a restart of the daemon. What a dyno writes beyond `limits.logRate` is counted,
 * dropped and told, and so is what the engine has lost.
 *
 *   (none) -- follow --> reading -- the dyno has ended, or the engine is gone for too long --> done -- follow --> reading
 */
export interface Collector {
  /** Idempotent by id. `tee` gets the output as well; whoever opened it ends it, after `settled`. */
  follow(dyno: Dyno, tee?: Transcript): void
  /** Resolves when the output was read to its end, after 2 s at most. */
  settled(id: string): Promise<void>
  /** The last lines that the dyno wrote. */
  tail(id: string): string[]
  /** Stops reading. */
  close(): Promise<void>
}

interface Dyno {
  id: string
  app: string
  name: string
  since: number
}

const TAIL_LINES = 20
const DYNOS_REMEMBERED = 1000
const SETTLE = 2000
const ATTEMPTS = 10
const FIRST_RETRY = 100
const LAST_RETRY = 5000
/** After so many bytes of one dyno the others have their turn, and so has the disk: the engine stores what is not read yet. */
const TURN = 64 * 1024
/** What a line takes on disk besides its text. */
const PER_LINE = 100
/** Entries of the two streams may be out of order by a little. */
const DISORDER = 10
/** A position further ahead than this was noted before the clock was set back. */
const AHEAD = 1000

interface Reader {
  dyno: Dyno
  tee: Transcript | undefined
  lines: string[]
  allowance: { take(at: number, bytes: number): boolean }
  losses: Losses
  reading: Promise<void> | undefined
}

export function createCollector(engine: Pick<Engine, 'logs'>, logs: Logs, log: Log): Collector {
  const readers = new Map<string, Reader>()
  const stopping = new AbortController()
  setMaxListeners(0, stopping.signal)

  const read = async (reader: Reader): Promise<void> => {
    let failures = 0
    const progress = () => {
      failures = 0
    }
    while (!stopping.signal.aborted) {
      try {
        return await readOnce(engine, logs, reader, { signal: stopping.signal, progress })
      } catch (error) {
        if (stopping.signal.aborted) return
        if (++failures === ATTEMPTS) return log.warn('output of a dyno cannot be read', { dyno: reader.dyno.id, error })
        await pause(Math.min(LAST_RETRY, FIRST_RETRY * 2 ** failures), stopping.signal)
      }
    }
  }

  const readerOf = (dyno: Dyno): Reader => {
    const known = readers.get(dyno.id)
    if (known) return known
    const reader: Reader = {
      dyno,
      tee: undefined,
      lines: [],
      allowance: createAllowance(limits.logRate),
      losses: createLosses(dyno.name, (line, position) => {
        reader.tee?.write(`${line.text}\n`)
        logs.write(dyno.app, line, position)
      }),
      reading: undefined,
    }
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
        reader.losses.tell()
      })
    },
    async settled(id) {
      const reading = readers.get(id)?.reading
      if (!reading) return
      const late = new AbortController()
      await Promise.race([reading, pause(SETTLE, late.signal)])
      late.abort()
    },
    tail: (id) => [...(readers.get(id)?.lines ?? [])],
    async close() {
      stopping.abort()
      await Promise.all([...readers.values()].map(({ reading }) => reading))
    },
  }
}

/** Reads until the dyno ends. Throws when the engine does. */
async function readOnce(
  engine: Pick<Engine, 'logs'>,
  logs: Logs,
  reader: Reader,
  { signal, progress }: { signal: AbortSignal; progress: () => void },
): Promise<void> {
  const { dyno } = reader
  const positions = logs.positions(dyno.app, dyno.id).filter(({ at }) => at < Date.now() + AHEAD)
  const intakes = {
    stdout: createIntake(positions.find(({ stream }) => stream === 'stdout')),
    stderr: createIntake(positions.find(({ stream }) => stream === 'stderr')),
  }
  const newest = Math.max(0, ...positions.map(({ at }) => at))
  const keep = (stream: LogChunk['stream']) => (line: Buffer) =>
    keepLine(logs, reader, { intake: intakes[stream], stream, line })
  const each = { stdout: keep('stdout'), stderr: keep('stderr') }
  let first = true
  let turn = 0
  for await (const chunk of engine.logs(dyno.id, newest === 0 ? dyno.since : newest - DISORDER, signal)) {
    // The engine stores the end of the output; when that begins after what was read last, something between is gone.
    if (chunk.gap || (first && newest > 0 && chunk.at > newest)) reader.losses.gap(chunk.at)
    first = false
    intakes[chunk.stream].take(chunk, each[chunk.stream])
    progress()
    turn += chunk.data.length + PER_LINE
    if (turn > TURN) {
      turn = 0
      await (logs.backlog(dyno.app) ?? new Promise((resolve) => setImmediate(resolve)))
    }
  }
  if (!signal.aborted) for (const stream of ['stdout', 'stderr'] as const) intakes[stream].end(each[stream])
}

interface Taken {
  intake: Intake
  stream: LogChunk['stream']
  line: Buffer
}

function keepLine(logs: Logs, reader: Reader, { intake, stream, line }: Taken): void {
  const { dyno } = reader
  const position: Position = { dyno: dyno.id, stream, at: intake.at, count: intake.count }
  if (!reader.allowance.take(intake.at, line.length)) return reader.losses.dropped(position.at, position)
  const text = textOf(line)
  reader.lines.push(text)
  if (reader.lines.length > TAIL_LINES) reader.lines.shift()
  reader.tee?.write(`${text}\n`)
  logs.write(dyno.app, { at: Math.floor(intake.at), source: 'app', dyno: dyno.name, text }, position)
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const over = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', over)
      resolve()
    }
    const timer = setTimeout(over, ms)
    signal.addEventListener('abort', over)
  })
