import type { WebSocket } from 'ws'
import type { AppRoute, Challenge } from '../../router/protocol.ts'
import type { Pair } from './chain.ts'
import type { Receipts } from './receipt.ts'
import type { KnownRouter } from './register.ts'
import type { Dead } from './wellness.ts'

/** The connected routers, as the rest of the daemon sees them. */
export interface Routers {
  /** A router has connected and shown its token. */
  accept(socket: WebSocket, address?: string): void
  /** Those that are or were connected, the first known first. */
  list(): RouterState[]
  /** Forgets one that is not connected; nothing waits for it from then on. */
  forget(router: string): 'forgotten' | 'connected' | 'unknown'
  /** Sends the table as the rows have it now, of one app or of all; resolves when it is on its way. Unchanged rows send nothing. */
  publish(app?: string): Promise<void>
  /** Sends it although nothing has changed: at each table routers look whether the platform's certificate is another. */
  repeat(): Promise<void>
  /** True when a router is connected, and all that are or are awaited follow this app's newest route. */
  acknowledged(app: string): boolean
  /** Resolves when the same holds of the table that was published last; rejects when `signal` aborts. */
  followed(signal: AbortSignal): Promise<void>
  /** True when every live router has reached this backend. */
  healthy(backend: string): boolean
  /** Every live router finds that its liveness check fails; null when they do not. */
  dead(backend: string): Dead | null
  /** So many of the app's dynos fail a check that all get requests. */
  panics(app: string): boolean
  /** What a router found wrong with this backend's health last, in words; also when the backend has gone, for a while. */
  troubleOf(backend: string): string | undefined
  /** True when a router is connected, and all that are or are awaited have said that this backend's last request has ended. */
  drained(backend: string): boolean
  /** How they ended. */
  readonly receipts: Receipts
  /** What routers were told of the time that this app's tunnels have, ms; undefined for their own. */
  graceOf(app: string): number | undefined
  readonly connected: number
  /** Since when there has been a router without a break, ms; null when there is none. */
  readonly connectedSince: number | null
  close(): void
}

export interface RouterState extends Omit<KnownRouter, 'mayServe'> {
  /** Not `connected`, it serves on by the table that it has, when it runs: changes wait for one that is `awaited`, for none that is `lost`. */
  state: 'connected' | 'awaited' | 'lost'
  /** Versions that it does not follow yet. */
  behind: number
}

export interface Sources {
  /** The routes of all apps, or of some, from the rows; an app that is gone has none. */
  routes(apps?: string[]): Promise<AppRoute[]>
  /** What routers need to serve these certificates; one that is gone is not among them. */
  pairs(certificates: readonly string[]): Promise<ReadonlyMap<string, Pair>>
  /** What routers answer to authorities now. */
  challenges(): Challenge[]
  /** Something that the plan of this app looks at has changed. */
  changed(app: string): void
  /** Of the router, or of a dyno. */
  logLine(app: string, at: number, text: string, dyno?: string): void
}
