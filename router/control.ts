import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type * as Ws from 'ws'
import { adopting, tableAfter } from './edition.ts'
import { type Limits, limits as standard } from './limits.ts'
import type { Batches } from './lines.ts'
import {
  type Certificates,
  type Down,
  type Failing,
  HANDOVER,
  type Identity,
  MAX_MESSAGE,
  namedBy,
  PROTOCOL,
  parseDown,
  REPLACED,
  type Receipt,
  type Table,
  type Up,
  type WatchKind,
} from './protocol.ts'

/** By `require`: an `import` first looks through it for what it exports, by a parser that then stays in memory (8 MB). */
const { WebSocket } = createRequire(import.meta.url)('ws') as typeof Ws

/**
 * The connection to the daemon, dialled by us, for ever.
 *
 *   waiting --back-off over--> dialling --open--> connected (hello)       dialling --failed--> waiting
 *   connected --closed, silent, not understood--> waiting                 any --close()--> closed
 */
export interface Control {
  up(backend: string): void
  unwell(backend: string, reason: string): void
  checked(backend: string, check: WatchKind, reason: string | null): void
  failing(checks: readonly Failing[]): void
  drained(backend: string, receipt: Receipt): void
  readonly connected: boolean
  /** Takes no further table; resolves when the last is on disk. A successor goes on. */
  handOver(): Promise<void>
  /** Resolves when the last lines are away, or after a second. */
  close(): Promise<void>
}

export interface ControlOptions {
  url: string
  /** Read anew at each try: the daemon may make it after we have started. */
  tokenFile: string
  limits?: Partial<Limits>
  router: Identity
  /** The one in force. */
  table(): Table
  /** What is to be sent when the daemon takes it. */
  batches: Batches
  /** Those that are on disk with the table in force. */
  certificates: Certificates
  /** Puts a table in force and on disk, with the certificates that it names; throws when it cannot be put in force. */
  apply(table: Table, certificates: Certificates): Promise<void>
  /** Called after each `applied`: tells what the daemon may have missed. */
  report(): void
  warn(sentence: string): void
}

/** Tries that fail before it is said. */
const PATIENCE = 5
/** RFC 6455 7.4.1 */
const PROTOCOL_ERROR = 1002
const NOT_UNDERSTOOD = 'not understood'

