import type { Receipt, Table } from './protocol.ts'

/**
 * Which backends in mode `drain` have no request left in any process that takes requests. Processes tell in the order in which they follow
 * tables, so that what one tells before it follows the next table is about this one. Pure.
 */
export class Drains<Process extends object> {
  private readonly told: (backend: string, receipt: Receipt) => void
  private readonly processes: () => Iterable<Process>
  private readonly receipts = new Map<string, Map<Process, Receipt>>()
  /** In mode `drain` by the table that every process follows. */
  private draining: ReadonlySet<string> = new Set()
  /** Of processes that are gone. */
  private readonly left = new Map<string, Receipt>()

  constructor(processes: () => Iterable<Process>, told: (backend: string, receipt: Receipt) => void) {
    this.processes = processes
    this.told = told
  }

  /** This table is in force in every process. */
  follow(table: Table): void {
    const draining = new Set<string>()
    for (const app of table.apps) for (const { id, mode } of app.backends) if (mode === 'drain') draining.add(id)
    for (const id of this.receipts.keys()) if (!draining.has(id)) this.receipts.delete(id)
    for (const id of this.left.keys()) if (!draining.has(id)) this.left.delete(id)
    for (const id of draining) if (!this.receipts.has(id)) this.receipts.set(id, new Map())
    this.draining = draining
  }

  hear(process: Process, backend: string, receipt: Receipt): void {
    const receipts = this.receipts.get(backend) ?? new Map<Process, Receipt>()
    this.receipts.set(backend, receipts)
    receipts.set(process, receipt)
    this.tell(backend, receipts)
  }

  /** What it had told stays; what it had not is lost with it. */
  gone(process: Process): void {
    for (const [backend, receipts] of this.receipts) {
      const receipt = receipts.get(process)
      receipts.delete(process)
      if (receipt !== undefined) this.left.set(backend, sum([this.left.get(backend) ?? none, receipt]))
      this.tell(backend, receipts)
    }
  }

  /** Tells again all that is drained. */
  report(): void {
    for (const [backend, receipts] of this.receipts) this.tell(backend, receipts)
  }

  private tell(backend: string, receipts: Map<Process, Receipt>): void {
    if (!this.draining.has(backend)) return
    const processes = [...this.processes()]
    if (processes.length === 0 || processes.some((process) => !receipts.has(process))) return
    this.told(backend, sum([this.left.get(backend) ?? none, ...receipts.values()]))
  }
}

const none: Receipt = { inFlight: 0, finished: 0, cut: 0, failed: 0, took: 0 }

/** Of several processes at the same time. */
export function sum(receipts: readonly Receipt[]): Receipt {
  const total = { ...none }
  for (const { inFlight, finished, cut, failed, took } of receipts) {
    total.inFlight += inFlight
    total.finished += finished
    total.cut += cut
    total.failed += failed
    total.took = Math.max(total.took, took)
  }
  return total
}
