import { randomBytes } from 'node:crypto'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { repositoryPath } from '../../daemon/git/repository.ts'
import { limits } from '../../daemon/limits.ts'
import { waitFor } from '../e2e/wait.ts'
import { type Copy, type Rig, startRig } from './git-rig.ts'

let rig: Rig
let copy: Copy
test.before.each(async () => {
  rig = await startRig()
  copy = await rig.copy()
  await copy.git('remote', 'add', 'heroku', rig.url)
})
test.after.each(() => rig.close())

const push = () => copy.git('push', 'heroku', 'main')

async function bounded(bounds: Partial<Record<keyof typeof limits, number>>, work: () => Promise<void>): Promise<void> {
  const before = { ...limits }
  Object.assign(limits, bounds)
  try {
    await work()
  } finally {
    Object.assign(limits, before)
  }
}

test('a commit of more files, or of larger ones, than can be built is refused before it is read', async () => {
  await copy.commit(Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`many/${n}`, String(n)])))
  await bounded({ sourceEntries: 20 }, async () => {
    assert.match((await push()).stderr, /! {5}This commit has more than 20 files\./)
  })
  await writeFile(join(copy.path, 'zeros.bin'), Buffer.alloc(5_000_000))
  await copy.commit({})
  await bounded({ sourceSize: 1_000_000 }, async () => {
    const { stderr } = await push()
    assert.match(stderr, /larger than .* together\. The largest so far is "zeros\.bin" \(.*\)\. Take large files out/)
  })
  assert.is(rig.deployed.length, 0)
  assert.is((await push()).code, 0)
})

/** Of a refused push git keeps nothing; it may still be at it when the client has been told. */
async function nothingKept(): Promise<void> {
  const objects = join(repositoryPath(rig.host.d.config.data, rig.app.id), 'objects')
  await waitFor('the quarantine to be gone', async () => {
    assert.equal((await readdir(objects)).sort(), ['info', 'pack'])
    assert.equal(await readdir(join(objects, 'pack')), [])
    return true
  })
}

test('a push beyond the bound is told so at once, its rest is thrown away, and nothing of it is kept', async () => {
  await writeFile(join(copy.path, 'big'), randomBytes(1_500_000))
  await copy.commit({})
  await bounded({ sourceSize: 1_000_000 }, async () => {
    const { code, stderr } = await push()
    assert.is(code, 1)
    assert.match(
      stderr,
      /remote: {2}! {5}This push is larger than 976\.6K\. *\nremote: {2}! {5}Take large files out of the history/,
    )
    assert.match(stderr, /! \[remote rejected\] main -> main/)
    await nothingKept()
    await copy.git('clone', '-q', '--depth=1', `file://${copy.path}`, 'shallow')
    const shallow = await copy.git('-C', 'shallow', 'push', rig.url, 'HEAD:main')
    assert.match(shallow.stderr, /This push is larger than 976\.6K\./)
  })
  assert.is(rig.deployed.length, 0)
  assert.is((await push()).code, 0)
})

test('one that does not stop at the bound is cut off', async () => {
  await writeFile(join(copy.path, 'big'), randomBytes(8_000_000))
  await copy.commit({})
  await bounded({ sourceSize: 100_000 }, async () => {
    const { code, stderr } = await push()
    assert.is.not(code, 0)
    assert.match(stderr, /This push is larger than 97\.7K\./)
    await nothingKept()
  })
})

test('a disk that fills while a push comes refuses it in words', async () => {
  await writeFile(join(copy.path, 'big'), randomBytes(10_000_000))
  await copy.commit({})
  await bounded({ diskReserve: Number.MAX_SAFE_INTEGER }, async () => {
    assert.match((await push()).stderr, /The disk of this host is almost full, so nothing can be built\./)
    await nothingKept()
  })
  assert.is((await push()).code, 0)
})

test('a refused push leaves no object behind', async () => {
  await copy.commit({
    '.gitattributes': '*.png filter=lfs\n',
    'a.png': `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 1\n`,
  })
  assert.is((await push()).code, 1)
  await nothingKept()
})

test.run()
