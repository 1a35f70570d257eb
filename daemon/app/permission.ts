import type { Expression, ExpressionBuilder, SqlBool } from 'kysely'
import type { Account } from '../account/account.ts'
import { TEAM } from '../account/team.ts'
import { UserError } from '../errors.ts'
import type { DbOrTx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import type { App } from './app.ts'

/**
 * What somebody may do with an app, in Heroku's words (https://devcenter.heroku.com/articles/app-permissions): see it; change its code;
 * change how it runs; change whose it is, what it is called, and whether it is.
 */
export const permissions = ['view', 'deploy', 'operate', 'manage'] as const
export type Permission = (typeof permissions)[number]

/** What a collaborator has who was given nothing else. */
export const standard: readonly Permission[] = ['view', 'deploy', 'operate']

export const MEANING: Record<Permission, string> = {
  view: 'see it',
  deploy: 'deploy its code',
  operate: 'change how it runs',
  manage: 'rename, share, transfer, lock or destroy it',
}

/** The stored form, in the order of the list; whoever has any may see the app. */
export const permissionsFrom = (json: string): Permission[] => {
  const given: unknown[] = JSON.parse(json)
  return permissions.filter((one) => one === 'view' || given.includes(one))
}

/**
 * What the account may do with the app. The owner and the team's admins may everything. A collaborator may what they were given. Members see
 * the team's apps that are not locked. All others: nothing, not even see it.
 */
export async function permissionsOf(
  { db }: { db: DbOrTx },
  app: App,
  account: Account,
): Promise<readonly Permission[]> {
  if (app.owner_id === account.id || account.admin === 1) return permissions
  const collaboration = await db
    .selectFrom('collaborators')
    .select('permissions')
    .where('app_id', '=', app.id)
    .where('account_id', '=', account.id)
    .executeTakeFirst()
  if (collaboration) return permissionsFrom(collaboration.permissions)
  return app.owner_id === TEAM && app.locked === 0 ? ['view'] : []
}

/** In a query over apps: those that the account may see, by the rule of `permissionsOf`. */
export const visibleTo =
  (account: Account) =>
  (where: ExpressionBuilder<Schema, 'apps'>): Expression<SqlBool> =>
    account.admin === 1
      ? where.lit(true)
      : where.or([
          where('apps.id', 'in', joinedBy(account)(where)),
          where.and({ 'apps.owner_id': TEAM, 'apps.locked': 0 }),
        ])

/** In a query over apps: the ids of those that the account owns or was added to. */
export const joinedBy = (account: Pick<Account, 'id'>) => (from: ExpressionBuilder<Schema, 'apps'>) =>
  from.selectFrom('collaborators').select('collaborators.app_id').where('collaborators.account_id', '=', account.id)

/** Throws 403 unless the account has one of these permissions. */
export async function requirePermission(
  d: { db: DbOrTx },
  app: App,
  account: Account,
  wanted: Permission | readonly Permission[],
): Promise<void> {
  const needed = [wanted].flat()
  const has = await permissionsOf(d, app, account)
  if (needed.some((one) => has.includes(one))) return
  const [first = 'view'] = needed
  throw new UserError(
    'forbidden',
    `You do not have access to ${MEANING[first]}: the app ${app.name} needs the permission ${needed.join(' or ')}. Ask somebody who may manage it; \`heroku access -a ${app.name}\` lists them.`,
  )
}
