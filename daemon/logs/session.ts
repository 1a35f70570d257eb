import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Daemon } from '../daemon.ts'
import { notFound } from '../errors.ts'
import { limits } from '../limits.ts'
import { formatLine, type Line } from './line.ts'
import type { LogFilter } from './logs.ts'

/**
 * Log sessions: URLs that show the lines of one app to whoever has them. The id holds the session, sealed, so that nothing is stored
 * and a tail goes on over a restart of the daemon.
 */
export interface Session {
  lines: number
  tail: boolean
  filter: LogFilter
}

type Parts = Pick<Daemon, 'logs' | 'seal' | 'clock' | 'log'>

interface Sealed extends Session {
  app: string
  createdAt: number
}

const OPEN_WITHIN = 5 * 60_000
/** A tail that comes back after its connection ended. */
const RESUME_WITHIN = 24 * 3600_000
/** The official CLI gives up after 300 s of silence. */
const KEEP_ALIVE = 30_000
const SLOWEST_CLIENT = 60_000
const CONTEXT = 'log-session'

/** The id of a new session, for 5 minutes to open; a tail that was open may be resumed for a day. */
export function createSession({ seal, clock }: Pick<Daemon, 'seal' | 'clock'>, app: string, session: Session): string {
  const lines = Math.max(0, Math.min(Math.floor(session.lines) || 0, limits.logLinesKept))
  const sealed: Sealed = { ...session, lines, app, createdAt: clock.now() }
  return Buffer.from(seal.seal(JSON.stringify(sealed), CONTEXT), 'base64').toString('base64url')
}

/**
 * Answers a session's URL: server-sent events when the client accepts them, else plain lines. Throws not_found for an unknown or
 * expired id before anything was sent; resolves when the answer has ended.
 */
export async function serveSession(d: Parts, id: string, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const after = lastEventId(req)
  const session = openSession(d, id, after !== undefined)
  const events = /\btext\/event-stream\b/.test(req.headers.accept ?? '')
  const gone = new AbortController()
  res.on('close', () => gone.abort())
  res.on('error', () => gone.abort())
  res.writeHead(200, {
    'content-type': events ? 'text/event-stream; charset=utf-8' : 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  res.flushHeaders()
  const keepAlive = setInterval(() => events && res.write(': keep-alive\n\n'), KEEP_ALIVE)
  try {
    await send(d, session, after, { res, signal: gone.signal, format: events ? asEvent : asLine })
  } catch (error) {
    if (!gone.signal.aborted) d.log.warn('a log session broke', { error })
  } finally {
    clearInterval(keepAlive)
    res.end()
  }
}

interface Answer {
  res: ServerResponse
  signal: AbortSignal
  format(seq: number, line: Line): string
}

async function send({ logs }: Parts, session: Sealed, after: number | undefined, answer: Answer): Promise<void> {
  const { app, filter, tail, lines } = session
  const history = after === undefined ? logs.recent(app, filter, lines) : []
  // Nothing can be written between `recent` and here: a tail goes on exactly where history ends.
  const start = after ?? logs.recent(app, {}, 1)[0]?.seq
  const live = tail ? logs.follow(app, filter, answer.signal, start ?? 0) : undefined
  for (const { seq, ...line } of history) await write(answer, seq, line)
  if (live) for await (const { seq, line } of live) await write(answer, seq, line)
}

async function write({ res, signal, format }: Answer, seq: number, line: Line): Promise<void> {
  if (signal.aborted || res.write(format(seq, line))) return
  const slow = AbortSignal.any([signal, AbortSignal.timeout(SLOWEST_CLIENT)])
  await once(res, 'drain', { signal: slow }).catch(() => res.destroy())
}

const asEvent = (seq: number, line: Line): string => `id: ${seq}\ndata: ${formatLine(line)}\n\n`
const asLine = (_: number, line: Line): string => `${formatLine(line)}\n`

function lastEventId(req: IncomingMessage): number | undefined {
  const given = req.headers['last-event-id']
  const seq = typeof given === 'string' && given !== '' ? Number(given) : Number.NaN
  return Number.isSafeInteger(seq) && seq >= 0 ? seq : undefined
}

function openSession({ seal, clock }: Parts, id: string, resumed: boolean): Sealed {
  const session = parse(seal, id)
  const age = session ? clock.now() - session.createdAt : 0
  if (!session || age > (resumed && session.tail ? RESUME_WITHIN : OPEN_WITHIN))
    throw notFound('log session', 'log_session')
  return session
}

function parse(seal: Daemon['seal'], id: string): Sealed | undefined {
  try {
    return JSON.parse(seal.open(Buffer.from(id, 'base64url').toString('base64'), CONTEXT)) as Sealed
  } catch {
    return undefined
  }
}
