import type { Release as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import type { App } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import { invalid } from '../errors.ts'
import { findRelease, listReleases, type Release, rollback } from '../release/release.ts'
import { emailsOf } from './app.ts'
import { body } from './body.ts'
import { type Context, created, param, type Routes, withApp } from './context.ts'
import { apiUrl } from './link.ts'
import { page, rowKeys } from './page.ts'
import type { StreamUrl } from './stream.ts'
import { time } from './wire.ts'

/** Two requests in one: a rollback names a release, a new release names a slug. */
const Create = z.object({
  release: z.string().optional(),
  slug: z.string().optional(),
  description: z.string().nullish(),
})

export function releaseRoutes(routes: Routes, d: Daemon, streamUrl: StreamUrl): void {
  const answer = async (ctx: Context, app: App, releases: Release[]): Promise<Body[]> => {
    const emails = await emailsOf(
      d,
      releases.map(({ account_id }) => account_id),
    )
    const phased = await slugsWithReleaseCommand(d, app)
    return Promise.all(
      releases.map(async (release) => {
        const phase = release.slug_id !== null && phased.has(release.slug_id)
        return {
          ...serialize(app, release, emails.get(release.account_id) ?? ''),
          output_stream_url: phase ? await streamUrl(apiUrl(ctx), `release-${release.id}`) : null,
        }
      }),
    )
  }
  const answerOne = async (ctx: Context, app: App, release: Release) => (await answer(ctx, app, [release]))[0]

  routes.get(
    '/apps/:app/releases',
    withApp(d, 'view', async (app, ctx) =>
      answer(ctx, app, page(ctx, await listReleases(d.db, app.id), { version: ({ version }) => version, ...rowKeys })),
    ),
  )
  routes.get(
    '/apps/:app/releases/:release',
    withApp(d, 'view', async (app, ctx) => answerOne(ctx, app, await findRelease(d.db, app.id, param(ctx, 'release')))),
  )
  routes.post(
    '/apps/:app/releases',
    withApp(d, 'deploy', async (app, ctx) => {
      const wanted = await body(ctx, Create)
      if (wanted.release === undefined)
        throw invalid(
          wanted.slug === undefined
            ? 'Name the release to roll back to: {"release": "ID or version"}.'
            : 'Releases of a named slug are not supported yet: deploy with git push, or roll back to a release.',
        )
      const target = await findRelease(d.db, app.id, wanted.release)
      const release = await rollback(d, app, ctx.state.account, String(target.version))
      return created(ctx, await answerOne(ctx, app, release))
    }),
  )
}

/** Only the release command of a Procfile writes output. */
async function slugsWithReleaseCommand(d: Daemon, app: App): Promise<Set<string>> {
  const slugs = await d.db.selectFrom('slugs').select(['id', 'process_types']).where('app_id', '=', app.id).execute()
  return new Set(slugs.filter(({ process_types }) => 'release' in JSON.parse(process_types)).map(({ id }) => id))
}

const serialize = (app: App, release: Release, email: string) =>
  ({
    id: release.id,
    version: release.version,
    description: release.description,
    status: release.status,
    current: release.current,
    eligible_for_rollback: release.slug_id !== null && release.status === 'succeeded',
    addon_plan_names: [],
    app: { id: app.id, name: app.name },
    user: { id: release.account_id, email },
    slug: release.slug_id === null ? null : { id: release.slug_id },
    oci_image: null,
    artifacts: release.slug_id === null ? [] : [{ type: 'slug', id: release.slug_id }],
    created_at: time(release.created_at),
    updated_at: time(release.updated_at),
  }) satisfies Body
