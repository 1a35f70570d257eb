import type { Control } from './control.ts'
import { Drains } from './drains.ts'
import type { Edition } from './edition.ts'
import { limits } from './limits.ts'
import { Batches } from './lines.ts'
import type { Member } from './member.ts'
import type { Word } from './orders.ts'
import { Probes } from './probes.ts'
import type { Table } from './protocol.ts'
import { Rounds } from './rounds.ts'
import { Totals } from './tally.ts'

/** Who can be told, at the moment. */
export interface Audience {
  /** The processes that take requests. */
  members(): Iterable<Member>
  /** Tells them of a backend. */
  judge(backend: string, unwell: boolean): void
  daemon(): Pick<Control, 'up' | 'unwell' | 'checked' | 'failing' | 'drained'> | undefined
  warn(sentence: string): void
}

/** What the workers tell, put together for the daemon and for those who watch. */
export class Ledger {
  readonly batches = new Batches(limits.logQueue)
  readonly totals = new Totals(limits.countedApps)
  readonly rounds: Rounds
  private readonly drains: Drains<Member>
  private readonly probes: Probes
  private readonly daemon: Audience['daemon']
  private readonly warn: (sentence: string) => void
  /** Lines that workers could not keep. */
  private dropped = 0
  /** Troubles that have been said since the last table: each worker has the same. */
  private readonly said = new Set<string>()

  constructor({ members, judge, daemon, warn }: Audience) {
    this.daemon = daemon
    this.warn = warn
    this.probes = new Probes(limits, {
      up: (backend) => daemon()?.up(backend),
      unwell: (backend, reason) => daemon()?.unwell(backend, reason),
    })
    this.rounds = new Rounds(limits, {
      wellness: judge,
      checked: (backend, check, reason) => daemon()?.checked(backend, check, reason),
    })
    this.drains = new Drains(members, (backend, receipt) => daemon()?.drained(backend, receipt))
  }

  /** Log lines that found no room, since the start. */
  get lost(): number {
    return this.dropped + this.batches.lost
  }

  hear(from: Member, word: Word): void {
    switch (word.kind) {
      case 'drained':
        return this.drains.hear(from, word.backend, word.receipt)
      case 'lines':
        this.dropped += word.batch.dropped
        return this.batches.add(word.batch)
      case 'alive':
        return this.totals.add(word.tallies)
      case 'trouble':
        if (this.said.has(word.sentence)) return
        this.said.add(word.sentence)
        return this.warn(word.sentence)
      case 'listening':
      case 'failed':
      case 'committed':
        return
      default:
        return word satisfies never
    }
  }

  gone(member: Member): void {
    this.drains.gone(member)
  }

  /** Every process follows it. */
  follow({ table, apps }: Edition): void {
    this.said.clear()
    this.probes.follow(table)
    this.rounds.follow(table)
    this.totals.keep((app) => apps.has(app))
  }

  /** From now on it is told what is drained in this table. */
  settle(table: Table): void {
    this.drains.follow(table)
  }

  /** Tells again what the daemon may have missed. */
  report(): void {
    this.probes.report()
    this.daemon()?.failing(this.rounds.failing())
    this.drains.report()
  }
}
