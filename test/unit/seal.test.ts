import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createSeal, readKey } from '../../daemon/store/seal.ts'

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

test.run()
