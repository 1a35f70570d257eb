import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { requireAdministrator } from '../account/account.ts'
import { type Actor, record } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import type { Holding } from '../disk/holding.ts'
import { fileSystems, namesOf, type Sum, sumBy } from '../disk/report.ts'
import { notFound } from '../errors.ts'
import { body } from './body.ts'
import { type Context, param, type Routes } from './context.ts'
import { keepAlive } from './stream.ts'

const Collect = z.object({ slugs: z.boolean().nullish() })

/** Sluice's own, for administrators: what holds how much disk, and having removed what can go. A walk may take minutes. */
export function diskRoutes(routes: Routes, d: Daemon): void {
  const administrator = (ctx: Context) => requireAdministrator(d.db, ctx.state.account)
  routes.get('/sluice/disk', async (ctx) => {
    await administrator(ctx)
    await answerLate(ctx, describe(d))
  })
  routes.get('/sluice/disk/apps/:app', async (ctx) => {
    await administrator(ctx)
    await answerLate(ctx, describeApp(d, param(ctx, 'app')))
  })
  routes.post('/sluice/disk/collect', async (ctx) => {
    await administrator(ctx)
    const { slugs } = await body(ctx, Collect)
    await answerLate(ctx, collect(d, ctx.state.account, slugs ?? false))
  })
}

async function describe(d: Daemon) {
  const all = await d.disk.survey()
  const apps = await d.db.selectFrom('apps').select(['id', 'name']).execute()
  const names = new Map(apps.map(({ id, name }) => [id, name]))
  return {
    file_systems: await fileSystems(d),
    kinds: kindsOf(all),
    apps: sumBy(all, ({ app }) => app).flatMap(([id, sum]) => {
      const name = names.get(id ?? '')
      return id === null || name === undefined ? [] : [{ app: { id, name }, ...serialize(sum) }]
    }),
  }
}

async function describeApp(d: Daemon, idOrName: string) {
  const rows = d.db.selectFrom('apps').select(['id', 'name'])
  const app = await rows.where((is) => is.or([is('id', '=', idOrName), is('name', '=', idOrName)])).executeTakeFirst()
  if (!app) throw notFound('app', 'app')
  const names = await namesOf(d, app.id)
  const all = (await d.disk.survey()).filter((holding) => holding.app === app.id)
  return {
    app,
    holdings: all
      .toSorted((a, b) => b.bytes - a.bytes)
      .map(({ kind, name, bytes, why, spare }) => ({
        ...{ kind, name: names.get(name) ?? name, size: bytes, why, collectable: spare },
      })),
  }
}

/** On record when it is done: on a disk that is full nothing could be written before. */
async function collect(d: Daemon, by: Actor, slugs: boolean) {
  const gone = await d.disk.clear({ slugs })
  const text = slugs ? 'Collected disk, old slugs too' : 'Collected disk'
  await record(d.db, by, { app: null, text, now: d.clock.now() })
  const collected = sumBy(gone, ({ kind }) => kind).map(([kind, { count, size }]) => ({ kind, count, size }))
  return { collected, file_systems: await fileSystems(d) }
}

const kindsOf = (all: readonly Holding[]) =>
  sumBy(all, ({ kind }) => kind).map(([kind, sum]) => ({ kind, ...serialize(sum) }))

const serialize = ({ count, size, spare }: Sum) => ({
  count,
  size,
  collectable_count: spare.count,
  collectable: spare.size,
})

/** From the request to the first sign of life, and from one to the next. */
const SIGN = 20_000

/** Until the answer is there its client gets line breaks, which JSON allows before it. What fails after the first cuts the answer off. */
async function answerLate(ctx: Context, work: Promise<object>): Promise<void> {
  const soon = await Promise.race([work, pause(SIGN, undefined, { ref: false })])
  if (soon) {
    ctx.body = soon
    return
  }
  ctx.status = 200
  ctx.type = 'application/json'
  const late = async function* () {
    yield Buffer.from(JSON.stringify(await work))
  }
  ctx.body = Readable.from(keepAlive(late(), SIGN, Buffer.from('\n')), { objectMode: false })
  ctx.flushHeaders()
}
