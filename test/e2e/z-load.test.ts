import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { describe, type Load, startLoad } from './load.ts'
import { startPlatform } from './platform.ts'
import { waitFor } from './wait.ts'

const platform = await startPlatform()
test.after(() => platform.stop())

const app = 'loaded'
const source = await platform.prepare(() => platform.deploy(app))
let load: Load

test.before.each(() => {
  load = startLoad(platform.ports.http, `${app}.localhost`)
})

/** Waits until only dynos that were made for this serve, and until no old one is left; then every answer must have been right. */
async function settled(names: string[]): Promise<void> {
  await waitFor(
    `${names.join(', ')} to be all that runs`,
    async () => {
      const dynos = await platform.dynos(app)
      const up = dynos.filter(({ state }) => state === 'up').map(({ name }) => name)
      const containers = (await platform.containers()).filter(({ State }) => State === 'running')
      if (up.sort().join() !== names.join()) throw new Error(`ps shows ${up.join(', ')}`)
      if (containers.length !== names.length) throw new Error(`${containers.length} containers run`)
      return true
    },
    { within: 60_000 },
  )
  const result = await load.stop()
  assert.is(result.failures.length, 0, describe(result))
  assert.ok(result.requests > 20, `only ${result.requests} requests were sent`)
}

test('Z1: no request fails while a push goes live', async () => {
  await source.version('v2')
  const { code, output } = await platform.push(source, app)
  assert.is(code, 0, output)
  assert.match((await platform.request(app)).body, /^v2 /)
  await settled(['web.1'])
})

test('Z1: no request fails while config vars change', async () => {
  await platform.api('PATCH', `/apps/${app}/config-vars`, { COLOUR: 'blue' })
  const newest = (await platform.releases(app)).at(-1)
  assert.is((await platform.settled(app, newest?.version ?? 0)).status, 'succeeded')
  await settled(['web.1'])
  assert.is(JSON.parse((await platform.request(app, '/env')).body).COLOUR, 'blue')
})

const scale = (quantity: number) =>
  platform.api('PATCH', `/apps/${app}/formation`, { updates: [{ type: 'web', quantity }] })

test('Z1: no request fails while web is scaled from one to three and back', async () => {
  await scale(3)
  await waitFor('three answering dynos', () => ['web.1', 'web.2', 'web.3'].every((name) => load.seen(`v2 ${name}\n`)))
  await scale(1)
  await settled(['web.1'])
})

test('Z1: no request fails while dynos are restarted', async () => {
  const [before] = await platform.dynos(app)
  await platform.api('DELETE', `/apps/${app}/dynos`)
  await waitFor('another web.1 to be up', async () =>
    (await platform.dynos(app)).some(({ id, state }) => id !== before?.id && state === 'up'),
  )
  await settled(['web.1'])
})

test('Z1: no request fails while a release is rolled back', async () => {
  const { version } = await platform.api<{ version: number }>('POST', `/apps/${app}/releases`, { release: '2' })
  assert.is((await platform.settled(app, version)).status, 'succeeded')
  assert.match((await platform.request(app)).body, /^v1 /)
  await settled(['web.1'])
})

test('Z1: no request fails while the daemon is restarted', async () => {
  const [before] = await platform.dynos(app)
  await platform.daemon.kill('SIGTERM')
  await platform.startDaemon()
  await settled(['web.1'])
  assert.is((await platform.dynos(app))[0]?.id, before?.id)
})

test('Z1: no request fails while the daemon is killed and started again', async () => {
  const [before] = await platform.dynos(app)
  await platform.daemon.kill('SIGKILL')
  await platform.startDaemon()
  await settled(['web.1'])
  assert.is((await platform.dynos(app))[0]?.id, before?.id)
})

test.run()
