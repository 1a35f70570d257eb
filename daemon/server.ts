import { timingSafeEqual } from 'node:crypto'
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import { createServer as createNetServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createServer as createTlsServer } from 'node:tls'
import { type WebSocket, WebSocketServer } from 'ws'
import { MAX_MESSAGE } from '../router/protocol.ts'
import type { Config } from './config.ts'

/** What shares the API port. */
export interface Parts {
  api: RequestListener
  /** True when the request was for a repository, and is being answered. */
  git(req: IncomingMessage, res: ServerResponse): boolean
  routers(socket: WebSocket): void
  routerToken: string
  tls: { key: string; cert: string }
}

export interface ApiServer {
  /** Listens on all addresses; rejects with a sentence when the port is taken. */
  listen(): Promise<void>
  close(): Promise<void>
}

const HEAD_BYTES = 64 * 1024
const HEAD_TIME = 60_000
/** A client that has sent nothing this long after connecting is dropped. */
const FIRST_BYTE_TIME = 60_000
const TLS_HANDSHAKE = 0x16
/** How long running answers may take after the daemon was told to stop. */
const LINGER = 3000

/**
 * One port for everything, because the CLI writes git remotes as https whatever HEROKU_HOST says: the first byte tells TLS from HTTP,
 * and behind both is the same HTTP server for API, git and the routers' websocket.
 */
export function createServer(parts: Parts, config: Config): ApiServer {
  const sockets = new Set<Socket>()
  const http = createHttpServer(
    { maxHeaderSize: HEAD_BYTES, headersTimeout: HEAD_TIME, requestTimeout: 0 },
    (req, res) => {
      try {
        if (!parts.git(req, res)) parts.api(req, res)
      } catch {
        // whatever a stranger sends, the daemon outlives it
        if (!res.headersSent) res.writeHead(400)
        res.end()
      }
    },
  )
  // It never listens itself, but only from this event on does it count connections: without it slow heads are never cut.
  http.emit('listening')
  const websockets = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE })
  http.on('upgrade', (req, socket, head) => {
    if (req.url !== '/routers') return refuse(socket, '404 Not Found')
    if (!hasToken(req, parts.routerToken)) return refuse(socket, '401 Unauthorized')
    websockets.handleUpgrade(req, socket, head, parts.routers)
  })
  const tls = createTlsServer({ ...parts.tls, ALPNProtocols: ['http/1.1'] }, (socket) =>
    http.emit('connection', socket),
  )
  tls.on('tlsClientError', (_, socket) => socket.destroy())

  const accept = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.setNoDelay(true)
    socket.setTimeout(FIRST_BYTE_TIME, () => socket.destroy())
    socket.once('readable', () => {
      const first: Buffer | null = socket.read(1)
      if (first === null) {
        socket.destroy()
        return
      }
      socket.setTimeout(0)
      socket.removeAllListeners('timeout')
      socket.unshift(first)
      ;(first[0] === TLS_HANDSHAKE ? tls : http).emit('connection', socket)
    })
  }
  const listeners = config.api.hosts.map((host) => ({
    host,
    server: createNetServer({ pauseOnConnect: false }, accept),
  }))

  return {
    async listen() {
      let listening = 0
      for (const { host, server } of listeners) if (await listenOn(server, host, config.api.port)) listening++
      if (listening === 0)
        throw new Error(`None of ${config.api.hosts.join(', ')} is an address of this machine. Set SLUICE_HOST.`)
    },
    async close() {
      const closed = listeners.map(({ server }) => new Promise<void>((resolve) => server.close(() => resolve())))
      http.close()
      for (const websocket of websockets.clients) websocket.close(1001, 'the daemon is stopping')
      const force = setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, LINGER)
      await Promise.all(closed)
      clearTimeout(force)
    },
  }
}

/** False when the machine has no such address (::1 without IPv6). */
function listenOn(server: Server, host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT') resolve(false)
      else if (error.code === 'EADDRINUSE')
        reject(
          new Error(
            `Port ${port} of ${host} is taken, perhaps by another Sluice. Stop that, or set SLUICE_PORT to a free port.`,
          ),
        )
      else if (error.code === 'EACCES')
        reject(
          new Error(`Port ${port} may only be used by root. Run as root, or set SLUICE_PORT to a port above 1023.`),
        )
      else reject(error)
    })
    server.listen({ host, port, ipv6Only: true }, () => resolve(true))
  })
}

function hasToken(req: IncomingMessage, token: string): boolean {
  const given = Buffer.from(req.headers.authorization ?? '')
  const wanted = Buffer.from(`Bearer ${token}`)
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}
