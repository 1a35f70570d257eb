import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createSeal, readKey, requireRightKey } from '../../daemon/store/seal.ts'

const seal = createSeal(Buffer.alloc(32, 1))
const plain = JSON.stringify({ WÖRLD: 'a\n"b"\0 $HOME `x` \\ 世界 🎉', EMPTY: '' })

test('what was sealed opens to the same text', () => {
  assert.is(seal.open(seal.seal(plain, 'row 1'), 'row 1'), plain)
  assert.is(seal.open(seal.seal('', 'row 1'), 'row 1'), '')
})

test('the same text is sealed differently each time, and never readable', () => {
  assert.is.not(seal.seal(plain, 'row 1'), seal.seal(plain, 'row 1'))
  assert.not(Buffer.from(seal.seal('password', 'row 1'), 'base64').includes('password'))
})

test('a text that was moved to another row, changed, or cut does not open', () => {
  const sealed = seal.seal(plain, 'row 1')
  assert.throws(() => seal.open(sealed, 'row 2'))
  const bytes = Buffer.from(sealed, 'base64')
  for (const at of [0, 12, 28, bytes.length - 1]) {
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ 1
    assert.throws(() => seal.open(changed.toString('base64'), 'row 1'))
  }
  assert.throws(() => seal.open(bytes.subarray(0, 20).toString('base64'), 'row 1'))
  assert.throws(() => seal.open('', 'row 1'))
})

test('another key does not open it', () => {
  assert.throws(() => createSeal(Buffer.alloc(32, 2)).open(seal.seal(plain, 'row 1'), 'row 1'))
})

test('a fingerprint is the same for the same text and key only', () => {
  assert.is(seal.fingerprint(plain), createSeal(Buffer.alloc(32, 1)).fingerprint(plain))
  assert.is.not(seal.fingerprint(plain), seal.fingerprint(`${plain} `))
  assert.is.not(seal.fingerprint(plain), createSeal(Buffer.alloc(32, 2)).fingerprint(plain))
  assert.match(seal.fingerprint(plain), /^[0-9a-f]{64}$/)
})

test('a key of another length is refused', () => {
  assert.throws(() => createSeal(Buffer.alloc(16)), /32 bytes/)
})

test('the key file is made once, for its owner only', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-seal-'))
  const path = join(folder, 'seal.key')
  const [first, ...others] = await Promise.all(Array.from({ length: 8 }, () => readKey(path)))
  for (const other of others) assert.equal(other, first)
  assert.equal(await readFile(path), first)
  assert.equal(await readdir(folder), ['seal.key'])
  assert.is((await readKey(path)).length, 32)
  assert.is((await stat(path)).mode & 0o777, 0o600)
  await rm(folder, { recursive: true })
})

test('a key that is handed in is taken, and none is made beside it', async () => {
  const { folder, path, credentials, hand } = await handed()
  const key = Buffer.alloc(32, 7)
  await hand(key)
  assert.equal(await readKey(path, { credentials, sealed: true }), key)
  assert.equal(await readdir(folder), ['credentials'])
  await writeFile(path, key)
  assert.equal(await readKey(path, { credentials }), key)
  await rm(folder, { recursive: true })
})

test('a key that would not open what is sealed is refused, whichever way it came, and nothing is written', async () => {
  const { folder, path, credentials, hand } = await handed()
  const refused = (sealed: boolean) => readKey(path, { credentials, sealed }).then(String, ({ message }) => message)
  assert.match(await refused(true), /^The sealing key is missing, .* Put it back/)
  assert.equal(await readdir(folder), ['credentials'])
  await hand(Buffer.alloc(31))
  assert.match(await refused(false), /31 bytes; it must be 32/)
  await hand(Buffer.alloc(32, 1))
  await writeFile(path, Buffer.alloc(32, 2))
  assert.match(await refused(false), /is not the one in .*seal\.key\. Make that one the credential/)
  assert.equal(await readFile(path), Buffer.alloc(32, 2))
  await rm(folder, { recursive: true })
})

test('a start with another key than the one that was sealed with is refused', () => {
  const row = { id: 'release 1', config: seal.seal(plain, 'release 1') }
  requireRightKey(seal, row)
  requireRightKey(seal, undefined)
  assert.throws(
    () => requireRightKey(createSeal(Buffer.alloc(32, 2)), row),
    /sealed with another key .* Put the right one back/,
  )
})

/** A data folder, and how systemd hands in credentials. */
async function handed() {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-seal-'))
  const credentials = join(folder, 'credentials')
  await mkdir(credentials)
  return {
    ...{ folder, credentials, path: join(folder, 'seal.key') },
    hand: (key: Buffer) => writeFile(join(credentials, 'seal.key'), key),
  }
}

test.run()
