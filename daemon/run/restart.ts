import type { Daemon } from '../daemon.ts'
import { notFound } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { type DbOrTx, decide, type Tx } from '../store/database.ts'
import { besideOf } from './beside.ts'
import { noRoom } from './capacity.ts'
import { type Dyno, dynosOf, markForReplacement, nameOf, updateDyno } from './dyno.ts'

/** What else is decided. */
type Along = (tx: Tx) => Promise<unknown>

/** All dynos, those of one process type, or one by its name (`web.1`) or id. */
export interface Which {
  type?: string
  dyno?: string
}

/**
 * Has dynos replaced, each serving on until its successor is up. A one-off dyno is left alone, unless it is the one that was named: it
 * has no successor, so it is stopped. Throws UserError when none fits the name. `along` is part of the decision.
 */
export async function restart(d: Daemon, app: { id: string }, which: Which, along?: Along): Promise<void> {
  const named = which.dyno === undefined ? undefined : await dynoNamed(d.db, app.id, which.dyno)
  if (named && named.one_off !== null) return stop(d, app, which, along)
  const { type, ordinal } = { type: which.type, ordinal: undefined, ...named }
  await d.capacity.measure()
  await decide(d.db, async (tx) => {
    if (type === undefined || type === 'web') await checkMemory(d, tx, app.id)
    const count = await markForReplacement(tx, app.id, { type, ordinal })
    if (count === 0 && named) throw notFound('dyno', 'dyno')
    await along?.(tx)
  })
  await failpoint('dynos.marked')
  d.runner.poke(app.id)
}

const OR_STOP = 'To restart it with a gap in service: heroku ps:stop web.1, and it comes back.'

/** Several web dynos are replaced one after the other when there is no room for a successor beside them; one that is alone needs it. */
async function checkMemory(d: Daemon, tx: Tx, app: string): Promise<void> {
  const needs = await besideOf(tx, app)
  if (needs === 0) return
  const room = await d.capacity.room(tx)
  if (room.soon < needs) throw noRoom('Cannot restart web.1 and serve meanwhile: its successor', needs, room, OR_STOP)
}

/**
 * Stops dynos now, without waiting for successors. Those that belong to the formation come back, as on Heroku
 * (https://devcenter.heroku.com/articles/dyno-restarts#manual-restarts); scale to 0 to be rid of them. `along` is part of the decision.
 */
export async function stop(d: Daemon, app: { id: string }, which: Which, along?: Along): Promise<void> {
  const now = d.clock.now()
  await decide(d.db, async (tx) => {
    const dynos = (await dynosOf(tx, app.id)).filter(
      (dyno) =>
        (which.type === undefined || dyno.type === which.type) &&
        (which.dyno === undefined || dyno.id === which.dyno || nameOf(dyno) === which.dyno),
    )
    if (dynos.length === 0 && which.dyno !== undefined) throw notFound('dyno', 'dyno')
    for (const dyno of dynos)
      await updateDyno(tx, dyno.id, { state: hasRequests(dyno) ? 'draining' : 'stopping', updated_at: now }, [
        'starting',
        'up',
        'crashed',
      ])
    await along?.(tx)
  })
  await failpoint('dynos.stopped')
  d.runner.poke(app.id)
}

const hasRequests = ({ type, state, one_off }: Dyno): boolean => type === 'web' && state === 'up' && one_off === null

async function dynoNamed(db: DbOrTx, app: string, name: string): Promise<Dyno> {
  const dyno = (await dynosOf(db, app)).find((dyno) => dyno.id === name || nameOf(dyno) === name)
  if (!dyno) throw notFound('dyno', 'dyno')
  return dyno
}
