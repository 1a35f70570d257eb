import { randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import type { Daemon } from '../daemon.ts'
import type { DynoSpec } from '../engine/engine.ts'
import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Schema } from '../store/schema.ts'
import { slugTree } from '../store/slug-path.ts'
import { backoff, crashesAfter } from './backoff.ts'
import { slugOf } from './desired.ts'
import { type Dyno, deleteDyno, insertDyno, nameOf, updateDyno } from './dyno.ts'
import { environment, randomPort, resourcesOf, subnetOf } from './environment.ts'
import { reasonOf } from './failure.ts'
import type { Placements } from './placement.ts'
import type { Step } from './plan.ts'
import { advanceRollout, failRollout } from './rollout.ts'

export interface Stage {
  d: Daemon
  placements: Placements
  app: Selectable<Schema['apps']>
  /** The rows that the plan was made from. */
  dynos: Map<string, Dyno>
}

/** Performs one step of the plan. Each may be repeated, and none waits for a container: what the engine says later pokes the app. */
export async function perform(stage: Stage, step: Step): Promise<void> {
  switch (step.do) {
    case 'start':
      return start(stage, step)
    case 'advance':
      return advance(stage, step)
    case 'fail':
      return fail(stage, step)
    case 'launch':
    case 'up':
    case 'crashed':
    case 'ended':
    case 'drain':
    case 'stop': {
      const dyno = stage.dynos.get(step.dyno)
      return dyno && onDyno(stage, step, dyno)
    }
    default:
      return step satisfies never
  }
}

type DynoStep = Extract<Step, { do: 'launch' | 'up' | 'crashed' | 'ended' | 'drain' | 'stop' }>

async function onDyno(stage: Stage, step: DynoStep, dyno: Dyno): Promise<void> {
  const { d, placements } = stage
  const now = d.clock.now()
  const container = placements.of(dyno.id)
  switch (step.do) {
    case 'launch':
      return launch(stage, dyno)
    case 'up':
      if (
        await updateDyno(d.db, dyno.id, { state: 'up', updated_at: now, address: container?.address ?? null }, [
          'starting',
        ])
      )
        tell(stage, dyno, 'State changed from starting to up')
      return
    case 'crashed':
      return crashed(stage, step.why, dyno)
    case 'ended':
      await d.collector.settled(dyno.id)
      await updateDyno(d.db, dyno.id, { state: 'down', exit_code: container?.exitCode ?? null, updated_at: now }, [
        'starting',
        'up',
      ])
      return tell(stage, dyno, `State changed from ${dyno.state} to complete`)
    case 'drain':
      await updateDyno(d.db, dyno.id, { state: 'draining', updated_at: now }, ['up'])
      return
    case 'stop':
      return stop(stage, dyno)
    default:
      return step satisfies never
  }
}

/** The row comes first: from here on the dyno is wanted, and the next look launches it. */
async function start({ d, app }: Stage, step: Step & { do: 'start' }): Promise<void> {
  const now = d.clock.now()
  await insertDyno(d.db, {
    id: randomUUID(),
    app_id: app.id,
    release_id: step.release,
    type: step.type,
    ordinal: step.ordinal,
    size: step.size,
    command: step.command,
    state: 'starting',
    replace: 0,
    crashes: step.crashes,
    retry_at: null,
    exit_code: null,
    address: null,
    port: randomPort(),
    one_off: null,
    created_at: now,
    updated_at: now,
  })
}

async function launch(stage: Stage, dyno: Dyno): Promise<void> {
  try {
    const spec = await specOf(stage, dyno)
    tell(stage, dyno, `Starting process with command \`${dyno.command}\``)
    stage.placements.launch(spec)
  } catch (error) {
    stage.d.log.error('a dyno cannot be described', { dyno: dyno.id, error })
    stage.placements.refuse(dyno.id, messageOf(error))
  }
}

