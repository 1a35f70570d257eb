import { randomUUID } from 'node:crypto'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createRepresent } from '../../daemon/api/webhook-data.ts'
import { systemClock } from '../../daemon/clock.ts'
import { limits } from '../../daemon/limits.ts'
import { createDialer } from '../../daemon/logs/drain/dial.ts'
import { createTargets, parseAllowed } from '../../daemon/logs/drain/target.ts'
import { pauseAfter } from '../../daemon/webhook/delivery.ts'
import { note, pruneEvents } from '../../daemon/webhook/event.ts'
import { pruneWebhooks } from '../../daemon/webhook/webhook.ts'
import { createWebhooks, type Webhooks } from '../../daemon/webhook/webhooks.ts'
import { startRig, until } from './webhook-rig.ts'

const rig = await startRig()
test.after(() => rig.close())
const { host, createApp, hook, set, deliveries, settled, startReceiver } = rig
const { request, d } = host

test('a destroyed app’s webhook stays until it is told, then it is removed', async () => {
  const [app, receiver] = [await createApp(), await startReceiver()]
  await hook(app, { url: receiver.url, include: ['api:app'], level: 'sync' })
  const { app_id } = await d.db
    .selectFrom('webhooks')
    .select('app_id')
    .orderBy('created_at', 'desc')
    .executeTakeFirstOrThrow()
  await request('DELETE', `/apps/${app}`)
  await host.settled()
  await receiver.nth(1)
  await until(
    async () => {
      await pruneWebhooks(d.db)
      return !(await d.db.selectFrom('webhooks').select('id').where('app_id', '=', app_id).executeTakeFirst())
    },
    () => 'the webhook to go',
  )
})

test('level notify tries once; level sync again and again, and later events wait their turn', async () => {
  const [once, again] = [await startReceiver(), await startReceiver()]
  once.status = again.status = 500
  const app = await createApp()
  await hook(app, { url: once.url })
  await hook(app, { url: again.url, level: 'sync' })
  await set(app, 'a')
  await set(app, 'b')
  await once.nth(2)
  await settled(app, 'failed', 2)
  await settled(app, 'retrying')
  const retrying = (await deliveries(app)).find(({ status }) => status === 'retrying')
  const { num_attempts, next_attempt_at, last_attempt } = retrying
  assert.equal([num_attempts > 0, last_attempt.code, last_attempt.status], [true, 500, 'failed'])
  assert.ok(Date.parse(next_attempt_at) >= Date.parse(last_attempt.created_at) + pauseAfter(1, 0))
  again.status = 200
  await settled(app, 'succeeded', 2)
  const tries = again.taken.map(({ json }) => json)
  const last = tries.pop()
  assert.ok(tries.length >= 2)
  assert.is(new Set(tries.map(({ id }) => id)).size, 1, 'the second event waited')
  assert.is(new Set(tries.map(({ webhook_metadata }) => webhook_metadata.attempt.id)).size, tries.length)
  assert.is(last.data.version, 3)
  assert.is(once.taken.length, 2)
  assert.ok(host.logged.some((line) => line.includes('a webhook was not delivered') && line.includes('500')))
})

test('a redirect is an answer, and not followed; a host that is gone is said in words', async () => {
  const [app, receiver, other] = [await createApp(), await startReceiver(), await startReceiver()]
  receiver.status = 302
  receiver.headers = { location: other.url }
  await hook(app, { url: receiver.url })
  await hook(app, { url: 'http://localhost:1/' })
  await set(app, 'x')
  await settled(app, 'failed', 2)
  const attempts = (await deliveries(app)).map(({ last_attempt }) => [last_attempt.code, last_attempt.error_class])
  assert.equal(attempts, [
    [302, null],
    [null, 'connection refused'],
  ])
  assert.is(other.taken.length, 0)
})

