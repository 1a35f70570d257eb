import type { PipelineCoupling as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import { findAccount } from '../account/account.ts'
import { findApp } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import {
  type Coupling,
  couple,
  couplingOf,
  findCoupling,
  listCouplings,
  moveCoupling,
  uncouple,
} from '../pipeline/coupling.ts'
import { findPipeline } from '../pipeline/pipeline.ts'
import { body } from './body.ts'
import { type Context, created, param, type Routes, reply, withApp } from './context.ts'
import { page, rowKeys } from './page.ts'
import { withPipeline } from './pipeline.ts'
import { withTeam } from './team.ts'
import { time } from './wire.ts'

const Create = z.object({ app: z.string(), pipeline: z.string(), stage: z.string() })
const Update = z.object({ stage: z.string().optional() })

export function pipelineCouplingRoutes(routes: Routes, d: Daemon): void {
  const answer = (ctx: Context, couplings: Coupling[]) => page(ctx, couplings, rowKeys).map(serialize)
  routes.get(
    '/pipeline-couplings',
    reply(async (ctx) => answer(ctx, await listCouplings(d.db, ctx.state.account))),
  )
  routes.get(
    '/users/:account/pipeline-couplings',
    reply(async (ctx) => {
      const of = await findAccount(d.db, ctx.state.account, param(ctx, 'account'))
      return answer(ctx, await listCouplings(d.db, ctx.state.account, { of }))
    }),
  )
  routes.get(
    '/teams/:team/pipeline-couplings',
    withTeam(d, async ({ id }, ctx) => {
      const all = await listCouplings(d.db, ctx.state.account)
      return answer(
        ctx,
        all.filter(({ owner }) => owner === id),
      )
    }),
  )
  routes.get(
    '/pipelines/:pipeline/pipeline-couplings',
    withPipeline(d, async ({ id }, ctx) => answer(ctx, await listCouplings(d.db, ctx.state.account, { pipeline: id }))),
  )
  routes.get(
    '/apps/:app/pipeline-couplings',
    withApp(d, 'view', async (app) => serialize(await couplingOf(d.db, app))),
  )
  routes.post(
    '/pipeline-couplings',
    reply(async (ctx) => {
      const { account } = ctx.state
      const wanted = await body(ctx, Create)
      const pipeline = await findPipeline(d, account, wanted.pipeline)
      const app = await findApp(d.db, account, wanted.app)
      return created(ctx, serialize(await couple(d, account, { app, pipeline, stage: wanted.stage })))
    }),
  )
  const find = (ctx: Context) => findCoupling(d, ctx.state.account, param(ctx, 'coupling'))
  routes.get(
    '/pipeline-couplings/:coupling',
    reply(async (ctx) => serialize(await find(ctx))),
  )
  routes.patch(
    '/pipeline-couplings/:coupling',
    reply(async (ctx) => {
      const coupling = await find(ctx)
      const { stage = coupling.stage } = await body(ctx, Update)
      return serialize(await moveCoupling(d, ctx.state.account, coupling, stage))
    }),
  )
  routes.delete(
    '/pipeline-couplings/:coupling',
    reply(async (ctx) => {
      const coupling = await find(ctx)
      await uncouple(d, ctx.state.account, coupling)
      return serialize(coupling)
    }),
  )
}

const serialize = (coupling: Coupling) =>
  ({
    id: coupling.id,
    app: { id: coupling.app_id, name: coupling.app },
    pipeline: { id: coupling.pipeline_id, name: coupling.pipeline },
    stage: coupling.stage,
    created_at: time(coupling.created_at),
    updated_at: time(coupling.updated_at),
  }) satisfies Body & { app: { name: string }; pipeline: { name: string } }
