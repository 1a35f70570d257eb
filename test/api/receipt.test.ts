import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { decide } from '../../daemon/store/database.ts'
import { type Host, startHost } from './host.ts'

let host: Host
test.before(async () => {
  host = await startHost()
})
test.after(() => host.close())

test('a release\u2019s receipt is shown by version and by id, to those who see the app, and goes with the release', async () => {
  const { json: app } = await host.request('POST', '/apps', { body: { name: 'drained' } })
  const path = '/apps/drained/releases/v1/receipt'
  const none = await host.request('GET', path)
  assert.equal([none.status, none.json.id, none.json.message], [404, 'not_found', "Couldn't find that receipt."])
  assert.is(
    (await host.request('GET', '/apps/drained/releases/v9/receipt')).json.message,
    "Couldn't find that release.",
  )
  const { json: release } = await host.request('GET', '/apps/drained/releases/1')
  const counts = { dynos: 2, in_flight: 8, finished: 6, cut: 1, failed: 1, took: 1234 }
  const times = { created_at: 1000, updated_at: 2000 }
  const row = { release_id: release.id, replaced: 7, ...counts, settled_at: 2000, ...times }
  await decide(host.d.db, (tx) => tx.insertInto('receipts').values(row).execute())
  const shown = await host.request('GET', path)
  assert.is(shown.status, 200)
  assert.equal(shown.json, {
    release: { id: release.id, version: 1 },
    replaced: { version: 7 },
    ...counts,
    settled: true,
    created_at: '1970-01-01T00:00:01.000Z',
    updated_at: '1970-01-01T00:00:02.000Z',
  })
  assert.equal((await host.request('GET', `/apps/${app.id}/releases/${release.id}/receipt`)).json, shown.json)
  assert.is((await host.request('GET', path, { token: 'nobody' })).status, 401)
  await decide(host.d.db, (tx) => tx.deleteFrom('releases').where('id', '=', release.id).execute())
  assert.equal(await host.d.db.selectFrom('receipts').select('release_id').execute(), [])
})

test.run()
