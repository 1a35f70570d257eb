import type { Server } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import type { Server as TlsServer } from 'node:tls'
import { readConfig } from './config.ts'
import { Contexts } from './contexts.ts'
import { Gate } from './gate.ts'
import { limits } from './limits.ts'
import { formatAccountInJson } from './line.ts'
import { Lines } from './lines.ts'
import { listen, listenTls } from './listener.ts'
import type { Commit, Doorway, Order, Patience, Word } from './orders.ts'
import type { Certificate } from './protocol.ts'
import { Router } from './router.ts'
import { installTicketKeys, type TicketKeys } from './tickets.ts'
import { present } from './tls.ts'

const config = readConfig()

/**
 * A process that takes requests (orders.ts). Nobody controls it when the master is gone: then it ends at once, so that whoever starts
 * the next master need not wait for it.
 */
class Worker {
  private readonly lines = new Lines(limits.logQueue, limits.logBatch)
  private underway = 0
  private flushing: NodeJS.Timeout | undefined
  private readonly router = new Router(
    {
      drained: (backend, receipt) => this.tell({ kind: 'drained', backend, receipt }),
      line: (app, at, account) => {
        this.lines.add(app, at, formatAccountInJson(account))
        this.flushLater()
      },
    },
    {},
    config.workers,
  )
  private readonly contexts = new Contexts(this.router, (sentence) => this.tell({ kind: 'trouble', sentence }))
  private readonly gate = new Gate(limits, config.balancers, (sentence) => this.tell({ kind: 'trouble', sentence }))
  private certificates = new Map<string, Certificate>()
  private doors: Doorway[] = []
  private pair: { key: Buffer; cert: Buffer } | undefined
  private tickets: TicketKeys | undefined
  private readonly plain: Server[] = []
  private readonly secure: TlsServer[] = []
  /** What has come and is not in force. */
  private fresh: Certificate[] = []

  start(): void {
    let turn = Promise.resolve()
    process.on('message', (order: Order) => {
      turn = turn.then(() => this.follow(order))
    })
    process.on('disconnect', () => process.exit(0))
    if (!process.connected) process.exit(0)
    // the master says when to go, whoever sends signals to all of us
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => {})
  }

  private async follow(order: Order): Promise<void> {
    switch (order.kind) {
      case 'begin':
        this.doors = order.doors
        this.router.tlsPort = config.tlsPublicPort
        return
      case 'certificates':
        this.fresh.push(...order.certificates)
        return
      case 'apps':
        this.router.prepare(JSON.parse(order.text))
        return setImmediate()
      case 'commit':
        return this.commit(order)
      case 'tls':
        return this.useTls({ key: Buffer.from(order.key), cert: Buffer.from(order.cert) })
      case 'tickets':
        return this.useTickets(order.keys)
      case 'listen':
        return this.listen()
      case 'wellness':
        return this.router.judge(order.backends, order.unwell)
      case 'ask':
        return this.tell(this.alive())
      case 'report':
        return this.router.report()
      case 'leave':
        return void this.leave(order)
      default:
        return order satisfies never
    }
  }

  private commit({ serial, whole, gone, forgotten, challenges }: Commit): void {
    this.router.commit({ whole, gone, challenges })
    if (whole) this.certificates = new Map()
    for (const id of forgotten) this.certificates.delete(id)
    for (const certificate of this.fresh) this.certificates.set(certificate.id, certificate)
    this.fresh = []
    this.contexts.use(this.certificates)
    this.tell({ kind: 'committed', serial })
    this.router.report()
  }

  private async listen(): Promise<void> {
    try {
      for (const { fd } of this.named('http')) this.plain.push(await listen(this.router, { fd }, this.gate))
      await this.listenTls()
      this.tell({ kind: 'listening' })
    } catch (error) {
      this.tell({ kind: 'failed', sentence: messageOf(error) })
    }
  }

  private async listenTls(): Promise<void> {
    if (this.pair === undefined) return
    for (const { fd } of this.named('https'))
      this.secure.push(await listenTls(this.router, { fd }, { ...this.pair, contexts: this.contexts }, this.gate))
    this.installTickets()
  }

  private useTickets({ current, previous, since }: TicketKeys): void {
    this.tickets = { current: Buffer.from(current), previous: previous && Buffer.from(previous), since }
    this.installTickets()
  }

  private installTickets(): void {
    if (this.tickets !== undefined) for (const server of this.secure) installTicketKeys(server, this.tickets)
  }

  /** Connections that are there keep the certificate that they have. */
  private async useTls(pair: { key: Buffer; cert: Buffer }): Promise<void> {
    this.pair = pair
    if (this.secure.length > 0) {
      for (const server of this.secure) present(server, pair)
      this.installTickets()
    } else if (this.plain.length > 0)
      await this.listenTls().catch((error) => this.tell({ kind: 'trouble', sentence: messageOf(error) }))
  }

  private named(name: Doorway['name']): Doorway[] {
    return this.doors.filter((door) => door.name === name)
  }

  private async leave(patience: Patience): Promise<void> {
    for (const server of [...this.plain, ...this.secure]) server.close()
    await this.router.close(patience)
    while (this.underway > 0 || this.flush()) await new Promise((resolve) => setTimeout(resolve, 5))
    this.tell(this.alive(), () => process.exit(0))
  }

  private alive(): Word {
    return { kind: 'alive', connections: this.router.sessions.size, tallies: this.router.takeTallies() }
  }

  /** Hands lines to the master as fast as it takes them; true when some were. */
  private flush(): boolean {
    clearTimeout(this.flushing)
    this.flushing = undefined
    let some = false
    while (this.underway < limits.batchesUnderway) {
      const batch = this.lines.take()
      if (batch === null) return some
      some = true
      this.underway++
      this.tell({ kind: 'lines', batch }, () => this.underway--)
    }
    this.flushLater()
    return true
  }

  /** Lines wait a moment for others, and a worker without requests is not woken. */
  private flushLater(): void {
    this.flushing ??= setTimeout(() => this.flush(), limits.logEvery)
  }

  private tell(word: Word, told: () => void = () => {}): void {
    if (process.connected) process.send?.(word, undefined, undefined, told)
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

new Worker().start()
