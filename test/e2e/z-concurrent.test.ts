import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { describe, startLoad } from './load.ts'
import { startPlatform } from './platform.ts'
import { waitFor } from './wait.ts'

const platform = await startPlatform()
test.after(() => platform.stop())

test('Z7: a push, scaling and config changes at once all land, and no request fails', async () => {
  const app = 'busy'
  const source = await platform.deploy(app)
  const load = startLoad(platform.ports.http, `${app}.localhost`)
  await source.version('v2')
  const set = (vars: Record<string, string>) => platform.api('PATCH', `/apps/${app}/config-vars`, vars)
  const scale = (quantity: number) =>
    platform.api('PATCH', `/apps/${app}/formation`, { updates: [{ type: 'web', quantity }] })
  const [push] = await Promise.all([
    platform.push(source, app),
    set({ A: '1' }),
    scale(3),
    set({ B: '2' }),
    (async () => {
      await set({ C: '3' })
      await scale(2)
      await set({ C: '4' })
    })(),
  ])
  assert.is(push.code, 0, push.output)
  await waitFor(
    'every release to be settled and two dynos of the last to be up',
    async () => {
      const releases = await platform.releases(app)
      const dynos = await platform.dynos(app)
      const newest = releases.at(-1)
      const seen = JSON.stringify({ releases, dynos })
      // Those that a later one has superseded were never served, and what they brought is in it.
      if (releases.some(({ status }) => status !== 'succeeded' && status !== 'expired')) throw new Error(seen)
      if (newest?.status !== 'succeeded' || !newest.current) throw new Error(seen)
      if (
        dynos
          .map(({ name, state }) => `${name} ${state}`)
          .sort()
          .join() !== 'web.1 up,web.2 up'
      )
        throw new Error(seen)
      if (dynos.some(({ release }) => release.version !== newest.version)) throw new Error(seen)
      return true
    },
    { within: 90_000 },
  )
  const result = await load.stop()
  assert.is(result.failures.length, 0, describe(result))
  const seen = JSON.parse((await platform.request(app, '/env')).body)
  assert.equal([seen.A, seen.B, seen.C], ['1', '2', '4'])
  assert.match((await platform.request(app)).body, /^v2 /)
  const versions = (await platform.releases(app)).map(({ version }) => version)
  assert.equal(
    versions,
    versions.map((_, index) => index + 1),
  )
})

test.run()
