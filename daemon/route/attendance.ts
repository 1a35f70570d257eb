import type { WebSocket } from 'ws'
import { HANDOVER, type Identity, REPLACED } from '../../router/protocol.ts'
import type { Clock } from '../clock.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import { Absences, type LastWord } from './absence.ts'
import type { Register } from './register.ts'
import type { RouterState } from './routers.ts'

/** A connection of a router. */
export interface Peer extends LastWord {
  socket: WebSocket
  address: string
  router: Identity
  /** The process: one that takes another's place has drains of its own, unless that one has handed them over. */
  process: string
  /** It has said that its successor is about to connect; null when it has not. */
  handedOverAt: number | null
  /** Newest version of ours that it follows; 0 until it has answered on this connection. */
  applied: number
  /** Version that it was sent last; 0 until it has been sent one. */
  told: number
  heardAt: number
  /** Backends in mode `probe` that it has reached, and in mode `drain` that have no request left; forgotten with the mode. */
  healthy: Set<string>
  drained: Set<string>
  /** Ids of the certificates that it has. */
  certificates: Set<string>
}

interface Parts {
  clock: Clock
  log: Log
  register: Register
  /** The connection has ended, or another has its place. */
  gone(peer: Peer): void
  /** Who waits for the word of one that is gone may wait no more. */
  changed(): void
}

/** Close code of an end that is going away: a router says so when it serves no more (RFC 6455 7.4.1). */
const GOING_AWAY = 1001

/**
 * Who the routers are, and for whose word a change waits: for that of all which may serve by an older table, and for one that is connected.
 *
 *      ,------------------------------ hello ------------------------------,
 *      v                                                                   |
 *   connected -- broken, silent --> awaited -- time over, forgotten --> lost
 *    |  ^  |                          ^  (absence.ts; hello: connected)    ^
 *    |  |  '-- 1001: it has stopped --+------------------------------------'
 *    v  | hello of its successor      |
 *   handing over -- time over --------'
 *
 * Who is silent or handing over is waited for as one that is connected. A daemon that starts awaits those that the last one waited for
 * (register.ts).
 */
export class Attendance {
  readonly peers = new Set<Peer>()
  private readonly absences: Absences
  private readonly parts: Parts
  private since = 0

  constructor(parts: Parts) {
    const { clock, log, register } = parts
    this.parts = parts
    this.absences = new Absences({
      clock,
      connected: () => this.live().length > 0,
      lost(router) {
        register.lost(router)
        log.warn('router did not come back; changes wait for it no more', { router })
        parts.changed()
      },
    })
    for (const { id, mayServe } of register.list()) if (mayServe) this.absences.begin(id)
  }

  live(): Peer[] {
    return [...this.peers].filter((peer) => this.now() - peer.heardAt < limits.routerSilence)
  }

  /** Since when one is live without a break, ms; null when none is. */
  get connectedSince(): number | null {
    return this.live().length > 0 ? this.since : null
  }

  /** It holds of all that are live, of whom there is one. */
  every(test: (peer: Peer) => boolean): boolean {
    const live = this.live()
    return live.length > 0 && live.every(test)
  }

  /** And of all that are silent, or gone and awaited. */
  everywhere(test: (word: LastWord) => boolean): boolean {
    return this.live().length > 0 && [...this.peers, ...this.absences.words()].every(test)
  }

  list(): Omit<RouterState, 'behind'>[] {
    return this.parts.register.list().map(({ mayServe, ...router }) => ({ ...router, state: this.stateOf(router.id) }))
  }

  /** Who it is is known. Of two connections of one router the newer is its successor, or all that is left of it. True: it is the first. */
  enter(peer: Peer, { router, applied }: { router: Identity; applied: number }): boolean {
    const first = this.live().length === 0
    if (first) this.since = this.now()
    peer.router = router
    peer.process = `${router.id} ${router.pid}`
    for (const older of this.peers) if (router.id !== '' && older.router.id === router.id) this.replace(older, peer)
    this.peers.add(peer)
    this.absences.end(router.id)
    if (first) this.absences.restart()
    const { id, host, workers } = router
    if (id !== '') this.parts.register.connected({ id, host, workers, address: peer.address, applied }, this.now())
    return first
  }

  heard(peer: Peer): void {
    peer.heardAt = this.now()
    if (peer.applied > 0) this.parts.register.heard(peer.router.id, { applied: peer.applied, now: peer.heardAt })
  }

  /** Its connection has been closed with this code. */
  closed(peer: Peer, code: number): void {
    if (code === HANDOVER && this.peers.has(peer)) peer.handedOverAt = this.now()
    else this.drop(peer, code === GOING_AWAY)
  }

  /** Asks who is there, and gives up who has been silent, or about to be succeeded, for too long. */
  look(): void {
    for (const peer of this.peers) {
      // nobody was heard in the future: the clock has been set back
      peer.heardAt = Math.min(peer.heardAt, this.now())
      if (peer.handedOverAt !== null && this.now() - peer.handedOverAt > limits.routerHandover) this.drop(peer)
      else if (this.now() - peer.heardAt > limits.routerSilence) this.hangUp(peer)
      else peer.socket.ping()
    }
  }

  /** Nothing waits for one that is not connected from then on. */
  forget(id: string): 'forgotten' | 'connected' | 'unknown' {
    if (this.stateOf(id) === 'connected') return 'connected'
    for (const peer of this.peers) if (peer.router.id === id) this.hangUp(peer)
    if (this.absences.end(id)) this.parts.changed()
    return this.parts.register.forget(id) ? 'forgotten' : 'unknown'
  }

  /** The daemon is stopping. */
  close(): void {
    this.absences.close()
    const peers = [...this.peers]
    // what they answer is no goodbye of theirs
    this.peers.clear()
    for (const { socket } of peers) socket.close(GOING_AWAY, 'the daemon is stopping')
    void this.parts.register.close()
  }

  private now(): number {
    return this.parts.clock.now()
  }

  private stateOf(id: string): RouterState['state'] {
    if (this.live().some(({ router }) => router.id === id)) return 'connected'
    return this.absences.has(id) || [...this.peers].some(({ router }) => router.id === id) ? 'awaited' : 'lost'
  }

  private replace(older: Peer, newer: Peer): void {
    if (older.handedOverAt !== null) newer.process = older.process
    this.peers.delete(older)
    this.parts.gone(older)
    older.socket.close(REPLACED, 'this router has connected anew')
  }

  private hangUp(peer: Peer): void {
    peer.socket.terminate()
    this.drop(peer)
  }

  private drop(peer: Peer, stopped = false): void {
    if (!this.peers.delete(peer)) return
    const { gone, changed, register, log } = this.parts
    gone(peer)
    const told = { router: peer.router.id, left: this.peers.size }
    if (stopped) {
      register.lost(peer.router.id)
      log.info('router has stopped', told)
    } else {
      this.absences.begin(peer.router.id, peer)
      log.warn('router disconnected; for a while changes wait for it', told)
    }
    changed()
  }
}
