import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  baseImages,
  dropBase,
  fetchNoted,
  isUnused,
  touchBase,
  useBases,
} from '../../daemon/build/container/base-image.ts'
import { limits } from '../../daemon/limits.ts'
import { createImageStore, createMemoryImages, imageOf } from '../engine/memory-images.ts'
import { startHost } from './host.ts'

/** Images that Dockerfiles begin with: which of them are the platform's to remove. */
const host = await startHost()
const { d } = host
const used = new Set<string>()
const store = createImageStore(undefined, (id) => used.has(id))
d.engine = { images: createMemoryImages(store) } as unknown as typeof d.engine
test.after(() => host.close())

const { now } = d.clock
const fetch = (reference: string) => {
  store.registries.set(reference, imageOf())
  return fetchNoted(d, reference, () => d.engine.images.pull(reference))
}
const appOf = async (name: string) => (await host.request('POST', '/apps', { body: { name } })).json as { id: string }
const all = async () => (await baseImages(d.db)).map(({ reference, uses }) => `${reference} ${uses}`).sort()
/** What may go when so much time has passed. */
async function drop(after: number): Promise<string[]> {
  d.clock.now = () => now() + after
  const dropped: string[] = []
  for (const base of await baseImages(d.db))
    if (isUnused(d, base) && (await dropBase(d, base))) dropped.push(base.reference)
  d.clock.now = now
  return dropped.sort()
}

test('a base image stays as long as the newest build of some app begins with it', async () => {
  const [one, other] = [await appOf('based-one'), await appOf('based-other')]
  for (const reference of ['node:20', 'node:22', 'nginx:1']) await fetch(reference)
  await useBases(d, one.id, ['node:20', 'nginx:1', 'of-the-host:1'])
  await useBases(d, other.id, ['node:20'])
  assert.equal(await all(), ['nginx:1 1', 'node:20 2', 'node:22 0'])
  await useBases(d, one.id, ['node:22'])
  assert.equal(await drop(2 * limits.sweep), ['nginx:1'])
  assert.equal(await all(), ['node:20 1', 'node:22 1'])
  await d.db.deleteFrom('apps').where('id', '=', other.id).execute()
  assert.equal(await drop(2 * limits.sweep), ['node:20'])
  assert.is(await d.engine.images.inspect('node:20'), null)
  assert.ok(await d.engine.images.inspect('node:22'))
})

test('what was just fetched, or a build has just begun with, stays', async () => {
  await fetch('fresh:1')
  assert.equal(await drop(0), [])
  d.clock.now = () => now() + 2 * limits.sweep
  await touchBase(d, 'fresh:1')
  assert.equal(await drop(2 * limits.sweep), [])
  assert.equal(await drop(4 * limits.sweep), ['fresh:1'])
})

test('a name that stands for another image by now is left alone, and so is what a container uses', async () => {
  await fetch('renewed:1')
  await fetch('running:1')
  const theirs = imageOf()
  store.images.set('renewed:1', theirs)
  used.add((await d.engine.images.inspect('running:1'))?.id ?? '')
  await drop(2 * limits.sweep)
  assert.is((await d.engine.images.inspect('renewed:1'))?.id, theirs.id)
  assert.ok(await d.engine.images.inspect('running:1'))
  assert.ok((await all()).includes('running:1 0'), 'it is tried again')
  assert.not.ok((await all()).includes('renewed:1 0'), 'it is no longer ours')
  used.clear()
  assert.equal(await drop(2 * limits.sweep), ['running:1'])
})

test('one that could not be fetched is not noted; one that a crash left is known', async () => {
  await fetchNoted(d, 'absent:1', () => d.engine.images.pull('absent:1')).then(
    () => assert.unreachable(),
    (error) => assert.match(String(error), 'could not pull'),
  )
  assert.not.ok((await all()).includes('absent:1 0'))
  store.registries.set('crashed:1', imageOf())
  const crash = fetchNoted(d, 'crashed:1', async () => {
    await d.engine.images.pull('crashed:1')
    return new Promise<string>(() => {})
  })
  void crash
  while (!(await d.engine.images.inspect('crashed:1'))) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(await drop(2 * limits.sweep), ['crashed:1'])
})

test.run()
