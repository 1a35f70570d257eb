import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Limits } from '../../router/limits.ts'
import { formatAccount } from '../../router/line.ts'
import { listen } from '../../router/listener.ts'
import type { AppRoute, Backend, Receipt, Table } from '../../router/protocol.ts'
import { Router } from '../../router/router.ts'
import { freePort } from '../e2e/ports.ts'

/** A router in this process, on a free port, that remembers what it tells. */
export interface Rig {
  router: Router
  port: number
  lines: string[]
  up: string[]
  drained: string[]
  /** The last of each backend, without the time. */
  receipts: Map<string, Omit<Receipt, 'took'>>
  /** Puts one app, `a.localhost`, in force, and lets the router tell what it has to tell about it. */
  serve(app: Partial<AppRoute>): void
  close(): Promise<void>
}

export async function startRig(limits: Partial<Limits> = {}): Promise<Rig> {
  const lines: string[] = []
  const up: string[] = []
  const drained: string[] = []
  const receipts: Rig['receipts'] = new Map()
  const router = new Router(
    {
      up: (id) => up.push(id),
      drained(id, { took: _, ...receipt }) {
        drained.push(id)
        receipts.set(id, receipt)
      },
      line: (_, __, account) => lines.push(formatAccount(account)),
    },
    { sweep: 10, shutdown: 100, linger: 200, probe: 10, ...limits },
  )
  const server = await listen(router, { host: '127.0.0.1', port: 0 })
  let version = 0
  return {
    router,
    port: portOf(server),
    lines,
    up,
    drained,
    receipts,
    serve(app) {
      router.apply(tableOf(++version, app))
      router.report()
    },
    async close() {
      server.close()
      await router.close()
    },
  }
}

export const tableOf = (version: number, app: Partial<AppRoute>): Table => ({
  version,
  challenges: [],
  apps: [
    {
      ...{
        id: 'app',
        name: 'a',
        hosts: ['a.localhost'],
        certificates: [],
        maintenance: false,
        empty: 'none',
        backends: [],
      },
      ...app,
    },
  ],
})

export const portOf = (server: Server): number => (server.address() as AddressInfo).port

/** A dyno in this process. */
export interface Dyno {
  port: number
  /** Connections that it has accepted. */
  accepted: number
  route(mode?: Backend['mode'], id?: string): Backend
  close(): void
}

export const httpDyno = (listener: RequestListener): Promise<Dyno> =>
  dynoOf(createHttpServer({ keepAliveTimeout: 60_000 }, listener))

/** A dyno that does as it is told with each connection. */
export const rawDyno = (accept: (socket: Socket) => void): Promise<Dyno> =>
  dynoOf(createServer({ allowHalfOpen: true }, accept))

/** A dyno that answers each head, once it is there, with `text`. */
export const cannedDyno = (text: string, end = false): Promise<Dyno> =>
  rawDyno((socket) => {
    let seen = ''
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      seen += chunk
      if (!seen.includes('\r\n\r\n')) return
      seen = ''
      if (end) socket.end(text)
      else socket.write(text)
    })
  })

/** A dyno in a process that has stopped and whose port accepts no more: a connection to it stays on its way. */
export async function stuckDyno(): Promise<Dyno> {
  const code = `require('net').createServer().listen({port:0,host:'127.0.0.1',backlog:1},function(){console.log(this.address().port)})`
  const stuck = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [said] = await once(stuck.stdout, 'data')
  const port = Number(said)
  stuck.kill('SIGSTOP')
  const fill = Array.from({ length: 4 }, () => client(port).socket)
  await eventually(
    () => fill.filter((socket) => !socket.connecting).length >= 2,
    () => 'a full backlog',
  )
  return {
    port,
    accepted: 0,
    route: (mode = 'serve', id = 'dyno-1') => ({ id, dyno: 'web.1', address: '127.0.0.1', port, mode }),
    close() {
      for (const socket of fill) socket.destroy()
      stuck.kill('SIGKILL')
    },
  }
}

async function dynoOf(server: Server): Promise<Dyno> {
  const sockets = new Set<Socket>()
  // when it is closed, its port must refuse
  server.listen(await freePort(), '127.0.0.1')
  await once(server, 'listening')
  const dyno: Dyno = {
    port: portOf(server),
    accepted: 0,
    route: (mode = 'serve', id = 'dyno-1') => ({ id, dyno: 'web.1', address: '127.0.0.1', port: dyno.port, mode }),
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
  server.on('connection', (socket: Socket) => {
    dyno.accepted++
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  return dyno
}

/** A client that writes bytes and waits for what it expects. */
export interface Client {
  socket: Socket
  text: string
  closed: boolean
  write(text: string): Client
  /** Waits until all that was received matches. */
  until(pattern: RegExp): Promise<string>
  untilClosed(): Promise<string>
}

export function client(port: number): Client {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const self: Client = {
    socket,
    text: '',
    closed: false,
    write(text) {
      socket.write(text, 'latin1')
      return self
    },
    async until(pattern) {
      await eventually(
        () => pattern.test(self.text),
        () => `${pattern} in ${JSON.stringify(self.text.slice(0, 500))}`,
      )
      return self.text
    },
    async untilClosed() {
      await eventually(
        () => self.closed,
        () => `the end after ${JSON.stringify(self.text.slice(0, 500))}`,
      )
      return self.text
    },
  }
  socket.on('data', (chunk) => {
    self.text += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  socket.on('end', () => {
    self.closed = true
    socket.end()
  })
  socket.on('close', () => {
    self.closed = true
  })
  return self
}

export const get = (...lines: string[]): string =>
  ['GET / HTTP/1.1', 'Host: a.localhost', ...lines, '', ''].join('\r\n')

/** Polls until `test` holds; after fifty seconds throws and names what it waited for. */
export async function eventually(test: () => boolean, what: () => string): Promise<void> {
  const deadline = Date.now() + 50_000
  while (!test()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what()}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
