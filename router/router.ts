import { Backend } from './backend.ts'
import { Backlog } from './backlog.ts'
import { type Challenges, compileChallenges } from './challenge.ts'
import type { Entrance } from './client.ts'
import type { Conn, Handler } from './conn.ts'
import { type Binding, bindingsOf, Directory, merged } from './directory.ts'
import { checkClaims } from './edition.ts'
import { type Limits, limits as standard } from './limits.ts'
import type { Account } from './line.ts'
import type { Patience } from './orders.ts'
import type { AppRoute, Challenge, Receipt, Backend as Route, Table } from './protocol.ts'
import { Session } from './session.ts'
import { type AppTally, count, type End, emptyTally, type Tally } from './tally.ts'
import { endTime } from './tunnel.ts'

/** What the router has to tell; each may be told more than once. */
export interface RouterEvents {
  /** Without it backends in mode `probe` are left alone. */
  up?(backend: string): void
  drained(backend: string, receipt: Receipt): void
  /** A request to an app has ended; `at`: ms since the epoch. */
  line(app: string, at: number, account: Account): void
}

export interface App {
  route: AppRoute
  hosts: string[]
  /** As in its route. */
  backends: Backend[]
  serving: Backend[]
  bindings: readonly Binding[]
  backlog: Backlog
}

/** What changes in the table, beside the apps that are prepared. */
export interface Change {
  /** All other apps are gone. */
  whole: boolean
  gone: readonly string[]
  challenges: readonly Challenge[]
}

/** A client's connection, as the router looks after it: it is among `sessions` until it has closed. */
export interface Connection {
  /** It carries another protocol than HTTP. */
  readonly tunnelled: boolean
  /** The router is closing; told again and again until it is shut. No more requests, as far as that loses none. */
  retire(): void
  forceClose(): void
  sweep(now: number): void
}

/** The data plane without its sockets: the table, the backends, and the clients' sessions. */
export class Router {
  readonly limits: Limits
  /** For the platform's own names. */
  readonly patient: Limits
  readonly events: RouterEvents
  readonly sessions = new Set<Connection>()
  /** H22: requests and tunnels that a backend may have at a time from this process. */
  readonly perBackend: number
  /** The request that a connection has is its last. */
  closing = false
  /** A connection that has no request is closed. */
  shut = false
  /** Where clients find TLS. */
  tlsPort = 443
  challenges: Challenges = new Map()
  private inForce = new Directory()
  /** What is prepared for the next change. */
  private coming = new Directory()
  /** Of that the backends that are there already, which follow it with the change. */
  private kept: { backend: Backend; mode: Route['mode']; grace: number | undefined }[] = []
  /** By app id, since they were last taken. */
  private tallies = new Map<string, Tally>()
  private readonly waiters = { waiting: 0 }
  private readonly sweeper: NodeJS.Timeout

  /** `share`: the processes that a backend's bound is divided among. */
  constructor(events: RouterEvents, limits: Partial<Limits> = {}, share = 1) {
    this.events = events
    this.limits = { ...standard, ...limits }
    const { platformSilence } = this.limits
    this.patient = { ...this.limits, firstByte: platformSilence, idle: platformSilence }
    this.perBackend = Math.ceil(this.limits.perBackend / share)
    this.sweeper = setInterval(() => this.sweep(), this.limits.sweep)
  }

  /** When it returns, every later request follows the table; when it throws, the old one is in force unchanged. */
  apply({ apps, challenges }: Table): void {
    checkClaims(apps)
    this.prepare(apps)
    this.commit({ whole: true, gone: [], challenges })
  }

  /** For the next change; in as many pieces as may be, because making 10,000 apps at once would hold up requests. */
  prepare(routes: readonly AppRoute[]): void {
    for (const route of routes) {
      const backends = route.backends.map((wanted) => this.backendFor(wanted, route.grace))
      const serving = backends.filter((_, i) => route.backends[i]?.mode === 'serve')
      const backlog = this.inForce.apps.get(route.id)?.backlog ?? this.backlogFor(route, serving)
      this.coming.put({ route, hosts: route.hosts, backends, serving, bindings: bindingsOf(route), backlog })
    }
  }

  private backlogFor(route: AppRoute, serving: readonly Backend[]): Backlog {
    const backlog = new Backlog(this.limits, this.waiters)
    backlog.follow(route, serving)
    return backlog
  }

