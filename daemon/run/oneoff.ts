import { randomInt, randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import { type Actor, record } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import type { Process, Terminal } from '../engine/engine.ts'
import { invalid } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { limits } from '../limits.ts'
import { decide, type Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { note } from '../webhook/event.ts'
import { noRoom } from './capacity.ts'
import { type Command, checkCommand, expand } from './command.ts'
import { type Dyno, type DynoView, dynosOf, insertDyno, type NewDyno, nameOf, updateDyno, viewOf } from './dyno.ts'
import { randomPort, resourcesOf } from './environment.ts'
import { rowsOf } from './formation.ts'
import * as notice from './notice.ts'
import type { Meeting } from './rendezvous.ts'
import { runnableRelease } from './rollout.ts'
import { defaultSize, noSize, parseSize } from './size.ts'

type App = Selectable<Schema['apps']>

/**
 * One-off dynos (`heroku run`): a dyno of the current release with a command of its own, which is started once and never restarted
 * (https://devcenter.heroku.com/articles/one-off-dynos). Its states are those of dyno.ts; what is special about it is sealed in its row.
 */
export interface OneOff {
  /** On top of the config vars. */
  env: Record<string, string>
  /** A client has its input and output, and ends it by going away. Otherwise its output goes to the app's log. */
  attached: boolean
  /** Null for a detached one, and until a client that is the first to know has told. */
  terminal: Terminal | null
  endsAt: number
  /** It had a client and has it no more. */
  clientGone: boolean
}

export interface Wish extends Command {
  size: string | undefined
  /** Dynos are named by it; `run` when it is not given. */
  type: string | undefined
  attached: boolean
  terminal: Terminal | null
  /** ms; at most, and by default, `limits.oneOff`. */
  timeToLive: number | undefined
}

/** Numbers of one-off dynos, as on Heroku: four digits, so that they are told from those of the formation. */
const FIRST_NUMBER = 1000
const LAST_NUMBER = 9999

/** Starts a one-off dyno of the current release. Throws UserError when there is no code to run or no room for it. */
export async function runOneOff(d: Daemon, app: App, account: Actor, wish: Wish): Promise<DynoView> {
  checkCommand(wish)
  const size = sizeNamed(wish.size)
  const now = d.clock.now()
  await d.capacity.measure()
  const { dyno, version } = await decide(d.db, async (tx) => {
    const release = await runnableRelease(tx, app.id)
    if (!release) throw invalid('There is no code to run yet. Deploy the app first: git push heroku main.')
    const dynos = await dynosOf(tx, app.id)
    await checkRoom(tx, app, dynos)
    await checkMemory(d, tx, size)
    const id = randomUUID()
    const type = wish.type ?? 'run'
    const { env, attached, terminal } = wish
    const endsAt = now + Math.min(wish.timeToLive ?? limits.oneOff, limits.oneOff)
    const dyno: NewDyno = {
      ...{ id, app_id: app.id, release_id: release.id, type, ordinal: freeNumber(type, dynos), size },
      ...{ command: expand(wish.command, release.commands), state: 'starting', replace: 0, crashes: 0 },
      ...{ retry_at: null, exit_code: null, address: null, port: randomPort() },
      one_off: sealed(d, id, { env, attached, terminal, endsAt, clientGone: false }),
      ...{ created_at: now, updated_at: now },
    }
    await insertDyno(tx, dyno)
    await record(tx, account, { app: app.id, text: `Ran ${nameOf(dyno)}`, now })
    const { one_off: _sealed, ...subject } = dyno
    await note(tx, { app: app.id, account, include: 'api:dyno', action: 'create', subject, now })
    return { dyno, version: release.version }
  })
  await failpoint('oneoff.inserted')
  d.logs.write(app.id, { at: now, source: 'app', dyno: 'api', text: notice.runBy(wish.command, account.email) })
  if (wish.attached)
    d.logs.write(app.id, { at: now, source: 'heroku', dyno: nameOf(dyno), text: notice.AWAITING_CLIENT })
  d.runner.poke(app.id)
  return viewOf({ ...dyno, version })
}

/** What a client meets that comes for an attached one-off dyno. */
export function meetingOf(d: Daemon, dyno: DynoView & { app: string }, terminal: Terminal | undefined): Meeting {
  const leave = () => leaveOneOff(d, dyno)
  return {
    app: dyno.app,
    dyno: dyno.name,
    terminal,
    async open(asked) {
      try {
        if (terminal === undefined) await tellTerminal(d, dyno, asked)
        const process = await d.engine.attach(dyno.id)
        const hangup = () => {
          // Nobody else reads it now, and an end that is not read is never over.
          drain(process).catch(() => {})
          return leave()
        }
        return { ...process, hangup } satisfies Process
      } catch (error) {
        await leave()
        throw error
      }
    },
    missed() {
      d.logs.write(dyno.app, { at: d.clock.now(), source: 'heroku', dyno: dyno.name, text: notice.ATTACH_ERROR })
      leave().catch((error: unknown) => d.log.error('a one-off dyno cannot be ended', { dyno: dyno.id, error }))
    },
  }
}

async function drain({ output }: Process): Promise<void> {
  for await (const _ of output);
}

/** What makes this dyno a one-off, or null. */
export const oneOffOf = (d: Pick<Daemon, 'seal'>, dyno: Dyno): OneOff | null =>
  dyno.one_off === null ? null : (JSON.parse(d.seal.open(dyno.one_off, dyno.id)) as OneOff)

/** At start of the daemon: the clients of attached one-off dynos have lost their connections, so their dynos are to end. */
export async function endAttached(d: Daemon): Promise<void> {
  const rows = await d.db.selectFrom('dynos').selectAll().where('one_off', 'is not', null).execute()
  for (const dyno of rows) if (oneOffOf(d, dyno)?.attached) await clientGone(d, dyno.id)
}

const sealed = (d: Daemon, id: string, oneOff: OneOff): string => d.seal.seal(JSON.stringify(oneOff), id)

async function tellTerminal(d: Daemon, dyno: { id: string; app: string }, terminal: Terminal): Promise<void> {
  const told = await change(d, dyno.id, (oneOff) => ({ one_off: { ...oneOff, terminal } }))
  if (!told) throw invalid('This dyno was stopped. Run the command again.')
  d.runner.poke(dyno.app)
}

async function leaveOneOff(d: Daemon, dyno: { id: string; app: string }): Promise<void> {
  await clientGone(d, dyno.id)
  d.runner.poke(dyno.app)
}

const clientGone = (d: Daemon, id: string): Promise<boolean> =>
  change(d, id, (oneOff) => ({
    one_off: { ...oneOff, clientGone: true },
    state: 'stopping',
    updated_at: d.clock.now(),
  }))

/** Changes one that is not on its way out; false when it is, or gone. */
const change = (
  d: Daemon,
  id: string,
  to: (oneOff: OneOff) => Partial<Omit<Dyno, 'one_off'>> & { one_off: OneOff },
): Promise<boolean> =>
  decide(d.db, async (tx) => {
    const row = await tx.selectFrom('dynos').selectAll().where('id', '=', id).executeTakeFirst()
    const oneOff = row && oneOffOf(d, row)
    if (!oneOff) return false
    const { one_off, ...others } = to(oneOff)
    return updateDyno(tx, id, { ...others, one_off: sealed(d, id, one_off) }, ['starting', 'up'])
  })

/** A deploy must find room beside the one-off dynos: web dynos count twice, and a release command once. */
async function checkRoom(tx: Tx, app: App, dynos: Dyno[]): Promise<void> {
  const oneOffs = dynos.filter(({ one_off }) => one_off !== null).length
  if (oneOffs >= limits.oneOffsPerApp)
    throw invalid(
      `At most ${limits.oneOffsPerApp} one-off dynos of an app run at once. Stop one first: heroku ps:stop.`,
    )
  const formation = [...(await rowsOf(tx, app.id)).values()]
  const wanted = formation.reduce((sum, { type, quantity }) => sum + (type === 'web' ? 2 : 1) * quantity, 1)
  if (wanted + oneOffs >= limits.dynosPerApp)
    throw invalid(
      `The app's network holds ${limits.dynosPerApp} dynos (web dynos count twice), and they are used up. Scale down first.`,
    )
}

async function checkMemory(d: Daemon, tx: Tx, size: string): Promise<void> {
  const needs = resourcesOf(size).memory
  const room = await d.capacity.room(tx)
  if (room.now < needs) throw noRoom(`Cannot run a dyno of the type ${size}: it`, needs, room)
}

function freeNumber(type: string, dynos: Dyno[]): number {
  const taken = new Set(dynos.map(nameOf))
  for (;;) {
    const ordinal = randomInt(FIRST_NUMBER, LAST_NUMBER + 1)
    if (!taken.has(nameOf({ type, ordinal }))) return ordinal
  }
}

function sizeNamed(name: string | undefined): string {
  if (name === undefined) return defaultSize
  const size = parseSize(name)
  if (!size) throw noSize(name)
  return size
}
