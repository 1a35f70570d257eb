import type { Pipeline as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import { defaultStack } from '../app/stack.ts'
import type { Daemon } from '../daemon.ts'
import {
  createPipeline,
  destroyPipeline,
  findPipeline,
  listPipelines,
  type Pipeline,
  renamePipeline,
} from '../pipeline/pipeline.ts'
import { transferPipeline } from '../pipeline/transfer.ts'
import { body } from './body.ts'
import { type Context, created, type Handler, param, type Routes, reply } from './context.ts'
import { page, rowKeys } from './page.ts'
import { named, time } from './wire.ts'

const Owner = z.object({ id: z.string(), type: z.string() })
const Create = z.object({ name: z.string(), owner: Owner.nullish() })
const Update = z.object({ name: z.string().optional() })
const Transfer = z.object({ pipeline: z.object({ id: z.string() }), new_owner: Owner })

export function pipelineRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/pipelines',
    reply(async (ctx) => {
      const wanted = ctx.query['eq[name]']
      const all = await listPipelines(d, ctx.state.account)
      const found = wanted === undefined ? all : all.filter(({ name }) => name === wanted)
      return page(ctx, found, { name: ({ name }) => name, ...rowKeys }).map(serialize)
    }),
  )
  routes.post(
    '/pipelines',
    reply(async (ctx) => {
      const { name, owner } = await body(ctx, Create)
      return created(ctx, serialize(await createPipeline(d, ctx.state.account, { name, owner: owner ?? undefined })))
    }),
  )
  routes.get('/pipelines/:pipeline', withPipeline(d, serialize))
  routes.patch(
    '/pipelines/:pipeline',
    withPipeline(d, async (pipeline, ctx) => {
      const { name } = await body(ctx, Update)
      return serialize(name === undefined ? pipeline : await renamePipeline(d, pipeline, ctx.state.account, name))
    }),
  )
  routes.delete(
    '/pipelines/:pipeline',
    withPipeline(d, async (pipeline, ctx) => {
      await destroyPipeline(d, pipeline, ctx.state.account)
      return serialize(pipeline)
    }),
  )
  routes.get(
    '/pipelines/:pipeline/pipeline-stack',
    withPipeline(d, () => ({ stack: named('stack', defaultStack) })),
  )
  routes.post(
    '/pipeline-transfers',
    reply(async (ctx) => {
      const { pipeline: wanted, new_owner } = await body(ctx, Transfer)
      const pipeline = await findPipeline(d, ctx.state.account, wanted.id)
      const transferred = await transferPipeline(d, pipeline, ctx.state.account, new_owner)
      return created(ctx, {
        pipeline: { id: pipeline.id },
        previous_owner: ownerOf(pipeline),
        new_owner: ownerOf(transferred),
      })
    }),
  )
}

/** A route below `/pipelines/:pipeline` (by name or id); not found unless the account may see the pipeline. */
export const withPipeline = (d: Daemon, answer: (pipeline: Pipeline, ctx: Context) => unknown): Handler =>
  reply(async (ctx) => answer(await findPipeline(d, ctx.state.account, param(ctx, 'pipeline')), ctx))

const ownerOf = ({ owner_id, owner_type }: Pipeline) => ({ id: owner_id, type: owner_type })

const serialize = (pipeline: Pipeline) =>
  ({
    id: pipeline.id,
    name: pipeline.name,
    owner: ownerOf(pipeline),
    generation: named('generation', 'cedar'),
    created_at: time(pipeline.created_at),
    updated_at: time(pipeline.updated_at),
  }) satisfies Body
