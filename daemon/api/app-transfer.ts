import type { AppTransfer as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import { findApp } from '../app/app.ts'
import {
  answerTransfer,
  cancelTransfer,
  findTransfer,
  listTransfers,
  requestTransfer,
  type Transfer,
} from '../app/transfer.ts'
import type { Daemon } from '../daemon.ts'
import { body } from './body.ts'
import { type Context, created, param, type Routes, reply } from './context.ts'
import { Named, Somebody } from './identity.ts'
import { page, rowKeys } from './page.ts'
import { time } from './wire.ts'

const TRANSFERS = '/account/app-transfers'

/** `silent`: there is no mail that could be kept back. */
const Create = z.object({ app: Named, recipient: Somebody, silent: z.boolean().nullish() })
const Update = z.object({ state: z.enum(['accepted', 'declined']) })

export function appTransferRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    TRANSFERS,
    reply(async (ctx) => page(ctx, await listTransfers(d.db, ctx.state.account), rowKeys).map(serialize)),
  )
  routes.post(
    TRANSFERS,
    reply(async (ctx) => {
      const { app, recipient } = await body(ctx, Create)
      const { account } = ctx.state
      const transfer = await requestTransfer(d, await findApp(d.db, account, app), account, recipient)
      if (transfer.state === 'pending') showOffer(ctx, transfer)
      return created(ctx, serialize(transfer))
    }),
  )
  routes.get(
    `${TRANSFERS}/:transfer`,
    reply(async (ctx) => serialize(await findTransfer(d.db, ctx.state.account, param(ctx, 'transfer')))),
  )
  routes.patch(
    `${TRANSFERS}/:transfer`,
    reply(async (ctx) => {
      const { state } = await body(ctx, Update)
      return serialize(await answerTransfer(d, ctx.state.account, param(ctx, 'transfer'), state))
    }),
  )
  routes.delete(
    `${TRANSFERS}/:transfer`,
    reply(async (ctx) => serialize(await cancelTransfer(d, ctx.state.account, param(ctx, 'transfer')))),
  )
}

/** Clients say that a mail was sent, and none has a command to accept with. */
export const showOffer = (ctx: Context, { id }: Transfer): void =>
  ctx.set(
    'X-Heroku-Warning',
    `No mail is sent here. The recipient accepts with: PATCH ${TRANSFERS}/${id} {"state":"accepted"}`,
  )

const serialize = (transfer: Transfer) =>
  ({ ...transfer, created_at: time(transfer.created_at), updated_at: time(transfer.updated_at) }) satisfies Body
