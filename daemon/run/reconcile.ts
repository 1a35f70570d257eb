import type { Selectable } from 'kysely'
import type { Daemon } from '../daemon.ts'
import type { Placed } from '../engine/engine.ts'
import { limits } from '../limits.ts'
import { drainTime } from '../route/grace.ts'
import type { Pass } from '../runner.ts'
import type { Schema } from '../store/schema.ts'
import { cycleAt } from './cycle.ts'
import { desired } from './desired.ts'
import { type Dyno, dynosOf, nameOf, updateDyno } from './dyno.ts'
import { replaceDead } from './liveness.ts'
import * as notice from './notice.ts'
import { oneOffOf } from './oneoff.ts'
import type { Placements } from './placement.ts'
import { type Plan, plan, type Room, type Seen, type Wanted } from './plan.ts'
import { perform, type Stage } from './steps.ts'

type App = Selectable<Schema['apps']>

/** More rounds than any change needs; a plan that never comes to rest is a bug, and must not keep a core busy. */
const ROUNDS = 100
const SECOND = 1000
const PLENTY: Room = { now: Number.POSITIVE_INFINITY, soon: Number.POSITIVE_INFINITY }

/** What a pass comes to that others than `run/` do. */
interface Others {
  /** Ends an app without dynos. */
  erase(app: App): Promise<void>
  failRelease: Stage['failRelease']
}

/** Brings one app closer to what is wanted until only an event or the clock can change anything. */
export function createPass(d: Daemon, placements: Placements, { erase, failRelease }: Others): Pass {
  return async (id, signal) => {
    for (let round = 0; round < ROUNDS; round++) {
      const app = await d.db.selectFrom('apps').selectAll().where('id', '=', id).executeTakeFirst()
      if (!app || !placements.known) return null
      const dynos = await withAddresses(d, placements, await dynosOf(d.db, id))
      await d.routers.publish(id)
      const wanted = await wantedOf(d, app)
      const { steps, wakeAt } = await planOf(d, placements, app, { wanted, dynos })
      if (steps.length === 0) {
        if (app.destroyed_at !== null && dynos.length === 0) await erase(app)
        return earliest(wakeAt, wanted.candidate === null ? await replaceDead(d, id, dynos) : null)
      }
      const stage = { d, placements, app, failRelease, dynos: new Map(dynos.map((dyno) => [dyno.id, dyno])) }
      for (const step of steps) {
        signal.throwIfAborted()
        await perform(stage, step)
      }
    }
    d.log.error('an app does not come to rest', { app: id, rounds: ROUNDS })
    return d.clock.now() + SECOND
  }
}

/** The room is asked for only when the plan depends on it, because it takes the rows of all apps. */
async function planOf(
  d: Daemon,
  placements: Placements,
  app: App,
  { wanted, dynos }: { wanted: Wanted; dynos: Dyno[] },
): Promise<Plan> {
  const times = { ...limits, drain: drainTime(d.routers.graceOf(app.id)) }
  const seenNow = dynos.map(seen(d, placements, app))
  const look = [wanted, seenNow, d.clock.now(), times] as const
  const free = plan(...look, PLENTY)
  if (free.asked) await d.capacity.measure()
  const room = free.asked ? await d.capacity.room(d.db) : PLENTY
  const made = free.asked ? plan(...look, room) : free
  // What waits is known when nothing else is to be done first; until then who waited still does.
  if (made.steps.length > 0) return made
  for (const { process, ordinal } of d.capacity.wait(app.id, made.waiting)) {
    const text = notice.awaitingMemory(process.memory, room.now)
    d.logs.write(app.id, { at: d.clock.now(), source: 'heroku', dyno: nameOf({ ...process, ordinal }), text })
  }
  if (made.waiting.length === 0) return made
  // What dynos give back by themselves is no event.
  return { ...made, wakeAt: earliest(made.wakeAt, d.clock.now() + limits.memoryLook) }
}

const earliest = (one: number | null, other: number | null): number | null =>
  one === null || other === null ? (one ?? other) : Math.min(one, other)

/** Routers probe a dyno while it starts, so its row gets its address as soon as the engine tells it. */
async function withAddresses(d: Daemon, placements: Placements, dynos: Dyno[]): Promise<Dyno[]> {
  for (const dyno of dynos) {
    const address = placements.of(dyno.id)?.address ?? null
    if (address === null || address === dyno.address) continue
    if (await updateDyno(d.db, dyno.id, { address }, ['starting', 'up'])) dyno.address = address
  }
  return dynos
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
      bootTime: dyno.boot_time,
      cycleAt: d.config.cycle && oneOff === null ? cycleAt(dyno) : null,
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
