import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { MANIFEST, type Part, readArchive, SUMS, writeArchive } from '../../daemon/backup/archive.ts'
import { decrypted, encrypted, MAGIC, readPassphrase } from '../../daemon/backup/cipher.ts'
import { headOf, readHead } from '../../daemon/backup/tar.ts'
import { Blocks } from '../../daemon/build/source/blocks.ts'
import { limits } from '../../daemon/limits.ts'
import { manifest, packed, sumsOf, tarOf } from './backup-file.ts'

const run = promisify(execFile)
// The tests are not about how long a guess takes.
Object.assign(limits, { backupScrypt: 2 ** 10 })

let folder = ''
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-archive-'))
})
test.after(() => rm(folder, { recursive: true }))

const long = `data/registry/${'v'.repeat(128)}/${'w'.repeat(90)}/link`
const contents: Record<string, Buffer> = {
  [MANIFEST]: Buffer.from(manifest()),
  'data/empty': Buffer.alloc(0),
  'data/block': Buffer.alloc(512, 'b'),
  [long]: randomBytes(300_000),
}

async function* parts(): AsyncGenerator<Part> {
  for (const [name, content] of Object.entries(contents)) {
    if (name === 'data/empty') yield { kind: 'folder', name: 'data', mode: 0o700, owner: 0, size: 0, content: [] }
    const half = content.length >> 1
    yield {
      ...{ kind: 'file', name, mode: 0o640, owner: 65_534, size: content.length },
      content: [content.subarray(0, half), content.subarray(half)],
    }
  }
}

async function write(name: string, passphrase?: string, from = parts()): Promise<string> {
  const path = join(folder, name)
  const [file, sums] = [await open(path, 'w'), await open(`${path}.sums`, 'w+')]
  const signal = new AbortController().signal
  try {
    await writeArchive(file, from, { passphrase, signal, sums, read() {}, wrote: async () => {} })
  } finally {
    await file.close()
    await sums.close()
  }
  return path
}

async function read(path: string, passphrase?: string) {
  const files: Record<string, Buffer> = {}
  const heads: string[] = []
  const found = await readArchive(path, passphrase, {
    manifest: async () => {},
    folder: async ({ name, mode }) => void heads.push(`${name} ${mode.toString(8)}`),
    async file({ name, mode, owner }, content) {
      heads.push(`${name} ${mode.toString(8)} ${owner}`)
      files[name] = await buffer(content)
    },
  })
  return { files, heads, found }
}

const refusal = (work: Promise<unknown>): Promise<string> => work.then(() => 'it went through', String)
const DAMAGED = 'BackupError: It is damaged, or not all of it is there.'

test('what was put in comes out, with names, modes and owners, encrypted or not', async () => {
  for (const passphrase of [undefined, 'correct horse']) {
    const path = await write('whole', passphrase)
    const { files, heads, found } = await read(path, passphrase)
    const { [MANIFEST]: _, ...others } = contents
    assert.equal(files, others)
    assert.equal(heads, ['data 700', ...Object.keys(others).map((name) => `${name} 640 65534`)])
    assert.is(found.host, 'here')
    const file = await readFile(path)
    assert.is(file.includes(Buffer.alloc(64, 'b')), false)
    assert.is(file.subarray(0, MAGIC.length).equals(MAGIC), passphrase !== undefined)
  }
})

test('nothing is lost when all is packed before the key of a passphrase is there', async () => {
  Object.assign(limits, { backupScrypt: 2 ** 16 })
  const path = await write(
    'quick',
    'secret',
    (async function* () {
      const content = Buffer.from(manifest())
      yield { kind: 'file', name: MANIFEST, mode: 0o600, owner: 0, size: content.length, content: [content] } as const
    })(),
  )
  assert.is((await read(path, 'secret')).found.host, 'here')
  Object.assign(limits, { backupScrypt: 2 ** 10 })
})

test('tar, zstd and sha256sum can read it too', async () => {
  const path = await write('plain')
  const to = await mkdtemp(join(folder, 'by-tar-'))
  await run('tar', ['-C', to, '--zstd', '-xf', path])
  await run('sha256sum', ['--strict', '--status', '-c', SUMS], { cwd: to })
  assert.equal(await readFile(join(to, long)), contents[long])
})

test('a file of more than 8 GiB has its size in its head', async () => {
  const head = { kind: 'file', name: 'data/large', mode: 0o600, owner: 0, size: 9 * 1024 ** 3 + 1 } as const
  assert.equal(await readHead(new Blocks(one(headOf(head)))), head)
})

