import type { WebSocket } from 'ws'
import {
  type AppRoute,
  type Backend,
  type Down,
  PROTOCOL,
  parseUp,
  type Table,
  type Up,
} from '../../router/protocol.ts'
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Pair } from './chain.ts'

/**
 * The daemon's end of the routers' protocol (router/protocol.ts). The daemon owns the table; it is made from rows, so publishing is
 * safe to repeat. Nothing here is durable: a router says what it has applied when it connects.
 */
export interface Routers {
  /** A router has connected and shown its token. */
  accept(socket: WebSocket): void
  /** Sends the table as the rows have it now, of one app or of all; resolves when it is on its way. Unchanged rows send nothing. */
  publish(app?: string): Promise<void>
  /** True when at least one router is connected and every live one follows this app's newest route. */
  acknowledged(app: string): boolean
  /** True when every live router has reached this backend. */
  healthy(backend: string): boolean
  /** True when every live router says that this backend's last request has ended. */
  drained(backend: string): boolean
  readonly connected: number
  /** Since when there has been a router without a break, ms; null when there is none. */
  readonly connectedSince: number | null
  close(): void
}

export interface Sources {
  /** The routes of all apps, or of some, from the rows; an app that is gone has none. */
  routes(apps?: string[]): Promise<AppRoute[]>
  /** What routers need to serve these certificates; one that is gone is not among them. */
  pairs(certificates: readonly string[]): Promise<ReadonlyMap<string, Pair>>
  /** Something that the plan of this app looks at has changed. */
  changed(app: string): void
  logLine(app: string, at: number, text: string): void
}

interface Peer {
  socket: WebSocket
  /** Newest version of ours that it follows; 0 until it has answered on this connection. */
  applied: number
  heardAt: number
  /** Backends in mode `probe` that it has reached, and in mode `drain` that have no request left; forgotten with the mode. */
  healthy: Set<string>
  drained: Set<string>
  /** Ids of the certificates that it has. */
  certificates: Set<string>
}

const PING_EVERY = 10_000

