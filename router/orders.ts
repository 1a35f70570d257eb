import type { Batch } from './lines.ts'
import type { Certificate, Challenge, Receipt } from './protocol.ts'
import type { AppTally } from './tally.ts'
import type { TicketKeys } from './tickets.ts'

/**
 * What the master tells a worker, and what a worker tells the master, over the channel that `fork` makes. Both are of one build, so nothing
 * is parsed. Orders are followed one after the other.
 *
 *   master                                worker
 *     | -- begin {doors} -----------------> |
 *     | -- certificates, apps ... --------> |   pieces, between which requests have their turn; apps as text, which costs
 *     |                                     |   nothing before its turn comes
 *     | -- commit {serial, whole, gone} --> |   what came is in force in one step
 *     | <- committed {serial} ------------- |   no later request follows an older table
 *     | -- tls {key, cert} ---------------> |   the platform's own certificate, again when it is renewed
 *     | -- tickets {keys} --------------> |   one set for all, so that a session may be resumed with any
 *     | -- listen ------------------------> |
 *     | <- listening / failed ------------- |
 *     | -- wellness {backends} ----------> |   of backends in force: which are unwell, or well again; a new worker gets all
 *     | -- ask ---------------------------> |   every `limits.ask`
 *     | <- alive {connections, tallies} --- |
 *     | <- drained, lines, trouble -------- |
 *     | -- leave -------------------------> |   no new connections; it exits when the last has ended
 *
 * A router that is being replaced follows the orders of its successor in the same way, and passes on what its workers tell.
 */
export type Order =
  | { kind: 'begin'; doors: Doorway[] }
  | { kind: 'certificates'; certificates: Certificate[] }
  /** JSON: a list of `AppRoute`. */
  | { kind: 'apps'; text: string }
  | Commit
  | { kind: 'tls'; key: Uint8Array; cert: Uint8Array }
  | { kind: 'tickets'; keys: TicketKeys }
  | { kind: 'listen' }
  | { kind: 'wellness'; backends: string[]; unwell: boolean }
  | { kind: 'ask' }
  | { kind: 'report' }
  | ({ kind: 'leave' } & Patience)

export type Word =
  | { kind: 'listening' }
  | { kind: 'failed'; sentence: string }
  | { kind: 'committed'; serial: number }
  | { kind: 'alive'; connections: number; tallies: AppTally[] }
  | { kind: 'drained'; backend: string; receipt: Receipt }
  | { kind: 'lines'; batch: Batch }
  | { kind: 'trouble'; sentence: string }

export interface Commit {
  kind: 'commit'
  serial: number
  version: number
  /** Apps and certificates that did not come with it are gone. */
  whole: boolean
  /** Ids of apps and certificates. */
  gone: string[]
  forgotten: string[]
  challenges: Challenge[]
}

/** A listening socket of the master's, in the worker under this descriptor. */
export interface Doorway {
  name: 'http' | 'https'
  fd: number
}

/** How long those that are there may stay, ms. */
export interface Patience {
  /** For one last request of a connection that has none. */
  idle: number
  requests: number
  tunnels: number
}
