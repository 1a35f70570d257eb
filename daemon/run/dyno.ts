import type { Selectable } from 'kysely'
import type { Db, DbOrTx, Tx } from '../store/database.ts'
import type { DynoState, Schema } from '../store/schema.ts'
import { note } from '../webhook/event.ts'

/**
 * The states of a dyno. A row is one container, wanted or there; `plan` decides every transition, `steps` performs it.
 *
 *               container runs and, for web, routers reach its port
 *   (new row) -> starting ----------------------------------------> up
 *                   |  exited, or not reached in time (R10)          | superseded and web
 *                   v                                                v
 *                crashed <-------------- exited ------------------- up        draining
 *                   | retry_at reached: a new row takes the slot               | routers: drained, or time
 *                   v                                                          v
 *                (row gone) <------- container gone ------------------------ stopping   <- superseded, not web
 *
 *   a release command or one-off ends in `down` with its exit code, then goes the way of `stopping`. A one-off with a client that has
 *   yet to say what terminal it has waits in `starting`; when the client goes, it is `stopping`.
 *
 * starting, up, draining: there is, or is about to be, a container. crashed, down: its container has ended and may be removed.
 * stopping: nobody is served by it any more; the engine has been, or will be, told to stop it.
 */
export type Dyno = Selectable<Schema['dynos']>

/** What `ps` shows; a dyno on its way out is not listed. */
export interface DynoView {
  id: string
  name: string
  type: string
  command: string
  size: string
  state: 'starting' | 'up' | 'crashed' | 'down' | 'waiting for memory'
  release: { id: string; version: number }
  created_at: number
  updated_at: number
}

export const nameOf = (dyno: { type: string; ordinal: number }): string => `${dyno.type}.${dyno.ordinal}`

/** The dynos of an app as `ps` shows them; while a release rolls out, the ones that still serve come before their successors. */
export async function listDynos(db: DbOrTx, app: string): Promise<DynoView[]> {
  const rows = await db
    .selectFrom('dynos')
    .innerJoin('releases', 'releases.id', 'dynos.release_id')
    .selectAll('dynos')
    .select('releases.version')
    .where('dynos.app_id', '=', app)
    .where('dynos.state', 'not in', ['draining', 'stopping'])
    .where((where) => where.or([where('dynos.one_off', 'is', null), where('dynos.state', '!=', 'down')]))
    .orderBy('dynos.type')
    .orderBy('dynos.ordinal')
    .orderBy('releases.version')
    .execute()
  return rows.map(viewOf)
}

export const viewOf = (row: NewDyno & { version: number }): DynoView => ({
  id: row.id,
  name: nameOf(row),
  type: row.type,
  command: row.command,
  size: row.size,
  state: row.state as DynoView['state'],
  release: { id: row.release_id, version: row.version },
  created_at: row.created_at,
  updated_at: row.updated_at,
})

export const dynosOf = (db: DbOrTx, app: string): Promise<Dyno[]> =>
  db.selectFrom('dynos').selectAll().where('app_id', '=', app).orderBy('created_at').execute()

/** A row to be; a dyno has the usual time to boot unless it says otherwise. */
export type NewDyno = Omit<Dyno, 'boot_time'> & { boot_time?: number }

export async function insertDyno(db: DbOrTx, dyno: NewDyno): Promise<void> {
  await db.insertInto('dynos').values(dyno).execute()
  await noteDyno(db, 'create', dyno)
}

/** Changes a dyno; false when its row is gone or, with `from`, no longer in one of these states. */
export async function updateDyno(
  db: DbOrTx,
  id: string,
  change: Partial<Omit<Dyno, 'id'>>,
  from?: DynoState[],
): Promise<boolean> {
  let query = db.updateTable('dynos').set(change).where('id', '=', id)
  if (from) query = query.where('state', 'in', from)
  const { numUpdatedRows } = await query.executeTakeFirst()
  if (numUpdatedRows > 0n && ['up', 'crashed', 'down'].includes(change.state ?? '')) await noteChanged(db, id)
  return numUpdatedRows > 0n
}

export async function deleteDyno(db: Db, id: string, now: number): Promise<void> {
  const [dyno] = await db.deleteFrom('dynos').where('id', '=', id).returningAll().execute()
  if (dyno) await noteDyno(db, 'destroy', { ...dyno, updated_at: now })
}

async function noteChanged(db: DbOrTx, id: string): Promise<void> {
  const dyno = await db.selectFrom('dynos').selectAll().where('id', '=', id).executeTakeFirst()
  if (dyno) await noteDyno(db, 'update', dyno)
}

const noteDyno = (db: DbOrTx, action: 'create' | 'update' | 'destroy', { one_off: _sealed, ...dyno }: NewDyno) =>
  note(db, { app: dyno.app_id, account: null, include: 'dyno', action, subject: dyno, now: dyno.updated_at })

/** Asks for the dynos of one app to be replaced, each serving on until its successor is up. Returns how many there are. */
export async function markForReplacement(
  tx: Tx,
  app: string,
  which: { type: string | undefined; ordinal: number | undefined },
): Promise<number> {
  let query = tx
    .updateTable('dynos')
    .set({ replace: 1 })
    .where('app_id', '=', app)
    .where('state', 'in', ['starting', 'up', 'crashed'])
    .where('type', '!=', 'release')
    .where('one_off', 'is', null)
  if (which.type !== undefined) query = query.where('type', '=', which.type)
  if (which.ordinal !== undefined) query = query.where('ordinal', '=', which.ordinal)
  return Number((await query.executeTakeFirst()).numUpdatedRows)
}
