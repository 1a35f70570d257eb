import type { Account } from '../account/account.ts'
import type { Daemon } from '../daemon.ts'
import { UserError } from '../errors.ts'
import type { App } from './app.ts'

/**
 * What somebody may do with an app, in Heroku's words (https://devcenter.heroku.com/articles/app-permissions): see it; change its code;
 * change how it runs; change whose it is, what it is called, and whether it is.
 */
export const permissions = ['view', 'deploy', 'operate', 'manage'] as const
export type Permission = (typeof permissions)[number]

const MEANING: Record<Permission, string> = {
  view: 'see it',
  deploy: 'deploy its code',
  operate: 'change how it runs',
  manage: 'rename, share, transfer, lock or destroy it',
}

/** What the account may do with an app that it has found. The owner and the administrator may everything, a collaborator may not manage. */
export async function permissionsOf(_d: Daemon, app: App, account: Account): Promise<readonly Permission[]> {
  if (app.owner_id === account.id || account.admin === 1) return permissions
  return ['view', 'deploy', 'operate']
}

/** Throws 403 unless the account has one of these permissions. */
export async function requirePermission(
  d: Daemon,
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
    `You do not have access to ${MEANING[first]}: the app ${app.name} needs the permission ${needed.join(' or ')}. Ask its owner for it.`,
  )
}