  /** One that is new follows its mode at once: nothing goes to it before the change. */
  private backendFor(wanted: Route, grace: number | undefined): Backend {
    const { mode } = wanted
    const known = this.inForce.backends.get(wanted.id)
    if (known?.isAt(wanted)) {
      this.kept.push({ backend: known, mode, grace })
      return known
    }
    const backend = new Backend(wanted, this.limits, this.events)
    backend.follow(mode, grace)
    return backend
  }

  /**
   * When it returns, every later request follows the change, in which no two apps may claim the same. Costs by the apps of the table that it
   * replaces, or by those that are prepared, whichever are fewer.
   */
  commit({ whole, gone, challenges }: Change): void {
    const { coming, inForce, kept } = this
    const out = whole
      ? [...inForce.apps.values()]
      : [...gone, ...coming.apps.keys()].flatMap((id) => inForce.apps.get(id) ?? [])
    this.inForce = merged(inForce, out, coming)
    this.coming = new Directory()
    this.kept = []
    this.challenges = compileChallenges(challenges)
    for (const { backend, mode, grace } of kept) {
      backend.follow(mode, grace)
      // who sends all says anew which are unwell
      if (whole) backend.unwell = false
    }
    for (const { backends } of out)
      for (const backend of backends) if (this.inForce.backends.get(backend.id) !== backend) backend.remove()
    for (const { route, backlog } of out) {
      const now = this.inForce.apps.get(route.id)
      if (now === undefined) backlog.open()
      else backlog.follow(now.route, now.serving)
    }
  }

  /** Tells again which backends are up or drained. */
  report(): void {
    for (const backend of this.inForce.backends.values()) backend.report()
  }

  /** What the master has found of these backends; one that is not there is passed over. */
  judge(backends: readonly string[], unwell: boolean): void {
    for (const id of backends) {
      const backend = this.inForce.backends.get(id)
      if (backend !== undefined) backend.unwell = unwell
    }
  }

  find(hostname: string): App | undefined {
    return this.inForce.hosts.find(hostname)
  }

  /** Id of the certificate that is bound to this host; null for the platform's own. */
  certificateOf(hostname: string): string | null {
    return this.inForce.bindings.find(hostname)?.id ?? null
  }

  /** Requests that wait for a backend. */
  get waiting(): number {
    return this.waiters.waiting
  }

  accept(entrance: Entrance, connect: (handler: Handler) => Conn): void {
    this.sessions.add(new Session(this, entrance, connect))
  }

  /** A request to this app has ended. */
  account({ id: app, platform }: AppRoute, end: End): void {
    let tally = this.tallies.get(app)
    if (tally === undefined) {
      tally = emptyTally()
      this.tallies.set(app, tally)
    }
    count(tally, end.took, end.account)
    if (platform === undefined) this.events.line(app, end.at, end.account)
  }

  /** What was counted since the last time. */
  takeTallies(): AppTally[] {
    const taken = [...this.tallies].map(([app, tally]) => ({ app, tally }))
    if (taken.length > 0) this.tallies = new Map()
    return taken
  }

  /** Lets running requests finish; resolves when all connections have ended, by force when patience is over. */
  async close(patience: Patience = { idle: 0, requests: this.limits.shutdown, tunnels: this.limits.shutdown }) {
    this.closing = true
    const began = Date.now()
    for (const backend of this.inForce.backends.values()) backend.close(began + patience.tunnels - endTime(this.limits))
    await new Promise<void>((resolve) => {
      const check = setInterval(() => {
        this.hurry(patience, Date.now() - began)
        if (this.sessions.size > 0) return
        clearInterval(check)
        resolve()
      }, 20)
      this.hurry(patience, 0)
    })
    clearInterval(this.sweeper)
    for (const backend of this.inForce.backends.values()) backend.remove()
  }

  private hurry({ idle, requests, tunnels }: Patience, waited: number): void {
    if (!this.shut) {
      this.shut = waited >= idle
      for (const session of this.sessions) session.retire()
    }
    if (waited < Math.min(requests, tunnels)) return
    for (const session of this.sessions) if (waited >= (session.tunnelled ? tunnels : requests)) session.forceClose()
  }

  private sweep(): void {
    const now = Date.now()
    for (const session of this.sessions) session.sweep(now)
    for (const backend of this.inForce.backends.values()) backend.sweep(now)
  }
}
