import { existsSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { App } from '../../daemon/app/app.ts'
import { createDisk, type Disk } from '../../daemon/disk/disk.ts'
import { type Place, stages } from '../../daemon/disk/relief.ts'
import { bootId, ensureTree } from '../../daemon/run/tree.ts'
import { slugArchive, slugTree } from '../../daemon/store/slug-path.ts'
import { waitFor } from '../e2e/wait.ts'
import { createImageStore, createMemoryImages, imageOf } from '../engine/memory-images.ts'
import { startHost } from './host.ts'
import { slugsOf, stageApp } from './pipeline-rig.ts'

/** What is kept of real files and rows, over a disk whose shortness is said by the test. */
const host = await startHost({ SLUICE_SLUGS: '3' })
const { d } = host
const owned = { apps: new Set<string>(), dynos: new Set<string>(), builds: new Set<string>() }
const removed: string[] = []
const store = createImageStore()
const written = new Map<string, number>()
d.engine = {
  images: createMemoryImages(store),
  written: async () => written,
  owners: async () => owned,
  removeApp: async (id: string) => void removed.push(`app ${id}`),
  removeBuild: async (id: string) => void removed.push(`build ${id}`),
  stop: async (id: string) => void removed.push(`dyno ${id}`),
} as unknown as typeof d.engine
test.after(() => host.close())

const HOUR = 3_600_000
const { now } = d.clock
let later = 0
d.clock.now = () => now() + later

/** A disk that is over as long as this is true. */
const shortWhile = (holds: () => boolean): Disk =>
  createDisk(() => d, { stages, over: async () => new Set<Place>(holds() ? ['data', 'engine'] : []) })
const well = shortWhile(() => false)

/** An app with releases v2, v3 … of a slug each, oldest first. */
async function released(name: string, count: number) {
  let app: App | undefined
  for (let n = 1; n <= count; n++) app = await stageApp(host, name, `${name} ${n}`)
  if (!app) throw new Error('no release was asked for')
  const slugs = (await slugsOf(host, app)).toSorted((a, b) => a.created_at - b.created_at)
  for (const { files } of slugs) await ensureTree(d, files)
  return { app, slugs }
}
const archived = (slugs: { id: string }[]) => slugs.map(({ id }) => existsSync(slugArchive(d.config, id)))
const unpacked = (slugs: { id: string }[]) => slugs.map(({ id }) => existsSync(slugTree(d.config, id)))

async function cacheOf(app: { id: string }): Promise<string> {
  const folder = join(d.config.data, 'cache', app.id, 'heroku-24')
  for (const name of ['kept', `spare-${await bootId()}`]) {
    await mkdir(join(folder, name), { recursive: true })
    await writeFile(join(folder, name, 'module'), 'x'.repeat(10_000))
  }
  return folder
}
const told = (app: { id: string }) => d.logs.recent(app.id, {}, 100).map(({ text }) => text)

test('a release takes the slugs with it that it made superfluous', async () => {
  const { app, slugs } = await released('next', 5)
  well.released(app.id)
  await well.close()
  assert.equal(archived(slugs), [false, false, true, true, true])
})

test('a look takes what no rule keeps: old trees, copies and caches; a look that finds nothing takes nothing', async () => {
  const disk = shortWhile(() => false)
  const { app, slugs } = await released('rules', 2)
  const cache = await cacheOf(app)
  await disk.collect()
  assert.equal([unpacked(slugs), (await readdir(cache)).length], [[true, true], 2])
  later = 25 * HOUR
  await disk.collect()
  assert.equal([unpacked(slugs), await readdir(cache)], [[false, true], ['kept']])
  later = 61 * 24 * HOUR
  await disk.collect()
  assert.equal([existsSync(cache), archived(slugs)], [false, [true, true]])
  await ensureTree(d, slugs[0]?.files ?? '')
  assert.equal(unpacked(slugs), [true, true], 'a tree is made again of its archive')
  later = 0
})

test('a disk that is short takes copies and trees first, and stops when it has enough', async () => {
  const { app, slugs } = await released('enough', 3)
  const cache = await cacheOf(app)
  await shortWhile(() => unpacked(slugs)[0] === true).makeRoom()
  assert.equal([await readdir(cache), archived(slugs)], [['kept'], [true, true, true]])
  assert.equal(
    told(app).filter((text) => /free disk space/.test(text)),
    [],
  )
})

test('one that stays short takes caches and slugs down to two, tells the apps, and says who holds most', async () => {
  const { app, slugs } = await released('short', 4)
  const cache = await cacheOf(app)
  host.logged.length = 0
  const disk = shortWhile(() => true)
  await Promise.all([disk.makeRoom(), disk.makeRoom()])
  assert.equal([existsSync(cache), archived(slugs)], [false, [false, false, true, true]])
  assert.equal(unpacked(slugs), [false, false, false, true], 'what serves is left alone')
  assert.equal(
    told(app).filter((text) => /free disk space/.test(text)),
    [
      'Removed the build cache to free disk space: the next build begins without one',
      'Removed the slug of v2 to free disk space: it can no longer be rolled back to',
      'Removed the slug of v3 to free disk space: it can no longer be rolled back to',
    ],
  )
  const said = () => host.logged.join('').match(/nothing more can be removed/g)?.length ?? 0
  await waitFor('the log to say who holds most', () => said() > 0)
  const log = host.logged.join('')
  assert.match(log, `"slug of ${app.id}":2`)
  assert.match(log, /the disk is short, and nothing more can be removed that nobody needs.*"most":\{"/)
  await disk.makeRoom()
  assert.is(said(), 1, 'not each time that somebody asks')
  assert.is(log.match(/the disk was short, so something was removed/g)?.length, 1)
})

test('neither the cache of an app that is being built goes nor its slugs', async () => {
  const { app, slugs } = await released('busy', 4)
  const cache = await cacheOf(app)
  const { startBuild, endBuild, failBuild } = await import('../../daemon/build/build.ts')
  const { build } = await startBuild(d, { app, account: { id: app.owner_id, email: '' }, version: null })
  await shortWhile(() => true).makeRoom()
  assert.equal([await readdir(cache), archived(slugs)], [['kept'], [true, true, true, true]])
  endBuild(build.id)
  await failBuild(d, build.id, 'enough')
})

test('what no row knows goes with the look an hour later, wherever it is', async () => {
  const { app } = await released('known', 1)
  const [stray, other] = [crypto.randomUUID(), crypto.randomUUID()]
  const places = ['cache/%', 'logs/%', 'repos/%.git', 'transcripts/build-%', 'slugs/%', 'builds/%', 'setups/%']
  const paths = (id: string) => places.map((place) => join(d.config.data, place.replace('%', id)))
  for (const path of paths(stray)) await mkdir(path, { recursive: true })
  const ours = [`cache/${app.id}`, `repos/${app.id}.git`, `logs/${app.id}`].map((path) => join(d.config.data, path))
  for (const path of ours) await mkdir(path, { recursive: true })
  for (const ids of Object.values(owned)) ids.add(other)
  owned.apps.add(app.id)
  const disk = shortWhile(() => false)
  const { images } = d.engine
  const holds = async () => (await images.kept()).filter((name) => name.includes(stray)).sort()
  const held = [`${stray}:web`, `cache-${stray}:web-0`].sort()
  store.registries.set('base', imageOf())
  const image = await images.pull('base')
  for (const name of [...held, `cache-${app.id}:web-0`]) await images.keep(image, name)
  await disk.collect()
  assert.equal(await holds(), held)
  assert.equal(
    paths(stray).map(existsSync),
    places.map(() => true),
  )
  assert.equal(removed, [])
  later += HOUR
  await disk.collect()
  assert.equal(await holds(), [])
  assert.ok((await images.kept()).includes(`cache-${app.id}:web-0`))
  assert.equal(
    paths(stray).map(existsSync),
    places.map(() => false),
  )
  assert.equal(ours.map(existsSync), [true, true, true])
  assert.equal(removed.sort(), [`app ${other}`, `build ${other}`, `dyno ${other}`])
})

test('everything that is kept is listed with whose it is, how much and why', async () => {
  const { app, slugs } = await released('holder', 3)
  await cacheOf(app)
  d.logs.write(app.id, { at: 1, source: 'app', dyno: 'api', text: 'a line' })
  await d.logs.flush()
  const found = await shortWhile(() => false).survey()
  assert.ok(found.every(({ bytes }) => bytes > 0))
  const mine = found.filter((holding) => holding.app === app.id)
  const names = new Map(slugs.map(({ id }, n) => [id, `slug ${n + 1}`]))
  const shown = mine.map(({ kind, name, why }) => `${kind} ${names.get(name) ?? name}: ${why}`).sort()
  assert.equal(shown, [
    'cache copy heroku-24: the next build',
    'cache heroku-24: the next build',
    'log : the app',
    'slug slug 1: rollback',
    'slug slug 2: rollback',
    'slug slug 3: serves',
    'tree slug 1: rollback',
    'tree slug 2: rollback',
    'tree slug 3: serves',
  ])
  assert.ok(found.some(({ kind, app }) => kind === 'database' && app === null))
})

test.run()
