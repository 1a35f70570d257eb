import type { Limits } from './limits.ts'
import type { AppRoute } from './protocol.ts'

type Bounds = Pick<Limits, 'backlog' | 'holdPause' | 'holdPauseMost'>

type Followed = Pick<AppRoute, 'hosts' | 'maintenance' | 'empty' | 'hold' | 'backends' | 'platform'>

const alike = (one: readonly unknown[], other: readonly unknown[]): boolean =>
  one.length === other.length && one.every((value, n) => value === other[n])

const sameWord = (one: Followed, other: Followed): boolean =>
  one.maintenance === other.maintenance &&
  one.empty === other.empty &&
  one.hold === other.hold &&
  alike(one.hosts, other.hosts)

/** A request that waits for a backend. */
export interface Waiter {
  /** Looks for a backend again; one that is looking already goes on. */
  retry(): void
}

/**
 * The requests of one app in this process. It outlives tables.
 *
 *   open --a request was refused by every backend--> held       requests wait in order of arrival; after growing pauses the first of
 *                                                               them, and no other, tries all backends again
 *   held --it reached one, or there are others--> open          all go on, in that order
 *   held --nobody waits any more--> open
 *
 * Requests that wait for a starting dyno wait here as well; a new table lets them go on.
 */
export class Backlog {
  /** Those that have not ended; a tunnel is no request any more. */
  requests = 0
  /** H11: how many there may be. */
  most = 0
  held = false
  private readonly waiters = new Set<Waiter>()
  private scout: Waiter | null = null
  private pause = 0
  private timer: NodeJS.Timeout | undefined
  private route: Followed | null = null
  private serving: readonly unknown[] = []
  private readonly limits: Bounds
  private readonly all: { waiting: number }

  /** `all`: counts those that wait, of all apps. */
  constructor(limits: Bounds, all = { waiting: 0 }) {
    this.limits = limits
    this.all = all
  }

  /**
   * What a table says of the app, and the backends that serve. Whoever waits looks again when that has changed; a table about something
   * else lets nobody run into backends that refuse.
   */
  follow(route: Followed, serving: readonly unknown[]): void {
    const before = { route: this.route, serving: this.serving }
    const dynos = route.backends.filter(({ mode }) => mode !== 'drain').length
    this.route = route
    this.serving = serving
    // log tails and terminals last; what there may be of them the daemon bounds
    this.most = route.platform === undefined ? this.limits.backlog * Math.max(1, dynos) : Number.POSITIVE_INFINITY
    if (!alike(before.serving, serving) || before.route === null || !sameWord(before.route, route)) this.open()
  }

  get waiting(): number {
    return this.waiters.size
  }

  /** Whether this one is to wait for what the first one finds. */
  holds(waiter: Waiter): boolean {
    return this.held && this.scout !== waiter
  }

  /** One that waits already keeps its place. */
  wait(waiter: Waiter): void {
    if (!this.waiters.has(waiter)) this.all.waiting++
    this.waiters.add(waiter)
  }

  /** Every backend has refused this one. */
  refused(waiter: Waiter): void {
    this.wait(waiter)
    if (this.scout === waiter) this.scout = null
    this.held = true
    this.schedule()
  }

  /** This one has a connection; it may be one that never had to wait. */
  reached(waiter: Waiter): void {
    if (this.waiters.size === 0) return
    this.remove(waiter)
    if (this.held) this.open()
  }

  /** This one has ended, or is on its way. */
  forget(waiter: Waiter): void {
    if (!this.remove(waiter) || !this.held) return
    if (this.scout === waiter) this.scout = null
    if (this.waiters.size === 0) this.close()
    else this.schedule()
  }

  /** There may be other backends: whoever waits looks again. */
  open(): void {
    if (this.held) this.close()
    for (const waiter of [...this.waiters]) waiter.retry()
  }

  private remove(waiter: Waiter): boolean {
    const there = this.waiters.delete(waiter)
    if (there) this.all.waiting--
    return there
  }

  private close(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    this.held = false
    this.scout = null
    this.pause = 0
  }

  private schedule(): void {
    if (this.timer !== undefined || this.scout !== null) return
    this.pause = Math.min(this.limits.holdPauseMost, this.pause * 2 || this.limits.holdPause)
    this.timer = setTimeout(() => {
      this.timer = undefined
      const [first = null] = this.waiters
      this.scout = first
      first?.retry()
    }, this.pause)
  }
}
