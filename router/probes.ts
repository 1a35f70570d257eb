import { Backend, type BackendEvents } from './backend.ts'
import type { Limits } from './limits.ts'
import type { Table } from './protocol.ts'

export type ProbeEvents = Required<Pick<BackendEvents, 'up' | 'unwell'>>

/** The backends in mode `probe`, tried by one process for all, so that a dyno that boots is not asked once per worker. */
export class Probes {
  private readonly limits: Limits
  private readonly events: ProbeEvents
  private backends = new Map<string, Backend>()

  constructor(limits: Limits, events: ProbeEvents) {
    this.limits = limits
    this.events = events
  }

  follow(table: Table): void {
    const before = this.backends
    this.backends = new Map()
    for (const { backends } of table.apps)
      for (const wanted of backends) {
        if (wanted.mode !== 'probe') continue
        const known = before.get(wanted.id)
        const backend = known?.isAt(wanted) ? known : new Backend(wanted, this.limits, { ...this.events, drained() {} })
        this.backends.set(wanted.id, backend)
        backend.follow('probe')
      }
    for (const [id, backend] of before) if (this.backends.get(id) !== backend) backend.remove()
  }

  /** Tells again which are up. */
  report(): void {
    for (const backend of this.backends.values()) backend.report()
  }
}
