import { existsSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { App } from '../../daemon/app/app.ts'
import { endBuild, startBuild } from '../../daemon/build/build.ts'
import { deleteSuperfluous } from '../../daemon/build/slug/kept.ts'
import { copySlug, insertSlug, recoverSlugs, removeDeleted, slugWithChecksum } from '../../daemon/build/slug/slug.ts'
import { rollback } from '../../daemon/release/release.ts'
import { decide } from '../../daemon/store/database.ts'
import { slugArchive, slugFolder } from '../../daemon/store/slug-path.ts'
import { startHost } from './host.ts'
import { slugsOf, stageApp } from './pipeline-rig.ts'

/** Slugs that were released and are no longer kept. */
const host = await startHost()
const { d } = host
test.after(() => host.close())

const account = { id: '', email: 'ann@example.com' }

/** An app with releases v2, v3 … of a slug each. */
async function released(name: string, count: number): Promise<App> {
  let app: App | undefined
  for (let n = 1; n <= count; n++) app = await stageApp(host, name, `${name} ${n}`)
  if (!app) throw new Error('no release was asked for')
  account.id = app.owner_id
  return app
}
const inOrder = async (app: App) => (await slugsOf(host, app)).toSorted((a, b) => a.created_at - b.created_at)
const there = async (app: App) => (await inOrder(app)).map(({ id }) => existsSync(slugArchive(d.config, id)))
const releases = async (name: string) => (await host.request('GET', `/apps/${name}/releases`)).json

test('slugs beyond the newest go with their files; their releases stay and say that they cannot be rolled back to', async () => {
  const app = await released('many', 5)
  assert.is((await deleteSuperfluous(d, app.id, { rollbacks: 2 })).length, 3)
  assert.equal(await there(app), [false, false, false, true, true])
  assert.equal(
    (await releases('many')).map((one: { eligible_for_rollback: boolean }) => one.eligible_for_rollback),
    [false, false, false, false, true, true],
  )
  assert.equal(await deleteSuperfluous(d, app.id, { rollbacks: 2 }), [])
})

test('a rollback to one of them is refused with those that can be rolled back to, and changes nothing', async () => {
  const before = await releases('many')
  const { status, json } = await host.request('POST', '/apps/many/releases', { body: { release: 'v2' } })
  assert.is(status, 422)
  assert.is(
    json.message,
    'Cannot roll back to v2: its slug is no longer kept. Releases that can be rolled back to: v5. Or push its code again.',
  )
  assert.equal(await releases('many'), before)
  const told = async (version: string) => {
    const { status, eligible_for_rollback } = (await host.request('GET', `/apps/many/releases/${version}`)).json
    return [status, eligible_for_rollback]
  }
  assert.equal(
    [await told('v2'), await told('v5')],
    [
      ['expired', false],
      ['succeeded', true],
    ],
  )
  assert.is((await host.request('POST', '/apps/many/releases', { body: { release: 'v5' } })).status, 201)
})

test('a slug that is deleted says when; it is neither fetched nor released again', async () => {
  const [slug] = await inOrder(
    await d.db.selectFrom('apps').selectAll().where('name', '=', 'many').executeTakeFirstOrThrow(),
  )
  const { json } = await host.request('GET', `/apps/many/slugs/${slug?.id}`)
  assert.match(json.deleted_at, /^20\d\d-/)
  const { pathname, search } = new URL(json.blob.url)
  assert.is((await host.request('GET', pathname + search)).status, 410)
  const again = await host.request('POST', '/apps/many/releases', { body: { slug: slug?.id } })
  assert.equal([again.status, again.json.id], [410, 'gone'])
  assert.match(again.json.message, 'This slug is no longer kept')
  assert.is(await slugWithChecksum(d, slug?.app_id ?? '', slug?.checksum ?? ''), undefined)
})

test('at most so many go at once, oldest first', async () => {
  const app = await released('slow', 4)
  await deleteSuperfluous(d, app.id, { rollbacks: 1, most: 1 })
  assert.equal(await there(app), [false, true, true, true])
})

test('nothing goes while something is built of the app', async () => {
  const app = await released('built', 3)
  const { build } = await startBuild(d, { app, account, version: null })
  assert.equal(await deleteSuperfluous(d, app.id, { rollbacks: 1 }), [])
  endBuild(build.id)
  assert.is((await deleteSuperfluous(d, app.id, { rollbacks: 1 })).length, 2, 'its row may not have been written')
})

test('files that another app was given stay; when that has no need of them either they go', async () => {
  const app = await released('giver', 2)
  const other = await released('taker', 1)
  const [old] = await inOrder(app)
  if (!old) throw new Error('there is no slug')
  const { slug } = await copySlug(d, old, other.id)
  await decide(d.db, (tx) => insertSlug(tx, slug))
  await deleteSuperfluous(d, app.id, { rollbacks: 1 })
  assert.equal(await there(app), [true, true])
  await d.db.deleteFrom('slugs').where('id', '=', slug.id).execute()
  await recoverSlugs(d)
  assert.equal(await there(app), [false, true])
})

test('a rollback at the moment in which its slug goes has it, or is told', async () => {
  for (let round = 0; round < 10; round++) {
    const app = await released(`race-${round}`, 3)
    const [, second] = await inOrder(app)
    const late = (work: () => Promise<unknown>) => new Promise((resolve) => setImmediate(resolve)).then(work)
    const back = () => rollback(d, app, account, 'v3')
    const collect = () => deleteSuperfluous(d, app.id, { rollbacks: 1 })
    const [outcome] = await Promise.allSettled(round % 2 ? [back(), late(collect)] : [late(back), collect()])
    const { slug_id } = await d.db
      .selectFrom('releases')
      .select('slug_id')
      .where('app_id', '=', app.id)
      .orderBy('version', 'desc')
      .executeTakeFirstOrThrow()
    await host.settled()
    assert.ok(existsSync(slugArchive(d.config, slug_id ?? '')), 'what serves is there')
    if (outcome?.status === 'rejected') assert.match(String(outcome.reason), 'no longer kept')
    else if (slug_id === second?.id) assert.ok(existsSync(slugArchive(d.config, second?.id ?? '')))
  }
})

test('what a crash leaves between rows and files goes with the next look, and at the next start', async () => {
  for (const finish of [(app: App) => removeDeleted(d, app.id), () => recoverSlugs(d)]) {
    const app = await released(`crash-${finish.length}`, 2)
    const [old] = await inOrder(app)
    await d.db
      .updateTable('slugs')
      .set({ deleted_at: 1 })
      .where('id', '=', old?.id ?? '')
      .execute()
    await finish(app)
    assert.not.ok(existsSync(slugFolder(d.config, old?.id ?? '')))
  }
})

test.run()
