import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Daemon } from '../daemon.ts'
import { notFound, UserError } from '../errors.ts'
import { figures } from '../figures.ts'
import { limits } from '../limits.ts'
import { formatLine } from './line.ts'
import type { Entry, LogFilter } from './logs.ts'
import { lossLine } from './loss.ts'

/**
 * Log sessions: URLs that show the lines of one app to whoever has them. The id holds the session, sealed, so that nothing is stored
 * and a tail goes on over a restart of the daemon.
 *
 *   answering -- history sent, no tail --> ended; a client that comes back is told that there is no more (204)
 *             -- history sent, tail --> following -- the daemon stops: told when to come back --> ended
 *                                                 -- the app is destroyed, or no longer the client's to see; the client has gone, or
 *                                                    does not read --> ended
 */
export interface Session {
  /** Who asked for it. */
  account: string
  lines: number
  tail: boolean
  filter: LogFilter
}

export interface Sessions {
  /** The id of a new session, for 5 minutes to open; a tail that was open may be resumed for a day. */
  create(app: string, session: Session): string
  /**
   * Answers a session's URL: server-sent events when the client accepts them, else plain lines. Throws not_found for an unknown or
   * expired id, and rate_limit, before anything was sent; resolves when the answer has ended.
   */
  serve(id: string, req: IncomingMessage, res: ServerResponse): Promise<void>
}

type Parts = Pick<Daemon, 'logs' | 'seal' | 'clock' | 'log'> & {
  /** Whether the app is still there, and the account may still see it. */
  knows(app: string, account: string): Promise<boolean>
  /** How long a client may take no more; shorter in tests. */
  slowest?: number
  /** How often a client that has nothing to read is told that it is not forgotten, and asked whether it still may; shorter in tests. */
  keepAlive?: number
}

interface Sealed extends Session {
  app: string
  createdAt: number
}

const OPEN_WITHIN = 5 * 60_000
/** A tail that comes back after its connection ended. */
const RESUME_WITHIN = 24 * 3600_000
/** The official CLI gives up after 300 s of silence, many proxies after 60 s. */
const KEEP_ALIVE = 30_000
const SLOWEST_CLIENT = 60_000
/**
 * When a tail that a stopping daemon has ended should come back. The official CLI does it once, and dies when the port is still
 * closed, so that this must be longer than a restart takes.
 */
const BACK_AFTER = 10_000
/**
 * The end of a session without a tail. The official CLI sets a timer for coming back although it does not mean to, and cannot exit
 * before: 3 s when it is told nothing (eventsource 4). The id is for clients that do come back and have seen no line.
 */
const NO_MORE = 'id: 0\nretry: 1\n\n'
const CONTEXT = 'log-session'

export function createSessions(d: Parts): Sessions {
  let answering = 0

  const open = (id: string, resumed: boolean): Sealed => {
    const session = parse(d.seal, id)
    const age = session ? d.clock.now() - session.createdAt : 0
    if (!session || age > (resumed && session.tail ? RESUME_WITHIN : OPEN_WITHIN)) throw gone()
    return session
  }

  return {
    create(app, session) {
      const lines = Math.max(0, Math.min(Math.floor(session.lines) || 0, limits.logLinesKept))
      const sealed: Sealed = { ...session, lines, app, createdAt: d.clock.now() }
      return Buffer.from(d.seal.seal(JSON.stringify(sealed), CONTEXT), 'base64').toString('base64url')
    },
    async serve(id, req, res) {
      const after = lastEventId(req)
      const session = open(id, after !== undefined)
      if (!(await d.knows(session.app, session.account))) throw gone()
      if (after !== undefined && !session.tail) return void res.writeHead(204).end()
      if (answering >= limits.logSessions) throw tooMany()
      answering++
      try {
        await answer(d, session, after, { req, res })
      } finally {
        answering--
      }
    },
  }
}

const gone = (): UserError => notFound('log session', 'log_session')
const tooMany = (): UserError =>
  new UserError('rate_limit', `${limits.logSessions} log sessions are open already. Close one, or try again later.`)

interface Exchange {
  req: IncomingMessage
  res: ServerResponse
}

