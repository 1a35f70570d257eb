import { randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import { type Account, accountNamed } from '../account/account.ts'
import { type Actor, enact, record, tell } from '../account/activity.ts'
import { TEAM, teamAddress, theTeam } from '../account/team.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound, UserError } from '../errors.ts'
import { type DbOrTx, decide, type Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { type App, findApp, setOwner } from './app.ts'
import { passOn } from './collaborator.ts'
import { requirePermission } from './permission.ts'

/**
 * An app that changes hands.
 *
 *     requestTransfer -> pending -- answerTransfer --> accepted: the recipient owns the app
 *            |              |  '-- answerTransfer --> declined: nothing has changed
 *            |              '-- cancelTransfer --> gone
 *            '-- to oneself, or between the team and an account --> accepted at once, in place of a pending one
 *
 * The change of the owner and of the state are one decision, so an app never has two owners or none. An app has one transfer at most, its
 * latest, so what is pending is always the owner's offer.
 */
export interface Transfer {
  id: string
  app: { id: string; name: string }
  owner: { id: string; email: string }
  recipient: { id: string; email: string }
  state: Schema['app_transfers']['state']
  created_at: number
  updated_at: number
}

/** Those that the account asked for or that it is asked about, oldest first; admins see all. Transfers of destroyed apps are gone. */
export async function listTransfers(db: DbOrTx, account: Account): Promise<Transfer[]> {
  return (await seenBy(db, account).execute()).map(read)
}

/** By id, or by the name or id of its app. */
export async function findTransfer(db: DbOrTx, account: Account, which: string): Promise<Transfer> {
  const row = await seenBy(db, account)
    .where((where) =>
      where.or([where('transfer.id', '=', which), where('apps.id', '=', which), where('apps.name', '=', which)]),
    )
    .executeTakeFirst()
  if (!row) throw notFound('app transfer', 'app_transfer')
  return read(row)
}

/**
 * Offers the app to an account or the team (by name, email or id), for who may manage it. The recipient has to accept, but for what is done
 * at once.
 */
export async function requestTransfer(d: Daemon, app: App, by: Account, recipient: string): Promise<Transfer> {
  const text = ({ state, recipient: to }: Transfer) =>
    `${state === 'accepted' ? 'Transferred' : 'Offered'} to ${to.email}`
  return enact(d, { app, by, text }, async (tx) => {
    const now = d.clock.now()
    const current = await findApp(tx, by, app.id)
    await requirePermission({ db: tx }, current, by, 'manage')
    const to = await recipientNamed(tx, recipient)
    const atOnce = to.id === TEAM || to.id === by.id || app.owner_id === TEAM
    if (current.owner_id === to.id) throw invalid(`${to.name} owns ${current.name} already.`)
    if (current.owner_id !== app.owner_id) throw changedHands(current)
    if (!atOnce) await refuseSecond(tx, current)
    await tx.deleteFrom('app_transfers').where('app_id', '=', app.id).execute()
    const row = {
      ...{ id: randomUUID(), app_id: app.id, owner_id: current.owner_id, recipient_id: to.id },
      ...{ state: atOnce ? ('accepted' as const) : ('pending' as const), created_at: now, updated_at: now },
    }
    await tx.insertInto('app_transfers').values(row).execute()
    if (atOnce) await handOver(d, tx, { app: current, account: by }, to)
    return read(await transfers(tx).where('transfer.id', '=', row.id).executeTakeFirstOrThrow())
  })
}

/** The recipient takes the app, or declines it. */
export async function answerTransfer(
  d: Daemon,
  by: Account,
  which: string,
  state: 'accepted' | 'declined',
): Promise<Transfer> {
  const text = state === 'accepted' ? `Transferred to ${by.email}` : `Declined by ${by.email}`
  const transfer = await decide(d.db, async (tx) => {
    const transfer = await findTransfer(tx, by, which)
    if (transfer.recipient.id !== by.id)
      throw new UserError('forbidden', `Only ${transfer.recipient.email} may accept or decline ${transfer.app.name}.`)
    requirePending(transfer)
    const change = { state, updated_at: d.clock.now() }
    await tx.updateTable('app_transfers').set(change).where('id', '=', transfer.id).execute()
    if (state === 'accepted') await handOver(d, tx, { app: await offeredApp(tx, transfer), account: by }, by)
    await record(tx, by, { app: transfer.app.id, text, now: change.updated_at })
    return { ...transfer, ...change }
  })
  tell(d, transfer.app, by, text)
  return transfer
}

/** Takes the offer back; for the owner and admins. */
export async function cancelTransfer(d: Daemon, by: Account, which: string): Promise<Transfer> {
  const transfer = await decide(d.db, async (tx) => {
    const transfer = await findTransfer(tx, by, which)
    if (transfer.owner.id !== by.id && by.admin !== 1)
      throw new UserError('forbidden', `Only ${transfer.owner.email} may cancel the transfer of ${transfer.app.name}.`)
    requirePending(transfer)
    await tx.deleteFrom('app_transfers').where('id', '=', transfer.id).execute()
    await record(tx, by, { app: transfer.app.id, text: tookBack(transfer), now: d.clock.now() })
    return transfer
  })
  tell(d, transfer.app, by, tookBack(transfer))
  return transfer
}

const tookBack = ({ recipient }: Transfer): string => `Took back the offer to ${recipient.email}`

/** Part of the departure of an account: what it offered, and what it was offered. */
export const forgetTransfers = (tx: Tx, account: { id: string }): Promise<unknown> =>
  tx
    .deleteFrom('app_transfers')
    .where((where) => where.or([where('owner_id', '=', account.id), where('recipient_id', '=', account.id)]))
    .execute()

async function handOver(
  d: Daemon,
  tx: Tx,
  { app, account }: { app: App; account: Actor },
  to: { id: string },
): Promise<void> {
  await passOn(tx, app, to, d.clock.now())
  await setOwner(d, tx, { app, account }, to)
}

async function recipientNamed(tx: Tx, which: string): Promise<{ id: string; name: string }> {
  const { name } = await theTeam(tx)
  if ([TEAM, name, teamAddress(name)].includes(which.toLowerCase())) return { id: TEAM, name }
  const account = await accountNamed(tx, which)
  if (account) return { id: account.id, name: account.email }
  throw invalid(
    `There is no account or team ${which.slice(0, 200)} here. The team is ${name}; accounts are listed by \`heroku members --team ${name}\`.`,
  )
}

async function refuseSecond(tx: Tx, app: App): Promise<void> {
  const pending = await tx
    .selectFrom('app_transfers')
    .innerJoin('accounts', 'accounts.id', 'recipient_id')
    .select('accounts.email')
    .where('app_id', '=', app.id)
    .where('state', '=', 'pending')
    .executeTakeFirst()
  if (pending)
    throw invalid(
      `${app.name} is offered to ${pending.email} already. Wait for an answer, or delete that transfer first.`,
    )
}

const offeredApp = (tx: Tx, { app }: Transfer): Promise<App> =>
  tx.selectFrom('apps').selectAll().where('id', '=', app.id).executeTakeFirstOrThrow()

function requirePending({ app, state }: Transfer): void {
  if (state !== 'pending') throw invalid(`This transfer of ${app.name} is ${state} already.`)
}

const changedHands = (app: App): UserError =>
  new UserError('conflict', `${app.name} has got another owner just now. See \`heroku apps:info -a ${app.name}\`.`)

const seenBy = (db: DbOrTx, account: Account) =>
  transfers(db).where((where) =>
    account.admin === 1
      ? where.lit(true)
      : where.or([where('transfer.owner_id', '=', account.id), where('transfer.recipient_id', '=', account.id)]),
  )

const transfers = (db: DbOrTx) =>
  db
    .selectFrom('app_transfers as transfer')
    .innerJoin('apps', 'apps.id', 'transfer.app_id')
    .innerJoin('accounts as owner', 'owner.id', 'transfer.owner_id')
    .innerJoin('accounts as recipient', 'recipient.id', 'transfer.recipient_id')
    .selectAll('transfer')
    .select(['apps.name', 'owner.email as owner_email', 'recipient.email as recipient_email'])
    .where('apps.destroyed_at', 'is', null)
    .orderBy('transfer.created_at')
    .orderBy('transfer.id')

type Row = Selectable<Schema['app_transfers']> & { name: string; owner_email: string; recipient_email: string }

const read = ({ id, state, created_at, updated_at, ...row }: Row): Transfer => ({
  id,
  app: { id: row.app_id, name: row.name },
  owner: { id: row.owner_id, email: row.owner_email },
  recipient: { id: row.recipient_id, email: row.recipient_email },
  state,
  created_at,
  updated_at,
})
