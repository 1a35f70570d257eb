import { randomUUID } from 'node:crypto'
import { utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { limits } from '../../daemon/limits.ts'
import { type Needs, sweepRegistry } from '../../daemon/registry/registry.ts'
import { startRig } from './registry-rig.ts'

const rig = await startRig()
test.after(() => rig.close())
const { d, token } = rig.host
const me = rig.as(token)

/** Of a tag of web, as if it had been pushed then. */
const pushedAt = (app: string, tag: string, at: number) =>
  utimes(join(d.registry.storage ?? '', app, 'web', '_manifests', 'tags', tag, 'current', 'link'), at / 1000, at / 1000)
const found = async (app: string, tag: string) =>
  (await me.request('HEAD', `/v2/${app}/web/manifests/${tag}`)).status === 200
test('an image that no release has goes a week after it was pushed, with its room; one that a release has stays', async () => {
  const app = await rig.app('weekly')
  const left = await me.image('weekly/web', 'left', 'never released')
  const { id, layer } = await me.image('weekly/web', 'released', 'released long ago')
  await me.image('weekly/web', 'fresh', 'pushed just now')
  const needs: Needs = {
    live: async (apps) => new Set(apps),
    released: async (of) => new Set(of === app.id ? [id] : []),
  }
  for (const tag of ['left', 'released']) await pushedAt(app.id, tag, d.clock.now() - limits.pushedKept - 60_000)
  const before = await d.registry.used(app.id)
  await d.registry.sweep(needs, 0)
  const there = await Promise.all(['left', 'released', 'fresh'].map((tag) => found('weekly', tag)))
  assert.equal(there, [false, true, true])
  const blob = async (digest: string) => (await me.request('HEAD', `/v2/weekly/web/blobs/${digest}`)).status
  assert.equal([await blob(left.layer), await blob(layer)], [404, 200])
  assert.ok((await d.registry.used(app.id)) < before)
  await me.image('weekly/web', 'left', 'never released')
  await d.registry.sweep(needs, 0)
  assert.ok(await found('weekly', 'left'), 'it was pushed again')
})

test('what the releases of an app have is known from its slugs', async () => {
  const app = await rig.app('slugged')
  const { id } = await me.image('slugged/web', 'latest', 'in a slug')
  await pushedAt(app.id, 'latest', 0)
  const slug = { id: randomUUID(), app_id: app.id, key: '', files: '', commit: null, checksum: '', size: 1 }
  const rest = { process_types: '{"web":""}', buildpack_description: '', stack: 'container', created_at: 0 }
  const images = JSON.stringify({ web: { id, command: null } })
  await d.db
    .insertInto('slugs')
    .values({ ...slug, ...rest, images })
    .execute()
  const quiet = limits.registryQuiet
  Object.assign(limits, { registryQuiet: 0 })
  try {
    await sweepRegistry(d)
    assert.ok(await found('slugged', 'latest'))
    await d.db.updateTable('slugs').set({ deleted_at: 1 }).where('id', '=', slug.id).execute()
    await sweepRegistry(d)
    assert.not.ok(await found('slugged', 'latest'))
  } finally {
    Object.assign(limits, { registryQuiet: quiet })
  }
})

test.run()
