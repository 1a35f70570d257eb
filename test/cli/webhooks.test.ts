import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startRig } from './rig.ts'

const rig = await startRig({ SLUICE_DRAIN_ALLOW: '127.0.0.1,::1' })
const { heroku, refused, host } = rig
let status = 200
const receiver = createServer((req, res) => {
  req.resume()
  res.writeHead(status).end()
})
await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
const url = `http://localhost:${(receiver.address() as AddressInfo).port}/hook`
test.after(async () => {
  receiver.close()
  receiver.closeAllConnections()
  await rig.close()
})

// biome-ignore lint/suspicious/noExplicitAny: the API's JSON
const list = async (what: string): Promise<any[]> => (await host.request('GET', `/apps/demo/${what}`)).json

/** Has something happen, and waits until it is told. */
async function happen(value: string): Promise<void> {
  const before = (await list('webhook-deliveries')).length
  await host.request('PATCH', '/apps/demo/config-vars', { body: { VALUE: value } })
  const deadline = Date.now() + 50_000
  for (;;) {
    const open = await list('webhook-deliveries')
    if (open.length > before && open.every((one) => one.status !== 'pending')) return
    if (Date.now() > deadline) throw new Error('waited in vain for a delivery')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

let id = ''

test('heroku webhooks:add shows the secret; webhooks and webhooks:info the webhook', async () => {
  await host.request('POST', '/apps', { body: { name: 'demo' } })
  assert.match(await heroku('webhooks -a demo'), 'has no webhooks')
  const added = await heroku(`webhooks:add -i api:release,dyno -l notify -u ${url} -t "Bearer abc" -a demo`)
  assert.match(added, /=== Webhooks Signing Secret\s+[0-9a-f]{60}\s/)
  assert.match(added, 'Adding webhook to demo... done')
  id = (await list('webhooks'))[0].id
  assert.match(await heroku('webhooks -a demo'), new RegExp(`${id} +${url} +api:release,dyno +notify`))
  assert.match(await heroku(`webhooks:info ${id} -a demo`), /Include: +api:release,dyno\s+Level: +notify/)
  assert.match(await refused('webhooks:add -i api:x -l notify -u https://example.com -a demo'), 'none of api:app')
})

test('heroku webhooks:deliveries and webhooks:events show what was sent', async () => {
  await happen('a')
  status = 503
  await happen('b')
  const deliveries = await heroku('webhooks:deliveries -a demo')
  assert.match(deliveries, /succeeded +api:release +notify +1 +200/)
  assert.match(deliveries, /failed +api:release +notify +1 +503/)
  const failed = await heroku('webhooks:deliveries --status failed -a demo')
  assert.not.match(failed, 'succeeded')
  const [{ id: delivery, event }] = await list('webhook-deliveries')
  const info = await heroku(`webhooks:deliveries:info ${delivery} -a demo`)
  assert.match(info, /Status: +succeeded/)
  assert.match(info, /=== Event Payload[\s\S]*"resource": "release"/)
  assert.match(await heroku('webhooks:events -a demo'), new RegExp(`${event.id} +release +create`))
  assert.match(await heroku(`webhooks:events:info ${event.id} -a demo`), /"action": "create"/)
})

test('heroku webhooks:update changes it, webhooks:remove removes it', async () => {
  const updated = await heroku(`webhooks:update ${id} -i api:app -l sync -u ${url} -s mine -a demo`)
  assert.match(updated, `Updating webhook ${id} for demo... done`)
  assert.equal((await list('webhooks'))[0].include, ['api:app'])
  assert.match(await heroku(`webhooks:remove ${id} -a demo`), `Removing webhook ${id} from demo... done`)
  assert.equal(await list('webhooks'), [])
})

test.run()
