import type { Daemon } from '../daemon.ts'
import { notFound } from '../errors.ts'
import { type DbOrTx, decide } from '../store/database.ts'
import { type Account, accountNamed, requireAdministrator, setAdministrator } from './account.ts'
import { record } from './activity.ts'
import { type Role, withdrawInvitations } from './invitation.ts'
import { TEAM } from './team.ts'

/** Everybody with an account, by email. */
export const listMembers = (db: DbOrTx): Promise<Account[]> =>
  db
    .selectFrom('accounts')
    .selectAll()
    .where('removed_at', 'is', null)
    .where('id', '!=', TEAM)
    .orderBy('email')
    .execute()

/** By email or id. */
export async function findMember(db: DbOrTx, which: string): Promise<Account> {
  const member = await accountNamed(db, which)
  if (!member) throw notFound('team member', 'team_member')
  return member
}

export const roleOf = ({ admin }: Pick<Account, 'admin'>): Role => (admin === 1 ? 'admin' : 'member')

/** Makes a member an admin or an admin a member, whose links end. Only admins may; the last one stays. */
export async function setRole(d: Daemon, by: Account, which: string, role: Role): Promise<Account> {
  return decide(d.db, async (tx) => {
    await requireAdministrator(tx, by)
    const member = await findMember(tx, which)
    if (roleOf(member) === role) return member
    const now = d.clock.now()
    await record(tx, by, { app: null, text: `Made ${member.email} ${role} of the team`, now })
    if (role === 'member') await withdrawInvitations(tx, member)
    return setAdministrator(tx, member, role === 'admin' ? 1 : 0, now)
  })
}
