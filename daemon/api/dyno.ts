import type { Dyno as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import { record } from '../account/activity.ts'
import type { App } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import type { Terminal } from '../engine/engine.ts'
import { notFound } from '../errors.ts'
import { limits } from '../limits.ts'
import { listAwaited } from '../run/awaited.ts'
import type { Command } from '../run/command.ts'
import { type DynoView, listDynos } from '../run/dyno.ts'
import { listFormation } from '../run/formation.ts'
import { runInside } from '../run/inside.ts'
import { meetingOf, runOneOff } from '../run/oneoff.ts'
import type { Meeting } from '../run/rendezvous.ts'
import { restart, stop } from '../run/restart.ts'
import type { DbOrTx } from '../store/database.ts'
import { body } from './body.ts'
import { accepted, type Context, created, param, type Routes, withApp } from './context.ts'
import { apiUrl, byName } from './link.ts'
import { time } from './wire.ts'

export function dynoRoutes(routes: Routes, d: Daemon): void {
  const typeOf = async (app: App, ctx: Context): Promise<{ type: string }> => {
    const type = param(ctx, 'type')
    const known = [...(await listFormation(d.db, app.id)), ...(await listDynos(d.db, app.id))]
    if (!known.some((one) => one.type === type)) throw notFound('process type', 'formation')
    return { type }
  }
  /** Those that wait for memory are no dynos yet, but who looks at their app should see them. */
  const shown = async (app: App): Promise<DynoView[]> => [
    ...(await listDynos(d.db, app.id)),
    ...(await listAwaited(d.db, d.capacity.waiting(app.id))),
  ]
  const noted = (app: App, ctx: Context, text: string) => (db: DbOrTx) =>
    record(db, ctx.state.account, { app: app.id, text, now: d.clock.now() })
  routes.get(
    '/apps/:app/dynos',
    withApp(d, 'view', async (app) => (await shown(app)).map((dyno) => serialize(app, dyno))),
  )
  routes.get(
    '/apps/:app/dynos/:dyno',
    withApp(d, 'view', async (app, ctx) => {
      const wanted = param(ctx, 'dyno')
      const dyno = (await shown(app)).find(({ id, name }) => id === wanted || name === wanted)
      if (!dyno) throw notFound('dyno', 'dyno')
      return serialize(app, dyno)
    }),
  )
  routes.post(
    '/apps/:app/dynos',
    withApp(d, ['deploy', 'operate'], async (app, ctx) => {
      const { attach, time_to_live, ...asked } = await body(ctx, Create)
      const { terminal, ...command } = commandOf(asked)
      const attached = attach ?? false
      const told = toldNow(d, terminal)
      const wish = {
        ...command,
        size: asked.size ?? undefined,
        type: asked.type ?? undefined,
        attached,
        terminal: attached ? (told ?? null) : null,
        timeToLive: time_to_live ? time_to_live * SECOND : undefined,
      }
      const dyno = await runOneOff(d, app, ctx.state.account, wish)
      const url = attached ? attachUrl(ctx, d, meetingOf(d, { ...dyno, app: app.id }, told)) : null
      return created(ctx, { ...serialize(app, dyno), attach_url: url })
    }),
  )
  routes.post(
    '/apps/:app/dynos/:dyno',
    withApp(d, ['deploy', 'operate'], async (app, ctx) => {
      const { terminal, ...command } = commandOf(await body(ctx, Inside))
      const told = toldNow(d, terminal)
      const { dyno, meeting } = await runInside(d, app, { ...command, dyno: param(ctx, 'dyno'), terminal: told })
      await noted(app, ctx, `Ran a command inside ${dyno.name}`)(d.db)
      return created(ctx, { ...serialize(app, dyno), command: command.command, attach_url: attachUrl(ctx, d, meeting) })
    }),
  )
  routes.delete(
    '/apps/:app/dynos',
    withApp(d, 'operate', async (app, ctx) => {
      await restart(d, app, {}, noted(app, ctx, 'Restarted all dynos'))
      return accepted(ctx)
    }),
  )
  routes.delete(
    '/apps/:app/dynos/:dyno',
    withApp(d, 'operate', async (app, ctx) => {
      await restart(d, app, { dyno: param(ctx, 'dyno') }, noted(app, ctx, `Restarted ${param(ctx, 'dyno')}`))
      return accepted(ctx)
    }),
  )
  routes.delete(
    '/apps/:app/formations/:type',
    withApp(d, 'operate', async (app, ctx) => {
      const which = await typeOf(app, ctx)
      await restart(d, app, which, noted(app, ctx, `Restarted the ${which.type} dynos`))
      return accepted(ctx)
    }),
  )
  routes.post(
    '/apps/:app/dynos/:dyno/actions/stop',
    withApp(d, 'operate', async (app, ctx) => {
      await stop(d, app, { dyno: param(ctx, 'dyno') }, noted(app, ctx, `Stopped ${param(ctx, 'dyno')}`))
      return accepted(ctx)
    }),
  )
  routes.post(
    '/apps/:app/formations/:type/actions/stop',
    withApp(d, 'operate', async (app, ctx) => {
      const which = await typeOf(app, ctx)
      await stop(d, app, which, noted(app, ctx, `Stopped the ${which.type} dynos`))
      return accepted(ctx)
    }),
  )
}

const SECOND = 1000
const MAX_SIDE = 10_000
const side = z.coerce.number().int().min(1).max(MAX_SIDE)

const Inside = z.object({
  command: z.string().trim().min(1).max(limits.commandSize),
  env: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).nullish(),
  force_no_tty: z.boolean().nullish(),
})

