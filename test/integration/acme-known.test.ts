import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startAcmeRig } from './acme-rig.ts'
import { eventually } from './router-rig.ts'

test('an authority that knows the name from an earlier order asks nothing, and gets no challenge', async () => {
  const rig = await startAcmeRig({ pebble: { env: { PEBBLE_AUTHZREUSE: '100' } } })
  try {
    const { host, dns } = rig
    dns.known.add('www.example.com')
    await host.request('POST', '/apps', { body: { name: 'demo' } })
    await host.request('POST', '/apps/demo/acm', { body: {} })
    const issued = async (): Promise<void> => {
      await host.request('POST', '/apps/demo/domains', { body: { hostname: 'www.example.com' } })
      const before = host.logged.length
      await eventually(
        () => host.logged.slice(before).some((line) => line.includes('"certificate issued"')),
        () => `a certificate: ${host.logged.slice(before)}`,
      )
      await rig.followed()
      assert.ok((await rig.greet('www.example.com')).trusted)
    }
    await issued()
    assert.ok(dns.asked.length > 0)
    dns.known.clear()
    dns.asked.length = 0
    await host.request('DELETE', '/apps/demo/domains/www.example.com')
    await issued()
    assert.equal(dns.asked, [])
  } finally {
    await rig.close()
  }
})

test.run()
