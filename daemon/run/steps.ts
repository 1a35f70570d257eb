import { randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import { within } from '../clock.ts'
import type { Daemon } from '../daemon.ts'
import { failpoint } from '../failpoint.ts'
import { limits } from '../limits.ts'
import { decide } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { backoff, crashesAfter } from './backoff.ts'
import type { Boot } from './boot.ts'
import { cycleAt } from './cycle.ts'
import { desired } from './desired.ts'
import { type Dyno, deleteDyno, dynosOf, insertDyno, nameOf, updateDyno } from './dyno.ts'
import { randomPort } from './environment.ts'
import { deafness, reasonOf } from './failure.ts'
import * as notice from './notice.ts'
import { oneOffOf } from './oneoff.ts'
import type { Placements } from './placement.ts'
import type { Step } from './plan.ts'
import { advanceRollout } from './rollout.ts'
import { bootTimeOf } from './setting.ts'
import { configOf, readyCode, specOf } from './spec.ts'
import { countDrained } from './takeover.ts'

export interface Stage {
  d: Daemon
  placements: Placements
  app: Selectable<Schema['apps']>
  /** The rows that the plan was made from. */
  dynos: Map<string, Dyno>
  /** Fails a release, with what else that means; `tell` writes to the log why. */
  failRelease(release: string, reason: string, tell: () => Promise<void>): Promise<boolean>
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
    case 'clear':
    case 'ended':
    case 'cycle':
    case 'drain':
    case 'stop': {
      const dyno = stage.dynos.get(step.dyno)
      return dyno && onDyno(stage, step, dyno)
    }
    default:
      return step satisfies never
  }
}

type DynoStep = Extract<Step, { do: 'launch' | 'up' | 'crashed' | 'clear' | 'ended' | 'cycle' | 'drain' | 'stop' }>

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
        tell(stage, dyno, [notice.changed('starting', 'up')])
      if (dyno.type === 'web') placements.up(dyno.id)
      return failpoint('dyno.up')
    case 'crashed':
      return crashed(stage, step.why, dyno)
    case 'clear':
      void placements.stop({ id: dyno.id, app: dyno.app_id }, limits.stopGrace)
      return
    case 'ended':
      return passed(stage, dyno)
    case 'cycle':
      await updateDyno(d.db, dyno.id, { replace: 1 }, ['up'])
      return
    case 'drain':
      if (await updateDyno(d.db, dyno.id, { state: 'draining', updated_at: now }, ['up']))
        await tellLeaving(stage, dyno)
      return failpoint('dyno.draining')
    case 'stop':
      return stop(stage, dyno)
    default:
      return step satisfies never
  }
}

/** The row comes first: from here on the dyno is wanted, and the next look launches it. */
async function start(stage: Stage, step: Step & { do: 'start' }): Promise<void> {
  const { d, app } = stage
  const now = d.clock.now()
  const dyno: Dyno = {
    id: randomUUID(),
    app_id: app.id,
    release_id: step.release,
    type: step.type,
    ordinal: step.ordinal,
    size: step.size,
    command: step.command,
    state: 'starting',
    replace: 0,
    boot_time: await bootTime(d, step.release),
    crashes: step.crashes,
    retry_at: null,
    exit_code: null,
    address: null,
    port: randomPort(),
    one_off: null,
    created_at: now,
    updated_at: now,
  }
  const inserted = await decide(d.db, async (tx) => {
    if (step.beyond > 0 && (await d.capacity.room(tx)).now < step.beyond) return false
    await insertDyno(tx, dyno)
    return true
  })
  if (!inserted) return
  await failpoint('dyno.inserted')
  const before = holderOf(dyno, [...stage.dynos.values()], ['up', 'draining', 'starting', 'crashed'])
  tell(stage, dyno, notice.taking(before?.state, before && cycling(d, before)))
}

/** One whose config vars cannot be opened does not start, and says so then. */
async function bootTime(d: Daemon, id: string): Promise<number> {
  const release = await d.db.selectFrom('releases').select(['id', 'config']).where('id', '=', id).executeTakeFirst()
  try {
    return release ? bootTimeOf(configOf(d, release)) : limits.boot
  } catch {
    return limits.boot
  }
}

