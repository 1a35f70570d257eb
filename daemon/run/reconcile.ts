import type { Selectable } from 'kysely'
import type { Daemon } from '../daemon.ts'
import type { Placed } from '../engine/engine.ts'
import { limits } from '../limits.ts'
import { drainTime } from '../route/grace.ts'
import type { Pass } from '../runner.ts'
import type { Schema } from '../store/schema.ts'
import { desired } from './desired.ts'
import { type Dyno, dynosOf, updateDyno } from './dyno.ts'
import { oneOffOf } from './oneoff.ts'
import type { Placements } from './placement.ts'
import { plan, type Seen, type Wanted } from './plan.ts'
import { perform } from './steps.ts'

type App = Selectable<Schema['apps']>

/** More rounds than any change needs; a plan that never comes to rest is a bug, and must not keep a core busy. */
const ROUNDS = 100
const SECOND = 1000

/** Brings one app closer to what is wanted until only an event or the clock can change anything. `erase` ends an app without dynos. */
export function createPass(d: Daemon, placements: Placements, erase: (app: App) => Promise<void>): Pass {
  return async (id, signal) => {
    for (let round = 0; round < ROUNDS; round++) {
      const app = await d.db.selectFrom('apps').selectAll().where('id', '=', id).executeTakeFirst()
      if (!app || !placements.known) return null
      await noteAddresses(d, placements, id)
      await d.routers.publish(id)
      const dynos = await dynosOf(d.db, id)
      const times = { ...limits, drain: drainTime(d.routers.graceOf(id)) }
      const { steps, wakeAt } = plan(await wantedOf(d, app), dynos.map(seen(d, placements, app)), d.clock.now(), times)
      if (steps.length === 0) {
        if (app.destroyed_at !== null && dynos.length === 0) await erase(app)
        return wakeAt
      }
      const stage = { d, placements, app, dynos: new Map(dynos.map((dyno) => [dyno.id, dyno])) }
      for (const step of steps) {
        signal.throwIfAborted()
        await perform(stage, step)
      }
    }
    d.log.error('an app does not come to rest', { app: id, rounds: ROUNDS })
    return d.clock.now() + SECOND
  }
}

/** Routers probe a dyno while it starts, so its row gets its address as soon as the engine tells it. */
async function noteAddresses(d: Daemon, placements: Placements, app: string): Promise<void> {
  for (const dyno of await dynosOf(d.db, app)) {
    const address = placements.of(dyno.id)?.address ?? null
    if (address !== null && address !== dyno.address) await updateDyno(d.db, dyno.id, { address }, ['starting', 'up'])
  }
}

async function wantedOf(d: Daemon, app: App): Promise<Wanted> {
  const { candidate, ...others } = await desired(d.db, app)
  if (candidate === null) return { candidate, ...others }
  const routed = candidate.processes.some(({ type }) => type === 'web')
  const acknowledged = candidate.state === 'cutover' && (!routed || d.routers.acknowledged(app.id))
  return { ...others, candidate: { ...candidate, acknowledged } }
}

const seen =
  (d: Daemon, placements: Placements, app: App) =>
  (dyno: Dyno): Seen => {
    const oneOff = oneOffOf(d, dyno)
    const routed = dyno.type === 'web' && oneOff === null
    return {
      id: dyno.id,
      release: dyno.release_id,
      type: dyno.type,
      ordinal: dyno.ordinal,
      size: dyno.size,
      state: dyno.state,
      replace: dyno.replace === 1,
      crashes: dyno.crashes,
      retryAt: dyno.retry_at,
      exitCode: dyno.exit_code,
      createdAt: dyno.created_at,
      bootingSince: routed ? bootingSince(d, placements.of(dyno.id)) : null,
      since: dyno.updated_at,
      container: placements.state(dyno.id),
      healthy: routed && d.routers.healthy(dyno.id),
      // Nobody waits for the answers of a destroyed app, and routers no longer know it.
      drained: dyno.state === 'draining' && (app.destroyed_at !== null || d.routers.drained(dyno.id)),
      oneOff: oneOff && { endsAt: oneOff.endsAt, awaitsClient: oneOff.attached && oneOff.terminal === null },
    }
  }

/** Neither the wait for a place to start nor one for a router is the dyno's fault. */
function bootingSince(d: Daemon, placed: Placed | undefined): number | null {
  const { connectedSince } = d.routers
  return placed?.running && connectedSince !== null ? Math.max(placed.startedAt, connectedSince) : null
}
