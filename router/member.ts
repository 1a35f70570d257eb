import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { environmentWith } from './config.ts'
import type { Door } from './doors.ts'
import type { Limits } from './limits.ts'
import type { Order, Word } from './orders.ts'

/** What carries orders and words. */
export interface Channel {
  readonly pid: number
  /** At its other end is not a worker, but the router that we succeed. */
  readonly predecessor: boolean
  send(order: Order): void
  hear(word: (word: Word) => void, gone: (how: string) => void): void
  kill(): void
}

export interface MemberEvents {
  word(member: Member, word: Word): void
  gone(member: Member, how: string): void
}

/**
 * A process that takes requests, as the master sees it.
 *
 *   starting --listening--> serving --leave--> leaving --ended--> gone
 *   any --ended, killed because it was silent--> gone     (new) --it is the router that we succeed--> leaving
 */
export class Member {
  state: 'starting' | 'serving' | 'leaving' | 'gone' = 'starting'
  readonly startedAt = Date.now()
  connections = 0
  /** Questions since its last answer. */
  unanswered = 0
  /** Of the newest change that it was sent, and that it follows. */
  sent = 0
  committed = 0
  private readonly channel: Channel
  private readonly limits: Limits

  constructor(channel: Channel, limits: Limits, events: MemberEvents) {
    this.channel = channel
    this.limits = limits
    if (channel.predecessor) this.state = 'leaving'
    channel.hear(
      (word) => {
        if (word.kind === 'listening' && this.state === 'starting') this.state = 'serving'
        if (word.kind === 'committed') this.committed = word.serial
        if (word.kind === 'alive') this.answered(word.connections)
        events.word(this, word)
      },
      (how) => {
        if (this.state === 'gone') return
        this.state = 'gone'
        events.gone(this, how)
      },
    )
  }

  get pid(): number {
    return this.channel.pid
  }

  get predecessor(): boolean {
    return this.channel.predecessor
  }

  /** Serials are not compared: a process that is handed over gets those of its new master. */
  get behind(): boolean {
    return this.committed !== this.sent
  }

  kill(): void {
    this.channel.kill()
  }

  order(orders: readonly Order[]): void {
    if (this.state === 'gone') return
    for (const order of orders) {
      if (order.kind === 'commit') this.sent = order.serial
      if (order.kind === 'leave') this.state = 'leaving'
      this.channel.send(order)
    }
  }

  /** True when it has been silent for too long, and is killed for it. */
  ask(): boolean {
    if (this.unanswered++ < this.limits.unanswered) {
      this.order([{ kind: 'ask' }])
      return false
    }
    this.channel.kill()
    return true
  }

  private answered(connections: number): void {
    this.unanswered = 0
    this.connections = connections
  }
}

/** Behind the standard streams and the channel. */
const FIRST_DOOR = 4

/**
 * MB. What a request makes lives as long as the request: a larger young generation is collected no cheaper, grows by 24 MB as soon as there
 * are thousands of connections, and holds everybody up for longer each time.
 */
const YOUNG = '--max-semi-space-size=1'

/** Starts a worker that has these doors, and sends it what it needs to begin. */
export function startWorker(doors: readonly Door[]): Channel {
  const child = fork(join(import.meta.dirname, 'worker.js'), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...doors.map(({ fd }) => fd)],
    serialization: 'advanced',
    execArgv: [...process.execArgv, YOUNG],
    env: environmentWith(),
  })
  const doorways = doors.map(({ name }, i) => ({ name, fd: FIRST_DOOR + i }))
  const channel = channelTo(child)
  channel.send({ kind: 'begin', doors: doorways })
  return channel
}

function channelTo(child: ChildProcess): Channel {
  let broken = ''
  child.on('error', (error) => {
    broken = error.message
  })
  return {
    pid: child.pid ?? 0,
    predecessor: false,
    // what cannot be sent goes to one that is about to be gone
    send: (order) => void (child.connected && child.send(order, () => {})),
    hear(word, gone) {
      child.on('message', word)
      child.on('exit', (code, signal) => gone(signal ?? `exit code ${code}`))
      child.on('error', () => child.pid === undefined && gone(broken))
    },
    kill: () => void child.kill('SIGKILL'),
  }
}
