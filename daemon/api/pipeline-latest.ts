import { type App, appsOf } from '../app/app.ts'
import { buildsOf } from '../build/build.ts'
import type { Daemon } from '../daemon.ts'
import { listCouplings } from '../pipeline/coupling.ts'
import type { Pipeline } from '../pipeline/pipeline.ts'
import { listReleases, type Release } from '../release/release.ts'
import type { AnswerBuilds } from './build.ts'
import type { Context, Routes } from './context.ts'
import { withPipeline } from './pipeline.ts'
import type { AnswerReleases } from './release.ts'

interface Answers {
  builds: AnswerBuilds
  releases: AnswerReleases
}

/** Of each app of a pipeline that the account sees: its newest build, release, or release with new code. */
export function pipelineLatestRoutes(routes: Routes, d: Daemon, { builds, releases }: Answers): void {
  const each = async <T>(pipeline: Pipeline, ctx: Context, latest: (app: App) => Promise<T[]>): Promise<T[]> => {
    const { account } = ctx.state
    const inside = (await listCouplings(d.db, account, { pipeline: pipeline.id })).map(({ app_id }) => app_id)
    const apps = await appsOf(d.db, account).where('apps.id', 'in', inside).orderBy('apps.name').execute()
    return (await Promise.all(apps.map(latest))).flat()
  }
  routes.get(
    '/pipelines/:pipeline/latest-builds',
    withPipeline(d, (pipeline, ctx) =>
      each(pipeline, ctx, async (app) => {
        const newest = buildsOf(d.db, app.id).orderBy('created_at', 'desc').limit(1)
        return builds(ctx, app, await newest.execute())
      }),
    ),
  )
  const ofReleases = (pick: (all: Release[]) => Release[]) =>
    withPipeline(d, (pipeline, ctx) =>
      each(pipeline, ctx, async (app) => releases(ctx, app, pick(await listReleases(d.db, app.id)))),
    )
  routes.get(
    '/pipelines/:pipeline/latest-releases',
    ofReleases((all) => all.slice(0, 1)),
  )
  routes.get('/pipelines/:pipeline/latest-deployments', ofReleases(newestWithNewCode))
}

/** Newest first: the first whose code is not that of the release before it. */
const newestWithNewCode = (all: Release[]): Release[] =>
  all.filter(({ slug_id }, index) => slug_id !== null && slug_id !== all[index + 1]?.slug_id).slice(0, 1)