/** It is replaced for its age. */
const cycling = (d: Daemon, dyno: Dyno): boolean =>
  d.config.cycle && dyno.replace === 1 && d.clock.now() >= cycleAt(dyno)

/** Who has the name of a dyno: one in the first of these states that any has. */
const holderOf = ({ type, ordinal }: Dyno, dynos: Dyno[], states: Dyno['state'][]): Dyno | undefined =>
  states.flatMap((state) =>
    dynos.filter((one) => one.type === type && one.ordinal === ordinal && one.state === state),
  )[0]

function launch(stage: Stage, dyno: Dyno): void {
  const { d, placements, app } = stage
  placements.launch(bootOf(dyno), async () => {
    const spec = await specOf(d, app, dyno)
    tell(stage, dyno, [notice.startingProcess(dyno.command)])
    await readyCode(d, dyno.release_id)
    return spec
  })
}

/** Nobody waits for a dyno that has crashed; all have when the host restarts. */
function bootOf({ id, app_id: app, type, one_off, crashes }: Dyno): Boot {
  const asked = one_off !== null ? 'by a client' : crashes === 0 ? 'by a person' : 'by nobody'
  return { id, app, web: type === 'web' && one_off === null, asked, once: type === 'release' || one_off !== null }
}

const SIGKILL_NOW = 0
/** A process that was killed has ended long before; should the engine hang, its end is told later. */
const KILLED_WITHIN = 5000

async function passed(stage: Stage, dyno: Dyno): Promise<void> {
  const { d, placements } = stage
  const exit_code = placements.of(dyno.id)?.exitCode ?? null
  // One that ended before anybody looked was up all the same.
  if (dyno.state === 'starting') tell(stage, dyno, [notice.changed('starting', 'up')])
  await placements.told(dyno.id)
  const change = { state: 'down', exit_code, updated_at: d.clock.now() } as const
  if (await updateDyno(d.db, dyno.id, change, ['starting', 'up'])) tell(stage, dyno, [notice.changed('up', 'complete')])
  await failpoint('dyno.down')
}

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
  await placements.told(dyno.id)
  if (!(await updateDyno(d.db, dyno.id, change, ['starting', 'up']))) return
  await failpoint('dyno.crashed')
  if (why === 'boot timeout') {
    const trouble = d.routers.troubleOf(dyno.id)
    const deaf = trouble === undefined ? await deafness(placements, dyno) : undefined
    tell(stage, dyno, notice.bootTimeout(dyno.boot_time, { trouble, deaf }))
    await within(d.clock, KILLED_WITHIN, placements.stop({ id: dyno.id, app: dyno.app_id }, SIGKILL_NOW))
  }
  if (why === 'lost') tell(stage, dyno, [notice.LOST])
  if (why === 'not started')
    tell(stage, dyno, [`Failed to start: ${placements.failure(dyno.id) ?? 'the engine refused'}`])
  tell(stage, dyno, [notice.changed(dyno.state === 'up' ? 'up' : 'starting', 'crashed')])
}

async function stop(stage: Stage, dyno: Dyno): Promise<void> {
  const { d, placements } = stage
  const state = placements.state(dyno.id)
  const oneOff = oneOffOf(d, dyno)
  if (dyno.state !== 'stopping') {
    if (oneOff && state === 'running' && d.clock.now() >= oneOff.endsAt) tell(stage, dyno, [notice.CYCLING])
    await updateDyno(d.db, dyno.id, { state: 'stopping', updated_at: d.clock.now() })
    await failpoint('dyno.stopping')
    if (dyno.state === 'draining' && d.routers.drained(dyno.id)) await countDrained(d, dyno)
    await tellLeaving(stage, dyno)
  } else if (state === 'running' && !placements.asked(dyno.id)) await tellLeaving(stage, { ...dyno, state: 'up' })
  if (state === 'pending') return
  if (state === 'none') {
    // A client may wait for a start that does not come any more.
    if (oneOff?.attached) {
      await placements.stop({ id: dyno.id, app: dyno.app_id }, SIGKILL_NOW)
      if (placements.state(dyno.id) !== 'none') return
    }
    await failpoint('dyno.gone')
    if (dyno.type === 'web' && !oneOff) await countDrained(d, dyno)
    await failpoint('dyno.counted')
    await deleteDyno(d.db, dyno.id, d.clock.now())
    d.capacity.freed()
    d.routers.receipts.forget(dyno.id)
    placements.forget(dyno.id)
    return
  }
  const hangup = oneOff?.clientGone ? limits.hangup : undefined
  if (state === 'running') tell(stage, dyno, [hangup === undefined ? notice.STOPPING : notice.HANGUP])
  if (state === 'exited' && dyno.exit_code === null) await placements.told(dyno.id)
  // a launch that failed may have left a container all the same, when only the engine's answer was lost
  void placements.stop({ id: dyno.id, app: dyno.app_id }, limits.stopGrace, hangup)
}

