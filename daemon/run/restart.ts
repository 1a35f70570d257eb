import type { Daemon } from '../daemon.ts'
import { notFound } from '../errors.ts'
import { decide, type Tx } from '../store/database.ts'
import { dynosOf, markForReplacement, nameOf, updateDyno } from './dyno.ts'

/** All dynos, those of one process type, or one by its name (`web.1`) or id. */
export interface Which {
  type?: string
  dyno?: string
}

/** Has dynos replaced, each serving on until its successor is up. Throws UserError when none fits the name. */
export async function restart(d: Daemon, app: { id: string }, which: Which): Promise<void> {
  await decide(d.db, async (tx) => {
    const slot = which.dyno === undefined ? {} : await slotOf(tx, app.id, which.dyno)
    const count = await markForReplacement(tx, app.id, {
      ...(which.type === undefined ? {} : { type: which.type }),
      ...slot,
    })
    if (count === 0 && which.dyno !== undefined) throw notFound('dyno', 'dyno')
  })
  d.runner.poke(app.id)
}

/**
 * Stops dynos now, without waiting for successors. Those that belong to the formation come back, as on Heroku
 * (https://devcenter.heroku.com/articles/dyno-restarts#manual-restarts); scale to 0 to be rid of them.
 */
export async function stop(d: Daemon, app: { id: string }, which: Which): Promise<void> {
  const now = d.clock.now()
  await decide(d.db, async (tx) => {
    const dynos = (await dynosOf(tx, app.id)).filter(
      (dyno) =>
        (which.type === undefined || dyno.type === which.type) &&
        (which.dyno === undefined || dyno.id === which.dyno || nameOf(dyno) === which.dyno),
    )
    if (dynos.length === 0 && which.dyno !== undefined) throw notFound('dyno', 'dyno')
    for (const dyno of dynos)
      await updateDyno(
        tx,
        dyno.id,
        { state: dyno.type === 'web' && dyno.state === 'up' ? 'draining' : 'stopping', updated_at: now },
        ['starting', 'up', 'crashed'],
      )
  })
  d.runner.poke(app.id)
}

async function slotOf(tx: Tx, app: string, name: string): Promise<{ type: string; ordinal: number }> {
  const dyno = (await dynosOf(tx, app)).find((dyno) => dyno.id === name || nameOf(dyno) === name)
  if (!dyno) throw notFound('dyno', 'dyno')
  return { type: dyno.type, ordinal: dyno.ordinal }
}
