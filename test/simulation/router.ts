import { type AppRoute, type Down, PROTOCOL, type Up } from '../../router/protocol.ts'
import type { Agenda } from './agenda.ts'

/** The daemon's end of a connection, as the router sees it. */
export interface Link {
  up(message: Up): void
  /** The connection is broken; the daemon notices at once. */
  broken(): void
}

/** What a router finds out there. */
export interface Surroundings {
  agenda: Agenda
  /** Connects to the daemon; null while it is down. */
  dial(router: Router): Link | null
  /** From when on this dyno accepts connections, true time; undefined while nobody knows that it will. */
  listensFrom(dyno: string): number | undefined
  /** It follows another table now. */
  followed(router: Router): void
}

const USUAL_LAG = 5
const DIAL_AGAIN = 1000
const PROBE_AGAIN = 1000

/**
 * A router, as the daemon and clients know it: follows tables, probes, drains, keeps a snapshot, and speaks the protocol of
 * router/protocol.ts. What it says and hears takes time, gets lost with its connection, and comes in order.
 *
 *   down -- start --> unconnected -- dial --> connected -- cut, daemon gone --> unconnected
 *    ^------------------------- kill ------------------------------------------ any; its table stays
 */
export class Router {
  readonly name: string
  running = true
  /** Of all apps: there is one. */
  route: AppRoute | undefined
  version = 0
  lag = USUAL_LAG
  /** Until then it neither hears nor says anything, with its connection open, true time. */
  silentUntil = 0
  link: Link | null = null
  /** Since when no daemon has it among its routers, true time; null while one does. */
  awaySince: number | null = 0
  private readonly world: Surroundings
  /** By dyno: when its last request ends, true time. */
  private readonly busy = new Map<string, number>()
  private told: { version: number; route: AppRoute | undefined } | null = null
  /** Of the process and of the connection; what was under way with an older one is lost. */
  private life = 0
  private connection = 0
  private mayDial = true
  /** When the newest message of each direction arrives. */
  private readonly last = { in: 0, out: 0 }

  constructor(name: string, world: Surroundings) {
    this.name = name
    this.world = world
  }

  connect(): void {
    if (!this.running || this.link || !this.mayDial) return
    this.link = this.isSilent ? null : this.world.dial(this)
    if (!this.link) return this.soon(DIAL_AGAIN, () => this.connect())
    this.connection++
    this.told = null
    const router = { id: this.name, host: this.name, pid: this.life, workers: 1 }
    this.say({ kind: 'hello', protocol: PROTOCOL, applied: this.version, certificates: [], router })
  }

  /** The connection is gone, whoever has closed it; it comes again at once, or after so many ms. */
  disconnect(forMs = 0): void {
    const link = this.link
    this.link = null
    this.connection++
    this.awaySince ??= this.world.agenda.now
    link?.broken()
    if (!this.running) return
    this.mayDial = forMs === 0
    this.soon(Math.max(forMs, DIAL_AGAIN), () => {
      this.mayDial = true
      this.connect()
    })
  }

  /** Until its connection is given up, or it speaks again: what it hears and says meanwhile arrives then. */
  silence(ms: number): void {
    this.silentUntil = Math.max(this.silentUntil, this.world.agenda.now + ms)
    this.world.agenda.after(ms, () => {})
  }

  /** From here on it is as quick as it can be. */
  calm(): void {
    this.lag = USUAL_LAG
  }

  kill(downFor: number): void {
    if (!this.running) return
    this.running = false
    this.life++
    this.disconnect()
    this.busy.clear()
    this.world.agenda.after(downFor, () => this.start())
  }

  start(): void {
    if (this.running) return
    this.running = true
    this.mayDial = true
    this.look()
    this.connect()
  }

  /** The first that a daemon says to a router is that it has it. */
  hear(message: Down): void {
    this.awaySince = null
    this.arrives('in', () => this.follow(message))
  }

  /** The daemon has closed the connection. */
  hangUp(): void {
    this.awaySince ??= this.world.agenda.now
    this.soon(this.silentUntil - this.world.agenda.now, () => this.disconnect())
  }

  get isSilent(): boolean {
    return this.silentUntil > this.world.agenda.now
  }

  /** A request goes to this dyno and takes so long. */
  request(dyno: string, ms: number): void {
    const end = this.world.agenda.now + ms
    this.busy.set(dyno, Math.max(end, this.busy.get(dyno) ?? 0))
  }

  isBusy(dyno: string): boolean {
    return this.running && (this.busy.get(dyno) ?? 0) > this.world.agenda.now
  }

  /** Gets requests from this router. */
  serves(dyno: string): boolean {
    return this.running && (this.route?.backends.some(({ id, mode }) => id === dyno && mode === 'serve') ?? false)
  }

  private follow(message: Down): void {
    if (message.kind === 'certificate') return
    if (message.kind === 'table') this.told = { version: message.table.version, route: message.table.apps[0] }
    else if (this.told?.version !== message.change.base) return this.say({ kind: 'whole' })
    else {
      const [changed] = message.change.apps
      const route = changed ?? (message.change.gone.length > 0 ? undefined : this.told.route)
      this.told = { version: message.change.version, route }
    }
    Object.assign(this, this.told)
    this.world.followed(this)
    this.say({ kind: 'applied', version: this.version })
    this.look()
  }

  /** Tells again, with each table, all that it has found out, and looks for what is new. */
  private look(): void {
    for (const { id, mode } of this.route?.backends ?? [])
      if (mode === 'probe') this.probe(id)
      else if (mode === 'drain') this.drain(id)
  }

  private mode(dyno: string) {
    return this.route?.backends.find(({ id }) => id === dyno)?.mode
  }

  private probe(dyno: string): void {
    const { version } = this
    const from = this.world.listensFrom(dyno)
    if (from !== undefined && from <= this.world.agenda.now)
      return this.say({ kind: 'health', backend: dyno, up: true, reason: '' })
    const wait = from === undefined ? PROBE_AGAIN : from - this.world.agenda.now
    if (Number.isFinite(wait))
      this.soon(wait, () => {
        if (this.version === version && this.mode(dyno) === 'probe') this.probe(dyno)
      })
  }

  private drain(dyno: string): void {
    const { version } = this
    this.soon((this.busy.get(dyno) ?? 0) - this.world.agenda.now, () => {
      if (this.version !== version || this.mode(dyno) !== 'drain') return
      const receipt = { inFlight: 0, finished: 0, cut: 0, failed: 0, took: 0 }
      this.say({ kind: 'drained', backend: dyno, receipt })
    })
  }

  private say(message: Up): void {
    this.arrives('out', () => this.link?.up(message))
  }

  /** In order, and not while it is silent; never when the connection breaks before. */
  private arrives(way: 'in' | 'out', act: () => void): void {
    const { connection } = this
    const { now } = this.world.agenda
    this.last[way] = Math.max(now + this.lag, this.silentUntil, this.last[way])
    this.soon(this.last[way] - now, () => {
      if (connection !== this.connection) return
      if (this.isSilent) this.arrives(way, act)
      else act()
    })
  }

  private soon(delay: number, act: () => void): void {
    const { life } = this
    this.world.agenda.after(delay, () => {
      if (life === this.life) act()
    })
  }
}
