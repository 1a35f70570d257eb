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

/**
 * The daemon's end of the routers' protocol (router/protocol.ts). The daemon owns the table; it is made from rows, so publishing is
 * safe to repeat. Nothing here is durable: a router says what it has applied when it connects.
 */
export interface Routers {
  /** A router has connected and shown its token. */
  accept(socket: WebSocket): void
  /** Sends the table as the rows have it now; resolves when it is on its way. Unchanged rows send nothing. */
  publish(): Promise<void>
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
  /** The routes of all apps, from the rows. */
  routes(): Promise<AppRoute[]>
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
}

const PING_EVERY = 10_000

export function createRouters({ clock, log }: { clock: Clock; log: Log }, sources: Sources): Routers {
  const peers = new Set<Peer>()
  let table: Table = { version: 0, apps: [] }
  /** By app: its route as text, and the version in which it last changed. */
  let routes = new Map<string, { text: string; version: number }>()
  let backends = new Map<string, { app: string; mode: Backend['mode'] }>()
  let connectedSince = 0
  let publishing: Promise<void> = Promise.resolve()

  const live = (): Peer[] => [...peers].filter((peer) => clock.now() - peer.heardAt < limits.routerSilence)
  const every = (test: (peer: Peer) => boolean): boolean => {
    const now = live()
    return now.length > 0 && now.every(test)
  }

  const send = (peer: Peer): void => peer.socket.send(JSON.stringify({ kind: 'table', table } satisfies Down))

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
    table = { version, apps }
    for (const { healthy, drained } of peers) {
      for (const id of healthy) if (backends.get(id)?.mode !== 'probe') healthy.delete(id)
      for (const id of drained) if (backends.get(id)?.mode !== 'drain') drained.delete(id)
    }
  }

  const publishNow = async (): Promise<void> => {
    const apps = await sources.routes()
    const same =
      apps.length === table.apps.length && apps.every((app) => routes.get(app.id)?.text === JSON.stringify(app))
    if (same && table.version > 0) return
    setTable(apps, table.version + 1)
    for (const peer of peers) send(peer)
  }

  const hear = (peer: Peer, message: Up): void => {
    switch (message.kind) {
      case 'hello':
        if (message.protocol !== PROTOCOL) return peer.socket.close(1002, `this daemon speaks protocol ${PROTOCOL}`)
        if (message.applied >= table.version) table = { ...table, version: message.applied + 1 }
        if (peers.size === 0) connectedSince = clock.now()
        peers.add(peer)
        log.info('router connected', { applied: message.applied, sent: table.version })
        return send(peer)
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
      const peer: Peer = { socket, applied: 0, heardAt: clock.now(), healthy: new Set(), drained: new Set() }
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
    publish() {
      publishing = publishing.catch(() => {}).then(publishNow)
      return publishing
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
