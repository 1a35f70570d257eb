import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/*
 * What has to be tidied up however a command ends, and programs that it gives its terminal to meanwhile. Ctrl-C is for such a program: what
 * it does about it is its own affair.
 */

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

let front: { program: ChildProcess; interrupted: boolean } | undefined

/** Tidies up when the work is over, and before a signal ends this command. */
export async function guarded<Result>(tidy: () => void, work: () => Promise<Result>): Promise<Result> {
  const end = (signal: NodeJS.Signals) => {
    front?.program.kill(signal)
    if (front && signal === 'SIGINT') {
      front.interrupted = true
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

/** Waits for a program that has the terminal; rejects when there is no such program. */
export async function inFront(program: ChildProcess): Promise<Ended> {
  const place = { program, interrupted: false }
  front = place
  try {
    const [code, signal] = await once(program, 'close')
    // Ctrl-C that ended it is heard here in the same moment
    await new Promise(setImmediate)
    return { code, signal, interrupted: place.interrupted }
  } finally {
    front = undefined
  }
}

/** The exit code of what Ctrl-C has ended, as in a shell. */
export const INTERRUPTED = 130
