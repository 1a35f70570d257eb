import { type Account, forgetAccount, requireAdministrator } from '../account/account.ts'
import { record } from '../account/activity.ts'
import { revokeAll } from '../account/authorization.ts'
import { forgetClients } from '../account/client.ts'
import { withdrawInvitations } from '../account/invitation.ts'
import { forgetKeys } from '../account/key.ts'
import { forgetPassword } from '../account/password.ts'
import { endSessions } from '../account/session.ts'
import type { Daemon } from '../daemon.ts'
import { invalid } from '../errors.ts'
import { decide } from '../store/database.ts'
import { leaveApps } from './collaborator.ts'
import { forgetTransfers } from './transfer.ts'

const NAMED = 5

/**
 * Removes an account: its tokens, sessions, keys and clients are refused at once, it is a collaborator no longer, and what it was offered
 * is not on offer. Administrators remove others; everybody may leave. Throws UserError while it owns apps or pipelines, and when it is the last administrator.
 */
export async function removeAccount(d: Daemon, by: Account, account: Account): Promise<void> {
  await decide(d.db, async (tx) => {
    if (by.id !== account.id) await requireAdministrator(tx, by)
    const owned = await tx
      .selectFrom('apps')
      .select('name')
      .where('owner_id', '=', account.id)
      .where('destroyed_at', 'is', null)
      .orderBy('name')
      .execute()
    if (owned.length > 0) throw invalid(`${account.email} owns ${listed(owned)}. Transfer or destroy its apps first.`)
    const pipelines = await tx.selectFrom('pipelines').select('name').where('owner_id', '=', account.id).execute()
    if (pipelines.length > 0)
      throw invalid(`${account.email} owns the pipelines ${listed(pipelines)}. Transfer or destroy them first.`)
    const now = d.clock.now()
    await forgetAccount(tx, account, now)
    await endSessions(tx, account)
    await revokeAll(tx, account)
    await forgetClients(tx, account)
    await forgetKeys(tx, account)
    await forgetPassword(tx, account)
    await withdrawInvitations(tx, account)
    await leaveApps(tx, account)
    await forgetTransfers(tx, account)
    await record(tx, by, { app: null, text: `Removed the account ${account.email}`, now })
  })
}

function listed(owned: { name: string }[]): string {
  const names = owned.slice(0, NAMED).map(({ name }) => name)
  return [...names, ...(owned.length > NAMED ? [`${owned.length - NAMED} more`] : [])].join(', ')
}
