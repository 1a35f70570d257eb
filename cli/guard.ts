import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'

/*
 * What has to be tidied up however a command ends, and programs that it gives its terminal to meanwhile. Ctrl-C is for such a program: what
 * it does about it is its own affair.
 */

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

let front: { program: ChildProcess; interrupt: AbortController } | undefined

/** Tidies up when the work is over, and before a signal ends this command. */
export async function guarded<Result>(tidy: () => void, work: () => Promise<Result>): Promise<Result> {
  const end = (signal: NodeJS.Signals) => {
    front?.program.kill(signal)
    if (front && signal === 'SIGINT') {
      front.interrupt.abort()
      return
    }
    release()
    process.kill(process.pid, signal)
  }
  const release = () => {
    tidy()
    for (const signal of SIGNALS) process.removeListener(signal, end)
  }
  for (const signal of SIGNALS) process.on(signal, end)
  try {
    return await work()
  } finally {
    release()
  }
}

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  /** Ctrl-C was pressed meanwhile. */
  interrupted: boolean
}

/** The exit code of what Ctrl-C has ended, as in a shell. */
export const INTERRUPTED = 130
/** That of ssh. */
const INTERRUPTED_SSH = 255
/** ms. Both are told of Ctrl-C at once, but another thread may have it here, which has to wait for its turn. */
const LATE = 1000

/** Waits for a program that has the terminal; rejects when there is no such program. */
export async function inFront(program: ChildProcess): Promise<Ended> {
  const interrupt = new AbortController()
  const { signal: heard } = interrupt
  front = { program, interrupt }
  try {
    const [code, signal] = await once(program, 'close')
    if (signal === 'SIGINT' || code === INTERRUPTED || code === INTERRUPTED_SSH)
      await delay(LATE, undefined, { signal: heard }).catch(() => undefined)
    return { code, signal, interrupted: heard.aborted }
  } finally {
    front = undefined
  }
}
