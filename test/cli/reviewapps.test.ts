import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { pushBranch, runInstantly, stageApp } from '../api/pipeline-rig.ts'
import { type Rig, startRig } from './rig.ts'
import { startPerson } from './sluice.ts'

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

test('sluice reviewapps:create and :wait do the same', async () => {
  const person = await startPerson({ SLUICE_API_URL: host.url, SLUICE_API_KEY: host.token, NO_COLOR: '1' })
  const sluice = (line: string) => person.warm(line.split(' '))
  try {
    const app = await host.d.db
      .selectFrom('apps')
      .selectAll()
      .where('name', '=', 'shop-staging')
      .executeTakeFirstOrThrow()
    await pushBranch(host, app, 'topic/till', { Procfile: 'web: serve\n' })
    const created = await sluice('reviewapps:create -p shop -b topic/till --wait-interval 1')
    assert.is(created.code, 0, created.err)
    assert.match(
      created.err,
      /^Creating review app from topic\/till\.\.\. done\nReview app is building and will be ready when complete\.\.\. \n$/,
    )
    const [, name] =
      /^Run sluice reviewapps:wait (shop-topic-till-\w{4}) to check progress\.\n$/.exec(created.out) ?? []
    assert.ok(name, created.out)
    const waited = await sluice(`reviewapps:wait ${name} --wait-interval 1`)
    assert.is(waited.code, 0, waited.err)
    const { json } = await host.request('GET', `/apps/${name}/review-app`)
    assert.is(json.status, 'created')
    await pushBranch(host, app, 'spoiled', { Procfile: 'web: serve\n', 'app.json': '{"env": {"NEEDED": {}}}' })
    const spoilt = await sluice('reviewapps:create -p shop -b spoiled --wait --wait-interval 1')
    assert.is(spoilt.code, 1, spoilt.err)
    assert.match(spoilt.err.replace(/[\s›]+/g, ' '), 'invalid app.json: config var NEEDED is required')
  } finally {
    await person.close()
  }
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
