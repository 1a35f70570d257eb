import type { Slug as Body } from '@heroku-cli/schema'
import type { Selectable } from 'kysely'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import type { Schema } from '../store/schema.ts'
import { param, type Routes, withApp } from './context.ts'
import { named, time } from './wire.ts'

type Slug = Selectable<Schema['slugs']>

export function slugRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/apps/:app/slugs/:slug',
    withApp(d, 'view', async (app, ctx) => {
      const slug = await d.db
        .selectFrom('slugs')
        .selectAll()
        .where('app_id', '=', app.id)
        .where('id', '=', param(ctx, 'slug'))
        .executeTakeFirst()
      if (!slug) throw notFound('slug', 'slug')
      return serialize(slug)
    }),
  )
  routes.post(
    '/apps/:app/slugs',
    withApp(d, 'deploy', () => {
      throw invalid('Uploaded slugs are not supported yet: deploy with git push.')
    }),
  )
}

const serialize = (slug: Slug) =>
  ({
    id: slug.id,
    buildpack_provided_description: slug.buildpack_description,
    checksum: slug.checksum,
    commit: slug.commit,
    commit_description: null,
    process_types: JSON.parse(slug.process_types),
    size: slug.size,
    stack: named('stack', slug.stack),
    created_at: time(slug.created_at),
    updated_at: time(slug.created_at),
  }) satisfies Body
