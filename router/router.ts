import { Backend } from './backend.ts'
import type { Entrance } from './client.ts'
import type { Conn, Handler } from './conn.ts'
import type { Exchange } from './exchange.ts'
import { type Limits, limits as standard } from './limits.ts'
import type { AppRoute, LogLine, Receipt, Table } from './protocol.ts'
import { Session } from './session.ts'
import { compile, type Lookup } from './table.ts'

/** What the router has to tell; each may be told more than once. */
export interface RouterEvents {
  up(backend: string): void
  drained(backend: string, receipt: Receipt): void
  line(line: LogLine): void
}

export interface App {
  route: AppRoute
  hosts: string[]
  serving: Backend[]
}

/** The data plane without its sockets: the table, the backends, and the clients' sessions. */
export class Router {
  readonly limits: Limits
  readonly events: RouterEvents
  readonly sessions = new Set<Session>()
  /** Requests that wait for a starting dyno. */
  readonly waiting = new Set<Exchange>()
  closing = false
  private lookup: Lookup<App> = compile<App>([])
  private certificates: Lookup<{ id: string | null; hosts: string[] }> = compile<{ id: null; hosts: string[] }>([])
  private backends = new Map<string, Backend>()
  private readonly sweeper: NodeJS.Timeout

  constructor(events: RouterEvents, limits: Partial<Limits> = {}) {
    this.events = events
    this.limits = { ...standard, ...limits }
    this.sweeper = setInterval(() => this.sweep(), this.limits.sweep)
  }

  /** When it returns, every later request follows the table; when it throws, the old one is in force unchanged. */
  apply(table: Table): void {
    const backends = new Map<string, Backend>()
    const modes: (() => void)[] = []
    const apps = table.apps.map((route): App => {
      const serving: Backend[] = []
      for (const wanted of route.backends) {
        if (backends.has(wanted.id)) throw new TypeError(`backend ${wanted.id} is twice in the table`)
        const known = this.backends.get(wanted.id)
        const backend = known?.isAt(wanted) ? known : new Backend(wanted, this.limits, this.events)
        backends.set(wanted.id, backend)
        modes.push(() => backend.follow(wanted.mode))
        if (wanted.mode === 'serve') serving.push(backend)
      }
      return { route, hosts: route.hosts, serving }
    })
    const lookup = compile(apps)
    this.certificates = compile(table.apps.flatMap(bindings))
    this.lookup = lookup
    const before = this.backends
    this.backends = backends
    for (const follow of modes) follow()
    for (const [id, backend] of before) if (backends.get(id) !== backend) backend.remove()
    this.retryWaiting()
  }

  /** Tells again which backends are up or drained. */
  report(): void {
    for (const backend of this.backends.values()) backend.report()
  }

  find(hostname: string): App | undefined {
    return this.lookup.find(hostname)
  }

  /** Id of the certificate that is bound to this host; null for the platform's own. */
  certificateOf(hostname: string): string | null {
    return this.certificates.find(hostname)?.id ?? null
  }

  accept(entrance: Entrance, connect: (handler: Handler) => Conn): void {
    this.sessions.add(new Session(this, entrance, connect))
  }

  /** Lets running requests finish; resolves when all connections have ended, by force after `limits.shutdown`. */
  async close(): Promise<void> {
    this.closing = true
    for (const session of this.sessions) if (session.idle) session.close()
    const deadline = Date.now() + this.limits.shutdown
    await new Promise<void>((resolve) => {
      const check = setInterval(() => {
        if (Date.now() >= deadline) for (const session of this.sessions) session.forceClose()
        if (this.sessions.size > 0) return
        clearInterval(check)
        resolve()
      }, 20)
    })
    clearInterval(this.sweeper)
    for (const backend of this.backends.values()) backend.remove()
  }

  private retryWaiting(): void {
    const waiting = [...this.waiting]
    this.waiting.clear()
    for (const exchange of waiting) exchange.start()
  }

  private sweep(): void {
    const now = Date.now()
    for (const session of this.sessions) session.sweep(now)
    for (const backend of this.backends.values()) backend.sweep(now)
  }
}

/** Every host with what it is bound to, because a host without a certificate must not get that of a wildcard beside it. */
function bindings({ hosts, certificates }: AppRoute): { id: string | null; hosts: string[] }[] {
  const bound = new Set(certificates.flatMap((one) => one.hosts))
  return [{ id: null, hosts: hosts.filter((host) => !bound.has(host)) }, ...certificates]
}
