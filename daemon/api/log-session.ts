import { randomUUID } from 'node:crypto'
import type { LogSession as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import { accountNamed } from '../account/account.ts'
import { findApp } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import { UserError } from '../errors.ts'
import { createSessions } from '../logs/session.ts'
import { body } from './body.ts'
import { created, param, type Routes, withApp } from './context.ts'
import { apiUrl } from './link.ts'
import { time } from './wire.ts'

const DEFAULT_LINES = 100

/** `dyno` is the name of a dyno or a process type; the schema's names for it are taken too. */
const Create = z.object({
  lines: z.coerce.number().int().min(0).nullish(),
  tail: z.boolean().nullish(),
  source: z.enum(['app', 'heroku']).nullish(),
  dyno: z.string().max(200).nullish(),
  dyno_name: z.string().max(200).nullish(),
  type: z.string().max(200).nullish(),
})

export function logSessionRoutes({ open, closed }: { open: Routes; closed: Routes }, d: Daemon): void {
  const sessions = createSessions({ ...d, knows: (app, account) => maySee(d, app, account) })
  closed.post(
    '/apps/:app/log-sessions',
    withApp(d, 'view', async (app, ctx) => {
      const { lines, tail, source, ...named } = await body(ctx, Create)
      const dyno = named.dyno ?? named.dyno_name ?? named.type
      const secret = sessions.create(app.id, {
        account: ctx.state.account.id,
        lines: lines ?? DEFAULT_LINES,
        tail: tail ?? false,
        filter: { ...(source ? { source } : {}), ...(dyno ? { dyno } : {}) },
      })
      return created(ctx, serialize(`${apiUrl(ctx)}/logs/${secret}`, time(d.clock.now())))
    }),
  )
  open.get('/logs/:session', async (ctx) => {
    await sessions.serve(param(ctx, 'session'), ctx.req, ctx.res)
    ctx.respond = false
  })
}

/** Asked at each connection: an app may be destroyed, and an account may have left it. */
async function maySee({ db }: Daemon, app: string, id: string): Promise<boolean> {
  const account = await accountNamed(db, id)
  if (!account) return false
  try {
    await findApp(db, account, app)
    return true
  } catch (error) {
    if (error instanceof UserError) return false
    throw error
  }
}

const serialize = (url: string, at: string) =>
  ({ id: randomUUID(), logplex_url: url, created_at: at, updated_at: at }) satisfies Body
