import type { PipelinePromotion as Body, PipelinePromotionTarget as TargetBody } from '@heroku-cli/schema'
import { z } from 'zod'
import type { Daemon } from '../daemon.ts'
import { limits } from '../limits.ts'
import { findPromotion, listTargets, type Promotion, promote, type Target } from '../pipeline/promotion.ts'
import { body } from './body.ts'
import { type Context, created, param, type Routes, reply } from './context.ts'
import { page } from './page.ts'
import { time } from './wire.ts'

const Id = z.object({ id: z.string() })
const Create = z.object({
  pipeline: Id,
  source: z.object({ app: Id, release: Id.nullish() }),
  targets: z
    .array(z.object({ app: Id }))
    .max(limits.appsPerPromotion)
    .default([]),
})

export function pipelinePromotionRoutes(routes: Routes, d: Daemon): void {
  const find = (ctx: Context) => findPromotion(d, ctx.state.account, param(ctx, 'promotion'))
  const answer = async (ctx: Context, promotion: Promotion) =>
    serialize(promotion, await listTargets(d, ctx.state.account, promotion))
  routes.post(
    '/pipeline-promotions',
    reply(async (ctx) => {
      const { pipeline, source, targets } = await body(ctx, Create)
      const promotion = await promote(d, ctx.state.account, {
        pipeline: pipeline.id,
        source: { app: source.app.id, release: source.release?.id },
        targets: targets.map(({ app }) => app.id),
      })
      return created(ctx, await answer(ctx, promotion))
    }),
  )
  routes.get(
    '/pipeline-promotions/:promotion',
    reply(async (ctx) => answer(ctx, await find(ctx))),
  )
  routes.get(
    '/pipeline-promotions/:promotion/promotion-targets',
    reply(async (ctx) => {
      const targets = await listTargets(d, ctx.state.account, await find(ctx))
      return page(ctx, targets, { id: (target) => target.id }).map(serializeTarget)
    }),
  )
}

const serialize = (promotion: Promotion, targets: Target[]) =>
  ({
    id: promotion.id,
    pipeline: { id: promotion.pipeline_id },
    source: { app: { id: promotion.source_app_id }, release: { id: promotion.source_release_id } },
    status: targets.some(({ status }) => status === 'pending') ? 'pending' : 'completed',
    created_at: time(promotion.created_at),
    updated_at: time(Math.max(promotion.created_at, ...targets.map(({ updated_at }) => updated_at))),
  }) satisfies Body

const serializeTarget = (target: Target) =>
  ({
    id: target.id,
    app: { id: target.app_id },
    pipeline_promotion: { id: target.promotion_id },
    release: target.release_id === null ? null : { id: target.release_id },
    status: target.status,
    error_message: target.error_message,
  }) satisfies TargetBody
