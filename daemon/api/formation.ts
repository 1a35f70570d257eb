import type { Formation as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import type { App } from '../app/app.ts'
import { requirePermission } from '../app/permission.ts'
import type { Daemon } from '../daemon.ts'
import { notFound } from '../errors.ts'
import { releaseImages } from '../registry/release.ts'
import { type FormationUpdate, type FormationView, listFormation, scale } from '../run/formation.ts'
import { body } from './body.ts'
import { type Context, param, type Routes, withApp } from './context.ts'
import { named, time } from './wire.ts'

const size = z.union([z.string(), z.object({ name: z.string() }).transform(({ name }) => name)]).nullish()

/** The official CLI sends quantities as text (`"2"`, `"+1"`) and the size as `size`; others send numbers and `dyno_size`. */
const wanted = {
  quantity: z.union([z.number(), z.string()]).nullish(),
  size,
  dyno_size: size,
  /** Of an image that was pushed its id or digest, or `HOST/NAME@sha256:…`; null: the process type goes. */
  docker_image: z.string().max(1000).nullish(),
}
const Change = z.object(wanted)
const Batch = z.object({ updates: z.array(z.object({ type: z.string(), ...wanted })).max(100) })

export function formationRoutes(routes: Routes, d: Daemon): void {
  const find = async (app: App, ctx: Context): Promise<FormationView> => {
    const wanted = param(ctx, 'formation')
    const row = (await listFormation(d.db, app.id)).find(({ id, type }) => id === wanted || type === wanted)
    if (!row) throw notFound('process type', 'formation')
    return row
  }
  /** Images that are named are released, as code is: by who may deploy. */
  const change = async (app: App, { state }: Context, updates: (Wanted & { type: string })[]): Promise<void> => {
    const images = updates.flatMap(({ type, docker_image: image }) => (image === undefined ? [] : [{ type, image }]))
    const scales = updates.filter(isScaled).map(toUpdate)
    if (images.length > 0) {
      await requirePermission(d, app, state.account, 'deploy')
      await releaseImages(d, app, state.account, { images, scales })
    } else if (scales.length > 0) await scale(d, app, state.account, scales)
  }
  routes.get(
    '/apps/:app/formation',
    withApp(d, 'view', async (app) => (await listFormation(d.db, app.id)).map((row) => serialize(app, row))),
  )
  routes.patch(
    '/apps/:app/formation',
    withApp(d, ['deploy', 'operate'], async (app, ctx) => {
      const { updates } = await body(ctx, Batch)
      await change(app, ctx, updates)
      const named = updates.map(({ type }) => type)
      return (await listFormation(d.db, app.id))
        .filter(({ type }) => named.includes(type))
        .map((row) => serialize(app, row))
    }),
  )
  routes.get(
    '/apps/:app/formation/:formation',
    withApp(d, 'view', async (app, ctx) => serialize(app, await find(app, ctx))),
  )
  routes.patch(
    '/apps/:app/formation/:formation',
    withApp(d, ['deploy', 'operate'], async (app, ctx) => {
      const wanted = await body(ctx, Change)
      const type = wanted.docker_image ? param(ctx, 'formation') : (await find(app, ctx)).type
      const before = (await listFormation(d.db, app.id)).find((row) => row.type === type)
      await change(app, ctx, [{ type, ...wanted }])
      const row = (await listFormation(d.db, app.id)).find((one) => one.type === type) ?? before
      if (!row) throw notFound('process type', 'formation')
      return serialize(app, row)
    }),
  )
}

type Wanted = z.output<typeof Change>

/** Whether it is about how many or how large; what only names an image or nothing is not. */
const isScaled = ({ quantity, size, dyno_size, docker_image }: Wanted): boolean =>
  docker_image === undefined || (quantity ?? size ?? dyno_size) != null

function toUpdate({ type, quantity, size, dyno_size }: Wanted & { type: string }): FormationUpdate {
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
    docker_image: row.image === null ? null : { id: row.image },
    created_at: time(row.created_at),
    updated_at: time(row.updated_at),
  }) satisfies Body
