import { z } from 'zod'
import type { Account } from '../account/account.ts'
import { record } from '../account/activity.ts'
import { authenticate } from '../account/authorization.ts'
import { type App, findApp } from '../app/app.ts'
import { requirePermission } from '../app/permission.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import { type Dyno, dynosOf, nameOf } from '../run/dyno.ts'
import { body } from './body.ts'
import { type Context, param, type Routes, reply } from './context.ts'
import { apiUrl } from './link.ts'

const Key = z.object({ client_key: z.string().max(16_384), upgrade: z.boolean().optional() })

/**
 * What the CLI asks of Heroku's exec manager (`HEROKU_EXEC_URL`), with the app in place of a user name. Sluice's own says `upgrade`: it comes
 * by the API's port, from wherever that is reached.
 */
export function execRoutes(routes: Routes, d: Daemon): void {
  const appOf = (ctx: Context) => reachable(d, ctx.state.account, userOf(ctx.get('Authorization')))
  routes.get(
    '/api/v2',
    reply(async (ctx) => (await running(d, await appOf(ctx))).map((dyno) => ({ dyno_name: nameOf(dyno) }))),
  )
  routes.put(
    '/api/v2/:dyno',
    reply(async (ctx) => {
      const app = await appOf(ctx)
      const dyno = await find(d, app, param(ctx, 'dyno'))
      const { client_key: key, upgrade = false } = await body(ctx, Key)
      const { token } = ctx.state
      const { id, address } = dyno
      const admitted = d.tunnel.admit(
        {
          ...{ app: app.id, dyno: { id, name: nameOf(dyno), address }, key },
          permitted: () => permitted(d, app, token),
        },
        { upgrade },
      )
      const text = `Got access to ${nameOf(dyno)} by ps:exec`
      await record(d.db, ctx.state.account, { app: app.id, text, now: d.clock.now() })
      d.log.info('way into a dyno', { app: app.name, dyno: nameOf(dyno), account: ctx.state.account.email })
      return {
        tunnel_host: admitted.host,
        client_user: admitted.user,
        proxy_public_key: admitted.hostKey,
        dyno_ip: address,
        ...(upgrade ? { tunnel_url: `${apiUrl(ctx)}/tunnel/${admitted.user}` } : {}),
      }
    }),
  )
}

/** The token may have been revoked, and its account taken off the app, since the key was given. */
async function permitted(d: Daemon, app: App, token: string): Promise<boolean> {
  const account = await authenticate(d.db, token, d.clock.now())
  return account !== null && (await reachable(d, account, app.id).then(Boolean, () => false))
}

/** The app, for those who may run commands in its dynos. */
async function reachable(d: Daemon, account: Account, nameOrId: string): Promise<App> {
  const app = await findApp(d.db, account, nameOrId)
  await requirePermission(d, app, account, ['deploy', 'operate'])
  return app
}

/** The user name of Basic credentials. */
function userOf(header: string): string {
  const [scheme = '', credentials = ''] = header.trim().split(/\s+/, 2)
  const [user = ''] = Buffer.from(credentials, 'base64').toString('utf8').split(':', 1)
  if (!/^basic$/i.test(scheme) || user === '')
    throw invalid('Send `Authorization: Basic` with the name of the app as user and the token as password.')
  return user
}

/** One dyno a name: the newest that is up, else the newest that starts. */
async function running(d: Daemon, app: App): Promise<Dyno[]> {
  const dynos = (await dynosOf(d.db, app.id)).filter(({ state }) => state === 'up' || state === 'starting')
  const inOrder = dynos.toSorted(
    (one, other) => Number(one.state === 'up') - Number(other.state === 'up') || one.created_at - other.created_at,
  )
  const byName = new Map(inOrder.map((dyno) => [nameOf(dyno), dyno]))
  return [...byName.values()]
}

async function find(d: Daemon, app: App, name: string): Promise<Dyno> {
  const dyno = (await running(d, app)).find((one) => one.id === name || nameOf(one) === name)
  if (dyno) return dyno
  const there = (await dynosOf(d.db, app.id)).some((one) => nameOf(one) === name)
  if (there) throw invalid(`${name} does not run now. See \`heroku ps\` and \`heroku logs\` for why.`)
  throw notFound('dyno', 'dyno')
}