export function createRouters({ clock, log }: { clock: Clock; log: Log }, sources: Sources): Routers {
  const peers = new Set<Peer>()
  let table: Table = { version: 0, apps: [], challenges: [] }
  /** By app: its route as text, and the version in which it last changed. */
  let routes = new Map<string, { text: string; version: number }>()
  let backends = new Map<string, { app: string; mode: Backend['mode'] }>()
  let connectedSince = 0
  let publishing: Promise<void> = Promise.resolve()
  /** The one that has not begun to read the rows, which whoever asks now can share, and the apps that it is to read. */
  let next: Promise<void> | undefined
  let stale: Set<string> | 'all' = 'all'

  const live = (): Peer[] => [...peers].filter((peer) => clock.now() - peer.heardAt < limits.routerSilence)
  const every = (test: (peer: Peer) => boolean): boolean => {
    const now = live()
    return now.length > 0 && now.every(test)
  }

  /** Without them the table goes on all the same, and they with the next. */
  const pairsOf = (certificates: string[]) =>
    sources.pairs(certificates).catch((error) => {
      log.error('certificates cannot be read', { error: messageOf(error) })
      return new Map<string, Pair>()
    })

  /** The table to these, after the certificates that they lack: few, but for a router that is new. */
  const send = async (receivers: readonly Peer[]): Promise<void> => {
    const named = new Set(table.apps.flatMap((app) => app.certificates.map(({ id }) => id)))
    const lacks = (peer: Peer) => [...named].filter((id) => !peer.certificates.has(id))
    const lacking = [...new Set(receivers.flatMap(lacks))]
    const pairs = lacking.length > 0 ? await pairsOf(lacking) : new Map<string, Pair>()
    for (const peer of receivers) {
      const tell = (message: Down) => peer.socket.send(JSON.stringify(message))
      for (const id of lacks(peer)) {
        const pair = pairs.get(id)
        if (pair) tell({ kind: 'certificate', certificate: { id, ...pair } })
      }
      tell({ kind: 'table', table })
      peer.certificates = new Set([...named].filter((id) => peer.certificates.has(id) || pairs.has(id)))
    }
  }

  const setTable = (apps: AppRoute[], version: number): void => {
    const before = routes
    routes = new Map()
    backends = new Map()
    for (const app of apps) {
      const text = JSON.stringify(app)
      const old = before.get(app.id)
      routes.set(app.id, old?.text === text ? old : { text, version })
      for (const { id, mode } of app.backends) backends.set(id, { app: app.id, mode })
    }
    table = { ...table, version, apps }
    for (const { healthy, drained } of peers) {
      for (const id of healthy) if (backends.get(id)?.mode !== 'probe') healthy.delete(id)
      for (const id of drained) if (backends.get(id)?.mode !== 'drain') drained.delete(id)
    }
  }

  /** Reads the rows of stale apps only: all of a thousand apps at each change of one would be most of the daemon's work. */
  const routesNow = async (): Promise<AppRoute[]> => {
    const read = stale
    stale = new Set()
    try {
      if (read === 'all') return await sources.routes()
      const fresh = await sources.routes([...read])
      return [...table.apps.filter(({ id }) => !read.has(id)), ...fresh]
    } catch (error) {
      stale = 'all'
      throw error
    }
  }

  const publishNow = async (): Promise<void> => {
    const apps = await routesNow()
    const same =
      apps.length === table.apps.length && apps.every((app) => routes.get(app.id)?.text === JSON.stringify(app))
    if (same && table.version > 0) return
    setTable(apps, table.version + 1)
    await send([...peers])
  }

  /** One after the other: what is sent to a router is the newest table whenever it is sent. */
  const inTurn = (work: () => Promise<void>): void => {
    publishing = publishing.catch(() => {}).then(work)
    publishing.catch((error) => log.error('the routers cannot be told', { error: messageOf(error) }))
  }

  const greet = async (peer: Peer, { applied, certificates }: Up & { kind: 'hello' }): Promise<void> => {
    if (peer.socket.readyState !== peer.socket.OPEN) return
    if (applied >= table.version) table = { ...table, version: applied + 1 }
    if (peers.size === 0) connectedSince = clock.now()
    peer.certificates = new Set(certificates)
    peers.add(peer)
    log.info('router connected', { applied, sent: table.version })
    await send([peer])
  }

  const hear = (peer: Peer, message: Up): void => {
    switch (message.kind) {
      case 'hello':
        if (message.protocol !== PROTOCOL) return peer.socket.close(1002, `this daemon speaks protocol ${PROTOCOL}`)
        return inTurn(() => greet(peer, message))
      case 'applied':
        peer.applied = Math.max(peer.applied, message.version)
        for (const [app, { version }] of routes)
          if (version <= message.version && unsettled.delete(app)) sources.changed(app)
        return
      case 'refused':
        return log.error('a router refused the table', { version: message.version, reason: message.reason })
      case 'health':
        if (message.up) peer.healthy.add(message.backend)
        else peer.healthy.delete(message.backend)
        return changed(message.backend)
      case 'drained':
        peer.drained.add(message.backend)
        return changed(message.backend)
      case 'log':
        if (message.dropped > 0) log.warn('a router dropped log lines', { dropped: message.dropped })
        for (const { app, at, text } of message.lines) sources.logLine(app, at, text)
        return
      default:
        return message satisfies never
    }
  }

  const changed = (backend: string): void => {
    const app = backends.get(backend)?.app
    if (app !== undefined) sources.changed(app)
  }

  /** Apps whose plan was told that their route is not acknowledged yet. */
  const unsettled = new Set<string>()

  const drop = (peer: Peer): void => {
    if (!peers.delete(peer)) return
    log.warn('router disconnected', { left: peers.size })
    for (const app of routes.keys()) if (unsettled.delete(app)) sources.changed(app)
  }

  const pings = setInterval(() => {
    for (const peer of peers)
      if (clock.now() - peer.heardAt > limits.routerSilence) peer.socket.terminate()
      else peer.socket.ping()
  }, PING_EVERY)
  pings.unref()

  return {
    accept(socket) {
      const sets = { healthy: new Set<string>(), drained: new Set<string>(), certificates: new Set<string>() }
      const peer: Peer = { socket, applied: 0, heardAt: clock.now(), ...sets }
      socket.on('pong', () => {
        peer.heardAt = clock.now()
      })
      socket.on('message', (data) => {
        peer.heardAt = clock.now()
        try {
          hear(peer, parseUp(String(data)))
        } catch (error) {
          log.error('a router sent what nobody understands', { error: messageOf(error) })
          socket.close(1002, 'not understood')
        }
      })
      socket.on('error', (error) => log.warn('router connection failed', { error: messageOf(error) }))
      socket.on('close', () => drop(peer))
    },
    publish(app) {
      if (app === undefined) stale = 'all'
      else if (stale !== 'all') stale.add(app)
      next ??= publishing
        .catch(() => {})
        .then(() => {
          next = undefined
          return publishNow()
        })
      publishing = next
      return next
    },
    acknowledged(app) {
      const route = routes.get(app)
      const done = route !== undefined && every((peer) => peer.applied >= route.version)
      if (!done) unsettled.add(app)
      return done
    },
    healthy: (backend) => every((peer) => peer.healthy.has(backend)),
    drained: (backend) => every((peer) => peer.drained.has(backend)),
    get connectedSince() {
      return live().length > 0 ? connectedSince : null
    },
    get connected() {
      return live().length
    },
    close() {
      clearInterval(pings)
      for (const peer of peers) peer.socket.close(1001, 'the daemon is stopping')
    },
  }
}
