import { execFileSync } from 'node:child_process'
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../daemon/clock.ts'
import { ensureTree, placeTree, settleTree } from '../../daemon/run/tree.ts'
import { slugArchive, slugFolder, slugTree } from '../../daemon/store/slug-path.ts'

const id = 'a-slug'
let config: { data: string }
let folder: string
const inTree = (name: string) => join(slugTree(config, id), name)

test.before.each(async () => {
  config = { data: await mkdtemp(join(tmpdir(), 'sluice-tree-')) }
  folder = slugFolder(config, id)
  const app = join(folder, 'made', 'app')
  await mkdir(app, { recursive: true })
  await writeFile(join(app, 'file'), 'content', { mode: 0o600 })
  execFileSync('bash', ['-c', "ln file hard; ln -s /etc/passwd soft; touch $'odd\\xff'; mkdir -m 0555 closed"], {
    cwd: app,
  })
  execFileSync('tar', ['-C', join(folder, 'made'), '--zstd', '-cf', slugArchive(config, id), './app'])
})
test.after.each(() => rm(config.data, { recursive: true }))

test('a missing tree is unpacked from the archive, for the user of dynos, with modes and links as they were', async () => {
  await ensureTree({ config, clock: systemClock }, id)
  assert.is(await readFile(inTree('file'), 'utf8'), 'content')
  const { uid, mode, ino } = await stat(inTree('file'))
  assert.equal([uid, mode & 0o777], [1000, 0o600])
  assert.is((await stat(inTree('hard'))).ino, ino)
  assert.ok((await lstat(inTree('soft'))).isSymbolicLink())
  assert.is((await stat(inTree('closed'))).mode & 0o777, 0o555)
  assert.is((await readdir(slugTree(config, id))).length, 5)
  await settleTree(config, id)
  assert.not.ok((await readdir(folder)).includes('unsettled'))
})

test('a tree that was not settled when the host went down is unpacked again', async () => {
  await placeTree(config, id, join(folder, 'made'))
  await writeFile(join(folder, 'unsettled'), 'another boot')
  await ensureTree({ config, clock: systemClock }, id)
  assert.is(await readFile(inTree('file'), 'utf8'), 'content')
})

test('a tree that was not settled when only the daemon went down is kept', async () => {
  await placeTree(config, id, join(folder, 'made'))
  await ensureTree({ config, clock: systemClock }, id)
  assert.equal(await readdir(slugTree(config, id)), ['app'])
  await settleTree(config, id)
  assert.not.ok((await readdir(folder)).includes('unsettled'))
})

test('a settled tree outlives a restart of the host', async () => {
  await placeTree(config, id, join(folder, 'made'))
  await settleTree(config, id)
  await ensureTree({ config, clock: systemClock }, id)
  assert.equal(await readdir(slugTree(config, id)), ['app'])
})

test('an archive that cannot be unpacked leaves nothing of it', async () => {
  const whole = await readFile(slugArchive(config, id))
  await writeFile(slugArchive(config, id), whole.subarray(0, whole.length >> 1))
  const before = (await readdir(folder)).sort()
  try {
    await ensureTree({ config, clock: systemClock }, id)
    assert.unreachable()
  } catch (error) {
    assert.match((error as Error).message, /could not be unpacked \(tar ended with 2\)/)
  }
  assert.equal((await readdir(folder)).sort(), before)
})

test.run()
