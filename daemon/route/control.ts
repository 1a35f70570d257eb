import { type Down, type Identity, PROTOCOL, parseUp, type TableChange, type Up } from '../../router/protocol.ts'
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import { Attendance, type Peer } from './attendance.ts'
import type { Pair } from './chain.ts'
import { Receipts } from './receipt.ts'
import { openRegister, type Register } from './register.ts'
import type { Routers, Sources } from './routers.ts'
import { Troubles } from './trouble.ts'
import { WantedTable } from './wanted.ts'
import { Wellness } from './wellness.ts'

/** Until it has said hello. */
const nobody: Identity = { id: '', host: '', pid: 0, workers: 0 }

interface Parts {
  clock: Clock
  log: Log
  /** In memory when there is none. */
  register?: Register
}

/**
 * The daemon's end of the routers' protocol (router/protocol.ts). The daemon owns the table; it is made from rows, so publishing is
 * safe to repeat. Nothing here is durable: a router says what it has applied when it connects.
 */
export function createRouters(
  { clock, log, register = openRegister(undefined, { log, clock }) }: Parts,
  sources: Sources,
): Routers {
  const receipts = new Receipts()
  const troubles = new Troubles()
  const table = new WantedTable()
  const wellness = new Wellness<Peer>({
    now: () => clock.now(),
    appOf: (backend) => (table.backend(backend)?.mode === 'serve' ? table.routeOf(backend) : undefined),
    app: (id) => table.route(id),
    tell: (app, dyno, text) => sources.logLine(app, clock.now(), text, dyno),
  })
  const attendance = new Attendance({
    ...{ clock, log, register },
    gone: (peer) => wellness.gone(peer),
    changed: () => reconsider(),
  })
  const { peers } = attendance
  const strangers = new Set<string>()
  let publishing: Promise<void> = Promise.resolve()
  /** The one that has not begun to read the rows, which whoever asks now can share, and the apps that it is to read. */
  let next: Promise<void> | undefined
  let stale: Set<string> | 'all' = 'all'

  /** Without them the table goes on all the same, and they with the next. */
  const pairsOf = (certificates: string[]) =>
    sources.pairs(certificates).catch((error) => {
      log.error('certificates cannot be read', { error: messageOf(error) })
      return new Map<string, Pair>()
    })

  /** To each the change, or the whole table, after the certificates that it lacks: few, but for a router that is new. */
  const send = async (receivers: readonly Peer[], change?: TableChange): Promise<void> => {
    const named = table.certificates()
    const lacks = (peer: Peer) => [...named].filter((id) => !peer.certificates.has(id))
    const lacking = [...new Set(receivers.flatMap(lacks))]
    const pairs = lacking.length > 0 ? await pairsOf(lacking) : new Map<string, Pair>()
    for (const peer of receivers) {
      const tell = (message: Down) => peer.socket.send(JSON.stringify(message))
      for (const id of lacks(peer)) {
        const pair = pairs.get(id)
        if (pair) tell({ kind: 'certificate', certificate: { id, ...pair } })
      }
      if (change !== undefined && peer.told === change.base) tell({ kind: 'change', change })
      else tell({ kind: 'table', table: table.whole() })
      peer.told = table.version
      peer.certificates = new Set([...named].filter((id) => peer.certificates.has(id) || pairs.has(id)))
    }
  }

  /** Reads the rows of stale apps only: all of a thousand apps at each change of one would be most of the daemon's work. */
  const changeNow = async (): Promise<TableChange | undefined> => {
    const read = stale
    stale = new Set()
    try {
      const routes = await (read === 'all' ? sources.routes() : sources.routes([...read]))
      return table.changeTo(routes, read, sources.challenges())
    } catch (error) {
      stale = 'all'
      throw error
    }
  }

  const publishNow = async (): Promise<void> => {
    const change = await changeNow()
    if (change !== undefined) await tellAll(change)
  }

  const tellAll = async (change: TableChange): Promise<void> => {
    table.follow(change)
    for (const { healthy, drained } of peers) {
      for (const id of healthy) if (table.backend(id)?.mode !== 'probe') healthy.delete(id)
      for (const id of drained) if (table.backend(id)?.mode !== 'drain') drained.delete(id)
    }
    wellness.follow()
    await send([...peers], change)
    await failpoint('table.sent')
  }

  /** One after the other: what is sent to a router is the newest table whenever it is sent. */
  const inTurn = (work: () => Promise<void>): void => {
    publishing = publishing.catch(() => {}).then(work)
    publishing.catch((error) => log.error('the routers cannot be told', { error: messageOf(error) }))
  }

  const greet = async (peer: Peer, hello: Up & { kind: 'hello' }): Promise<void> => {
    if (peer.socket.readyState !== peer.socket.OPEN) return
    const { applied, router } = hello
    // a number that it has already seen may have been another table's
    const renumbered = applied >= table.version
    if (renumbered) table.version = applied + 1
    peer.certificates = new Set(hello.certificates)
    const first = attendance.enter(peer, hello)
    log.info('router connected', { router: router.id, host: router.host, applied, sent: table.version })
    // From now on dynos that boot have had their chance, so their time runs.
    if (first) for (const app of table.moving()) sources.changed(app)
    await send(renumbered ? [...peers] : [peer])
  }

  /** It comes again every few seconds; that is said once. */
  const sendAway = ({ socket, address }: Peer, { protocol, router }: Up & { kind: 'hello' }): void => {
    socket.close(1002, `this daemon speaks protocol ${PROTOCOL}`)
    const stranger = `${address} ${router.id} ${protocol}`
    if (strangers.has(stranger)) return
    if (strangers.size >= limits.knownRouters) strangers.clear()
    strangers.add(stranger)
    log.warn('a router speaks another protocol and was sent away; upgrade it or this daemon', {
      ...{ router: router.id, host: router.host, address, protocol, ours: PROTOCOL },
    })
  }

  const repeat = async (peer: Peer): Promise<void> => {
    if (peers.has(peer)) await send([peer])
  }

  const hear = (peer: Peer, message: Up): void => {
    // of a connection that another has replaced; what matters of it is told again on that one
    if (message.kind !== 'hello' && message.kind !== 'log' && !peers.has(peer)) return
    switch (message.kind) {
      case 'hello':
        if (message.protocol !== PROTOCOL) return sendAway(peer, message)
        return inTurn(() => greet(peer, message))
      case 'whole':
        log.warn('a router asked for the whole table', { router: peer.router.id })
        return inTurn(() => repeat(peer))
      case 'applied':
        peer.applied = Math.max(peer.applied, message.version)
        settle((app) => table.isIn(app, message.version))
        return lookAgain()
      case 'refused':
        return log.error('a router refused the table', { version: message.version, reason: message.reason })
      case 'health':
        if (message.up) peer.healthy.add(message.backend)
        else {
          peer.healthy.delete(message.backend)
          troubles.note(message.backend, message.reason)
        }
        return changed(message.backend)
      case 'check':
        wellness.hear(peer, message.backend, message)
        return changed(message.backend)
      case 'failing':
        return wellness.learn(peer, message.checks).forEach(changed)
      case 'drained':
        peer.drained.add(message.backend)
        receipts.note(message.backend, peer.process, message.receipt)
        return changed(message.backend)
      case 'log':
        if (message.dropped > 0) log.warn('a router dropped log lines', { dropped: message.dropped })
        // an id becomes the name of a folder: none but those that we have given
        for (const { app, at, text } of message.lines) {
          const route = table.route(app)
          if (route !== undefined && route.platform === undefined) sources.logLine(app, at, text)
        }
        return
      default:
        return message satisfies never
    }
  }

  const changed = (backend: string): void => {
    const app = table.backend(backend)?.app
    if (app !== undefined) sources.changed(app)
  }

  /** Those who wait until the routers follow. */
  const waiting = new Set<() => void>()
  const lookAgain = (): void => {
    for (const look of waiting) look()
  }

  /** Apps whose plan was told that their route is not acknowledged yet. */
  const unsettled = new Set<string>()
  const settle = (which: (app: string) => boolean): void => {
    const now = [...unsettled].filter(which)
    for (const app of now) unsettled.delete(app)
    for (const app of now) sources.changed(app)
  }

  /** Who waited for the word of one that is gone waits no more. */
  const reconsider = (): void => {
    const waited = new Set([...unsettled, ...table.moving()])
    unsettled.clear()
    for (const app of waited) sources.changed(app)
    lookAgain()
  }

  const pings = setInterval(() => {
    attendance.look()
    wellness.look()
    lookAgain()
  }, limits.routerPing)
  pings.unref()

  return {
    accept(socket, address = '') {
      const sets = { healthy: new Set<string>(), drained: new Set<string>(), certificates: new Set<string>() }
      const state = { router: nobody, process: '', handedOverAt: null, applied: 0, told: 0, heardAt: clock.now() }
      const peer: Peer = { socket, address, ...state, ...sets }
      const heard = () => attendance.heard(peer)
      socket.on('pong', heard)
      socket.on('message', (data) => {
        try {
          hear(peer, parseUp(String(data)))
          heard()
        } catch (error) {
          log.error('a router sent what nobody understands', { error: messageOf(error) })
          socket.close(1002, 'not understood')
        }
      })
      socket.on('error', (error) => log.warn('router connection failed', { error: messageOf(error) }))
      socket.on('close', (code) => attendance.closed(peer, code))
    },
    list() {
      return attendance
        .list()
        .map((router) => ({ ...router, behind: Math.max(0, table.version - router.applied) }))
        .sort((a, b) => a.firstSeen - b.firstSeen)
    },
    forget: (id) => attendance.forget(id),
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
    repeat() {
      publishing = publishing.catch(() => {}).then(() => tellAll(table.same()))
      return publishing
    },
    acknowledged(app) {
      const done = attendance.everywhere(({ applied }) => table.isIn(app, applied))
      if (!done) unsettled.add(app)
      return done
    },
    async followed(signal) {
      const wanted = table.version
      await new Promise<void>((resolve, reject) => {
        const end = (): void => {
          waiting.delete(look)
          signal.removeEventListener('abort', end)
          if (signal.aborted) reject(signal.reason)
          else resolve()
        }
        const look = (): void => {
          if (attendance.everywhere(({ applied }) => applied >= wanted)) end()
        }
        waiting.add(look)
        signal.addEventListener('abort', end)
        if (signal.aborted) end()
        else look()
      })
    },
    healthy: (backend) => attendance.every((peer) => peer.healthy.has(backend)),
    dead: (backend) => wellness.dead(backend, attendance.live()),
    panics: (app) => wellness.panics(table.route(app) ?? { id: app, backends: [] }),
    troubleOf: (backend) => troubles.of(backend),
    drained: (backend) => attendance.everywhere(({ drained }) => drained.has(backend)),
    receipts,
    graceOf: (app) => table.route(app)?.grace,
    get connectedSince() {
      return attendance.connectedSince
    },
    get connected() {
      return attendance.live().length
    },
    close() {
      clearInterval(pings)
      attendance.close()
    },
  }
}
