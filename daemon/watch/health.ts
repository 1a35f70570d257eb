import type { Daemon } from '../daemon.ts'
import { limits } from '../limits.ts'

/** Whether the daemon can do its work. */
export interface Health {
  failing: Vital[]
}

/** `reconciled`: every app was looked at once since the start. */
export type Vital = 'database' | 'engine' | 'reconciled'

/**
 * Looks whether database and engine answer in time, and whether the start is over. Anybody may ask without a token, so many who ask share
 * one look, which is good for a second.
 */
export function createHealth(daemon: () => Daemon, reconciled: () => boolean): () => Promise<Health> {
  let last: { at: number; found: Promise<Health> } | undefined
  const look = async (): Promise<Health> => {
    const d = daemon()
    const [database, engine] = await Promise.all([
      answers(d.db.selectFrom('accounts').select('id').limit(1).execute()),
      answers(d.engine.ping()),
    ])
    const vitals = { database, engine, reconciled: reconciled() }
    return { failing: (Object.keys(vitals) as Vital[]).filter((name) => !vitals[name]) }
  }
  return () => {
    const now = daemon().clock.now()
    if (last === undefined || Math.abs(now - last.at) >= limits.healthKept) last = { at: now, found: look() }
    return last.found
  }
}

/** Of one that hangs nobody waits for the end. */
function answers(work: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const late = setTimeout(() => resolve(false), limits.healthAnswer)
    const end = (answered: boolean) => {
      clearTimeout(late)
      resolve(answered)
    }
    work.then(
      () => end(true),
      () => end(false),
    )
  })
}
