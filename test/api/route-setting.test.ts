import { randomUUID } from 'node:crypto'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { findApp } from '../../daemon/app/app.ts'
import { createRelease } from '../../daemon/release/release.ts'
import { createSettings } from '../../daemon/route/release-setting.ts'
import { allRoutes } from '../../daemon/route/routes.ts'
import { decide } from '../../daemon/store/database.ts'
import type { Seal } from '../../daemon/store/seal.ts'
import { startHost } from './host.ts'

/** What config vars say about routing, from `config:set` to the route. */

const host = await startHost()
test.after(() => host.close())
const { d } = host
await host.request('POST', '/apps', { body: { name: 'demo' } })
const owner = await d.db.selectFrom('accounts').selectAll().where('admin', '=', 1).executeTakeFirstOrThrow()
const app = await findApp(d.db, owner, 'demo')
await host.deploy(app, { web: 'node .' })

const set = async (body: Record<string, string | null>) => {
  const answer = await host.request('PATCH', '/apps/demo/config-vars', { body })
  await host.settled()
  return answer
}

/** As the daemon has it, with what it opens and what it says. */
function reader() {
  const opened: string[] = []
  const said: string[] = []
  const seal: Seal = {
    ...d.seal,
    open(sealed, context) {
      opened.push(context)
      return d.seal.open(sealed, context)
    },
  }
  const settings = createSettings({ db: d.db, seal, log: d.log }, (id, faults) => said.push(...faults, id))
  const route = async () => (await allRoutes(d.db, 'localhost', [app.id], settings))[0]
  return { opened, said, route, settings }
}

test('what a release says is in its app’s route; it is opened once', async () => {
  await set({ SLUICE_HOLD_SECONDS: '7', MAINTENANCE_PAGE_URL: 'https://example.com' })
  const { route, opened } = reader()
  for (let n = 0; n < 3; n++) {
    const now = await route()
    assert.equal([now?.hold, now?.maintenancePage], [7000, 'https://example.com/'])
  }
  assert.is(opened.length, 1)
  await set({ SLUICE_HOLD_SECONDS: null })
  assert.is((await route())?.hold, undefined)
  assert.is(opened.length, 2)
})

test('the release that serves counts, and not one that is on its way', async () => {
  await set({ SLUICE_HOLD_SECONDS: '7' })
  const config = { SLUICE_HOLD_SECONDS: '8' }
  const { id } = await decide(d.db, (tx) =>
    createRelease(d, tx, { app: app.id, account: owner, description: 'Slow', config }),
  )
  const { route } = reader()
  assert.is((await route())?.hold, 7000)
  const become = (state: 'cutover' | 'succeeded') =>
    d.db.updateTable('rollouts').set({ state }).where('release_id', '=', id).execute()
  await become('cutover')
  assert.is((await route())?.hold, 8000)
  await become('succeeded')
})

test('a value that is not allowed is refused when it is set', async () => {
  const { status, json } = await set({ SLUICE_DRAIN_SECONDS: 'soon' })
  assert.equal(
    [status, json.id, json.message],
    [422, 'invalid_params', 'SLUICE_DRAIN_SECONDS must be a whole number of seconds from 0 to 600.'],
  )
})

test('one that is there all the same sets nothing and is told once', async () => {
  const config = { SLUICE_HOLD_SECONDS: 'soon', SLUICE_HSTS_SECONDS: '60' }
  await decide(d.db, (tx) => createRelease(d, tx, { app: app.id, account: owner, description: 'Old', config }))
  d.runner.poke(app.id)
  await host.settled()
  const { route, said } = reader()
  for (let n = 0; n < 2; n++) {
    const now = await route()
    assert.equal([now?.hold, now?.hsts], [undefined, 60])
  }
  assert.equal(said, ['SLUICE_HOLD_SECONDS must be a whole number of seconds from 0 to 300.', app.id])
})

test('a release whose config vars cannot be opened is routed without them', async () => {
  const seal: Seal = {
    ...d.seal,
    open() {
      throw new Error('sealed with another key')
    },
  }
  const settings = createSettings({ db: d.db, seal, log: d.log }, () => assert.unreachable())
  const [route] = await allRoutes(d.db, 'localhost', [app.id], settings)
  assert.is(route?.hsts, undefined)
  assert.ok(host.logged.some((line) => line.includes('config vars cannot be opened')))
})

test('a path of health checks is that of each dyno’s own release, unless its code has checks', async () => {
  await set({ SLUICE_HEALTH_PATH: '/old' })
  const { route } = reader()
  const asked = async () => (await route())?.backends.map(({ mode, checks }) => `${mode} ${checks?.readiness?.path}`)
  assert.equal(await asked(), ['serve /old'])
  const config = { SLUICE_HEALTH_PATH: '/new' }
  const { id } = await decide(d.db, (tx) =>
    createRelease(d, tx, { app: app.id, account: owner, description: 'Next', config }),
  )
  const dyno = await d.db.selectFrom('dynos').selectAll().where('app_id', '=', app.id).executeTakeFirstOrThrow()
  const next = { ...dyno, id: randomUUID(), release_id: id, state: 'starting' as const }
  await d.db.insertInto('dynos').values(next).execute()
  assert.equal((await asked())?.sort(), ['probe /new', 'serve /old'])
  const checks = JSON.stringify({ web: { readiness: { path: '/code', timeout: 5000, interval: 10_000, attempts: 3 } } })
  await d.db.updateTable('slugs').set({ checks }).where('app_id', '=', app.id).execute()
  assert.equal((await asked())?.sort(), ['probe /code', 'serve /code'])
  const { status, json } = await set({ SLUICE_HEALTH_PATH: 'healthz' })
  assert.is(status, 422)
  assert.match(json.message, /^SLUICE_HEALTH_PATH must be a path of at most 1024 characters that begins with "\/"/)
})

test('more releases than one query asks for are all read', async () => {
  const { id } = await d.db
    .selectFrom('releases')
    .innerJoin('rollouts', 'rollouts.release_id', 'releases.id')
    .select('releases.id')
    .where('rollouts.state', '=', 'succeeded')
    .orderBy('releases.version', 'desc')
    .executeTakeFirstOrThrow()
  const others = Array.from({ length: 1200 }, (_, n) => `release-${n}`)
  const found = await reader().settings([...others, id])
  assert.equal([found.size, found.get(id)?.route?.hsts], [1201, 60])
})

test.run()
