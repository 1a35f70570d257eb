import type { App as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import { findAccount } from '../account/account.ts'
import { type App, createApp, destroyApp, listApps, renameApp, setMaintenance, setStack } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import { invalid } from '../errors.ts'
import { body } from './body.ts'
import { type Context, created, param, type Routes, reply, withApp } from './context.ts'
import { gitUrl, webUrl } from './link.ts'
import { page, rowKeys } from './page.ts'
import { REGION } from './region.ts'
import { named, time, timeOrNull } from './wire.ts'

/** Clients name things by name, by id, or as an object with either. */
const Named = z.union([z.string(), z.object({ name: z.string() }).transform(({ name }) => name)])

const Create = z.object({
  name: z.string().nullish(),
  region: Named.nullish(),
  stack: Named.nullish(),
})
const Update = z.object({
  name: z.string().optional(),
  maintenance: z.boolean().optional(),
  build_stack: Named.optional(),
})

export function appRoutes(routes: Routes, d: Daemon): void {
  const list = async (ctx: Context, own: boolean) => {
    const apps = page(ctx, await listApps(d.db, ctx.state.account, { own }), { name: ({ name }) => name, ...rowKeys })
    return serializeAll(d, ctx, apps)
  }
  routes.get(
    '/apps',
    reply((ctx) => list(ctx, false)),
  )
  routes.get(
    '/users/:account/apps',
    reply(async (ctx) => {
      await findAccount(d.db, ctx.state.account, param(ctx, 'account'))
      return list(ctx, true)
    }),
  )
  routes.post(
    '/apps',
    reply(async (ctx) => {
      const { name, region, stack } = await body(ctx, Create)
      if (region && region !== REGION) throw invalid(`There is no region ${region} here; the only one is ${REGION}.`)
      return created(
        ctx,
        await serialize(
          d,
          ctx,
          await createApp(d, ctx.state.account, { name: name ?? undefined, stack: stack ?? undefined }),
        ),
      )
    }),
  )
  routes.get(
    '/apps/:app',
    withApp(d, 'view', (app, ctx) => serialize(d, ctx, app)),
  )
  routes.patch(
    '/apps/:app',
    withApp(d, 'operate', async (app, ctx) => serialize(d, ctx, await update(d, ctx, app))),
  )
  routes.delete(
    '/apps/:app',
    withApp(d, 'manage', async (app, ctx) => {
      const answer = await serialize(d, ctx, app)
      await destroyApp(d, app, ctx.state.account)
      return answer
    }),
  )
}

async function update(d: Daemon, ctx: Context, app: App): Promise<App> {
  const { name, maintenance, build_stack } = await body(ctx, Update)
  const { account } = ctx.state
  let changed = app
  if (name !== undefined) changed = await renameApp(d, changed, account, name)
  if (build_stack !== undefined) changed = await setStack(d, changed, account, build_stack)
  if (maintenance !== undefined) changed = await setMaintenance(d, changed, account, maintenance)
  return changed
}

const serialize = async (d: Daemon, ctx: Context, app: App): Promise<Body> => {
  const [answer = {}] = await serializeAll(d, ctx, [app])
  return answer
}

async function serializeAll(d: Daemon, ctx: Context, apps: App[]): Promise<Body[]> {
  const owners = await emailsOf(
    d,
    apps.map(({ owner_id }) => owner_id),
  )
  const slugs = await currentSlugs(
    d,
    apps.map(({ id }) => id),
  )
  return apps.map((app) => {
    const slug = slugs.get(app.id)
    return {
      id: app.id,
      name: app.name,
      acm: false,
      archived_at: null,
      buildpack_provided_description: slug?.buildpack_description ?? null,
      build_stack: named('stack', app.stack),
      create_status: 'complete',
      created_at: time(app.created_at),
      updated_at: time(app.updated_at),
      released_at: timeOrNull(slug?.released_at ?? app.created_at),
      generation: named('generation', 'cedar'),
      git_url: gitUrl(ctx, app),
      web_url: webUrl(d.config, app),
      internal_routing: null,
      maintenance: app.maintenance === 1,
      owner: { id: app.owner_id, email: owners.get(app.owner_id) ?? '' },
      organization: null,
      team: null,
      space: null,
      region: named('region', REGION),
      repo_size: null,
      slug_size: slug?.size ?? null,
      stack: named('stack', slug?.stack ?? app.stack),
    } satisfies Body
  })
}

export async function emailsOf(d: Daemon, ids: readonly string[]): Promise<Map<string, string>> {
  const rows = await d.db
    .selectFrom('accounts')
    .select(['id', 'email'])
    .where('id', 'in', [...new Set(ids)])
    .execute()
  return new Map(rows.map(({ id, email }) => [id, email]))
}

interface CurrentSlug {
  buildpack_description: string
  size: number
  stack: string
  released_at: number
}

/** By app: the slug of its newest succeeded release. */
async function currentSlugs(d: Daemon, apps: readonly string[]): Promise<Map<string, CurrentSlug>> {
  const rows = await d.db
    .selectFrom('releases')
    .innerJoin('rollouts', 'rollouts.release_id', 'releases.id')
    .innerJoin('slugs', 'slugs.id', 'releases.slug_id')
    .select(['releases.app_id', 'slugs.buildpack_description', 'slugs.size', 'slugs.stack'])
    .select((select) => [
      select.fn.max('releases.version').as('version'),
      select.ref('releases.created_at').as('released_at'),
    ])
    .where('releases.app_id', 'in', apps)
    .where('rollouts.state', '=', 'succeeded')
    .groupBy('releases.app_id')
    .execute()
  return new Map(rows.map((row) => [row.app_id, row]))
}
