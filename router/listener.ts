import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, TLSSocket, type TlsOptions, type Server as TlsServer } from 'node:tls'
import { SocketConn } from './conn.ts'
import type { Contexts } from './contexts.ts'
import type { Router } from './router.ts'

export interface Place {
  host: string
  port: number
}

/** Listens for clients. Rejects with one clear sentence when it cannot. */
export async function listen(router: Router, place: Place): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => accept(router, socket, 'http'))
  await listening(server, place)
  return server
}

/**
 * The same with TLS: the certificate that `contexts` has for the name that the client asks for, else this one. A handshake that takes
 * longer than a head may is cut.
 */
export async function listenTls(
  router: Router,
  place: Place,
  { contexts, ...pair }: { key: Buffer; cert: Buffer; contexts: Contexts },
): Promise<TlsServer> {
  const options: TlsOptions = {
    ...pair,
    allowHalfOpen: true,
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: router.limits.head,
    SNICallback: (name, done) => done(null, contexts.find(name)),
  }
  const server = createTlsServer(options, (socket) => accept(router, socket, 'https'))
  await listening(server, place)
  return server
}

function accept(router: Router, socket: Socket, proto: 'http' | 'https'): void {
  const entrance = {
    client: (socket.remoteAddress ?? '').replace(/^::ffff:/, ''),
    proto,
    port: socket.localPort ?? 0,
    tls: socket instanceof TLSSocket ? (socket.getProtocol() ?? 'unknown').replace('TLSv', 'tls') : 'unknown',
  }
  router.accept(entrance, (handler) => new SocketConn(socket, handler))
}

async function listening(server: Server, place: Place): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(new Error(explain(error, place), { cause: error })))
    server.listen({ ...place, ipv6Only: place.host.includes(':'), backlog: 4096 }, resolve)
  })
  server.on('error', () => {})
}

function explain(error: NodeJS.ErrnoException, { host, port }: Place): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${host} is taken by another program; stop it, or set SLUICE_HTTP_PORT and SLUICE_TLS_PORT to free ports.`
    case 'EACCES':
      return `Port ${port} on ${host} needs more rights than the router has; set SLUICE_HTTP_PORT and SLUICE_TLS_PORT to ports above 1023.`
    default:
      return `The router cannot listen on ${host} port ${port}: ${error.message}.`
  }
}

/** True when the machine has no such address at all, as `::` where IPv6 is off. */
export const absent = (error: unknown): boolean =>
  error instanceof Error &&
  ['EAFNOSUPPORT', 'EADDRNOTAVAIL'].includes((error.cause as NodeJS.ErrnoException | undefined)?.code ?? '')
