import type { Build as Body } from '@heroku-cli/schema'
import type { Selectable } from 'kysely'
import type { App } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import type { Schema } from '../store/schema.ts'
import { emailsOf } from './app.ts'
import { type Context, param, type Routes, withApp } from './context.ts'
import { apiUrl, gitUrl } from './link.ts'
import { page, rowKeys } from './page.ts'
import type { StreamUrl } from './stream.ts'
import { time } from './wire.ts'

type Build = Selectable<Schema['builds']>

export function buildRoutes(routes: Routes, d: Daemon, streamUrl: StreamUrl): void {
  const answer = async (ctx: Context, app: App, builds: Build[]): Promise<Body[]> => {
    const emails = await emailsOf(
      d,
      builds.map(({ account_id }) => account_id),
    )
    return Promise.all(
      builds.map(async (build) => ({
        ...serialize(build, { source: gitUrl(ctx, app), email: emails.get(build.account_id) ?? '' }),
        output_stream_url: await streamUrl(apiUrl(ctx), `build-${build.id}`),
      })),
    )
  }
  routes.get(
    '/apps/:app/builds',
    withApp(d, 'view', async (app, ctx) => {
      const { created_at, ...others } = rowKeys
      return answer(ctx, app, page(ctx, await listBuilds(d, app), { created_at, ...others }))
    }),
  )
  routes.get(
    '/apps/:app/builds/:build',
    withApp(d, 'view', async (app, ctx) => {
      const build = (await listBuilds(d, app)).find(({ id }) => id === param(ctx, 'build'))
      if (!build) throw notFound('build', 'build')
      return (await answer(ctx, app, [build]))[0]
    }),
  )
  routes.post(
    '/apps/:app/builds',
    withApp(d, 'deploy', () => {
      throw invalid('Builds of uploaded sources are not supported yet: deploy with git push.')
    }),
  )
}

const listBuilds = (d: Daemon, app: App): Promise<Build[]> =>
  d.db.selectFrom('builds').selectAll().where('app_id', '=', app.id).execute()

const serialize = (build: Build, { source, email }: { source: string; email: string }) =>
  ({
    id: build.id,
    app: { id: build.app_id },
    buildpacks: JSON.parse(build.buildpacks),
    generation: 'cedar',
    source_blob: { checksum: null, url: source, version: build.version, version_description: null },
    release: build.release_id === null ? null : { id: build.release_id },
    slug: build.slug_id === null ? null : { id: build.slug_id },
    stack: build.stack,
    status: build.status,
    user: { id: build.account_id, email },
    created_at: time(build.created_at),
    updated_at: time(build.updated_at),
  }) satisfies Body
