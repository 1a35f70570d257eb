import type { Socket } from 'node:net'
import ssh2, { type Algorithms, type AuthContext, type Connection, type ServerChannel, type Session } from 'ssh2'
import type { Clock } from '../../clock.ts'
import { limits } from '../../limits.ts'
import { createLine, type Line } from './channel.ts'
import type { HostKey } from './host-key.ts'

/** What a kind of SSH server does with its clients. */
export interface Host {
  /** The only way in. */
  method: 'none' | 'publickey'
  /** Whether this attempt is good; a rejection counts as no. */
  authenticate(attempt: AuthContext): Promise<boolean>
  /** Channels at once. */
  channels: number
  /** How long a client may stay without a process. */
  idle: number
  session(session: Session, visit: Visit): void
  /** Absent: no ports are forwarded. */
  forward?(target: { host: string; port: number }, visit: Forwarded): Promise<void>
  /** The connection is over. */
  closed?(): void
}

export interface Visit {
  line(channel: ServerChannel): Line
  /** The client is not idle until this settles. */
  during(work: Promise<void>): void
  /** No more than this was wanted: the client gets a moment to say good-bye. */
  over(): void
}

export interface Forwarded extends Visit {
  /** Aborts when the connection is over. */
  gone: AbortSignal
  accept(): ServerChannel
  reject(): void
}

/** What OpenSSH and the CLI's ssh2 have in common that is beyond doubt; no compression, which is memory in a stranger's hands. */
const algorithms = {
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
  ],
  cipher: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'],
  compress: ['none'],
} satisfies Algorithms

/** ssh2's window of a channel; a client that sends twice as much without being read does not keep to it. */
const UNREAD = 4 * 1024 * 1024

/** Speaks SSH on a socket until either side ends it. Returns what ends it, with a word to the client: the CLI's relay passes on no other sign. */
export function serve(socket: Socket, host: Host, { clock, hostKey }: { clock: Clock; hostKey: HostKey }): () => void {
  const server = new ssh2.Server({
    hostKeys: [hostKey.private],
    ident: 'Sluice',
    algorithms,
    keepaliveInterval: limits.sshKeepAlive,
    keepaliveCountMax: limits.sshSilences,
  })
  const later = alarm(socket, clock)
  let connection: Connection | undefined
  const close = () => {
    connection?.end()
    socket.destroySoon()
    later(limits.sshFarewell, () => socket.destroy())
  }
  const hours = keepHours(host, later, close)
  const channels = new Set<ServerChannel>()
  server.on('connection', (client: Connection) => {
    connection = client
    client.setMaxListeners(0)
    client.on('error', () => socket.destroy())
    client.once('end', () => socket.destroy())
    client.once('ready', hours.authenticated)
    admit(client, host, close)
    const line = (channel: ServerChannel, session?: Session) => {
      channels.add(channel)
      const made = createLine({ connection: client, socket, channel, ...(session ? { session } : {}) })
      made.gone.addEventListener('abort', () => channels.delete(channel))
      return made
    }
    route(client, host, { line, during: hours.during, over: () => void later(limits.sshFarewell, close) })
  })
  socket.once('close', () => host.closed?.())
  // every channel may wait for it to drain
  socket.setMaxListeners(0)
  server.injectSocket(socket)
  socket.on('data', () => {
    for (const { readableLength } of channels) if (readableLength > UNREAD) socket.destroy()
  })
  return close
}

type Alarm = (ms: number, ring: () => void) => () => void

/** Rings while the socket lives; what it returns cancels it. */
const alarm =
  (socket: Socket, clock: Clock): Alarm =>
  (ms, ring) => {
    if (socket.destroyed) return () => {}
    const stop = clock.at(clock.now() + ms, ring)
    socket.once('close', stop)
    return () => {
      stop()
      socket.removeListener('close', stop)
    }
  }

/** A client must authenticate soon, and have a process soon after that and after its last. */
function keepHours({ idle }: Host, later: Alarm, close: () => void) {
  let working = 0
  let cancel = later(limits.sshAuthentication, close)
  const wait = () => {
    cancel()
    if (working === 0) cancel = later(idle, close)
  }
  return {
    authenticated: wait,
    during(work: Promise<void>) {
      working++
      cancel()
      const ended = () => {
        working--
        wait()
      }
      work.then(ended, ended)
    },
  }
}

function admit(client: Connection, host: Host, close: () => void): void {
  let attempts = 0
  client.on('authentication', async (attempt) => {
    // `none` is how clients ask which methods there are
    if (attempt.method !== 'none' && ++attempts > limits.sshAttempts) return close()
    const good = attempt.method === host.method && (await host.authenticate(attempt).catch(() => false))
    if (good) attempt.accept()
    else attempt.reject([host.method])
  })
}

type Lines = Pick<Visit, 'during' | 'over'> & { line(channel: ServerChannel, session?: Session): Line }

function route(client: Connection, host: Host, { line, ...visit }: Lines): void {
  let open = 0
  const gone = new AbortController()
  client.once('close', () => gone.abort())
  client.on('session', (accept, reject) => {
    if (open >= host.channels) return reject()
    open++
    const session = accept()
    session.once('close', () => open--)
    host.session(session, { ...visit, line: (channel) => line(channel, session) })
  })
  const { forward } = host
  if (!forward) return
  client.on('tcpip', (accept, reject, { destIP, destPort }) => {
    if (open >= host.channels) return reject()
    open++
    const work = forward({ host: destIP, port: destPort }, { ...visit, line, accept, reject, gone: gone.signal })
    visit.during(work)
    const closed = () => open--
    work.then(closed, closed)
  })
}
