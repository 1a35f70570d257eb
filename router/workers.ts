import type { Door } from './doors.ts'
import { type Edition, ordersFor } from './edition.ts'
import type { Limits } from './limits.ts'
import { type Channel, Member, startWorker } from './member.ts'
import type { Order, Patience, Word } from './orders.ts'
import { rotated, type TicketKeys } from './tickets.ts'

export interface WorkersEvents {
  word(member: Member, word: Word): void
  gone(member: Member, how: string): void
  warn(sentence: string): void
}

/**
 * The processes that take requests: so many workers of ours, one that ends being replaced, and the router that we succeed until it has
 * ended. Each follows the newest edition from its start on. A change is in force when none is behind; one that ends holds nothing up.
 */
export class Workers {
  readonly members = new Set<Member>()
  revivals = 0
  private readonly doors: readonly Door[]
  private readonly count: number
  private readonly limits: Limits
  private readonly events: WorkersEvents
  private edition: Edition
  private pair: Order[] = []
  tickets: TicketKeys
  private readonly unwell = new Set<string>()
  private readonly rotating: NodeJS.Timeout
  private serial = 1
  /** They are to take requests. */
  private open = false
  private leaving = false
  /** Ends `start`. */
  private refuse: ((error: Error) => void) | undefined
  private pause: number
  private readonly waiting = new Set<() => void>()
  private readonly asking: NodeJS.Timeout

  constructor(
    options: { doors: readonly Door[]; count: number; limits: Limits; edition: Edition; tickets: TicketKeys },
    events: WorkersEvents,
  ) {
    this.doors = options.doors
    this.count = options.count
    this.limits = options.limits
    this.edition = options.edition
    this.events = events
    this.pause = this.limits.revival
    this.tickets = options.tickets
    this.rotating = setInterval(() => this.rotate(), this.limits.rotate)
    this.asking = setInterval(() => this.ask(), this.limits.ask)
  }

  start(): void {
    for (let i = 0; i < this.count; i++) this.startOne()
  }

  /** Resolves when all are there and follow the table. */
  ready(): Promise<void> {
    return this.until(() => this.members.size === this.count && [...this.members].every(({ behind }) => !behind))
  }

  /** Resolves when all take requests; rejects with the sentence of one that cannot. */
  async listen(): Promise<void> {
    this.open = true
    for (const member of this.members) member.order([{ kind: 'listen' }])
    await new Promise<void>((resolve, reject) => {
      this.refuse = reject
      void this.until(() => this.serving.length >= this.count).then(resolve)
    })
    this.refuse = undefined
  }

  get serving(): Member[] {
    return [...this.members].filter(({ state }) => state === 'serving')
  }

  /** Why requests may be held up; undefined when every worker takes them. */
  get trouble(): string | undefined {
    const { serving } = this
    if (serving.length < this.count) return `${serving.length} of ${this.count} workers serve`
    const silent = serving.filter(({ unanswered }) => unanswered > 2).length
    return silent > 0 ? `${silent} of ${this.count} workers do not answer` : undefined
  }

  /** A process that is to follow the newest edition. */
  add(channel: Channel): Member {
    const member = new Member(channel, this.limits, {
      word: (from, word) => {
        if (word.kind === 'failed') this.failed(from, word.sentence)
        this.events.word(from, word)
        this.wake()
      },
      gone: (from, how) => this.gone(from, how),
    })
    this.members.add(member)
    member.order([
      ...ordersFor(this.serial, this.edition),
      { kind: 'wellness', backends: [...this.unwell], unwell: true },
      ...this.pair,
      { kind: 'tickets', keys: this.tickets },
    ])
    return member
  }

  /** Resolves when every process follows it. */
  async follow(edition: Edition): Promise<void> {
    const before = this.edition
    this.edition = edition
    const orders = ordersFor(++this.serial, edition, before)
    const told = [...this.members]
    for (const member of told) member.order(orders)
    await this.until(() => told.every((member) => member.state === 'gone' || !member.behind))
  }

  /** Of a backend. */
  judge(backend: string, unwell: boolean): void {
    if (unwell) this.unwell.add(backend)
    else this.unwell.delete(backend)
    for (const member of this.members) member.order([{ kind: 'wellness', backends: [backend], unwell }])
  }

  /** The platform's own certificate. */
  useTls(pair: { key: Buffer; cert: Buffer }): void {
    this.pair = [{ kind: 'tls', ...pair }]
    for (const member of this.members) member.order(this.pair)
  }

  useTickets(keys: TicketKeys): void {
    this.tickets = keys
    for (const member of this.members) member.order([{ kind: 'tickets', keys }])
  }

  /** Hands what one is told by the router that succeeds us, to it. */
  pass(to: number, order: Order): void {
    for (const member of this.members) if (member.pid === to) member.order([order])
  }

  /** Resolves when all have ended. */
  async leave(patience: Patience): Promise<void> {
    this.leaving = true
    for (const member of this.members) member.order([{ kind: 'leave', ...patience }])
    await this.until(() => this.members.size === 0)
    clearInterval(this.asking)
    clearInterval(this.rotating)
  }

  private rotate(): void {
    const keys = rotated(this.tickets, Date.now())
    if (keys !== this.tickets) this.useTickets(keys)
  }

  private ask(): void {
    for (const member of this.members)
      if (member.ask()) this.events.warn(`Worker ${member.pid} does not answer; it is ended.`)
  }

  private failed(member: Member, sentence: string): void {
    if (this.refuse !== undefined) return this.refuse(new Error(sentence))
    this.events.warn(sentence)
    member.kill()
  }

  private gone(member: Member, how: string): void {
    const { leaving } = this
    this.members.delete(member)
    this.events.gone(member, how)
    this.wake()
    if (leaving || member.predecessor) return
    this.events.warn(`Worker ${member.pid} has ended (${how}); another takes its place.`)
    if (Date.now() - member.startedAt > this.limits.revivalMost * 2) this.pause = this.limits.revival
    setTimeout(() => this.revive(), this.pause)
    this.pause = Math.min(this.pause * 2, this.limits.revivalMost)
  }

  private revive(): void {
    if (this.leaving) return
    this.revivals++
    this.startOne()
  }

  private startOne(): void {
    const member = this.add(startWorker(this.doors))
    if (this.open) member.order([{ kind: 'listen' }])
  }

  private wake(): void {
    for (const look of this.waiting) look()
  }

  private until(test: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!test()) return
        this.waiting.delete(look)
        resolve()
      }
      this.waiting.add(look)
      look()
    })
  }
}
