import { randomUUID, timingSafeEqual } from 'node:crypto'
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
import { firstId } from './api/request-id.ts'
import type { Config } from './config.ts'
import { believe, proofOf } from './forwarded.ts'
import { limits } from './limits.ts'
import type { Log } from './log.ts'
import type { Certificate } from './route/certificate.ts'
import { SECRET_LENGTH } from './run/rendezvous.ts'

/** What shares the API port. */
export interface Parts {
  api: RequestListener
  /** True when the request was for a repository, and is being answered. */
  git(req: IncomingMessage, res: ServerResponse): boolean
  /** True when the request was for the image registry, and is being answered. */
  registry(req: IncomingMessage, res: ServerResponse): boolean
  routers(socket: WebSocket, req: IncomingMessage): void
  /** A client whose first message over TLS was a secret in place of an HTTP request. */
  rendezvous(socket: Duplex, secret: string): void
  /** Answers an upgrade below `/attach/`. */
  attach(req: IncomingMessage, socket: Socket, head: Buffer): void
  /** And one below `/tunnel/`. */
  tunnel(req: IncomingMessage, socket: Socket, head: Buffer): void
  routerToken: string
  tls: Certificate
  log: Log
}

export interface ApiServer {
  /** Listens on all addresses; rejects with a sentence when the port is taken. */
  listen(): Promise<void>
  /** From the next handshake on. */
  useCertificate(certificate: Certificate): void
  close(): Promise<void>
}

const HEAD_BYTES = 64 * 1024
const HEAD_TIME = 60_000
/** A client that has sent nothing this long after connecting is dropped. */
const FIRST_BYTE_TIME = 60_000
/** After so long a silence the network is asked whether the client is still there. */
const KEEP_ALIVE = 30_000
const TLS_HANDSHAKE = 0x16
/** How long running answers may take after the daemon was told to stop. */
const LINGER = 3000

/**
 * One port for everything, because the CLI writes git remotes as https whatever HEROKU_HOST says: the first byte tells TLS from HTTP,
 * and behind both is the same HTTP server for API, git, images and the routers' websocket.
 */
export function createServer(parts: Parts, config: Config): ApiServer {
  const sockets = new Set<Socket>()
  const proof = proofOf(parts.routerToken)
  const http = createHttpServer(
    { maxHeaderSize: HEAD_BYTES, headersTimeout: HEAD_TIME, requestTimeout: 0 },
    (req, res) => {
      try {
        believe(req, proof)
        if (!parts.git(req, res) && !parts.registry(req, res)) parts.api(req, res)
      } catch (error) {
        // whatever a stranger sends, the daemon outlives it
        const request = firstId(String(req.headers['request-id'] ?? '')) ?? randomUUID()
        parts.log.error('a request was answered with 400 because its handler broke', {
          request,
          method: req.method,
          error,
        })
        if (!res.headersSent) res.writeHead(400, { 'request-id': request })
        res.end()
      }
    },
  )
  // It never listens itself, but only from this event on does it count connections: without it slow heads are never cut.
  http.emit('listening')
  const websockets = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE })
  const upgrade = (req: IncomingMessage, socket: Duplex, head: Buffer): void => {
    // Node.js gives the connection itself, of whichever of the two servers
    if (req.url?.startsWith('/attach/')) return parts.attach(req, socket as Socket, head)
    if (req.url?.startsWith('/tunnel/')) return parts.tunnel(req, socket as Socket, head)
    // what routers are told, keys among it, is for whoever reaches this port, not for the world
    if (req.url !== '/routers' || believe(req, proof)) return refuse(socket, '404 Not Found')
    if (!hasToken(req, parts.routerToken)) return refuse(socket, '401 Unauthorized')
    websockets.handleUpgrade(req, socket, head, parts.routers)
  }
  http.on('upgrade', (req, socket, head) => {
    upgrade(req, socket, head)
    if (socket.writableEnded) seeOff(socket)
  })
  const tls = createTlsServer({ ...parts.tls, ALPNProtocols: ['http/1.1'] }, (socket) => {
    firstByte(socket, (first) => {
      if (isSecret(first)) readSecret(socket, (secret) => parts.rendezvous(socket, secret))
      else http.emit('connection', socket)
    })
  })
  tls.on('tlsClientError', (_, socket) => socket.destroy())

  const accept = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE)
    firstByte(socket, (first) => (first === TLS_HANDSHAKE ? tls : http).emit('connection', socket))
  }
  const listeners = config.api.hosts.map((host) => {
    const server = createNetServer({ pauseOnConnect: false }, accept)
    server.maxConnections = limits.apiConnections
    return { host, server }
  })

  return {
    async listen() {
      let listening = 0
      for (const { host, server } of listeners) if (await listenOn(server, host, config.api.port)) listening++
      if (listening === 0)
        throw new Error(`None of ${config.api.hosts.join(', ')} is an address of this machine. Set SLUICE_HOST.`)
    },
    useCertificate: (certificate) => tls.setSecureContext(certificate),
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

/** Looks at the first byte and puts it back; a client that sends none in time is dropped. */
function firstByte(socket: Socket, found: (first: number) => void): void {
  const late = setTimeout(() => socket.destroy(), FIRST_BYTE_TIME)
  socket.once('close', () => clearTimeout(late))
  socket.once('readable', () => {
    clearTimeout(late)
    const first: Buffer | null = socket.read(1)
    if (first === null) {
      socket.destroy()
      return
    }
    socket.unshift(first)
    found(first[0] ?? 0)
  })
}

/** Methods of HTTP are written in capitals, secrets in digits and small letters. */
const isSecret = (first: number): boolean => /[0-9a-f]/.test(String.fromCharCode(first))

/** Takes the secret, and the end of its line where there is one (heroku3.py sends none), off the stream. */
function readSecret(socket: Socket, found: (secret: string) => void): void {
  const late = setTimeout(() => socket.destroy(), FIRST_BYTE_TIME)
  socket.once('close', () => clearTimeout(late))
  const read = (): void => {
    const secret: Buffer | null = socket.read(SECRET_LENGTH)
    if (secret === null) {
      if (!socket.readableEnded) socket.once('readable', read)
      return
    }
    clearTimeout(late)
    const rest: Buffer | null = socket.read()
    const newline = /^\r?\n/.exec(rest?.toString('latin1') ?? '')?.[0].length ?? 0
    if (rest && rest.length > newline) socket.unshift(rest.subarray(newline))
    found(secret.toString('latin1'))
  }
  read()
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

/** Of one that was refused an upgrade: nothing else watches over the connection, so who does not go soon is cut off. */
function seeOff(socket: Duplex): void {
  socket.resume()
  const late = setTimeout(() => socket.destroy(), limits.refused)
  socket.once('close', () => clearTimeout(late))
}