async function answer(d: Parts, session: Sealed, after: number | undefined, { req, res }: Exchange): Promise<void> {
  const events = /\btext\/event-stream\b/.test(req.headers.accept ?? '')
  const left = new AbortController()
  res.on('close', () => left.abort())
  res.on('error', () => left.abort())
  res.writeHead(200, {
    'content-type': events ? 'text/event-stream; charset=utf-8' : 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    // An answer that ends when the daemon stops must not leave a connection that the stop has to wait for.
    ...(session.tail ? { connection: 'close' } : {}),
  })
  if (req.method === 'HEAD') return void res.end()
  res.flushHeaders()
  const look = async () => {
    if (!(await d.knows(session.app, session.account))) left.abort()
    else if (events) res.write(': keep-alive\n\n')
  }
  const keepAlive = setInterval(() => void look().catch(() => left.abort()), d.keepAlive ?? KEEP_ALIVE)
  try {
    await send(d, session, after, { res, signal: left.signal, events, slowest: d.slowest ?? SLOWEST_CLIENT })
    if (!events || left.signal.aborted) return
    if (!session.tail) res.write(NO_MORE)
    else if (await d.knows(session.app, session.account)) res.write(`retry: ${BACK_AFTER}\n\n`)
  } catch (error) {
    if (!left.signal.aborted) d.log.warn('a log session broke', { error })
  } finally {
    clearInterval(keepAlive)
    res.end()
  }
}

interface Answer {
  slowest: number
  res: ServerResponse
  signal: AbortSignal
  events: boolean
}

async function send({ logs }: Parts, session: Sealed, after: number | undefined, to: Answer): Promise<void> {
  const { app, filter, tail, lines } = session
  // A tail goes on exactly where history ends, and both show no line that a crash could give another number.
  const until = tail ? logs.stored(app) : Number.POSITIVE_INFINITY
  const history = after === undefined ? logs.recent(app, filter, lines).filter(({ seq }) => seq <= until) : []
  const live = tail ? logs.batches(app, filter, to.signal, after ?? until) : []
  for (let from = 0; from < history.length; from += HISTORY_BATCH) {
    const batch = history.slice(from, from + HISTORY_BATCH).map(({ seq, ...line }) => ({ seq, line }))
    await write(to, encode(batch, to.events))
  }
  const kind = JSON.stringify([to.events, filter])
  for await (const batch of live) {
    // A loss is told by the first of a batch.
    figures.logLoss.add({ where: 'tail' }, batch[0]?.loss?.count ?? 0)
    await write(to, shared(batch, kind, to.events))
  }
}

const HISTORY_BATCH = 100

async function write({ res, signal, slowest }: Answer, bytes: Buffer): Promise<void> {
  if (signal.aborted || res.write(bytes)) return
  // Not AbortSignal.any with a timeout: Node.js 20 may collect the timeout, and then it never comes.
  const slow = setTimeout(() => res.destroy(), slowest)
  await once(res, 'drain', { signal }).catch(() => res.destroy())
  clearTimeout(slow)
}

interface Shared {
  kind: string
  length: number
  bytes: Buffer
}

/** What the last reader of the batch that begins with this line was sent: tails at the same place share it. */
const sent = new WeakMap<Entry, Shared>()

function shared(batch: Entry[], kind: string, events: boolean): Buffer {
  const [first] = batch
  const known = first && sent.get(first)
  if (known?.kind === kind && known.length === batch.length) return known.bytes
  const bytes = encode(batch, events)
  if (first) sent.set(first, { kind, length: batch.length, bytes })
  return bytes
}

function encode(batch: Entry[], events: boolean): Buffer {
  let text = ''
  for (const { seq, line, loss } of batch) {
    const shown = formatLine(loss ? lossLine('tail', loss) : line)
    text += events ? `id: ${seq}\ndata: ${shown}\n\n` : `${shown}\n`
  }
  return Buffer.from(text)
}

function lastEventId(req: IncomingMessage): number | undefined {
  const given = req.headers['last-event-id']
  const seq = typeof given === 'string' && given !== '' ? Number(given) : Number.NaN
  return Number.isSafeInteger(seq) && seq >= 0 ? seq : undefined
}

function parse(seal: Daemon['seal'], id: string): Sealed | undefined {
  try {
    return JSON.parse(seal.open(Buffer.from(id, 'base64url').toString('base64'), CONTEXT)) as Sealed
  } catch {
    return undefined
  }
}
