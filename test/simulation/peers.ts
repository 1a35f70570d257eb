import type { Clock } from '../../daemon/clock.ts'
import { limits } from '../../daemon/limits.ts'
import { Absences, type LastWord } from '../../daemon/route/absence.ts'
import type { Routed } from '../../daemon/route/table.ts'
import { routeOf } from '../../daemon/route/table.ts'
import { WantedTable } from '../../daemon/route/wanted.ts'
import type { Down, Up } from '../../router/protocol.ts'
import type { Link, Router } from './router.ts'

interface Peer {
  applied: number
  heardAt: number
  healthy: Set<string>
  drained: Set<string>
  greeted: boolean
}

const PING_EVERY = 10_000

/** The daemon's end of the routers' connections as daemon/route/control.ts keeps it, without its waiting: what the planner asks of it. */
export class Peers {
  readonly table = new WantedTable()
  private readonly peers = new Map<Router, Peer>()
  private connectedAt = 0
  private readonly absences: Absences
  private readonly clock: Clock
  private readonly changed: () => void
  private readonly known: Set<string>

  /** `known`: names of routers that are connected or awaited, from one life of the daemon to the next. */
  constructor(clock: Clock, changed: () => void, known: Set<string>) {
    this.clock = clock
    this.changed = changed
    this.known = known
    this.absences = new Absences({
      clock,
      connected: () => this.connectedSince !== null,
      lost: (name) => {
        known.delete(name)
        changed()
      },
    })
    for (const name of known) this.absences.begin(name)
  }

  private now(): number {
    return this.clock.now()
  }

  /** The daemon is killed. */
  die(): void {
    this.peers.clear()
    this.absences.close()
  }

  accept(router: Router): Link {
    const sets = { healthy: new Set<string>(), drained: new Set<string>() }
    const peer: Peer = { applied: 0, heardAt: this.now(), greeted: false, ...sets }
    return {
      up: (message) => this.hear(router, peer, message),
      broken: () => this.drop(router, peer),
    }
  }

  publish(routed: Routed | null): void {
    const routes = routed ? [routeOf(routed, 'example.com')] : []
    const change = this.table.changeTo(routes, 'all', [])
    if (!change) return
    this.table.follow(change)
    for (const [router, { healthy, drained, greeted }] of this.peers) {
      for (const id of healthy) if (this.table.backend(id)?.mode !== 'probe') healthy.delete(id)
      for (const id of drained) if (this.table.backend(id)?.mode !== 'drain') drained.delete(id)
      if (greeted) router.hear({ kind: 'change', change })
    }
  }

  /** Every ten seconds: who answers has been heard, who has not for too long is hung up on. */
  ping(): void {
    for (const [router, peer] of this.peers) {
      peer.heardAt = Math.min(peer.heardAt, this.now())
      if (!router.isSilent) peer.heardAt = this.now()
      else if (this.now() - peer.heardAt > limits.routerSilence) {
        this.drop(router, peer)
        router.hangUp()
      }
    }
  }

  static readonly pingEvery = PING_EVERY

  live(router: Router): boolean {
    const peer = this.peers.get(router)
    return peer !== undefined && this.now() - peer.heardAt < limits.routerSilence
  }

  behind(router: Router): number {
    return this.table.version - (this.peers.get(router)?.applied ?? 0)
  }

  acknowledged(app: string): boolean {
    return this.everywhere(({ applied }) => this.table.isIn(app, applied))
  }

  healthy(dyno: string): boolean {
    return this.every((peer) => peer.healthy.has(dyno))
  }

  drained(dyno: string): boolean {
    return this.everywhere(({ drained }) => drained.has(dyno))
  }

  get connectedSince(): number | null {
    return [...this.peers.keys()].some((router) => this.live(router)) ? this.connectedAt : null
  }

  private everywhere(test: (word: LastWord) => boolean): boolean {
    return this.connectedSince !== null && [...this.peers.values(), ...this.absences.words()].every(test)
  }

  private every(test: (peer: Peer) => boolean): boolean {
    let some = false
    for (const [router, peer] of this.peers) {
      if (!this.live(router)) continue
      if (!test(peer)) return false
      some = true
    }
    return some
  }

  private hear(router: Router, peer: Peer, message: Up): void {
    peer.heardAt = this.now()
    switch (message.kind) {
      case 'hello':
        this.greet(router, peer, message.applied)
        break
      case 'whole':
        router.hear(this.whole())
        break
      case 'applied':
        peer.applied = Math.max(peer.applied, message.version)
        break
      case 'health':
        if (message.up) peer.healthy.add(message.backend)
        else peer.healthy.delete(message.backend)
        break
      case 'drained':
        peer.drained.add(message.backend)
        break
      case 'check':
      case 'failing':
      case 'refused':
      case 'log':
        break
      default:
        message satisfies never
    }
    this.changed()
  }

  private greet(router: Router, peer: Peer, applied: number): void {
    const renumbered = applied >= this.table.version
    if (renumbered) this.table.version = applied + 1
    const first = this.connectedSince === null
    if (first) this.connectedAt = this.now()
    peer.greeted = true
    this.peers.set(router, peer)
    this.known.add(router.name)
    this.absences.end(router.name)
    if (first) this.absences.restart()
    for (const one of renumbered ? this.peers.keys() : [router]) one.hear(this.whole())
  }

  private whole = (): Down => ({ kind: 'table', table: this.table.whole() })

  private drop(router: Router, peer: Peer): void {
    if (this.peers.get(router) !== peer) return
    this.peers.delete(router)
    this.absences.begin(router.name, peer)
    this.changed()
  }
}
