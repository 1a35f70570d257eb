import { join } from 'node:path'
import type { Config } from './config.ts'
import type { Control } from './control.ts'
import { type Door, openDoors } from './doors.ts'
import { adopting, type Edition, editionOf, nothing } from './edition.ts'
import { identify } from './identity.ts'
import { Ledger } from './ledger.ts'
import { limits } from './limits.ts'
import type { Member } from './member.ts'
import type { Figures } from './metrics.ts'
import type { Patience, Word } from './orders.ts'
import { PairFile } from './pair.ts'
import { type Certificates, type Failing, panics, type Table } from './protocol.ts'
import { Snapshots } from './snapshot.ts'
import { StatusServer } from './status.ts'
import { type FromOld, type Predecessor, Successor } from './succession.ts'
import { freshKeys } from './tickets.ts'
import { Workers } from './workers.ts'

/**
 * The process that has the sockets, the table and the connection to the daemon, and sees to the workers. It touches no request: whatever
 * keeps it busy holds up nobody.
 */
export class Master {
  readonly doors: readonly Door[]
  private edition: Edition
  private readonly config: Config
  private readonly warn: (sentence: string) => void
  private readonly snapshots: Snapshots
  private readonly pair: PairFile
  private readonly workers: Workers
  private readonly ledger: Ledger
  private readonly status: StatusServer | undefined
  private control: Control | undefined
  /** One that does not serve yet. */
  private rival: Successor | undefined
  private successor: Successor | undefined
  /** The last message to the successor is away. */
  private passed: Promise<void> | undefined

  /** Opens the doors; throws one clear sentence when that cannot be. */
  static async open(config: Config, warn: (sentence: string) => void): Promise<Master> {
    const snapshots = new Snapshots(join(config.data, 'router'))
    const doors = await openDoors(config)
    return new Master(config, { doors, snapshots, edition: await restore(snapshots, warn), warn })
  }

  private constructor(config: Config, { doors, snapshots, edition, warn }: Pick<Master, 'doors'> & Parts) {
    this.config = config
    this.doors = doors
    this.edition = edition
    this.snapshots = snapshots
    this.warn = warn
    this.pair = new PairFile(join(config.data, 'tls'), warn)
    this.ledger = new Ledger({
      members: () => this.workers.members,
      judge: (backend, unwell) => this.workers.judge(backend, unwell),
      daemon: () => this.control,
      warn,
    })
    this.workers = new Workers(
      { doors, count: config.workers, limits, edition, tickets: freshKeys(Date.now()) },
      { word: (from, word) => this.hear(from, word), gone: (member, how) => this.gone(member, how), warn },
    )
    const { data, statusHost: host, statusPort: port } = config
    this.status = port === 0 ? undefined : new StatusServer({ host, port, data, figures: () => this.figures(), warn })
  }

  /** Another process goes on. */
  get succeeded(): boolean {
    return this.successor !== undefined
  }

  /** The workers serve when it resolves, by the table from disk. */
  async serve(): Promise<void> {
    await this.prepare()
    await this.workers.listen()
    this.status?.open()
  }

  /** The same, as soon as the router that runs lets us. */
  async succeed(predecessor: Predecessor): Promise<void> {
    await this.prepare()
    await this.workers.ready()
    predecessor.tell({ kind: 'ready' })
    const go = await predecessor.says('go')
    if (go !== undefined) {
      this.workers.useTickets(go.tickets)
      await this.follow(editionOf(adopting(go.table, this.edition.table), go.certificates, this.edition))
      this.ledger.settle(this.edition.table)
      this.ledger.rounds.adopt(go.failing ?? [])
    }
    await this.workers.listen()
    predecessor.tell({ kind: 'serving' })
    const { workers = [], batches = [], tallies = [] } = (await predecessor.says('yours')) ?? {}
    for (const batch of batches) this.ledger.batches.add(batch)
    this.ledger.totals.add(tallies)
    for (const pid of workers) this.workers.add(predecessor.channel(pid))
    this.status?.open()
  }

  private async prepare(): Promise<void> {
    this.ledger.follow(this.edition)
    this.ledger.settle(this.edition.table)
    await this.renewPair()
    this.workers.start()
  }

  /** Follows the daemon from now on. */
  async dial(): Promise<void> {
    const { config } = this
    // not before: what it needs takes as long to load as a worker takes to start
    const { createControl } = await import('./control.ts')
    this.control = createControl({
      url: config.daemonUrl,
      tokenFile: join(config.data, 'router.token'),
      router: await identify(join(config.data, 'router'), config.workers, this.warn),
      table: () => this.edition.table,
      batches: this.ledger.batches,
      certificates: this.edition.certificates,
      apply: (table, certificates) => this.apply(table, certificates),
      report: () => this.ledger.report(),
      warn: this.warn,
    })
  }

  /** Lets what runs end, tells the daemon, and is over. */
  async close(patience: Patience): Promise<void> {
    this.rival?.kill()
    this.status?.close()
    await this.workers.leave(patience)
    await this.control?.close()
  }

