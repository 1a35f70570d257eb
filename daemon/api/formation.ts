import type { Formation as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import type { App } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import { type FormationUpdate, type FormationView, listFormation, scale } from '../run/formation.ts'
import { body } from './body.ts'
import { type Context, param, type Routes, withApp } from './context.ts'
import { named, time } from './wire.ts'

const size = z.union([z.string(), z.object({ name: z.string() }).transform(({ name }) => name)]).nullish()

/** The official CLI sends quantities as text (`"2"`, `"+1"`) and the size as `size`; others send numbers and `dyno_size`. */
const change = {
  quantity: z.union([z.number(), z.string()]).nullish(),
  size,
  dyno_size: size,
  docker_image: z.unknown().optional(),
}
const Change = z.object(change)
const Batch = z.object({ updates: z.array(z.object({ type: z.string(), ...change })).max(100) })

export function formationRoutes(routes: Routes, d: Daemon): void {
  const find = async (app: App, ctx: Context): Promise<FormationView> => {
    const wanted = param(ctx, 'formation')
    const row = (await listFormation(d.db, app.id)).find(({ id, type }) => id === wanted || type === wanted)
    if (!row) throw notFound('process type', 'formation')
    return row
  }
  routes.get(
    '/apps/:app/formation',
    withApp(d, 'view', async (app) => (await listFormation(d.db, app.id)).map((row) => serialize(app, row))),
  )
  routes.patch(
    '/apps/:app/formation',
    withApp(d, ['deploy', 'operate'], async (app, ctx) => {
      const { updates } = await body(ctx, Batch)
      const wanted = updates.map(({ type, ...change }) => toUpdate(type, change))
      return (await scale(d, app, ctx.state.account, wanted)).map((row) => serialize(app, row))
    }),
  )
  routes.get(
    '/apps/:app/formation/:formation',
    withApp(d, 'view', async (app, ctx) => serialize(app, await find(app, ctx))),
  )
  routes.patch(
    '/apps/:app/formation/:formation',
    withApp(d, ['deploy', 'operate'], async (app, ctx) => {
      const row = await find(app, ctx)
      const [changed = row] = await scale(d, app, ctx.state.account, [toUpdate(row.type, await body(ctx, Change))])
      return serialize(app, changed)
    }),
  )
}

function toUpdate(type: string, { quantity, size, dyno_size, docker_image }: z.output<typeof Change>): FormationUpdate {
  if (docker_image !== undefined)
    throw invalid('Releases of Docker images are not supported yet: deploy with git push.')
  const wanted = size ?? dyno_size
  return { type, ...(quantity == null ? {} : { quantity }), ...(wanted == null ? {} : { size: wanted }) }
}

export const serialize = (app: App, row: FormationView) =>
  ({
    id: row.id,
    app: { id: app.id, name: app.name },
    type: row.type,
    command: row.command,
    quantity: row.quantity,
    size: row.size,
    dyno_size: named('dyno-size', row.size),
    docker_image: null,
    created_at: time(row.created_at),
    updated_at: time(row.updated_at),
  }) satisfies Body
