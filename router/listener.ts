import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, TLSSocket, type Server as TlsServer } from 'node:tls'
import { transport } from './config.ts'
import { type Conn, type Handler, SocketConn } from './conn.ts'
import type { Contexts } from './contexts.ts'
import { Gate } from './gate.ts'
import { type Handles, handles, type Tcp } from './handle.ts'
import { HandleConn } from './handle-conn.ts'
import { Http2Session } from './http2.ts'
import type { Router } from './router.ts'
import { type Pair, serverOptions, settled } from './tls.ts'
import { TlsConn } from './tls-conn.ts'

/** An address, or a socket that is bound already. */
export type Place = { host: string; port: number } | { fd: number }

/** Listens for clients. Rejects with one clear sentence when it cannot. */
export async function listen(router: Router, place: Place, gate = new Gate(router.limits)): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => accept(router, gate, socket, 'http'))
  gate.guard(server)
  await listening(server, place)
  if (handles !== undefined && transport === 'handle' && !gate.readsHeaders) {
    const { port } = server.address() as AddressInfo
    const door = { router, gate, handles, port }
    takeOver(server, (handle) => acceptHandle(door, handle))
  }
  return server
}

/** The same with TLS: the certificate that `contexts` has for the name that the client asks for, else this one. */
export async function listenTls(
  router: Router,
  place: Place,
  { contexts, ...pair }: Pair & { contexts: Contexts },
  gate = new Gate(router.limits),
): Promise<TlsServer> {
  const server = createTlsServer(serverOptions(router, pair, contexts), (socket) =>
    accept(router, gate, socket, 'https'),
  )
  gate.guard(server)
  await listening(server, place)
  return server
}

/** Connections come as handles from now on; accepted ones have their listening socket's TCP_NODELAY. */
function takeOver(server: Server, accepted: (handle: Tcp) => void): void {
  const { _handle: listening } = server as unknown as { _handle: Listening }
  listening.setNoDelay(true)
  listening.onconnection = (status, handle) => {
    if (status === 0 && handle !== undefined) accepted(handle)
  }
}

interface Listening {
  onconnection: (status: number, handle: Tcp | undefined) => void
  setNoDelay(on: boolean): number
}

interface Door {
  router: Router
  gate: Gate
  handles: Handles
  port: number
}

function acceptHandle({ router, gate, handles, port }: Door, handle: Tcp): void {
  const peer: { address?: string } = {}
  handle.getpeername(peer)
  const client = (peer.address ?? '').replace(/^::ffff:/, '')
  const leave = gate.enter(client)
  if (leave === null) return handle.close(() => {})
  router.accept({ client, proto: 'http', port, tls: 'unknown' }, (handler) => {
    const conn = new HandleConn(handles, handle, handler)
    conn.left = leave
    conn.resume()
    return conn
  })
}

function accept(router: Router, gate: Gate, socket: Socket, proto: 'http' | 'https'): void {
  const { address, port } = gate.originOf(socket)
  const entrance = {
    client: address,
    proto,
    port,
    ...(socket instanceof TLSSocket ? settled(router, socket) : { tls: 'unknown' }),
  }
  if (entrance.http2 && socket instanceof TLSSocket)
    return void router.sessions.add(new Http2Session(router, entrance, socket))
  router.accept(entrance, (handler) => connOn(socket, handler))
}

function connOn(socket: Socket, handler: Handler): Conn {
  if (handles === undefined || transport !== 'handle' || !(socket instanceof TLSSocket))
    return new SocketConn(socket, handler)
  return TlsConn.on(handles, socket, handler) ?? new SocketConn(socket, handler)
}

async function listening(server: Server, place: Place): Promise<void> {
  const where = 'fd' in place ? place : { ...place, ipv6Only: place.host.includes(':') }
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(new Error(explain(error, place), { cause: error })))
    server.listen({ ...where, backlog: 4096 }, resolve)
  })
  server.on('error', () => {})
}

/** What a person can do about a door that cannot be opened. */
export function explain({ code, message }: { code?: string | undefined; message: string }, place: Place): string {
  if ('fd' in place) return `The router cannot listen on the socket that it was given: ${message}.`
  const { host, port } = place
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${host} is taken by another program; stop it, or set SLUICE_HTTP_PORT and SLUICE_TLS_PORT to free ports.`
    case 'EACCES':
      return `Port ${port} on ${host} needs more rights than the router has; set SLUICE_HTTP_PORT and SLUICE_TLS_PORT to ports above 1023.`
    default:
      return `The router cannot listen on ${host} port ${port}: ${message}.`
  }
}