  /**
   * True when another process has taken over and the last connection here has ended. When that one does not come up, all is as before;
   * rejects when it ends just after it has taken over.
   */
  async handOver(): Promise<boolean> {
    if (this.rival !== undefined || this.successor !== undefined) return false
    const successor = new Successor(this.doors)
    this.rival = successor
    let left = false
    try {
      await successor.says('ready', limits.succession)
      left = true
      await this.control?.handOver()
      const { table, certificates } = this.edition
      const { tickets } = this.workers
      void successor.tell({ kind: 'go', table, certificates, tickets, failing: this.ledger.rounds.failing() })
      await successor.says('serving', limits.succession)
    } catch (error) {
      successor.kill()
      this.warn(`No successor took over: ${messageOf(error)}. This router serves on.`)
      if (left) await this.dial()
      return false
    } finally {
      this.rival = undefined
    }
    await this.passTo(successor)
    return true
  }

  /** What the workers tell goes to the successor from now on; resolves when the last has ended. */
  private async passTo(successor: Successor): Promise<void> {
    const { workers } = this
    const { batches, totals } = this.ledger
    this.successor = successor
    this.ledger.rounds.close()
    const settled = successor.says('settled').catch((error) => {
      throw new Error(`The successor has ended too early: ${messageOf(error)}.`)
    })
    // it may be before anybody waits for it
    settled.catch(() => {})
    for (const door of this.doors) door.close()
    this.status?.close()
    const left = workers.leave({
      ...{ idle: limits.handoverIdle, requests: limits.shutdown, tunnels: limits.handoverTunnels },
    })
    successor.hear((message) => {
      if (message.kind === 'order') workers.pass(message.to, message.order)
    })
    const pids = [...workers.members].map(({ pid }) => pid)
    await successor.tell({ kind: 'yours', workers: pids, batches: batches.drain(), tallies: totals.list() })
    await Promise.race([left, settled.then(() => left)])
    await this.passed
  }

  private async apply(table: Table, certificates: Certificates): Promise<void> {
    const before = this.edition
    await this.follow(editionOf(table, certificates, before))
    await this.snapshots
      .write(this.edition, before)
      .catch((error) => this.warn(`The table cannot be kept on disk: ${messageOf(error)}`))
    await this.renewPair()
    this.ledger.settle(table)
  }

  private async follow(edition: Edition): Promise<void> {
    await this.workers.follow(edition)
    this.edition = edition
    this.ledger.follow(edition)
  }

  private async renewPair(): Promise<void> {
    const pair = await this.pair.renewed()
    if (pair !== undefined) this.workers.useTls(pair)
  }

  private hear(from: Member, word: Word): void {
    if (this.successor !== undefined) this.pass({ kind: 'word', from: from.pid, word })
    else this.ledger.hear(from, word)
  }

  private gone(member: Member, how: string): void {
    if (this.successor !== undefined) this.pass({ kind: 'gone', from: member.pid, how })
    else this.ledger.gone(member)
  }

  private pass(message: FromOld): void {
    this.passed = this.successor?.tell(message)
  }

  private figures(): Figures {
    const { edition, workers, ledger } = this
    const names = new Map(edition.table.apps.map(({ id, name }) => [id, name]))
    return {
      version: edition.table.version,
      daemon: this.control?.connected === true,
      workers: [...workers.members].map(({ pid, connections }) => ({ pid, connections })),
      trouble: workers.trouble,
      revivals: workers.revivals,
      lost: ledger.lost,
      asked: ledger.rounds.asked,
      unwell: unwellOf(edition.table, ledger.rounds.failing()),
      apps: ledger.totals.list(),
      others: ledger.totals.others,
      nameOf: (app) => names.get(app) ?? app,
    }
  }
}

/** Of each app that has any. */
function unwellOf(table: Table, failing: readonly Failing[]): Figures['unwell'] {
  if (failing.length === 0) return []
  const ids = new Set(failing.map(({ backend }) => backend))
  return table.apps.flatMap(({ id: app, backends }) => {
    const dynos = backends.filter(({ id }) => ids.has(id)).length
    return dynos > 0
      ? [{ app, dynos, panic: panics(dynos, backends.filter(({ mode }) => mode === 'serve').length) }]
      : []
  })
}

interface Parts {
  snapshots: Snapshots
  edition: Edition
  warn(sentence: string): void
}

/** What is served from now on; a damaged snapshot is said and passed over, since the daemon will send the table. */
async function restore(snapshots: Snapshots, warn: (sentence: string) => void): Promise<Edition> {
  try {
    const snapshot = await snapshots.read(() =>
      warn('The kept certificates cannot be used; the daemon will send them.'),
    )
    return snapshot === undefined ? nothing : editionOf(snapshot.table, snapshot.certificates)
  } catch (error) {
    warn(`The kept table cannot be used: ${messageOf(error)}`)
    return nothing
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
