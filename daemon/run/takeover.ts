import type { Selectable } from 'kysely'
import type { Receipt } from '../../router/protocol.ts'
import type { Daemon } from '../daemon.ts'
import { messageOf } from '../errors.ts'
import { sum } from '../route/receipt.ts'
import { type DbOrTx, decide, type Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import type { Dyno } from './dyno.ts'
import { tookOver } from './notice.ts'

/**
 * A release's receipt: what became of the requests and tunnels that its predecessor's web dynos had when it took over. This is the only
 * writer of `receipts`. A dyno is counted once: when it is told to stop after all routers have said that it is drained, else when it is
 * gone. It belongs to the first release after its own that succeeded. With the last of them the receipt is settled, and the app's log
 * tells it unless nothing was under way. A daemon that dies loses what it has not counted; nothing waits for a receipt.
 */
export type Takeover = Selectable<Schema['receipts']>

/** Of a release; undefined when it took over from none, or all that was told is lost. */
export const takeoverOf = (db: DbOrTx, release: string): Promise<Takeover | undefined> =>
  db.selectFrom('receipts').selectAll().where('release_id', '=', release).executeTakeFirst()

/** A web dyno of the formation that drained, or is gone. What goes wrong here is logged: no dyno stays for its receipt. */
export const countDrained = (d: Daemon, dyno: Dyno): Promise<void> =>
  count(d, dyno).catch((error: unknown) =>
    d.log.error('a drained dyno is missing in a receipt', { app: dyno.app_id, dyno: dyno.id, error: messageOf(error) }),
  )

async function count(d: Daemon, dyno: Dyno): Promise<void> {
  const receipt = d.routers.receipts.take(dyno.id)
  const now = d.clock.now()
  const settled = await decide(d.db, async (tx) => {
    const next = await successorOf(tx, dyno)
    if (!next) return null
    if (receipt) await add(tx, { release: next.release_id, replaced: next.replaced }, receipt, now)
    if (!(await isLast(d, tx, dyno))) return null
    const [row] = await tx
      .updateTable('receipts')
      .set({ settled_at: now, updated_at: now })
      .where('release_id', '=', next.release_id)
      .where('settled_at', 'is', null)
      .returningAll()
      .execute()
    return row ? { row, version: next.version } : null
  })
  if (settled === null || settled.row.in_flight === 0) return
  const text = tookOver(settled.version, settled.row.replaced, receiptIn(settled.row))
  d.logs.write(dyno.app_id, { at: now, source: 'app', dyno: 'api', text })
}

/** The first release after the dyno's own that served, when that has served too. */
const successorOf = (tx: Tx, dyno: Dyno) =>
  tx
    .selectFrom('rollouts')
    .innerJoin('rollouts as own', 'own.app_id', 'rollouts.app_id')
    .select(['rollouts.release_id', 'rollouts.version', 'own.version as replaced'])
    .where('own.release_id', '=', dyno.release_id)
    .where('own.state', '=', 'succeeded')
    .where('rollouts.app_id', '=', dyno.app_id)
    .where('rollouts.state', '=', 'succeeded')
    .whereRef('rollouts.version', '>', 'own.version')
    .orderBy('rollouts.version')
    .limit(1)
    .executeTakeFirst()

const add = (tx: Tx, { release, replaced }: { release: string; replaced: number }, receipt: Receipt, now: number) =>
  tx
    .insertInto('receipts')
    .values({
      release_id: release,
      replaced,
      dynos: 1,
      in_flight: receipt.inFlight,
      finished: receipt.finished,
      cut: receipt.cut,
      failed: receipt.failed,
      took: receipt.took,
      settled_at: null,
      created_at: now,
      updated_at: now,
    })
    .onConflict((conflict) =>
      conflict.column('release_id').doUpdateSet((set) => ({
        dynos: set('receipts.dynos', '+', 1),
        in_flight: set('receipts.in_flight', '+', receipt.inFlight),
        finished: set('receipts.finished', '+', receipt.finished),
        cut: set('receipts.cut', '+', receipt.cut),
        failed: set('receipts.failed', '+', receipt.failed),
        took: set.fn<number>('max', ['receipts.took', set.val(receipt.took)]),
        updated_at: now,
      })),
    )
    .execute()

/** No other dyno of its release is still to be counted. */
async function isLast(d: Daemon, tx: Tx, dyno: Dyno): Promise<boolean> {
  const others = await webDynos(tx, dyno.app_id).where('release_id', '=', dyno.release_id).execute()
  return others.every(({ id }) => d.routers.receipts.taken(id))
}

const webDynos = (db: DbOrTx, app: string) =>
  db.selectFrom('dynos').select('id').where('app_id', '=', app).where('type', '=', 'web').where('one_off', 'is', null)

/** What is known at this moment of a release that has just begun to serve; null while something of the one before is under way. */
export async function receiptInTime(d: Daemon, release: { id: string; app_id: string }): Promise<Receipt | null> {
  const row = await takeoverOf(d.db, release.id)
  if (row) return row.settled_at === null ? null : receiptIn(row)
  const old = await webDynos(d.db, release.app_id).where('release_id', '!=', release.id).execute()
  const receipts = old.map(({ id }) => (d.routers.drained(id) ? d.routers.receipts.of(id) : null))
  const known = receipts.filter((receipt) => receipt !== null)
  return old.length > 0 && known.length === old.length ? sum(known) : null
}

export const receiptIn = (row: Takeover): Receipt => ({
  inFlight: row.in_flight,
  finished: row.finished,
  cut: row.cut,
  failed: row.failed,
  took: row.took,
})
