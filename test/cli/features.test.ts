import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Rig, startRig } from './rig.ts'

const rig: Rig = await startRig()
const { heroku, refused, host } = rig
test.after(() => rig.close())
await host.request('POST', '/apps', { body: { name: 'demo' } })

test('heroku features shows what can be turned on, and what always is', async () => {
  const features = await heroku('features -a demo')
  assert.match(features, /\[ \] http-session-affinity +A client that keeps cookies stays/)
  assert.match(features, /\[\+\] preboot +New dynos serve before old ones stop/)
  assert.not.match(features, 'runtime-dyno-metadata')
  assert.match(await heroku('features:info http-session-affinity -a demo'), /Enabled: +false/)
})

test('heroku features:enable and features:disable', async () => {
  assert.match(await heroku('features:enable http-session-affinity -a demo'), 'Enabling http-session-affinity for demo')
  assert.match(await heroku('features -a demo'), '[+] http-session-affinity')
  assert.match(await heroku('features:disable http-session-affinity -a demo'), 'affinity for demo... done')
  assert.match(await refused('features:disable preboot -a demo'), 'Preboot is always on here and cannot be disabled.')
  assert.match(await refused('features:info nope -a demo'), "Couldn't find that feature.")
})

test('heroku features:enable https-redirect', async () => {
  assert.match(await heroku('features:enable https-redirect -a demo'), 'Enabling https-redirect for demo... done')
  assert.match(await heroku('features -a demo'), /\[\+\] https-redirect +What is asked for over plain HTTP/)
})

test('heroku labs shows, enables and disables what is not for everybody', async () => {
  assert.match(await heroku('labs -a demo'), '[ ] runtime-dyno-metadata')
  assert.match(
    await heroku('labs:enable runtime-dyno-metadata -a demo'),
    'Enabling runtime-dyno-metadata for demo... done',
  )
  assert.match(await heroku('labs:info runtime-dyno-metadata -a demo'), /Enabled: +true/)
  assert.match(await heroku('labs:disable runtime-dyno-metadata -a demo'), 'Disabling runtime-dyno-metadata for demo')
  assert.match(await refused('labs:enable nope -a demo'), "Couldn't find that feature.")
})

test('heroku addons, addons:services and addons:create say that there are none yet', async () => {
  assert.match(await heroku('addons'), 'No add-ons.')
  assert.match(await heroku('addons -a demo'), 'No add-ons for app demo.')
  assert.is(await heroku('addons:services --json'), '[]\n')
  assert.match(await refused('addons:create heroku-redis -a demo'), 'Add-ons are not supported yet')
})

test.run()