const Create = Inside.extend({
  attach: z.boolean().nullish(),
  size: z.string().max(200).nullish(),
  type: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,63}$/, 'use at most 63 letters, digits, dashes and underscores')
    .refine((type) => type !== 'release', 'release is the name of release commands')
    .nullish(),
  time_to_live: z.number().int().min(1).nullish(),
})

/** The command with its environment, and the terminal that the client says it has: 80 by 24 unless it says more. */
function commandOf({ command, env, force_no_tty }: z.infer<typeof Inside>): Command & { terminal: Terminal } {
  const given = Object.entries(env ?? {}).flatMap(([name, value]) => (value === null ? [] : [[name, String(value)]]))
  const sized = { columns: side.safeParse(env?.COLUMNS).data ?? 80, rows: side.safeParse(env?.LINES).data ?? 24 }
  const terminal: Terminal = force_no_tty ? { kind: 'pipes' } : { kind: 'tty', ...sized }
  return { command, env: Object.fromEntries(given), terminal }
}

/** Clients that come by SSH say for themselves what terminal they have, unless they want none. */
const toldNow = ({ config }: Daemon, terminal: Terminal): Terminal | undefined =>
  config.attach === 'rendezvous' || terminal.kind === 'pipes' ? terminal : undefined

/** By the host that the client came by. Clients want the port spelled out. A rendezvous is no HTTP, so no router takes it. */
function attachUrl(ctx: Context, { config, ...d }: Daemon, meeting: Meeting): string {
  const { hostname, port } = new URL(apiUrl(ctx))
  const secret = invite(d, meeting)
  const came = port || (ctx.protocol === 'https' ? 443 : 80)
  if (config.attach === 'https') return `https://${hostname}:${came}/attach/${secret}`
  return `rendezvous://${hostname}:${byName(ctx, config) ? config.api.port : came}/${secret}`
}

/** A dyno that no client can come to must not run on. */
function invite(d: Pick<Daemon, 'rendezvous'>, meeting: Meeting): string {
  try {
    return d.rendezvous.invite(meeting)
  } catch (error) {
    meeting.missed()
    throw error
  }
}

export const serialize = (app: App, dyno: DynoView) =>
  ({
    id: dyno.id,
    app: { id: app.id, name: app.name },
    name: dyno.name,
    type: dyno.type,
    command: dyno.command,
    state: dyno.state,
    size: dyno.size,
    attach_url: null,
    release: dyno.release,
    created_at: time(dyno.created_at),
    updated_at: time(dyno.updated_at),
  }) satisfies Body
