import { z } from 'zod'
import type { Daemon } from '../daemon.ts'
import {
  createReviewApp,
  destroyReviewApp,
  findReviewApp,
  listReviewApps,
  type ReviewApp,
  reviewAppOf,
} from '../pipeline/review-app.ts'
import { SourceBlob } from './app-setup.ts'
import { body } from './body.ts'
import { created, param, type Routes, reply, withApp } from './context.ts'
import { page, rowKeys } from './page.ts'
import { withPipeline } from './pipeline.ts'
import { time } from './wire.ts'

const Create = z.object({
  branch: z.string(),
  pipeline: z.string(),
  source_blob: SourceBlob,
  environment: z.record(z.string(), z.string()).nullish(),
  pr_number: z.number().int().min(1).nullish(),
})

/** What the official CLI says in place of a URL: the branch as the pipeline's repository has it. */
const BRANCH = 'resolve'

export function reviewAppRoutes(routes: Routes, d: Daemon): void {
  routes.post(
    '/review-apps',
    reply(async (ctx) => {
      const { branch, pipeline, source_blob, environment, pr_number } = await body(ctx, Create)
      const reviewApp = await createReviewApp(d, ctx.state.account, {
        ...{ branch, pipeline, env: environment ?? {}, pullRequest: pr_number ?? null },
        source: source_blob.url === BRANCH ? undefined : source_blob,
      })
      return created(ctx, serialize(reviewApp))
    }),
  )
  routes.get(
    '/review-apps/:review',
    reply(async (ctx) => serialize(await findReviewApp(d, ctx.state.account, param(ctx, 'review')))),
  )
  routes.delete(
    '/review-apps/:review',
    reply(async (ctx) => serialize(await destroyReviewApp(d, ctx.state.account, param(ctx, 'review')))),
  )
  routes.get(
    '/apps/:app/review-app',
    withApp(d, 'view', async (app) => serialize(await reviewAppOf(d, app))),
  )
  routes.get(
    '/pipelines/:pipeline/review-apps',
    withPipeline(d, async (pipeline, ctx) =>
      page(ctx, await listReviewApps(d, ctx.state.account, pipeline), rowKeys).map(serialize),
    ),
  )
}

const serialize = (reviewApp: ReviewApp) => ({
  id: reviewApp.id,
  app: { id: reviewApp.app_id },
  app_setup: { id: reviewApp.setup_id },
  branch: reviewApp.branch,
  creator: { id: reviewApp.account_id },
  error_status: reviewApp.status === 'errored' ? 'app_setup_failed' : null,
  fork_repo: null,
  message: reviewApp.failure,
  pipeline: { id: reviewApp.pipeline_id },
  pr_number: reviewApp.pr_number,
  status: reviewApp.status,
  wait_for_ci: false,
  created_at: time(reviewApp.created_at),
  updated_at: time(reviewApp.updated_at),
})