/** Called once in a dyno's life: when it begins to drain, or to stop without that. */
async function tellLeaving(stage: Stage, dyno: Dyno): Promise<void> {
  const { serving, candidate } = await desired(stage.d.db, stage.app)
  const continued = [serving, candidate].some((target) =>
    target?.processes.some(({ type, quantity }) => type === dyno.type && dyno.ordinal <= quantity),
  )
  const others = (await dynosOf(stage.d.db, stage.app.id)).filter(({ id }) => id !== dyno.id)
  const name = !continued ? 'ends' : holderOf(dyno, others, ['up', 'starting', 'crashed']) ? 'taken' : 'free'
  const passing = dyno.type === 'release' || dyno.one_off !== null
  tell(stage, dyno, notice.leaving({ ...dyno, passing, cycling: cycling(stage.d, dyno) }, name))
}

async function advance(stage: Stage, step: Step & { do: 'advance' }): Promise<void> {
  const { d } = stage
  const superseded = await advanceRollout(d.db, step.release, step.to, d.clock.now())
  if (!superseded) return
  try {
    await failpoint(`rollout.${step.to}`)
    await tellAdvanced(stage, step)
    for (const { release_id, reason } of superseded)
      await tellRelease(stage, release_id, (version) => notice.releaseSuperseded(version, reason ?? ''))
  } finally {
    // Whatever else goes wrong: who waits for it is not told again.
    for (const release of [step.release, ...superseded.map(({ release_id }) => release_id)])
      d.settlements.announce(release)
    if (step.to === 'succeeded') {
      d.disk.released(stage.app.id)
      d.acm.wake()
    }
  }
}

async function tellAdvanced(stage: Stage, step: Step & { do: 'advance' }): Promise<void> {
  const { d, dynos } = stage
  const command = [...dynos.values()].some(({ type, release_id }) => type === 'release' && release_id === step.release)
  if (step.to === 'booting' && command) await tellRelease(stage, step.release, notice.releaseCreated)
  if (step.to === 'booting' && d.routers.connected === 0) {
    const text = 'No router is connected: the release waits until one is'
    d.logs.write(stage.app.id, { at: d.clock.now(), source: 'heroku', dyno: 'router', text })
  }
}

async function fail(stage: Stage, step: Step & { do: 'fail' }): Promise<void> {
  const dyno = step.dyno === null ? undefined : stage.dynos.get(step.dyno)
  const reason = await reasonOf(stage, step, dyno)
  await stage.failRelease(step.release, reason, async () => {
    await failpoint('rollout.failed')
    if (step.why !== 'boot' && step.why !== 'room') await tellRelease(stage, step.release, notice.commandFailed)
    await tellRelease(stage, step.release, (version) => notice.releaseFailed(version, reason))
  })
}

async function tellRelease(
  { d, app }: Stage,
  id: string,
  say: (version: number, email: string) => string,
): Promise<void> {
  const release = await d.db
    .selectFrom('releases')
    .innerJoin('accounts', 'accounts.id', 'releases.account_id')
    .select(['releases.version', 'accounts.email'])
    .where('releases.id', '=', id)
    .executeTakeFirst()
  if (!release) return
  const text = say(release.version, release.email)
  d.logs.write(app.id, { at: d.clock.now(), source: 'app', dyno: 'api', text })
}

function tell({ d, app }: Stage, dyno: Dyno, lines: string[]): void {
  for (const text of lines) d.logs.write(app.id, { at: d.clock.now(), source: 'heroku', dyno: nameOf(dyno), text })
}
