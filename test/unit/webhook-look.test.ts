import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CompiledQuery, type Insertable } from 'kysely'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { limits } from '../../daemon/limits.ts'
import { createLog } from '../../daemon/log.ts'
import { openDatabase } from '../../daemon/store/database.ts'
import type { Schema } from '../../daemon/store/schema.ts'
import { createSeal } from '../../daemon/store/seal.ts'
import { createWebhooks } from '../../daemon/webhook/webhooks.ts'
import { createStillClock } from './still-clock.ts'

/** Events are rows: who delivers them looks when something was written, not again and again. */

let close = async () => {}
test.after.each(() => close())

const webhook: Insertable<Schema['webhooks']> = {
  ...{ id: 'w', app_id: 'a', url: '', include: '[]', level: 'notify', secret: '', authorization: null },
  ...{ created_at: 0, updated_at: 0 },
}

/** One webhook to which nothing happens, and how often it was looked for more. */
async function open() {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-webhook-look-'))
  const db = await openDatabase(join(folder, 'sluice.db'))
  const clock = createStillClock(1_000_000)
  let alarms = 0
  let looks = 0
  const select = db.selectFrom.bind(db)
  const watched = Object.assign(db, {
    selectFrom: ((table: 'apps') => {
      if (String(table) === 'webhook_events') looks++
      return select(table)
    }) as typeof db.selectFrom,
  })
  const at: typeof clock.at = (time, wake) => {
    let set = true
    alarms++
    const end = () => {
      if (set) alarms--
      set = false
    }
    const cancel = clock.at(time, () => {
      end()
      wake()
    })
    return () => {
      end()
      cancel()
    }
  }
  const webhooks = createWebhooks({
    ...{ db: watched, clock: { now: clock.now, at }, log: createLog(() => {}), seal: createSeal(Buffer.alloc(32)) },
    ...{ represent: async () => ({}) as never, dialer: { refuses: async () => false } as never },
  })
  close = async () => {
    await webhooks.stop()
    await db.destroy()
    await rm(folder, { recursive: true })
  }
  await db.executeQuery(CompiledQuery.raw('PRAGMA foreign_keys = OFF'))
  const write = () =>
    db
      .insertInto('webhooks')
      .values(webhook)
      .onConflict((conflict) => conflict.column('id').doUpdateSet({ updated_at: clock.now() }))
      .execute()
  const looked = async (count: number) => {
    const deadline = Date.now() + 50_000
    while (looks < count || alarms === 0) {
      if (Date.now() > deadline) throw new Error(`${looks} looks, not ${count}`)
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.is(looks, count)
    looks = 0
  }
  return { webhooks, clock, write, looked }
}

test('with a webhook it is looked soon after something was written, once however much, and else once a minute', async () => {
  const { webhooks, clock, write, looked } = await open()
  await write()
  webhooks.wake()
  await looked(1)
  clock.pass(limits.webhookRelook - 1)
  await looked(0)
  clock.pass(1)
  await looked(1)
  for (let n = 0; n < 5; n++) await write()
  await looked(0)
  clock.pass(limits.webhookLook)
  await looked(1)
  clock.pass(limits.webhookRelook - 1)
  await looked(0)
})

test.run()