export function createControl(options: ControlOptions): Control {
  const limits = { ...standard, ...options.limits }
  let socket: Ws.WebSocket | null = null
  let timer: NodeJS.Timeout | undefined
  let closed = false
  let failures = 0
  let heardAt = 0
  /** Why the daemon has closed the last connection, when that has been told. */
  let said = ''
  /** The newest that is known, in force or not. */
  let told = options.table()
  /** It was told on this connection, so that changes to it may come; `lost` when one did not fit and the whole was asked for. */
  let thread: 'none' | 'held' | 'lost' = 'none'
  /** What is to be put in force. `from`: a number means this table only to who has sent it; the next daemon may count anew. */
  let newest: { table: Table; certificates: Certificates; from: Ws.WebSocket } | null = null
  /** Those of the newest table, and what has come for the next. */
  let held = new Map(options.certificates)
  let applying: Promise<void> | null = null

  const send = (message: Up): void => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message))
  }

  const redial = (): void => {
    if (closed) return
    const most = Math.min(limits.redialMost, limits.redial * 2 ** Math.min(failures++, 10))
    timer = setTimeout(dial, most * (0.5 + Math.random() / 2))
  }

  const dial = async (): Promise<void> => {
    const token = (await readFile(options.tokenFile, 'utf8').catch(() => '')).trim()
    if (closed) return
    if (!/^[\x21-\x7e]+$/.test(token)) {
      if (failures === PATIENCE)
        options.warn(`There is no token in ${options.tokenFile}; copy the daemon's. The last table stays in force.`)
      return redial()
    }
    const dialled = new WebSocket(options.url, {
      headers: { authorization: `Bearer ${token}` },
      maxPayload: MAX_MESSAGE,
      handshakeTimeout: limits.connect,
      perMessageDeflate: false,
    })
    attend(dialled)
  }

  const attend = (dialled: Ws.WebSocket): void => {
    socket = dialled
    dialled.on('open', () => {
      heard()
      thread = 'none'
      send({
        kind: 'hello',
        protocol: PROTOCOL,
        applied: options.table().version,
        certificates: [...held.keys()],
        router: options.router,
      })
      flush()
    })
    dialled.on('message', (data) => {
      heard()
      take(dialled, String(data))
    })
    dialled.on('ping', heard)
    dialled.on('pong', heard)
    dialled.on('error', (error) => {
      if (failures === PATIENCE)
        options.warn(`The daemon cannot be reached (${error.message}); the last table stays in force.`)
    })
    dialled.on('close', (code, reason) => {
      if (socket === dialled) socket = null
      if (code === REPLACED) pushedOut()
      else if (code === PROTOCOL_ERROR) sentAway(String(reason))
      redial()
    })
  }

  /** Two that push each other out do so slowly. */
  const pushedOut = (): void => {
    failures = 10
    options.warn('Another router has connected with the identity of this one; was its data directory copied?')
  }

  /** Until one of the two is upgraded it does so at each try. */
  const sentAway = (reason: string): void => {
    if (said === reason) return
    said = reason
    options.warn(`The daemon has sent this router away: ${reason}. The last table stays in force.`)
  }

  const heard = (): void => {
    heardAt = Date.now()
  }

  const take = (from: Ws.WebSocket, text: string): void => {
    try {
      hear(from, parseDown(text))
    } catch (error) {
      options.warn(`The daemon sent what this router does not understand: ${String(error)}`)
      said = NOT_UNDERSTOOD
      return from.close(PROTOCOL_ERROR, NOT_UNDERSTOOD)
    }
    failures = 0
    said = ''
    if (newest !== null && !closed) applying ??= applyNewest()
  }

  const hear = (from: Ws.WebSocket, message: Down): void => {
    switch (message.kind) {
      case 'certificate':
        held.set(message.certificate.id, message.certificate)
        return
      case 'table':
        thread = 'held'
        return want(from, adopting(message.table, told))
      case 'change':
        if (thread === 'held' && message.change.base === told.version)
          return want(from, tableAfter(told, [message.change]))
        if (thread !== 'lost') send({ kind: 'whole' })
        thread = 'lost'
        return
      default:
        return message satisfies never
    }
  }

  const want = (from: Ws.WebSocket, table: Table): void => {
    told = table
    held = namedBy(table, held)
    newest = { table, certificates: new Map(held), from }
  }

  /** A table that came while another was being applied replaces those between. */
  const applyNewest = async (): Promise<void> => {
    for (let next = newest; next !== null; next = newest) {
      const { table, certificates, from } = next
      newest = null
      const answer = (message: Up) => socket === from && send(message)
      try {
        await options.apply(table, certificates)
        answer({ kind: 'applied', version: table.version })
        options.report()
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        options.warn(`Table ${table.version} is refused: ${reason}`)
        answer({ kind: 'refused', version: table.version, reason })
      }
    }
    applying = null
  }

  /** At once; what the daemon does not take yet goes when it has taken what was sent before. */
  const flush = (): void => {
    if (socket?.readyState !== WebSocket.OPEN || socket.bufferedAmount > limits.responseBuffer) return
    const { batches } = options
    for (let batch = batches.take(); batch !== undefined; batch = batches.take()) {
      socket.send(batch.text, { binary: false }, flush)
      if (socket.bufferedAmount > limits.responseBuffer) return
    }
  }

  const pings = setInterval(() => {
    if (socket?.readyState !== WebSocket.OPEN) return
    if (Date.now() - heardAt > limits.silence) return socket.terminate()
    socket.ping()
  }, limits.ping)
  options.batches.added = flush
  void dial()

  const stop = (): void => {
    closed = true
    clearTimeout(timer)
    clearInterval(pings)
  }

  const goodbye = (code: number, reason: string): Promise<void> => {
    const last = socket
    if (last === null) return Promise.resolve()
    return new Promise((resolve) => {
      last.once('close', () => resolve())
      last.close(code, reason)
      setTimeout(resolve, limits.goodbye)
    })
  }

  return {
    up: (backend) => send({ kind: 'health', backend, up: true, reason: '' }),
    unwell: (backend, reason) => send({ kind: 'health', backend, up: false, reason }),
    checked: (backend, check, reason) => send({ kind: 'check', backend, check, reason }),
    failing: (checks) => send({ kind: 'failing', checks: [...checks] }),
    drained: (backend, receipt) => send({ kind: 'drained', backend, receipt }),
    get connected() {
      return socket?.readyState === WebSocket.OPEN
    },
    async handOver() {
      stop()
      await applying
      flush()
      await goodbye(HANDOVER, 'another process goes on')
    },
    close() {
      flush()
      stop()
      return goodbye(1001, 'the router is stopping')
    },
  }
}
