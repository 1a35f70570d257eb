import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { requireAdministrator } from '../account/account.ts'
import { record } from '../account/activity.ts'
import type { Progress } from '../backup/make.ts'
import { type Backup, deleteBackup, findBackup, listBackups, openBackup } from '../backup/shelf.ts'
import type { Daemon } from '../daemon.ts'
import { type Context, param, type Routes, reply } from './context.ts'
import { userError } from './refusal.ts'
import { keepAlive } from './stream.ts'
import { time } from './wire.ts'

/** Sluice's own, for administrators: backups of the whole platform, with all its keys. */
export function backupRoutes(routes: Routes, d: Daemon): void {
  const administrator = (ctx: Context) => requireAdministrator(d.db, ctx.state.account)
  const tell = (ctx: Context, text: string) => record(d.db, ctx.state.account, { app: null, text, now: d.clock.now() })
  routes.get(
    '/sluice/backups',
    reply(async (ctx) => {
      await administrator(ctx)
      return describe(d)
    }),
  )
  routes.post('/sluice/backups', async (ctx) => {
    await administrator(ctx)
    await make(ctx, d, ({ name }) => tell(ctx, `Made backup ${name}`))
  })
  routes.get('/sluice/backups/:backup', async (ctx) => {
    await administrator(ctx)
    const name = param(ctx, 'backup')
    if (ctx.method !== 'HEAD') await tell(ctx, `Downloaded backup ${(await findBackup(d.config, name)).name}`)
    const { file, size } = await openBackup(d.config, name)
    ctx.status = 200
    ctx.type = 'application/octet-stream'
    ctx.set('Content-Disposition', `attachment; filename="${name}"`)
    ctx.set('Cache-Control', 'private, no-store')
    ctx.length = size
    if (ctx.method === 'HEAD') await file.close()
    else ctx.body = file.createReadStream()
  })
  routes.delete(
    '/sluice/backups/:backup',
    reply(async (ctx) => {
      await administrator(ctx)
      const backup = await deleteBackup(d.config, param(ctx, 'backup'))
      await tell(ctx, `Deleted backup ${backup.name}`)
      return serialize(backup)
    }),
  )
}

async function describe(d: Daemon) {
  const { making, last } = d.backups
  const { every, keep, folder } = d.config.backups
  return {
    backups: (await listBackups(d.config)).map(serialize),
    folder,
    keep,
    every: every === undefined ? null : every / 1000,
    making: making ?? null,
    last: last ? { ended_at: time(last.at), name: last.name, failure: last.failure } : null,
  }
}

const serialize = ({ name, size, at, encrypted }: Backup) => ({ name, size, encrypted, created_at: time(at) })

/** How often its client hears how far it is. */
const TELL = 1000
const SIGN = 20_000

/**
 * One JSON object a line: how far it is, as `{done, of}`, and in the end `{backup}` or `{error}`. What is refused at once is an error like any other.
 * It goes on when its client goes away.
 */
async function make(ctx: Context, d: Daemon, made: (backup: Backup) => Promise<unknown>): Promise<void> {
  const lines = new PassThrough()
  const line = (what: object): void => void (lines.writable && lines.write(`${JSON.stringify(what)}\n`))
  let told = Number.NEGATIVE_INFINITY
  const tell = (progress: Progress): void => {
    if (d.clock.now() - told < TELL) return
    told = d.clock.now()
    line(progress)
  }
  const work = d.backups.make(tell).then(async (backup) => {
    await made(backup)
    return backup
  })
  const begun = once(lines, 'readable')
  begun.catch(() => {})
  await Promise.race([work, begun])
  void work
    .then(
      (backup) => line({ backup: serialize(backup) }),
      (error: unknown) => {
        const { id, message } = userError(error, ctx.state.requestId)
        line({ error: { id, message } })
      },
    )
    .finally(() => lines.end())
  ctx.status = 200
  ctx.type = 'application/x-ndjson'
  ctx.body = Readable.from(keepAlive(lines, SIGN, Buffer.from('\n')), { objectMode: false })
  ctx.flushHeaders()
}
