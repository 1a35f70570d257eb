import type { Daemon } from '../daemon.ts'
import type { Dead } from '../route/wellness.ts'
import { backoff, crashesAfter } from './backoff.ts'
import { type Dyno, updateDyno } from './dyno.ts'

/** A web dyno of the formation, as this decision sees it. */
export interface Judged {
  id: string
  state: Dyno['state']
  replace: boolean
  crashes: number
  /** When it got its state. */
  since: number
  /** Its liveness check fails by every live router. */
  dead: Dead | null
}

/** `at`: not before then. `crashes`: in a row, this one counted; its successor begins with them. */
export interface Replacement {
  dyno: string
  at: number
  crashes: number
}

/**
 * Which dyno that fails its liveness check is replaced next: one at a time, and each after the pause that a crash would have, but not
 * before others had the time to be found failing too. Nobody when more than half of several fail, because that is a shared cause
 * (`panic`). An only dyno is replaced all the same: it serves on until its successor has passed the checks that it fails. Pure.
 */
export function nextReplacement(dynos: readonly Judged[], panic: boolean): Replacement | null {
  const up = dynos.filter(({ state }) => state === 'up')
  if (panic && up.length > 1) return null
  if (dynos.some(({ state, replace }) => state === 'starting' || (replace && state === 'up'))) return null
  const due = up.flatMap((dyno): Replacement[] => {
    const { id, dead, since } = dyno
    if (dead === null) return []
    const crashes = crashesAfter(dyno.crashes, dead.since - since)
    return [{ dyno: id, crashes, at: dead.since + Math.max(dead.spread, backoff(crashes)) }]
  })
  return due.sort((a, b) => a.at - b.at)[0] ?? null
}

/**
 * Has the dyno whose turn it is replaced, as `ps:restart` would; its row says by `retry_at` that it was not somebody's wish. Returns when
 * to look again at the latest, or null. `dynos`: of an app of which no release is on its way, whose dynos would be replaced anyhow.
 */
export async function replaceDead(d: Daemon, app: string, dynos: readonly Dyno[]): Promise<number | null> {
  const web = dynos.filter(({ type, one_off }) => type === 'web' && one_off === null)
  const judged = web.map((dyno) => ({
    ...{ id: dyno.id, state: dyno.state, replace: dyno.replace === 1, crashes: dyno.crashes, since: dyno.updated_at },
    dead: d.routers.dead(dyno.id),
  }))
  const next = nextReplacement(judged, d.routers.panics(app))
  const now = d.clock.now()
  if (next === null || next.at > now) return next?.at ?? null
  await updateDyno(d.db, next.dyno, { replace: 1, crashes: next.crashes, retry_at: now }, ['up'])
  return now
}
