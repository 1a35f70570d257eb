import { z } from 'zod'
import type { Daemon } from '../daemon.ts'
import { changePipelineConfig, pipelineConfig } from '../pipeline/config.ts'
import { parseStage } from '../pipeline/coupling.ts'
import { requireMember } from '../pipeline/pipeline.ts'
import { body } from './body.ts'
import { param, type Routes } from './context.ts'
import { withPipeline } from './pipeline.ts'

const Changes = z.record(z.string(), z.string().nullable())

export function pipelineConfigVarRoutes(routes: Routes, d: Daemon): void {
  const path = '/pipelines/:pipeline/stage/:stage/config-vars'
  routes.get(
    path,
    withPipeline(d, async (pipeline, ctx) => {
      await requireMember(d, pipeline, ctx.state.account)
      return pipelineConfig(d, pipeline, parseStage(param(ctx, 'stage')))
    }),
  )
  routes.patch(
    path,
    withPipeline(d, async (pipeline, ctx) => {
      const { account } = ctx.state
      await requireMember(d, pipeline, account)
      const stage = parseStage(param(ctx, 'stage'))
      return changePipelineConfig(d, pipeline, account, { stage, changes: await body(ctx, Changes) })
    }),
  )
}
