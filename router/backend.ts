import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { now } from './clock.ts'
import { Crowd } from './crowd.ts'
import { askAll } from './health.ts'
import type { Limits } from './limits.ts'
import type { Receipt, Backend as Route } from './protocol.ts'
import { Quarantine } from './quarantine.ts'
import { Upstream, type User } from './upstream.ts'

const FIRST_PAUSE = 10

/** Until a drain begins. */
const none: Receipt = { inFlight: 0, finished: 0, cut: 0, failed: 0, took: 0 }

/**
 * One dyno as the router sees it. The table says the mode; every table may say it again.
 *
 *   (new) --probe--> probing --accepts, and passes its checks--> up  (tells `health`, again with each table)
 *                    probing --a check fails--> probing              (tells why, once for each reason)
 *   probing, up, (new) --serve--> serving     gets requests
 *   serving --drain--> draining               no new requests, no idle connections; running ones go on, tunnels for the app's grace
 *   draining --last user gone--> drained      (tells `drained`, again with each table)
 *   draining, drained --serve--> serving
 *   any --no longer in the table--> gone      its tunnels end now, requests by themselves
 *   gone, was draining --last user gone-->    (tells `drained`, once: what became of those that outlasted the drain)
 */
export class Backend {
  readonly id: string
  readonly dyno: string
  readonly address: string
  readonly port: number
  private shown = ''
  mode: Route['mode'] | 'gone' = 'probe'
  /** Requests and tunnels that it was chosen for and that have not ended. */
  readonly users = new Crowd<User>()
  readonly quarantine: Quarantine
  /** From then on its tunnels must end, ms. */
  tunnelsEnd = Number.POSITIVE_INFINITY
  private up = false
  private drainBegan: number | null = null
  private closesAt = Number.POSITIVE_INFINITY
  private receipt = none
  private probing = false
  private readonly idle: Upstream[] = []
  /** By what the master has found: it gets requests only when there is nobody better. */
  unwell = false
  private readonly checks: Route['checks']
  /** What a check has found wrong, and was told. */
  private trouble: string | null = null
  private readonly limits: Limits
  private readonly events: BackendEvents

  constructor(route: Route, limits: Limits, events: BackendEvents) {
    this.id = route.id
    this.dyno = route.dyno
    this.address = route.address
    this.port = route.port
    this.checks = route.checks
    this.quarantine = new Quarantine(limits)
    this.limits = limits
    this.events = events
  }

  /** What clients that stay with it show: nothing that tells where it is. Made when it is needed, because tables have thousands. */
  get token(): string {
    if (this.shown === '') this.shown = createHash('sha256').update(this.id).digest('base64url').slice(0, 22)
    return this.shown
  }

  isAt(route: Route): boolean {
    return this.address === route.address && this.port === route.port && this.dyno === route.dyno
  }

  /** `grace`: how long its tunnels may stay in mode `drain`, ms. */
  follow(mode: Route['mode'], grace = this.limits.grace): void {
    if (mode === 'probe' && this.mode !== 'probe') this.up = false
    if (mode !== 'drain') this.drainBegan = null
    else if (this.drainBegan === null) {
      this.drainBegan = Date.now()
      this.receipt = { inFlight: this.users.size, finished: 0, cut: 0, failed: 0, took: 0 }
    }
    this.mode = mode
    this.tunnelsEnd = Math.min(
      this.closesAt,
      this.drainBegan === null ? Number.POSITIVE_INFINITY : this.drainBegan + grace,
    )
    if (mode !== 'serve') this.closeIdle()
    if (mode === 'probe' && !this.up && !this.probing && this.events.up !== undefined) this.probe()
  }

  remove(): void {
    this.mode = 'gone'
    this.tunnelsEnd = 0
    this.closeIdle()
    for (const user of this.users.list()) user.gone()
  }

  /** The router stops: whatever tables say, no tunnel stays longer than this. */
  close(at: number): void {
    this.closesAt = at
    this.tunnelsEnd = Math.min(this.tunnelsEnd, at)
  }

  /** Tells again what the daemon may have missed. */
  report(): void {
    if (this.mode === 'probe' && this.up) this.events.up?.(this.id)
    else if (this.mode === 'probe' && this.trouble !== null) this.events.unwell?.(this.id, this.trouble)
    if (this.mode === 'drain' && this.users.size === 0) this.events.drained(this.id, this.receipt)
  }

  /** How a request or tunnel of this backend ended goes into the receipt; one that went to another backend is none of it. */
  leave(user: User, end: 'finished' | 'cut' | 'failed' | 'moved'): void {
    if (!this.users.delete(user) || this.drainBegan === null) return
    if (end === 'moved') this.receipt.inFlight--
    else this.receipt[end]++
    this.receipt.took = Date.now() - this.drainBegan
    if (this.users.size === 0) this.events.drained(this.id, this.receipt)
  }

  /** An idle connection, the last used first, or a new one. `least`: it must not have idled since before then. */
  connection(user: User, least: number): Upstream {
    const pooled = this.idle.at(-1)
    if (pooled === undefined || pooled.idleSince < least) return new Upstream(this, user)
    this.idle.pop()
    pooled.user = user
    return pooled
  }

  giveBack(upstream: Upstream): void {
    upstream.user = null
    if (this.mode !== 'serve' || this.idle.length >= this.limits.pooledPerBackend) return upstream.conn.destroy()
    upstream.pooled = true
    upstream.idleSince = now()
    upstream.conn.resume()
    this.idle.push(upstream)
  }

  forget(upstream: Upstream): void {
    const at = this.idle.indexOf(upstream)
    if (at !== -1) this.idle.splice(at, 1)
  }

  sweep(now: number): void {
    while (this.idle[0] !== undefined && now - this.idle[0].idleSince > this.limits.pooledIdle)
      this.idle.shift()?.conn.destroy()
  }

  private closeIdle(): void {
    for (const upstream of this.idle.splice(0)) upstream.conn.destroy()
  }

  /** Pauses grow: most dynos that boot do so within a second, and nobody should wait for the router then. */
  private probe(attempt = 1): void {
    this.probing = true
    let answered = false
    const socket = connect({ host: this.address, port: this.port, timeout: this.limits.probeAttempt })
    socket.on('timeout', () => socket.destroy())
    socket.on('error', () => {})
    socket.on('connect', () => {
      answered = true
      socket.destroy()
    })
    socket.on('close', () => void this.probed(answered, attempt))
  }

  /** Checks begin with the first connection that is accepted; until then nothing of the app can answer. */
  private async probed(accepts: boolean, attempt: number): Promise<void> {
    const trouble = !accepts || this.checks === undefined ? null : await askAll(this, this.checks)
    if (this.mode !== 'probe') return this.stopProbing()
    if (accepts && trouble === null) {
      this.up = true
      this.events.up?.(this.id)
      return this.stopProbing()
    }
    if (trouble !== null && trouble !== this.trouble) {
      this.trouble = trouble
      this.events.unwell?.(this.id, trouble)
    }
    const pause = trouble === null ? Math.min(this.limits.probe, FIRST_PAUSE * attempt) : this.limits.checkPause
    setTimeout(() => (this.mode === 'probe' ? this.probe(attempt + 1) : this.stopProbing()), pause)
  }

  private stopProbing(): void {
    this.probing = false
  }
}

export interface BackendEvents {
  /** Without it nothing is probed. */
  up?(backend: string): void
  /** A check failed; told when the reason changes. */
  unwell?(backend: string, reason: string): void
  drained(backend: string, receipt: Receipt): void
}
