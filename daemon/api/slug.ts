import type { Slug as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import { type Permission, permissionsOf } from '../app/permission.ts'
import { parseStack, stacks } from '../app/stack.ts'
import { checkTypes } from '../build/procfile.ts'
import { announceSlug, findSlug, type Slug } from '../build/slug/slug.ts'
import { receiveSlug, sendSlug } from '../build/slug/upload.ts'
import { parseChecksum } from '../build/source/blob.ts'
import { linkTo } from '../build/source/link.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound, UserError } from '../errors.ts'
import { body } from './body.ts'
import { line } from './build.ts'
import { type Context, created, param, type Routes, withApp } from './context.ts'
import { apiUrl } from './link.ts'
import { receive, requireLink } from './source.ts'
import { idOf, named, time } from './wire.ts'

const Create = z.object({
  process_types: z.record(z.string(), z.string()),
  buildpack_provided_description: line(200).nullish(),
  checksum: z.string().nullish(),
  commit: line(200).nullish(),
  commit_description: line(1000).nullish(),
  stack: z.string().nullish(),
})

/** A slug that was built here, or elsewhere and then sent: its archive goes by links that need no token. */
export function slugRoutes({ open, closed }: { open: Routes; closed: Routes }, d: Daemon): void {
  /** Who may not deploy may not read the code either: the URL is told, without the key that opens it. */
  const answer = (ctx: Context, slug: Slug, may: readonly Permission[]) => {
    const method = slug.archive === 'ready' ? 'get' : 'put'
    const path = `/slugs/${slug.id}`
    const url = may.includes('deploy') ? linkTo(d, apiUrl(ctx), method, path) : `${apiUrl(ctx)}${path}`
    return { ...serialize(slug), blob: { method, url } }
  }
  closed.get(
    '/apps/:app/slugs/:slug',
    withApp(d, 'view', async (app, ctx) => {
      const slug = await findSlug(d.db, app.id, param(ctx, 'slug'))
      if (slug.images !== null) throw notFound('slug', 'slug')
      return answer(ctx, slug, await permissionsOf(d, app, ctx.state.account))
    }),
  )
  closed.post(
    '/apps/:app/slugs',
    withApp(d, 'deploy', async (app, ctx) => {
      const wanted = await body(ctx, Create)
      checkTypes(wanted.process_types)
      const slug = await announceSlug(d, app, ctx.state.account, {
        process_types: JSON.stringify(wanted.process_types),
        buildpack_description: wanted.buildpack_provided_description ?? '',
        checksum: wanted.checksum ? `SHA256:${parseChecksum(wanted.checksum)}` : '',
        commit: wanted.commit || null,
        commit_description: wanted.commit_description ?? null,
        stack: slugStack(wanted.stack ? parseStack(stackNamed(wanted.stack)) : app.stack),
      })
      return created(ctx, answer(ctx, slug, ['deploy']))
    }),
  )
  open.put('/slugs/:slug', async (ctx) => {
    requireLink(d, ctx, 'put')
    await receive(ctx, (archive, signal) => receiveSlug(d, param(ctx, 'slug'), archive, signal))
  })
  open.get('/slugs/:slug', async (ctx) => {
    requireLink(d, ctx, 'get')
    const slug = await d.db.selectFrom('slugs').selectAll().where('id', '=', param(ctx, 'slug')).executeTakeFirst()
    if (slug?.archive !== 'ready' || slug.images !== null) throw notFound('slug', 'slug')
    if (slug.deleted_at !== null) throw new UserError('gone', 'This slug is no longer kept.')
    ctx.type = 'application/gzip'
    ctx.set('Cache-Control', 'private, no-store')
    ctx.status = 200
    if (ctx.method !== 'HEAD') ctx.body = sendSlug(d, slug)
  })
}

function slugStack(stack: string): string {
  if (stack === 'container')
    throw invalid('Apps of the stack container run images, not slugs. Push a Dockerfile, or name another stack.')
  return stack
}

/** Clients name a stack by its name or by its id. */
const stackNamed = (text: string): string => stacks.find((name) => idOf('stack', name) === text) ?? text

const serialize = (slug: Slug) =>
  ({
    id: slug.id,
    buildpack_provided_description: slug.buildpack_description || null,
    checksum: slug.checksum || null,
    commit: slug.commit,
    commit_description: slug.commit_description,
    process_types: JSON.parse(slug.process_types),
    size: slug.archive === 'ready' ? slug.size : null,
    stack: named('stack', slug.stack),
    created_at: time(slug.created_at),
    updated_at: time(slug.deleted_at ?? slug.created_at),
    deleted_at: slug.deleted_at === null ? null : time(slug.deleted_at),
  }) satisfies Body
