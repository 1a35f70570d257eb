import { once } from 'node:events'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionOptions,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { Contexts } from '../../router/contexts.ts'
import type { Gate } from '../../router/gate.ts'
import type { Limits } from '../../router/limits.ts'
import { listenTls } from '../../router/listener.ts'
import type { Certificates } from '../../router/protocol.ts'
import { type Made, make } from './chains.ts'
import { portOf, type Rig, startRig } from './router-rig.ts'

/** A router in this process with a TLS port too. */
export interface SecureRig extends Rig {
  securePort: number
  use(certificates: Certificates): void
  /** A client's HTTP/2 connection; closed with the rig. */
  http2(options?: ClientSessionOptions & { servername?: string }): Promise<ClientHttp2Session>
}

/** Made once: it takes a moment. */
let platform: Promise<Made> | undefined

/** `gate`: who may come in by the TLS port. */
export async function startSecureRig(limits: Partial<Limits> = {}, gate?: Gate): Promise<SecureRig> {
  const rig = await startRig(limits)
  platform ??= make({ names: ['*.localhost'] })
  const { cert, key } = await platform
  const contexts = new Contexts(rig.router, () => {})
  const place = { host: '127.0.0.1', port: 0 }
  const server = await listenTls(rig.router, place, { cert, key, contexts }, gate)
  const sessions: ClientHttp2Session[] = []
  return {
    ...rig,
    securePort: portOf(server),
    use: (certificates) => contexts.use(certificates),
    async http2(options = {}) {
      const servername = 'a.localhost'
      const session = connect(`https://127.0.0.1:${portOf(server)}`, {
        rejectUnauthorized: false,
        servername,
        ...options,
      } as ClientSessionOptions)
      sessions.push(session)
      session.on('error', () => {})
      await once(session, 'connect')
      return session
    },
    async close() {
      for (const session of sessions) session.destroy()
      server.close()
      await rig.close()
    },
  }
}

/** One request over HTTP/2 and what came of it. */
export interface Asked {
  stream: ClientHttp2Stream
  /** Heads that came before the final one. */
  early: IncomingHttpHeaders[]
  headers: IncomingHttpHeaders
  trailers: IncomingHttpHeaders
  body: string
  /** The body came to its proper end. */
  complete: boolean
  /** How the stream was closed; 0 is without an error. */
  code: number
}

export const request = (
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders = {},
  endStream = true,
): ClientHttp2Stream => session.request({ ':authority': 'a.localhost', ':path': '/', ...headers }, { endStream })

/** Resolves when the stream is closed. */
export async function outcome(stream: ClientHttp2Stream): Promise<Asked> {
  const asked: Asked = { stream, early: [], headers: {}, trailers: {}, body: '', complete: false, code: -1 }
  stream.on('error', () => {})
  stream.on('headers', (headers) => asked.early.push(headers))
  stream.on('response', (headers) => Object.assign(asked.headers, headers))
  stream.on('trailers', (headers) => Object.assign(asked.trailers, headers))
  stream.on('data', (chunk: Buffer) => {
    asked.body += chunk.toString('latin1')
  })
  stream.on('end', () => {
    asked.complete = !stream.aborted && stream.rstCode === 0
  })
  await new Promise((resolve) => stream.on('close', resolve))
  asked.code = stream.rstCode
  return asked
}

export const ask = (session: ClientHttp2Session, headers: OutgoingHttpHeaders = {}): Promise<Asked> =>
  outcome(request(session, headers))
