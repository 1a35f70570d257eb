import type { App as Body, TeamApp } from '@heroku-cli/schema'
import { z } from 'zod'
import { type Account, findAccount } from '../account/account.ts'
import { TEAM, teamNameOf } from '../account/team.ts'
import { type App, appsJoinedBy, appsOf, createApp, destroyApp, updateApp } from '../app/app.ts'
import { requirePermission } from '../app/permission.ts'
import type { Daemon } from '../daemon.ts'
import { invalid } from '../errors.ts'
import { appUrl } from '../names.ts'
import { servingReleases } from '../route/routes.ts'
import { body } from './body.ts'
import { type Context, created, param, type Routes, reply, withApp } from './context.ts'
import { Named } from './identity.ts'
import { gitUrl, type Place } from './link.ts'
import { pageOf } from './page.ts'
import { REGION } from './region.ts'
import { named, time, timeOrNull } from './wire.ts'

export const CreateApp = z.object({
  name: z.string().nullish(),
  region: Named.nullish(),
  stack: Named.nullish(),
})
const Update = z.object({
  name: z.string().optional(),
  maintenance: z.boolean().optional(),
  build_stack: Named.optional(),
})

export const columns = {
  name: 'apps.name',
  id: 'apps.id',
  created_at: 'apps.created_at',
  updated_at: 'apps.updated_at',
}

export function appRoutes(routes: Routes, d: Daemon): void {
  const list = async (ctx: Context, apps: ReturnType<typeof appsOf>) =>
    serializeApps(d, ctx, await pageOf(ctx, apps, columns))
  routes.get(
    '/apps',
    reply((ctx) => list(ctx, appsOf(d.db, ctx.state.account))),
  )
  routes.get(
    '/users/:account/apps',
    reply(async (ctx) => {
      const { account } = ctx.state
      return list(ctx, appsJoinedBy(d.db, account, await findAccount(d.db, account, param(ctx, 'account'))))
    }),
  )
  routes.post(
    '/apps',
    reply(async (ctx) => {
      const { name, region, stack } = await body(ctx, CreateApp)
      requireRegion(region)
      const wanted = { name: name ?? undefined, stack: stack ?? undefined }
      return created(ctx, await serializeApp(d, ctx, await createApp(d, ctx.state.account, wanted)))
    }),
  )
  routes.get(
    '/apps/:app',
    withApp(d, 'view', (app, ctx) => serializeApp(d, ctx, app)),
  )
  routes.patch(
    '/apps/:app',
    withApp(d, ['deploy', 'operate', 'manage'], async (app, ctx) => serializeApp(d, ctx, await update(d, ctx, app))),
  )
  routes.delete(
    '/apps/:app',
    withApp(d, 'manage', async (app, ctx) => {
      const answer = await serializeApp(d, ctx, app)
      await destroyApp(d, app, ctx.state.account)
      return answer
    }),
  )
}

export function requireRegion(region: string | null | undefined): void {
  if (region && region !== REGION) throw invalid(`There is no region ${region} here; the only one is ${REGION}.`)
}

/** Each field needs a permission of its own; updateApp asks for that of the name. */
async function update(d: Daemon, ctx: Context, app: App): Promise<App> {
  const { name, maintenance, build_stack } = await body(ctx, Update)
  const { account } = ctx.state
  if (maintenance !== undefined) await requirePermission(d, app, account, ['deploy', 'operate'])
  if (build_stack !== undefined) await requirePermission(d, app, account, 'operate')
  return updateApp(d, app, account, { name, stack: build_stack, maintenance })
}

/** Where the answer is read, and by whom; nobody reads what webhooks are told. */
type Viewed = Place & { state?: { account: Account } }

export const serializeApp = async (d: Daemon, ctx: Viewed, app: App): Promise<Body> => {
  const [answer = {}] = await serializeApps(d, ctx, [app])
  return answer
}

export async function serializeApps(d: Daemon, ctx: Viewed, apps: App[]): Promise<Body[]> {
  if (apps.length === 0) return []
  const owners = await emailsOf(
    d,
    apps.map(({ owner_id }) => owner_id),
  )
  const slugs = await currentSlugs(
    d,
    apps.map(({ id }) => id),
  )
  const joined = await joinedOf(
    d,
    ctx.state?.account,
    apps.map(({ id }) => id),
  )
  return apps.map((app) => {
    const owner = { id: app.owner_id, email: owners.get(app.owner_id) ?? '' }
    const team = owner.id === TEAM ? { id: TEAM, name: teamNameOf(owner.email) } : null
    const slug = slugs.get(app.id)
    return {
      id: app.id,
      name: app.name,
      acm: app.acm === 1,
      archived_at: null,
      buildpack_provided_description: slug?.buildpack_description || null,
      build_stack: named('stack', app.stack),
      create_status: 'complete',
      created_at: time(app.created_at),
      updated_at: time(app.updated_at),
      released_at: timeOrNull(slug?.released_at ?? app.created_at),
      generation: named('generation', 'cedar'),
      git_url: gitUrl(ctx, d.config, app),
      web_url: appUrl(d.config, app.name),
      internal_routing: null,
      maintenance: app.maintenance === 1,
      owner,
      organization: team,
      team,
      locked: app.locked === 1,
      joined: joined.has(app.id),
      space: null,
      region: named('region', REGION),
      repo_size: null,
      slug_size: slug?.size ?? null,
      stack: named('stack', slug?.stack ?? app.stack),
    } satisfies Body & TeamApp
  })
}

export async function emailsOf(d: Daemon, ids: readonly string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map()
  const rows = await d.db
    .selectFrom('accounts')
    .select(['id', 'email'])
    .where('id', 'in', [...new Set(ids)])
    .execute()
  return new Map(rows.map(({ id, email }) => [id, email]))
}

/** Of these apps, those that the account owns or was added to. */
async function joinedOf(d: Daemon, account: Account | undefined, apps: readonly string[]): Promise<Set<string>> {
  if (!account) return new Set()
  const rows = await d.db
    .selectFrom('collaborators')
    .select('app_id')
    .where('account_id', '=', account.id)
    .where('app_id', 'in', apps)
    .execute()
  return new Set(rows.map(({ app_id }) => app_id))
}

interface CurrentSlug {
  buildpack_description: string
  size: number
  stack: string
  released_at: number
}

/** By app: the slug of its newest succeeded release. */
async function currentSlugs(d: Daemon, apps: readonly string[]): Promise<Map<string, CurrentSlug>> {
  const rows = await servingReleases(d.db)
    .select(['apps.id', 'slugs.buildpack_description', 'slugs.size', 'slugs.stack'])
    .select('releases.created_at as released_at')
    .where('apps.id', 'in', apps)
    .execute()
  return new Map(rows.map((row) => [row.id, row]))
}