async function* one(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

test('a part that is not as long as it says makes no backup', async () => {
  const short = async function* (): AsyncGenerator<Part> {
    yield { kind: 'file', name: MANIFEST, mode: 0o600, owner: 0, size: 3, content: [Buffer.from('ab')] }
  }
  assert.match(await refusal(write('short', undefined, short())), /manifest\.json had 3 bytes, and 2 were read/)
})

test('what is changed, cut off or made longer is refused, wherever', async () => {
  for (const passphrase of [undefined, 'correct horse']) {
    const whole = await readFile(await write('intact', passphrase))
    const path = join(folder, 'hurt')
    const damagedBy = async (change: (file: Buffer) => Buffer): Promise<string> => {
      await writeFile(path, change(Buffer.from(whole)))
      return refusal(read(path, passphrase))
    }
    for (const part of [0.2, 0.5, 0.9, 0.999])
      assert.match(
        await damagedBy((file) => {
          const at = Math.floor(file.length * part)
          file[at] = (file[at] ?? 0) ^ 1
          return file
        }),
        /^BackupError: (It is damaged|The passphrase is not)/,
      )
    for (const part of [0.1, 0.6, 0.9999])
      assert.is(await damagedBy((file) => file.subarray(0, Math.floor(file.length * part))).then(damage), DAMAGED)
    assert.is(await damagedBy((file) => Buffer.concat([file, Buffer.from('more')])), DAMAGED)
  }
})

/** Of a short file that is encrypted nobody can tell the one from the other. */
const damage = (text: string): string => text.replace(/The passphrase .*$/, 'It is damaged, or not all of it is there.')

test('pieces of an encrypted backup cannot be left out, moved, or taken for the end', async () => {
  const plain = randomBytes(3 * 64 * 1024)
  const sealed = await buffer(encrypted(one(plain), 'secret'))
  const open = (bytes: Buffer) => buffer(decrypted(one(bytes.subarray(MAGIC.length)), 'secret'))
  assert.equal(await open(sealed), plain)
  const [start, piece] = [MAGIC.length + 16, 64 * 1024 + 16]
  const pieces = [0, 1, 2].map((n) => sealed.subarray(start + n * piece, start + (n + 1) * piece))
  for (const order of [[0, 1], [0, 2], [0, 2, 1], [0], [1, 2]])
    assert.match(
      await refusal(open(Buffer.concat([sealed.subarray(0, start), ...order.map((n) => pieces[n] ?? plain)]))),
      /^BackupError: /,
    )
  for (const size of [0, 1, 64 * 1024 - 1, 64 * 1024 + 1])
    assert.equal(await open(await buffer(encrypted(one(plain.subarray(0, size)), 'secret'))), plain.subarray(0, size))
})

test('without the passphrase it cannot be read, and says so', async () => {
  const path = await write('locked', 'correct horse')
  assert.is(
    await refusal(read(path)),
    'BackupError: It is encrypted. Name the file that its passphrase is in: --passphrase-file FILE',
  )
  assert.match(await refusal(read(path, 'battery staple')), /^BackupError: The passphrase is not the one/)
  const file = join(folder, 'passphrase')
  await writeFile(file, 'correct horse\r\nand a note\n')
  assert.is(await readPassphrase(file), 'correct horse')
  await writeFile(file, '\n')
  assert.match(await refusal(readPassphrase(file)), /There is no passphrase in the first line of/)
  assert.match(await refusal(readPassphrase(join(folder, 'none'))), /cannot be read from .*none \(ENOENT\)/)
})

test('what is no backup, or of a newer Sluice, is told apart', async () => {
  const path = join(folder, 'other')
  await writeFile(path, 'hello')
  assert.match(await refusal(read(path)), /other is not a backup of Sluice\.$/)
  assert.match(await refusal(read(join(folder, 'none'))), /none cannot be read \(ENOENT\)\.$/)
  await writeFile(
    path,
    await packed(await tarOf([{ name: MANIFEST, text: manifest({ format: 2, sluice: '9.0.0', new: true }) }])),
  )
  assert.match(await refusal(read(path)), /It was made by a newer Sluice \(9\.0\.0\)\. Install that one/)
  await writeFile(path, await packed(await tarOf([{ name: 'readme', text: 'a tar' }])))
  assert.is(await refusal(read(path)), DAMAGED)
})

test('a tar of a stranger’s making is refused for what no backup has', async () => {
  const first = { name: MANIFEST, text: manifest() }
  const good = { name: 'data/file', text: 'good' }
  const sums = { name: SUMS, text: sumsOf([first, good]) }
  const path = join(folder, 'hostile')
  const refused = async (...entries: Parameters<typeof tarOf>[0]): Promise<string> => {
    await writeFile(path, await packed(await tarOf(entries)))
    return refusal(read(path))
  }
  assert.is(await refused(first, good, sums), 'it went through')
  for (const name of ['../file', '/etc/passwd', 'data/../../file', 'data//file', 'data/.ssh', 'data/a b', 'data/./x'])
    assert.match(await refused(first, { name, text: 'x' }, sums), /which no backup has/, name)
  assert.is(await refused(first, { name: `data/${'x'.repeat(1000)}`, text: 'x' }, sums), DAMAGED)
  for (const type of ['symlink', 'link', 'character-device', 'fifo'] as const)
    assert.is(await refused(first, { name: 'data/link', type, linkname: '/etc/passwd' }, sums), DAMAGED, type)
  assert.is(await refused(first, { ...good, text: 'evil' }, sums), DAMAGED)
  assert.is(await refused(first, good), DAMAGED)
  assert.is(await refused(first, good, sums, { name: 'data/more', text: 'x' }), DAMAGED)
  assert.is(await refused(good, first, sums), DAMAGED)
  assert.is(await refused({ ...first, text: '{' }, sums), DAMAGED)
  assert.is(await refused({ ...first, text: ' '.repeat(100_000) }, sums), DAMAGED)
})

test.run()