async function specOf({ d, app }: Stage, dyno: Dyno): Promise<DynoSpec> {
  const release = await d.db
    .selectFrom('releases')
    .selectAll()
    .where('id', '=', dyno.release_id)
    .executeTakeFirstOrThrow()
  const slug = await slugOf(d.db, release.id)
  if (!slug) throw new Error(`v${release.version} has no code to run`)
  const config = JSON.parse(d.seal.open(release.config, release.id)) as Record<string, string>
  const name = nameOf(dyno)
  return {
    id: dyno.id,
    app: { id: app.id, name: app.name },
    release: { id: release.id, version: release.version },
    type: dyno.type,
    name,
    image: d.stack(slug.stack).run,
    command: dyno.command,
    env: environment({ name, port: dyno.port, size: dyno.size }, config),
    slug: slugTree(d.config, slug.id),
    ...resourcesOf(dyno.size),
    network: { name: `sluice-${app.id}`, subnet: subnetOf(d.config.networkPool, app.network) },
  }
}

const SIGKILL_NOW = 0

async function crashed(stage: Stage, why: (Step & { do: 'crashed' })['why'], dyno: Dyno): Promise<void> {
  const { d, placements } = stage
  const now = d.clock.now()
  const crashes = crashesAfter(dyno.crashes, dyno.state === 'up' ? now - dyno.updated_at : 0)
  const change = {
    state: 'crashed',
    crashes,
    retry_at: now + backoff(crashes),
    exit_code: why === 'exited' ? (placements.of(dyno.id)?.exitCode ?? null) : null,
    updated_at: now,
  } as const
  await d.collector.settled(dyno.id)
  if (!(await updateDyno(d.db, dyno.id, change, ['starting', 'up']))) return
  if (why === 'boot timeout') {
    const seconds = limits.boot / 1000
    tell(
      stage,
      dyno,
      `Error R10 (Boot timeout) -> Web process failed to bind to $PORT within ${seconds} seconds of launch`,
    )
    tell(stage, dyno, 'Stopping process with SIGKILL')
    placements.stop({ id: dyno.id, app: dyno.app_id }, SIGKILL_NOW)
  }
  if (why === 'lost') tell(stage, dyno, 'Process is gone: its container was removed or the host restarted')
  if (why === 'not started')
    tell(stage, dyno, `Failed to start: ${placements.failure(dyno.id) ?? 'the engine refused'}`)
  tell(stage, dyno, `State changed from ${dyno.state} to crashed`)
}

async function stop(stage: Stage, dyno: Dyno): Promise<void> {
  const { d, placements } = stage
  if (dyno.state !== 'stopping') await updateDyno(d.db, dyno.id, { state: 'stopping', updated_at: d.clock.now() })
  const state = placements.state(dyno.id)
  if (state === 'pending') return
  if (state === 'none') {
    await deleteDyno(d.db, dyno.id)
    placements.forget(dyno.id)
    return
  }
  if (state === 'running') tell(stage, dyno, 'Stopping all processes with SIGTERM')
  // a launch that failed may have left a container all the same, when only the engine's answer was lost
  placements.stop({ id: dyno.id, app: dyno.app_id }, limits.stopGrace)
}

async function advance({ d, app }: Stage, step: Step & { do: 'advance' }): Promise<void> {
  await advanceRollout(d.db, step.release, step.to, d.clock.now())
  if (step.to === 'booting' && d.routers.connected === 0) {
    const text = 'No router is connected: the release waits until one is'
    d.logs.write(app.id, { at: d.clock.now(), source: 'heroku', dyno: 'router', text })
  }
  d.settlements.announce(step.release)
}

async function fail(stage: Stage, step: Step & { do: 'fail' }): Promise<void> {
  const { d, app } = stage
  const dyno = step.dyno === null ? undefined : stage.dynos.get(step.dyno)
  const reason = await reasonOf(stage, step.why, dyno)
  if (!(await failRollout(d.db, step.release, reason, { now: d.clock.now() }))) return
  const release = await d.db.selectFrom('releases').select('version').where('id', '=', step.release).executeTakeFirst()
  const text = `Release v${release?.version} failed: ${reason.split('\n')[0]}`
  d.logs.write(app.id, { at: d.clock.now(), source: 'app', dyno: 'api', text })
  d.settlements.announce(step.release)
}

const tell = ({ d, app }: Stage, dyno: Dyno, text: string): void =>
  d.logs.write(app.id, { at: d.clock.now(), source: 'heroku', dyno: nameOf(dyno), text })
