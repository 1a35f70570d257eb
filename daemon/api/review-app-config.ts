import type { AccountFeature } from '@heroku-cli/schema'
import { z } from 'zod'
import type { Daemon } from '../daemon.ts'
import { invalid } from '../errors.ts'
import type { Coupling } from '../pipeline/coupling.ts'
import { type Pipeline, requireMember } from '../pipeline/pipeline.ts'
import { findBranch, repositoryOf, repositoryOrNone } from '../pipeline/repository.ts'
import {
  changeReviewApps,
  disableReviewApps,
  enableReviewApps,
  findConfig,
  type ReviewAppConfig,
} from '../pipeline/review-app-config.ts'
import { body } from './body.ts'
import { type Context, created, param, type Routes } from './context.ts'
import { gitUrl } from './link.ts'
import { withPipeline } from './pipeline.ts'
import { REGION } from './region.ts'
import { idOf } from './wire.ts'

const Wishes = z.object({
  repo: z.string().nullish(),
  automatic_review_apps: z.boolean().optional(),
  destroy_stale_apps: z.boolean().optional(),
  wait_for_ci: z.boolean().optional(),
  stale_days: z.coerce.number().int().optional(),
  base_name: z.string().nullish(),
})

/** Tells the official CLI that pipelines have repositories here (below), so that it does not ask Heroku for them. */
export const repositories = {
  id: idOf('account-feature', 'dashboard-repositories-api'),
  name: 'dashboard-repositories-api',
  display_name: 'Repositories of pipelines',
  enabled: true,
  state: 'general',
  description: 'The git repository of a pipeline is that of its staging, development or production app.',
  doc_url: 'https://devcenter.heroku.com/articles/pipelines',
  feedback_email: '',
  created_at: '2000-01-01T00:00:00Z',
  updated_at: '2000-01-01T00:00:00Z',
} satisfies AccountFeature

export function reviewAppConfigRoutes(routes: Routes, d: Daemon): void {
  const repository = (ctx: Context, pipeline: Pipeline) => repositoryOf(d, ctx.state.account, pipeline)
  const wishes = async (ctx: Context, pipeline: Pipeline) => {
    await requireMember(d, pipeline, ctx.state.account)
    const { repo, ...others } = await body(ctx, Wishes)
    const { app } = await repository(ctx, pipeline)
    if (repo != null && repo !== app)
      throw invalid(`The repository of ${pipeline.name} is ${app}, not ${repo.slice(0, 100)}.`)
    return others
  }
  const answer = async (ctx: Context, pipeline: Pipeline, config: ReviewAppConfig) =>
    serialize(config, await repositoryOrNone(d, ctx.state.account, pipeline))

  routes.get(
    '/pipelines/:pipeline/repo',
    withPipeline(d, async (pipeline, ctx) => {
      const found = await repository(ctx, pipeline)
      const name = found.app
      return { id: numberOf(found), name, full_name: name, type: 'git', html_url: gitUrl(ctx, d.config, { name }) }
    }),
  )
  routes.get(
    '/pipelines/:pipeline/repo/branches/:branch',
    withPipeline(d, async (pipeline, ctx) => {
      const name = param(ctx, 'branch')
      const { commit } = await findBranch(d, ctx.state.account, { pipeline, branch: name })
      return { name, commit: { sha: commit } }
    }),
  )
  const path = '/pipelines/:pipeline/review-app-config'
  routes.get(
    path,
    withPipeline(d, async (pipeline, ctx) => answer(ctx, pipeline, await findConfig(d.db, pipeline))),
  )
  routes.post(
    path,
    withPipeline(d, async (pipeline, ctx) => {
      const config = await enableReviewApps(d, pipeline, ctx.state.account, await wishes(ctx, pipeline))
      return created(ctx, await answer(ctx, pipeline, config))
    }),
  )
  routes.patch(
    path,
    withPipeline(d, async (pipeline, ctx) => {
      const config = await changeReviewApps(d, pipeline, ctx.state.account, await wishes(ctx, pipeline))
      return answer(ctx, pipeline, config)
    }),
  )
  routes.delete(
    path,
    withPipeline(d, async (pipeline, ctx) => {
      await requireMember(d, pipeline, ctx.state.account)
      return answer(ctx, pipeline, await disableReviewApps(d, pipeline, ctx.state.account))
    }),
  )
}

/** Heroku numbers repositories. */
const numberOf = ({ app_id }: Coupling): number => Number.parseInt(app_id.replaceAll('-', '').slice(0, 12), 16)

const serialize = (config: ReviewAppConfig, repository: Coupling | undefined) => ({
  repo: repository && { id: numberOf(repository) },
  automatic_review_apps: false,
  deploy_target: { id: REGION, type: 'region' },
  destroy_stale_apps: config.destroy_stale === 1,
  stale_days: config.stale_days,
  pipeline_id: config.pipeline_id,
  wait_for_ci: false,
  base_name: config.base_name,
})
