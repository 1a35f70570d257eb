import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { pushBranch, runInstantly, stageApp } from '../api/pipeline-rig.ts'
import { type Rig, startRig } from './rig.ts'

const rig: Rig = await startRig()
const { heroku, refused, host } = rig
test.after(() => rig.close())

test('heroku reviewapps:create makes an app of a branch, and :wait waits for it', async () => {
  runInstantly(host)
  const app = await stageApp(host, 'shop-staging', 'shop')
  await pushBranch(host, app, 'topic/cart', { Procfile: 'web: serve\n' })
  await pushBranch(host, app, 'spoilt', { Procfile: 'web: serve\n', 'app.json': '{"env": {"NEEDED": {}}}' })
  const { json: pipeline } = await host.request('POST', '/pipelines', { body: { name: 'shop' } })
  const coupling = { app: app.id, pipeline: pipeline.id, stage: 'staging' }
  await host.request('POST', '/pipeline-couplings', { body: coupling })
  const created = await heroku('reviewapps:create -p shop -b topic/cart')
  const [, name] = /Run heroku reviewapps:wait (shop-topic-cart-\w{4}) to check progress/.exec(created) ?? []
  assert.ok(name, created)
  await heroku(`reviewapps:wait ${name} --wait-interval 1`)
  assert.match(await heroku('pipelines:info shop'), new RegExp(`${name} +review`))
  assert.match(await refused('reviewapps:create -p shop -b absent'), "The branch absent doesn't exist.")
  const spoilt = await refused('reviewapps:create -p shop -b spoilt --wait --wait-interval 1')
  assert.match(spoilt, 'invalid app.json: config var NEEDED is required')
})

test('heroku reviewapps:enable and :disable keep that there are review apps; what needs GitHub is refused', async () => {
  assert.match(await heroku('reviewapps:enable -p shop'), 'Configuring pipeline... done')
  assert.match(await refused('reviewapps:enable -p shop --autodeploy'), 'that needs the pull requests of GitHub')
  assert.match(await heroku('reviewapps:enable -p shop --autodestroy'), 'Enabling auto destroy...')
  assert.match(await heroku('reviewapps:disable -p shop --no-autodeploy'), 'Disabling auto deployment...')
  assert.match(await heroku('reviewapps:disable -p shop'), 'Configuring pipeline... done')
  assert.is((await host.request('GET', '/pipelines/shop/review-app-config')).status, 404)
})

test.run()
