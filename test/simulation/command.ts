import type { Account } from '../../daemon/account/account.ts'
import { type App, destroyApp, updateApp } from '../../daemon/app/app.ts'
import type { Daemon } from '../../daemon/daemon.ts'
import { changeConfig } from '../../daemon/release/config.ts'
import { abandon } from '../../daemon/release/outcome.ts'
import { createRelease, rollback } from '../../daemon/release/release.ts'
import { scale } from '../../daemon/run/formation.ts'
import { meetingOf, runOneOff } from '../../daemon/run/oneoff.ts'
import { restart, stop } from '../../daemon/run/restart.ts'
import { decide } from '../../daemon/store/database.ts'
import { pick } from './befall.ts'
import type { Code, Command } from './history.ts'
import type { Row, Witness } from './witness.ts'

/** Who asks, and for what app. */
export interface Scene {
  app: App
  account: Account
  witness: Witness
  /** What has been pushed, by its number, which is the first word of the commands of its process types. */
  codes: Code[]
}

/** Does what the API does; rejects as it refuses. */
export async function perform(command: Command, d: Daemon, scene: Scene): Promise<unknown> {
  const { app, account, witness } = scene
  switch (command.what) {
    case 'push':
      return push(d, command, scene)
    case 'abandon': {
      const going = [...witness.releases.values()].findLast(
        ({ state, version, code }) => state !== 'succeeded' && state !== 'failed' && code === version,
      )
      if (going) going.sound = false
      return going && abandon(d, going.id, 'The push was interrupted.')
    }
    case 'config':
      return changeConfig(d, app, account, { VAR: String(witness.releases.size) })
    case 'rollback': {
      const served = [...witness.releases.values()].filter(
        ({ state, types }) => state === 'succeeded' && types.length > 0,
      )
      const release = pick(served, command.pick)
      return release && rollback(d, app, account, release.id)
    }
    case 'scale':
      if (command.to === 0) witness.excused = true
      return scale(d, app, account, [{ type: command.type, quantity: command.to }])
    case 'resize':
      return scale(d, app, account, [{ type: command.type, size: command.large ? 'Standard-2X' : 'Basic' }])
    case 'restart': {
      const dyno =
        command.pick === null
          ? undefined
          : pick(
              dynosOf(witness).filter(({ oneOff }) => !oneOff),
              command.pick,
            )
      return restart(d, app, dyno ? { dyno: dyno.id } : {})
    }
    case 'stop':
      return stopOne(d, command.pick, scene)
    case 'run': {
      const { client: attached, lasts, limit: timeToLive } = command
      return runOneOff(d, app, account, {
        ...{
          command: String(lasts),
          env: {},
          size: undefined,
          type: undefined,
          attached,
          terminal: null,
          timeToLive,
        },
      })
    }
    case 'meet':
    case 'leave':
      return meet(d, command, scene)
    case 'maintenance':
      return updateApp(d, app, account, { maintenance: command.on })
    case 'destroy':
      witness.destroyed = true
      return destroyApp(d, app, account)
    default:
      return command satisfies never
  }
}

const dynosOf = (witness: Witness): Row[] => {
  return [...witness.rows.values()].filter(({ state }) => state === 'starting' || state === 'up' || state === 'crashed')
}

function stopOne(d: Daemon, which: number, { app, witness }: Scene): Promise<void> | undefined {
  const dyno = pick(dynosOf(witness), which)
  if (!dyno) return
  witness.asked.add(dyno.id)
  witness.taken(dyno.id)
  const release = witness.releases.get(dyno.release)
  if (release) release.sound = false
  return stop(d, app, { dyno: dyno.id })
}

/** The client of a one-off dyno comes and tells its terminal, or will not come any more. */
async function meet(
  d: Daemon,
  { what, pick: which }: Extract<Command, { what: 'meet' | 'leave' }>,
  { app, witness }: Scene,
): Promise<void> {
  const dyno = pick(
    dynosOf(witness).filter(({ oneOff }) => oneOff?.attached),
    which,
  )
  if (!dyno) return
  const { id, release } = dyno
  const view = {
    id,
    name: `run.${dyno.ordinal}`,
    type: 'run',
    command: '',
    size: dyno.size,
    state: 'starting' as const,
  }
  const times = { created_at: 0, updated_at: 0 }
  const meeting = meetingOf(d, { ...view, ...times, release: { id: release, version: 0 }, app: app.id }, undefined)
  if (what === 'meet') await meeting.open({ kind: 'pipes' })
  else meeting.missed()
}

async function push(
  d: Daemon,
  { code, attended }: Extract<Command, { what: 'push' }>,
  { app, account, codes }: Scene,
): Promise<void> {
  const number = codes.push({ ...code }) - 1
  const types = [code.web && 'web', code.worker && 'worker', code.command !== 'none' && 'release'].filter(
    (type) => type !== false,
  )
  const slug = [number, ...types].join(' ')
  const processes = Object.fromEntries(types.map((type) => [type, `${number} ${type}`]))
  const images = Object.fromEntries(types.map((type) => [type, { id: 'sha256:image', command: '' }]))
  await decide(d.db, async (tx) => {
    const what = {
      id: slug,
      app_id: app.id,
      key: slug,
      files: '',
      commit: null,
      checksum: '',
      size: 1,
      created_at: 0,
    }
    const rest = { process_types: JSON.stringify(processes), images: JSON.stringify(images), stack: 'container' }
    await tx
      .insertInto('slugs')
      .values({ ...what, ...rest, buildpack_description: 'x' })
      .execute()
    return createRelease(d, tx, { app: app.id, account, description: 'Deploy', slugId: slug, attended })
  })
  d.runner.poke(app.id)
}