test('an answer is read up to a bound, and nothing of it is used', async () => {
  const [app, receiver] = [await createApp(), await startReceiver()]
  receiver.status = 200
  receiver.bytes = 100 * limits.webhookAnswer
  await hook(app, { url: receiver.url })
  await set(app, 'x')
  await settled(app, 'succeeded')
  assert.is((await deliveries(app))[0].last_attempt.code, 200)
})

test('a receiver that does not answer holds up nobody else', async () => {
  const [app, mute, quick] = [await createApp(), await startReceiver(), await startReceiver()]
  mute.status = 0
  await hook(app, { url: mute.url, level: 'sync' })
  await hook(app, { url: quick.url, level: 'sync' })
  const begin = Date.now()
  for (const value of ['a', 'b', 'c']) assert.is((await set(app, value)).status, 200)
  await quick.nth(3)
  assert.ok(Date.now() - begin < limits.webhookSend)
  assert.is(mute.taken.length, 1)
  await settled(app, 'retrying')
  const waiting = (await deliveries(app)).find(({ status }) => status === 'retrying')
  assert.is(waiting.last_attempt.error_class, 'no answer within 10 seconds')
})

test('a daemon that dies in the middle of a delivery makes it again at the next start', async () => {
  const [app, receiver] = [await createApp(), await startReceiver()]
  receiver.status = 0
  const start = (): Webhooks =>
    createWebhooks({
      ...{ db: d.db, seal: d.seal, clock: systemClock, log: d.log, represent: createRepresent(d) },
      dialer: createDialer(createTargets('10.213.0.0/16', parseAllowed('127.0.0.1,::1')), undefined, d.log),
    })
  await d.webhooks.stop()
  const first = start()
  const made = await hook(app, { url: receiver.url, level: 'sync' })
  await set(app, 'x')
  assert.equal(
    (await d.db.selectFrom('webhook_events').select('payload').where('payload', 'is', null).execute()).length,
    1,
  )
  first.wake()
  const { json } = await receiver.nth(1)
  await first.stop()
  const [cut] = await deliveries(app)
  assert.equal([cut.status, cut.num_attempts, cut.last_attempt], ['pending', 0, null])
  receiver.status = 200
  const second = start()
  second.wake()
  assert.is((await receiver.nth(2)).json.id, json.id)
  await settled(app, 'succeeded')
  await second.stop()
  assert.is(made.status, 201)
})

test('a queue that is full fails new deliveries at once; old events are removed, but not what is still to be told', async () => {
  const app = await createApp()
  await hook(app, { url: 'https://example.com/', level: 'sync' })
  const { id } = await d.db.selectFrom('apps').select('id').where('name', '=', app).executeTakeFirstOrThrow()
  const news = {
    app: id,
    account: null,
    include: 'api:release',
    action: 'update',
    subject: { id: randomUUID() },
  } as const
  await d.db.transaction().execute(async (tx) => {
    for (let count = 0; count < limits.webhookQueue + 5; count++) await note(tx, { ...news, now: 1 })
  })
  const all = await d.db.selectFrom('webhook_deliveries').selectAll().where('app_id', '=', id).orderBy('seq').execute()
  assert.equal(
    all.slice(-6).map(({ status }) => status),
    ['pending', ...Array(5).fill('failed')],
  )
  assert.match(all.at(-1)?.last_attempt ?? '', /more than 1000 deliveries wait/)
  await pruneEvents(d.db, Date.now())
  const left = await d.db.selectFrom('webhook_deliveries').select('status').where('app_id', '=', id).execute()
  assert.equal([...new Set(left.map(({ status }) => status))], ['pending'])
  assert.is(left.length, limits.webhookQueue)
})

test('pauses grow from seconds to an hour', () => {
  assert.equal(
    [1, 2, 3, 11, 10_000].map((attempts) => pauseAfter(attempts, 1) / 1000),
    [5, 10, 20, 3600, 3600],
  )
  assert.is(pauseAfter(1, 0), 2500)
})

test.run()
