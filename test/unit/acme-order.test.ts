import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { limits } from '../../daemon/limits.ts'
import { beginOrder, endOrder, ordersOf } from '../../daemon/route/acme-order.ts'
import { openDatabase } from '../../daemon/store/database.ts'

const NOW = 1_800_000_000_000

test('orders are kept for a week, by authority; what has become of one is said once', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-orders-'))
  const db = await openDatabase(join(folder, 'sluice.db'))
  try {
    const asking = { hostname: 'www.example.com', kind: 'name' } as const
    const begin = (directory: string, at: number) => beginOrder(db, directory, asking, at)
    await begin('one', NOW - limits.acmeWeek)
    const order = await begin('one', NOW - 1000)
    await begin('other', NOW)
    await begin('one', NOW)
    await endOrder(db, order, { outcome: 'issued' })
    await endOrder(db, order, { outcome: 'failed' })
    assert.equal(
      (await ordersOf(db, 'one', NOW)).map(({ outcome }) => outcome),
      ['issued', 'underway'],
    )
    assert.is((await db.selectFrom('acme_orders').select('id').execute()).length, 3, 'the old one is gone')
  } finally {
    await db.destroy()
    await rm(folder, { recursive: true })
  }
})

test.run()
