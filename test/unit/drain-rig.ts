import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { createLog } from '../../daemon/log.ts'
import { createDeliveries, type Deliveries } from '../../daemon/logs/drain/deliveries.ts'
import { parseAllowed } from '../../daemon/logs/drain/target.ts'
import { parseDrainUrl } from '../../daemon/logs/drain/url.ts'
import { createLogs, type Logs } from '../../daemon/logs/logs.ts'
import { type Certificate, ensureCertificates } from '../../daemon/route/certificate.ts'

/** Logs and their drains as the daemon has them, in a folder of their own. */
export interface Rig {
  readonly logs: Logs
  readonly drains: Deliveries
  data: string
  /** What the daemon's own log said. */
  logged: string[]
  /** Writes a line of the app `a`, or of another. */
  say(text: string, app?: string): void
  /** The texts of what the platform said in the app's log. */
  told(app?: string): string[]
  open(url: string, options?: { app?: string; id?: string }): { id: string; token: string }
  /** Another daemon over the same folder; the old one is stopped before, or just left off. */
  restart(how: 'stopped' | 'killed'): Promise<void>
  close(): Promise<void>
}

export async function startRig(options: { allow?: string; caBundle?: string } = {}): Promise<Rig> {
  const data = await mkdtemp(join(tmpdir(), 'sluice-drain-'))
  const logged: string[] = []
  const log = createLog((line) => logged.push(line))
  const config = {
    data,
    networkPool: '10.213.0.0/16',
    drainAllow: parseAllowed(options.allow ?? '127.0.0.0/8,::1'),
    caBundle: options.caBundle,
  }
  const start = () => {
    const logs = createLogs(config, log)
    return { logs, drains: createDeliveries({ config, log, logs, clock: { now: Date.now } }) }
  }
  let parts = start()
  const ids = new Set<string>()
  return {
    get logs() {
      return parts.logs
    },
    get drains() {
      return parts.drains
    },
    data,
    logged,
    say: (text, app = 'a') => parts.logs.write(app, { at: Date.now(), source: 'app', dyno: 'web.1', text }),
    told: (app = 'a') => parts.logs.recent(app, { source: 'heroku' }, 100).map(({ text }) => text),
    open(url, { app = 'a', id = randomUUID() } = {}) {
      ids.add(id)
      const drain = { id, token: `d.${id}` }
      parts.drains.open({ ...drain, app, url: parseDrainUrl(url) })
      return drain
    },
    async restart(how) {
      if (how === 'stopped') await parts.drains.stop()
      // A killed daemon sends nothing more and stores nothing more; its lines were stored 50 ms after they came.
      else await parts.logs.close()
      if (how === 'stopped') await parts.logs.close()
      parts = start()
    },
    async close() {
      for (const id of ids) parts.drains.end(id)
      await parts.drains.stop()
      await parts.logs.close()
      await rm(data, { recursive: true, force: true })
    },
  }
}

/** A syslog server that can be told to misbehave. */
export interface Receiver {
  host: string
  port: number
  /** Messages as they came, without their lengths. */
  messages: string[]
  /** The part after the header. */
  texts(): string[]
  sockets: Set<Socket>
  connections: number
  /** Called for each new connection. */
  greet: (socket: Socket) => void
  listen(): Promise<void>
  /** Ends listening and all connections, by a reset. */
  vanish(): Promise<void>
}

/** An address of this process alone, so that nobody else gets a port of it while its receiver is away; the certificate is for 127.0.0.1. */
const OURS = `127.${64 + ((process.pid >> 16) & 63)}.${(process.pid >> 8) & 255}.${process.pid & 255}`

export async function startReceiver(tls?: TlsOptions): Promise<Receiver> {
  let server: Server
  const receiver: Receiver = {
    host: tls ? '127.0.0.1' : OURS,
    port: 0,
    messages: [],
    texts: () => receiver.messages.map((message) => / - - (.*)\n$/.exec(message)?.[1] ?? message),
    sockets: new Set(),
    connections: 0,
    greet: () => {},
    async listen() {
      const take = (socket: Socket) => accept(receiver, socket)
      server = tls ? createTlsServer(tls, take) : createTcpServer(take)
      server.on('tlsClientError', () => undefined)
      await new Promise<void>((resolve) => server.listen(receiver.port, receiver.host, resolve))
      const address = server.address()
      receiver.port = typeof address === 'object' && address ? address.port : 0
    },
    async vanish() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of receiver.sockets) socket.resetAndDestroy()
      await closed
    },
  }
  await receiver.listen()
  return receiver
}

function accept(receiver: Receiver, socket: Socket): void {
  let rest = Buffer.alloc(0)
  receiver.connections++
  receiver.sockets.add(socket)
  socket.on('close', () => receiver.sockets.delete(socket)).on('error', () => undefined)
  socket.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk])
    for (let message = first(rest); message; message = first(rest)) {
      receiver.messages.push(message.text)
      rest = rest.subarray(message.bytes)
    }
  })
  receiver.greet(socket)
}

function first(bytes: Buffer): { text: string; bytes: number } | undefined {
  const space = bytes.indexOf(0x20)
  if (space === -1) return undefined
  const end = space + 1 + Number(bytes.subarray(0, space).toString())
  return end > bytes.length ? undefined : { text: bytes.subarray(space + 1, end).toString(), bytes: end }
}

/** A certificate for localhost and 127.0.0.1, and the file of the authority that has signed it. */
export async function certificate(folder: string): Promise<Certificate & { ca: string }> {
  const pair = await ensureCertificates({ data: folder, domain: 'localhost', api: { hosts: [] } })
  return { ...pair, ca: join(folder, 'tls', 'ca.pem') }
}

/** `from 1 to 3` */
export const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => String(from + index))
