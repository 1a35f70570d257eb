import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  commitCache,
  endCopies,
  recoverCaches,
  removeCache,
  setAside,
  spareCache,
  sweepSpares,
  takeCache,
} from '../../daemon/build/slug/cache.ts'
import type { Daemon } from '../../daemon/daemon.ts'
import { limits } from '../../daemon/limits.ts'
import { waitFor } from '../e2e/wait.ts'

const app = { id: 'an-app', stack: 'heroku-24' }
const signal = new AbortController().signal
let d: Daemon
let count = 0
let now = 0
let warned: unknown[] = []

test.before.each(async () => {
  now = Date.now()
  warned = []
  const engine = { images: { forget: async () => true } }
  const log = { warn: (_: string, fields: unknown) => warned.push(fields) }
  const data = await mkdtemp(join(tmpdir(), 'sluice-cache-'))
  d = { config: { data }, log, clock: { now: () => now }, engine } as unknown as Daemon
})
test.after.each(() => rm(d.config.data, { recursive: true, force: true }))

const place = () => join(d.config.data, `build-${count++}`)
const inApp = (...path: string[]) => join(d.config.data, 'cache', app.id, ...path)

/** A build that leaves this in its cache. Tells what it found there. */
async function build(leaves: string, by = app): Promise<string> {
  const folder = place()
  const { otherStack } = await takeCache(d.config, by, folder, signal)
  const found = await readFile(join(folder, 'file'), 'utf8').catch(() => otherStack ?? 'nothing')
  await writeFile(join(folder, 'file'), leaves)
  await commitCache(d.config, by, { from: folder, aside: place() })
  return found
}

const isNote = (name: string): boolean => name.startsWith('unsettled-')
const notes = async () => (await readdir(inApp(app.stack))).filter(isNote)
const beside = async () => (await readdir(inApp(app.stack))).filter((name) => !isNote(name)).sort()

/** The copy for the next build, as it is when it is ready. */
async function spared(): Promise<string> {
  spareCache(d, app)
  const names = () => readdir(inApp(app.stack))
  await waitFor('the copy', async () => (await names()).some((name) => name.startsWith('spare-')))
  await waitFor('the cache to be on disk', async () => (await notes()).length === 0)
  return inApp(app.stack, (await names()).find((name) => name.startsWith('spare-')) ?? '')
}

test('a build finds what the one before left', async () => {
  assert.is(await build('first'), 'nothing')
  assert.is(await build('second'), 'first')
  await spared()
  assert.is(await build('third'), 'second')
  assert.is(await build('fourth'), 'third', 'the copy of what is no longer kept is not used')
})

test('a build takes the copy that was made before, and no file of it is one that is kept', async () => {
  await build('first')
  const { ino } = await stat(join(await spared(), 'file'))
  const folder = place()
  await takeCache(d.config, app, folder, signal)
  assert.is((await stat(join(folder, 'file'))).ino, ino)
  assert.is.not((await stat(inApp(app.stack, 'kept', 'file'))).ino, ino)
})

test('a build that failed leaves the cache as it was', async () => {
  await build('good')
  await spared()
  const folder = place()
  await takeCache(d.config, app, folder, signal)
  await writeFile(join(folder, 'file'), 'spoilt')
  assert.is(await build('next'), 'good')
})

test('a build that begins while the copy is made waits for it; one that ends gives it up', async () => {
  await build('first')
  spareCache(d, app)
  assert.is(await build('second'), 'first')
  spareCache(d, app)
  await commitCache(d.config, app, { from: await folderWith('third'), aside: place() })
  assert.equal(await beside(), ['kept'])
  assert.ok((await notes()).length > 0)
  assert.is(await build('fourth'), 'third')
})

async function folderWith(content: string): Promise<string> {
  const folder = place()
  await mkdir(folder)
  await writeFile(join(folder, 'file'), content)
  return folder
}

test('a cache of another stack is not used, and gone when the next one is kept', async () => {
  await build('of 24')
  const later = { ...app, stack: 'heroku-26' }
  const folder = place()
  assert.is((await takeCache(d.config, later, folder, signal)).otherStack, 'heroku-24')
  assert.equal(await readdir(folder), [])
  assert.is(await build('still of 24'), 'of 24', 'as long as no build for the other stack succeeded')
  assert.is(await build('of 26', later), 'heroku-24')
  assert.equal(await readdir(inApp()), ['heroku-26'])
  assert.is(await build('of 24 again'), 'heroku-26')
})

