import { notFound } from '../errors.ts'
import type { DbOrTx } from '../store/database.ts'

/** The account in whose name the built-in team owns apps. Nobody logs in as it, and it is in no list of accounts. The same on every host. */
export const TEAM = '5ed5a1f4-7b0c-4a6e-9c56-6d1f0a3be7a1'

/** How Heroku marks the address of a team: clients tell team apps by it. Nobody else's address may end so. */
const MARK = '@herokumanager.com'

export const teamAddress = (name: string): string => `${name}${MARK}`
export const isTeamAddress = (email: string): boolean => email.toLowerCase().endsWith(MARK)
export const teamNameOf = (address: string): string => address.slice(0, -MARK.length)

export interface Team {
  id: string
  name: string
  created_at: number
  updated_at: number
}

/** The one team there is; everybody with an account is a member. */
export async function theTeam(db: DbOrTx): Promise<Team> {
  const { email, ...row } = await db
    .selectFrom('accounts')
    .select(['id', 'email', 'created_at', 'updated_at'])
    .where('id', '=', TEAM)
    .executeTakeFirstOrThrow()
  return { ...row, name: teamNameOf(email) }
}

/** By name or id, or by the address that its apps show. */
export async function findTeam(db: DbOrTx, which: string): Promise<Team> {
  const team = await theTeam(db)
  const wanted = which.toLowerCase()
  if (![team.id, team.name, teamAddress(team.name)].includes(wanted)) throw notFound('team', 'team')
  return team
}
