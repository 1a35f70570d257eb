import type { Key as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import { addKey, findKey, type Key, listKeys, removeKey } from '../account/key.ts'
import type { Daemon } from '../daemon.ts'
import { body } from './body.ts'
import { created, param, type Routes, reply } from './context.ts'
import { page, rowKeys } from './page.ts'
import { time } from './wire.ts'

const Create = z.object({ public_key: z.string() })

export function keyRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/account/keys',
    reply(async (ctx) => page(ctx, await listKeys(d.db, ctx.state.account), rowKeys).map(serialize)),
  )
  routes.post(
    '/account/keys',
    reply(async (ctx) => {
      const { public_key } = await body(ctx, Create)
      return created(ctx, serialize(await addKey(d, ctx.state.account, public_key)))
    }),
  )
  routes.get(
    '/account/keys/:key',
    reply(async (ctx) => serialize(await findKey(d.db, ctx.state.account, param(ctx, 'key')))),
  )
  routes.delete(
    '/account/keys/:key',
    reply(async (ctx) => serialize(await removeKey(d, ctx.state.account, param(ctx, 'key')))),
  )
}

const serialize = ({ id, public_key, comment, fingerprint, created_at, updated_at }: Key) =>
  ({
    id,
    public_key,
    comment,
    email: comment,
    fingerprint,
    created_at: time(created_at),
    updated_at: time(updated_at),
  }) satisfies Body