test('what a power cut may have spoilt is not used', async () => {
  await build('unsettled')
  await writeFile(inApp(app.stack, 'unsettled'), 'another boot')
  assert.is(await build('settled'), 'nothing')
  await rm(await spared(), { recursive: true })
  await mkdir(inApp(app.stack, 'spare-another-boot'))
  assert.is(await build('next'), 'settled')
})

/** What a daemon leaves that dies, or cannot go on, while a cache takes the place of another. */
const between: Record<string, () => Promise<unknown>> = {
  'nothing of the old one': async () => {},
  'its files': () => rename(inApp(app.stack, 'kept'), place()),
}
for (const [gone, take] of Object.entries(between))
  for (const recovered of [true, false])
    test(`a crash while a cache takes the place of another, when ${gone} is taken away, loses none, ${
      recovered ? 'after a start' : 'without one too'
    }`, async () => {
      await build('old')
      await rename(await folderWith('new'), inApp(app.stack, 'next'))
      await take()
      if (recovered) {
        await recoverCaches(d)
        assert.equal(await beside(), ['kept'])
        assert.ok((await notes()).length > 0)
      }
      assert.is(await build('next'), 'new')
      assert.is(await build('last'), 'next')
      assert.equal(await beside(), ['kept'])
      assert.ok((await notes()).length > 0)
    })

test('a start goes on when a cache cannot be put in its place', async () => {
  const top = d.config.data
  const below = join('cache', app.id, app.stack, 'next')
  // a path that the kernel just takes, so that no longer name fits beside it
  while (join(d.config.data, below).length < 4080)
    d.config.data = join(d.config.data, 'x'.repeat(Math.min(200, 4089 - join(d.config.data, below).length)))
  try {
    await mkdir(join(d.config.data, below), { recursive: true })
    await recoverCaches(d)
    assert.ok(existsSync(join(d.config.data, below)))
    assert.is(warned.length, 1)
  } finally {
    d.config.data = top
  }
})

test('a cache that is kept while the one before it is put on disk is unsettled all the same', async () => {
  const { PATH } = process.env
  const [begun, go] = [join(d.config.data, 'begun'), join(d.config.data, 'go')]
  const slow = `#!/bin/sh\n: >'${begun}'\nwhile [ ! -e '${go}' ]; do sleep 0.02; done\n`
  await writeFile(join(d.config.data, 'sync'), slow, { mode: 0o755 })
  process.env.PATH = `${d.config.data}:${PATH}`
  try {
    await build('first')
    const [first] = await notes()
    spareCache(d, app)
    await waitFor('the first to be put on disk', () => existsSync(begun))
    await build('second')
    await writeFile(go, '')
    await waitFor('the note of the first to be gone', async () => !(await notes()).includes(first ?? ''))
    assert.is((await notes()).length, 1, 'that of the second is another')
  } finally {
    process.env.PATH = PATH
  }
})

test('a copy that no build took, and the rest of one that a crash interrupted, go after an hour', async () => {
  await build('kept')
  await spared()
  await mkdir(inApp(app.stack, 'spare-another-boot'))
  await mkdir(inApp(app.stack, 'part-1'))
  await sweepSpares(d)
  assert.is((await readdir(inApp(app.stack))).length, 3, 'kept, spare and part')
  now += limits.spareCache + 60_000
  await sweepSpares(d)
  assert.equal(await readdir(inApp(app.stack)), ['kept'])
  assert.is(await build('next'), 'kept')
})

test('an app that goes, or whose cache is purged, while the copy is made leaves nothing', async () => {
  await build('purged')
  spareCache(d, app)
  await setAside(d.config, app.id, place())
  assert.is(await build('gone'), 'nothing')
  spareCache(d, app)
  await removeCache(d, app.id)
  assert.not.ok(existsSync(inApp()))
  assert.equal(warned, [])
})

test('a daemon that stops gives up the copy, and the next build makes one for itself', async () => {
  await build('first')
  spareCache(d, app)
  await endCopies()
  assert.not.ok((await readdir(inApp(app.stack))).some((name) => name.startsWith('part-')))
  assert.is(await build('second'), 'first')
})

test('an app without a cache has no copy made', async () => {
  spareCache(d, app)
  assert.is(await build('first'), 'nothing')
  assert.equal(warned, [])
})

test.run()
