import type { Release as Known } from '@heroku-cli/schema'
import { z } from 'zod'
import type { Account } from '../account/account.ts'
import type { App } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import { limits } from '../limits.ts'
import { expectOutput } from '../release/outcome.ts'
import { findRelease, type Release, releaseSlug, releasesOf, rollback } from '../release/release.ts'
import { type Takeover, takeoverOf } from '../run/takeover.ts'
import { emailsOf } from './app.ts'
import { body } from './body.ts'
import { line } from './build.ts'
import { type Context, created, param, type Routes, withApp } from './context.ts'
import { apiUrl } from './link.ts'
import { pageOf } from './page.ts'
import type { StreamUrl } from './stream.ts'
import { time } from './wire.ts'

/** Two requests in one: a rollback names a release, a new release names a slug. */
const Create = z.object({
  release: z.string().optional(),
  slug: z.string().optional(),
  description: line(10_000)
    .transform((text) => text.slice(0, limits.releaseDescription))
    .nullish(),
})

/** The package that types Heroku's answers lacks a state that their schema and the CLI have. */
type Body = Omit<Known, 'status'> & { status: Release['status'] }

/** How releases of an app are answered. */
export type AnswerReleases = (ctx: Context, app: App, releases: Release[]) => Promise<Body[]>

export function releaseRoutes(routes: Routes, d: Daemon, streamUrl: StreamUrl): AnswerReleases {
  const answer = async (ctx: Context, app: App, releases: Release[]): Promise<Body[]> => {
    const emails = await emailsOf(
      d,
      releases.map(({ account_id }) => account_id),
    )
    return Promise.all(
      releases.map(async (release) => ({
        ...serialize(app, release, emails.get(release.account_id) ?? ''),
        output_stream_url: (await hasOutput(d, release)) ? await streamUrl(apiUrl(ctx), `release-${release.id}`) : null,
      })),
    )
  }
  const make = (app: App, account: Account, { release, slug, description }: z.output<typeof Create>) => {
    if (release !== undefined) return rollback(d, app, account, release)
    if (slug !== undefined) return releaseSlug(d, app, account, { slug, description: description || null })
    throw invalid(
      'Name the slug to release, {"slug": "ID"}, or the release to roll back to: {"release": "ID or version"}.',
    )
  }
  const answerOne = async (ctx: Context, app: App, release: Release) => (await answer(ctx, app, [release]))[0]

  routes.get(
    '/apps/:app/releases',
    withApp(d, 'view', async (app, ctx) => answer(ctx, app, await pageOf(ctx, releasesOf(d.db, app.id), columns))),
  )
  routes.get(
    '/apps/:app/releases/:release',
    withApp(d, 'view', async (app, ctx) => answerOne(ctx, app, await findRelease(d.db, app.id, param(ctx, 'release')))),
  )
  // Sluice's own
  routes.get(
    '/apps/:app/releases/:release/receipt',
    withApp(d, 'view', async (app, ctx) => {
      const release = await findRelease(d.db, app.id, param(ctx, 'release'))
      const takeover = await takeoverOf(d.db, release.id)
      if (!takeover) throw notFound('receipt', 'receipt')
      return serializeReceipt(release, takeover)
    }),
  )
  routes.post(
    '/apps/:app/releases',
    withApp(d, 'deploy', async (app, ctx) => {
      const wanted = await body(ctx, Create)
      const release = await make(app, ctx.state.account, wanted)
      if (release.phase) await expectOutput(d, release.id)
      return created(ctx, await answerOne(ctx, app, release))
    }),
  )
  return answer
}

/** Has its release command written something, or may it still? One that fell or was superseded before its turn ran none. */
const hasOutput = async (d: Daemon, { id, phase, status }: Release): Promise<boolean> =>
  phase === 1 && (status === 'pending' || (await d.transcripts.has(`release-${id}`)))

const columns = {
  version: 'releases.version',
  id: 'releases.id',
  created_at: 'releases.created_at',
  updated_at: 'rollouts.updated_at',
}

/**
 * Clients roll back to the second of those that are eligible, when nobody names one. So one that is on its way counts, although it is refused itself:
 * who undoes it means what still serves.
 */
const COUNTED: ReadonlySet<Release['status']> = new Set(['succeeded', 'pending'])

export const serialize = (app: App, release: Release, email: string) =>
  ({
    id: release.id,
    version: release.version,
    description: release.description,
    status: release.status,
    current: release.current === 1,
    eligible_for_rollback: release.slug_id !== null && COUNTED.has(release.status),
    addon_plan_names: [],
    app: { id: app.id, name: app.name },
    user: { id: release.account_id, email },
    slug: release.slug_id === null || release.images === 1 ? null : { id: release.slug_id },
    oci_image: null,
    artifacts:
      release.slug_id === null ? [] : [{ type: release.images === 1 ? 'oci-image' : 'slug', id: release.slug_id }],
    created_at: time(release.created_at),
    updated_at: time(release.updated_at),
  }) satisfies Body

/** Requests and WebSockets; `took` in milliseconds; `settled` when nothing is added any more. */
const serializeReceipt = (release: Release, takeover: Takeover) => ({
  release: { id: release.id, version: release.version },
  replaced: { version: takeover.replaced },
  dynos: takeover.dynos,
  in_flight: takeover.in_flight,
  finished: takeover.finished,
  cut: takeover.cut,
  failed: takeover.failed,
  took: takeover.took,
  settled: takeover.settled_at !== null,
  created_at: time(takeover.created_at),
  updated_at: time(takeover.updated_at),
})
