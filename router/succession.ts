import { type ChildProcess, spawn } from 'node:child_process'
import { isAbsolute } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { environmentWith } from './config.ts'
import type { Door } from './doors.ts'
import type { Batch } from './lines.ts'
import type { Channel } from './member.ts'
import type { Order, Word } from './orders.ts'
import type { Certificates, Failing, Table } from './protocol.ts'
import type { AppTally } from './tally.ts'
import type { TicketKeys } from './tickets.ts'

/**
 * How a new process takes over from a running one (SIGUSR2): it is started by the path that the old was started by, where another release
 * may be by now, with the listening sockets as sd_listen_fds(3) passes them, and a channel.
 *
 *   old                                     new
 *     |           (its workers have started)  |
 *     | <- ready ---------------------------- |
 *     | -- go {table, certificates, ...} ---> |   with keys of tickets and what fails; old has left the daemon: no newer table can come
 *     | <- serving -------------------------- |   its workers accept; old's do not from now on
 *     | -- yours {workers, batches, tallies}> |   new dials the daemon
 *     | <- settled -------------------------- |   systemd knows new
 *     | <- order {to, order} ---------------- |   old's workers follow new as its own do, until their last
 *     | -- word {from}, gone {from} --------> |   connection has ended; then old ends
 *
 * Until `serving` old serves on whatever happens to new. When new dies from then on and before `settled`, old ends too: nobody would take
 * requests, and the supervisor waits for the end of old.
 */
export type FromOld =
  /** An older router finds nothing failing. */
  | { kind: 'go'; table: Table; certificates: Certificates; tickets: TicketKeys; failing?: Failing[] }
  | { kind: 'yours'; workers: number[]; batches: Batch[]; tallies: AppTally[] }
  | { kind: 'word'; from: number; word: Word }
  | { kind: 'gone'; from: number; how: string }

export type FromNew =
  | { kind: 'ready' }
  | { kind: 'serving' }
  | { kind: 'settled' }
  | { kind: 'order'; to: number; order: Order }

/** What tells a router that it is to succeed another. */
export const SUCCEED = '--succeed'

/** The new process, as the old one sees it. */
export class Successor {
  /** Stands for the channel; it has started the successor, and is gone. */
  private readonly child: ChildProcess
  private readonly pid: Promise<number>

  constructor(doors: readonly Door[]) {
    const names = doors.map(({ name }) => name).join(':')
    const [, main = ''] = process.argv
    const command = [node, ...process.execArgv, main, SUCCEED]
    const child = spawn('/bin/sh', ['-c', ORPHANED, ...command], {
      stdio: ['ignore', 'pipe', 'inherit', ...doors.map(({ fd }) => fd), 'ipc'],
      serialization: 'advanced',
      env: environmentWith({ LISTEN_FDS: String(doors.length), LISTEN_FDNAMES: names }),
    })
    // who waits for it is told; at any other time its end is nobody's concern
    child.on('error', () => {})
    this.child = child
    this.pid = text(child.stdout as Readable).then(Number, () => 0)
  }

  /** Resolves when it says so; rejects with the reason when it ends, or does not within so many ms, if any. */
  says(kind: FromNew['kind'], within?: number): Promise<void> {
    const { child } = this
    return new Promise((resolve, reject) => {
      const late = within && setTimeout(() => settle('it was not ready in time'), within)
      const hear = (message: FromNew) => message.kind === kind && settle()
      const ended = () => settle('it ended')
      const failed = (error: Error) => settle(error.message)
      const settle = (problem?: string) => {
        if (late) clearTimeout(late)
        child.off('message', hear).off('disconnect', ended).off('error', failed)
        if (problem === undefined) resolve()
        else reject(new Error(problem))
      }
      child.on('message', hear).on('disconnect', ended).on('error', failed)
      if (!child.connected) ended()
    })
  }

  hear(message: (message: FromNew) => void): void {
    this.child.on('message', message)
  }

  /** Resolves when it is away, or can reach nobody. */
  tell(message: FromOld): Promise<void> {
    return new Promise((resolve) => {
      if (this.child.connected) this.child.send(message, () => resolve())
      else resolve()
    })
  }

  kill(): void {
    void this.pid.then((pid) => this.child.connected && end(pid))
  }
}

/**
 * Only the new process itself knows the LISTEN_PID that it has to be given. And it must not be a child of ours: systemd gives the process that
 * it is told of no time to end, nor sees its end, unless that is its own child.
 */
const ORPHANED = `(exec /bin/sh -c 'LISTEN_PID=$$ exec "$0" "$@"' "$0" "$@") >&2 & echo $!`

/** As we were called: execPath is what a link led to then. */
const node = isAbsolute(process.argv0) ? process.argv0 : process.execPath

/** The old process, as the new one sees it. When it ends too early, the new one goes on with what it has. */
export class Predecessor {
  private readonly channels = new Map<number, Heard>()
  /** About workers that nobody listens to yet. */
  private early: Told[] = []

  constructor() {
    process.on('message', (message: FromOld) => {
      if (message.kind === 'word' || message.kind === 'gone') this.hear(message)
    })
    process.on('disconnect', () => {
      for (const { gone } of this.channels.values()) gone(ENDED)
    })
  }

  /** Undefined when it is gone. */
  says<Kind extends FromOld['kind']>(kind: Kind): Promise<Extract<FromOld, { kind: Kind }> | undefined> {
    return new Promise((resolve) => {
      const hear = (message: FromOld) => {
        if (message.kind !== kind) return
        process.off('message', hear)
        resolve(message as Extract<FromOld, { kind: Kind }>)
      }
      process.on('message', hear)
      process.once('disconnect', () => resolve(undefined))
      if (!process.connected) resolve(undefined)
    })
  }

  tell(message: FromNew): void {
    if (process.connected) process.send?.(message, undefined, undefined, () => {})
  }

  /** To one of its workers. */
  channel(pid: number): Channel {
    return {
      pid,
      predecessor: true,
      send: (order) => this.tell({ kind: 'order', to: pid, order }),
      hear: (word, gone) =>
        queueMicrotask(() => {
          this.channels.set(pid, { word, gone })
          const { early } = this
          this.early = early.filter(({ from }) => from !== pid)
          for (const message of early) if (message.from === pid) this.hear(message)
          if (!process.connected) gone(ENDED)
        }),
      // not by its own master: it may be that one that does not answer, and then it does not reap either, so that the pid stays this one's
      kill: () => {
        end(pid)
        this.channels.get(pid)?.gone('SIGKILL')
      },
    }
  }

  private hear(message: Told): void {
    const heard = this.channels.get(message.from)
    if (heard === undefined) this.early.push(message)
    else if (message.kind === 'word') heard.word(message.word)
    else heard.gone(message.how)
  }
}

function end(pid: number): void {
  try {
    if (pid > 0) process.kill(pid, 'SIGKILL')
  } catch {
    // it has ended
  }
}

type Told = Extract<FromOld, { from: number }>

interface Heard {
  word(word: Word): void
  gone(how: string): void
}

const ENDED = 'its router has ended'
