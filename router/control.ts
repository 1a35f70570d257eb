import { readFile } from 'node:fs/promises'
import { WebSocket } from 'ws'
import { type Limits, limits as standard } from './limits.ts'
import {
  type Certificates,
  type Down,
  type Identity,
  type LogLine,
  MAX_MESSAGE,
  namedBy,
  PROTOCOL,
  parseDown,
  type Receipt,
  type Table,
  type Up,
} from './protocol.ts'

/**
 * The connection to the daemon, dialled by us, for ever.
 *
 *   waiting --back-off over--> dialling --open--> connected (hello)       dialling --failed--> waiting
 *   connected --closed, silent, not understood--> waiting                 any --close()--> closed
 */
export interface Control {
  up(backend: string): void
  drained(backend: string, receipt: Receipt): void
  line(line: LogLine): void
  /** Resolves when the last lines are away, or after a second. */
  close(): Promise<void>
}

export interface ControlOptions {
  url: string
  /** Read anew at each try: the daemon may make it after we have started. */
  tokenFile: string
  limits?: Partial<Limits>
  router: Identity
  /** Version in force. */
  applied(): number
  /** Those that are on disk with the table in force. */
  certificates: Certificates
  /** Puts a table in force and on disk, with the certificates that it names; throws when it cannot be put in force. */
  apply(table: Table, certificates: Certificates): Promise<void>
  /** Called after each `applied`: tells what the daemon may have missed. */
  report(): void
  warn(sentence: string): void
}

export function createControl(options: ControlOptions): Control {
  const limits = { ...standard, ...options.limits }
  let socket: WebSocket | null = null
  let timer: NodeJS.Timeout | undefined
  let closed = false
  let failures = 0
  let heardAt = 0
  let newest: { table: Table; certificates: Certificates } | null = null
  /** Those of the newest table, and what has come for the next. */
  let held = new Map(options.certificates)
  let applying = false
  let lines: LogLine[] = []
  let dropped = 0

  const send = (message: Up): void => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message))
  }

  const redial = (): void => {
    if (closed) return
    const most = Math.min(limits.redialMost, limits.redial * 2 ** Math.min(failures++, 10))
    timer = setTimeout(dial, most * (0.5 + Math.random() / 2))
  }

  const dial = async (): Promise<void> => {
    const token = await readFile(options.tokenFile, 'utf8').catch(() => '')
    if (closed) return
    if (token === '') return redial()
    const dialled = new WebSocket(options.url, {
      headers: { authorization: `Bearer ${token.trim()}` },
      maxPayload: MAX_MESSAGE,
      handshakeTimeout: limits.connect,
      perMessageDeflate: false,
    })
    attend(dialled)
  }

  const attend = (dialled: WebSocket): void => {
    socket = dialled
    dialled.on('open', () => {
      heard()
      send({
        kind: 'hello',
        protocol: PROTOCOL,
        applied: options.applied(),
        certificates: [...held.keys()],
        router: options.router,
      })
    })
    dialled.on('message', (data) => {
      heard()
      take(dialled, String(data))
    })
    dialled.on('ping', heard)
    dialled.on('pong', heard)
    dialled.on('error', (error) => {
      if (failures === 5)
        options.warn(`The daemon cannot be reached (${error.message}); the last table stays in force.`)
    })
    dialled.on('close', () => {
      if (socket === dialled) socket = null
      redial()
    })
  }

  const heard = (): void => {
    heardAt = Date.now()
  }

  const take = (from: WebSocket, text: string): void => {
    try {
      hear(parseDown(text))
    } catch (error) {
      options.warn(`The daemon sent what this router does not understand: ${String(error)}`)
      return from.close(1002, 'not understood')
    }
    failures = 0
    if (newest !== null && !applying) void applyNewest()
  }

  const hear = (message: Down): void => {
    switch (message.kind) {
      case 'certificate':
        held.set(message.certificate.id, message.certificate)
        return
      case 'table':
        held = namedBy(message.table, held)
        newest = { table: message.table, certificates: new Map(held) }
        return
      default:
        return message satisfies never
    }
  }

  /** A table that came while another was being applied replaces those between. */
  const applyNewest = async (): Promise<void> => {
    applying = true
    for (let next = newest; next !== null; next = newest) {
      const { table, certificates } = next
      newest = null
      try {
        await options.apply(table, certificates)
        send({ kind: 'applied', version: table.version })
        options.report()
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        options.warn(`Table ${table.version} is refused: ${reason}`)
        send({ kind: 'refused', version: table.version, reason })
      }
    }
    applying = false
  }

  const flush = (): void => {
    if (socket?.readyState !== WebSocket.OPEN || socket.bufferedAmount > limits.responseBuffer) return
    while (lines.length > 0 || dropped > 0) {
      const batch = lines.slice(0, limits.logBatch)
      lines = lines.slice(limits.logBatch)
      send({ kind: 'log', lines: batch, dropped })
      dropped = 0
      if (socket.bufferedAmount > limits.responseBuffer) return
    }
  }

  const pings = setInterval(() => {
    if (socket?.readyState !== WebSocket.OPEN) return
    if (Date.now() - heardAt > limits.silence) return socket.terminate()
    socket.ping()
  }, limits.ping)
  const flushes = setInterval(flush, limits.logEvery)
  void dial()

  return {
    up: (backend) => send({ kind: 'health', backend, up: true, reason: '' }),
    drained: (backend, receipt) => send({ kind: 'drained', backend, receipt }),
    line(line) {
      if (lines.length < limits.logQueue) lines.push(line)
      else dropped++
    },
    close() {
      flush()
      closed = true
      clearTimeout(timer)
      clearInterval(pings)
      clearInterval(flushes)
      const last = socket
      if (last === null) return Promise.resolve()
      return new Promise((resolve) => {
        last.once('close', () => resolve())
        last.close(1001, 'the router is stopping')
        setTimeout(resolve, limits.goodbye)
      })
    },
  }
}
