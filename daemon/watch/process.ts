import { readdir } from 'node:fs/promises'
import { figures } from '../figures.ts'

/** What this process takes; bytes, seconds. */
export interface Load {
  resident: number
  heap: number
  cpu: number
  /** ms since the epoch. */
  startedAt: number
  files: number
}

const started = Date.now() - performance.now()

export async function loadOf(): Promise<Load> {
  const { rss, heapUsed } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  const files = await readdir('/proc/self/fd').catch(() => [])
  return { resident: rss, heap: heapUsed, cpu: (user + system) / 1e6, startedAt: started, files: files.length }
}

const EVERY = 1000

/** Counts each second how late this thread comes to what is due. Keeps no process from ending. */
export function countLag(): void {
  let due = performance.now() + EVERY
  const timer = setInterval(() => {
    const now = performance.now()
    figures.lag.observe({}, Math.max(0, now - due) / 1000)
    due = now + EVERY
  }, EVERY)
  timer.unref()
}
