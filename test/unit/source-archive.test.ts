import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readSource } from '../../daemon/build/source/source.ts'
import { lookThrough, outOf, rewrite } from '../../daemon/build/source/tar.ts'
import { limits } from '../../daemon/limits.ts'

const folder = await mkdtemp(join(tmpdir(), 'sluice-tar-'))
test.after(() => rm(folder, { recursive: true, force: true }))

const LONG = `${'d'.repeat(90)}/${'f'.repeat(90)}`

/** What `tar` makes of a folder with a bit of everything. */
const source = join(folder, 'source')
await mkdir(join(source, 'd'.repeat(90)), { recursive: true })
await writeFile(join(source, 'Procfile'), 'web: node server.js\n')
await writeFile(join(source, LONG), 'long')
await writeFile(join(source, 'größe'), 'x'.repeat(1000), { mode: 0o755 })
await symlink('../elsewhere', join(source, 'link'))
execFileSync('ln', [join(source, 'Procfile'), join(source, 'hard')])

const pack = (...args: string[]): Buffer => execFileSync('tar', ['-C', folder, '-cf', '-', ...args])
const read = (archive: Buffer, step = archive.length) =>
  Readable.from(
    Array.from({ length: Math.ceil(archive.length / step) }, (_, n) => archive.subarray(n * step, (n + 1) * step)),
  )
const all = async (bytes: AsyncIterable<Buffer>): Promise<Buffer> => Buffer.concat(await Readable.from(bytes).toArray())
const refusal = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => assert.unreachable('it was taken'),
    (error: Error) => error.message,
  ) as Promise<string>
const same = (path: string) => path
const soleFolder = async (tar: Readable) => (await lookThrough(tar)).folder

/** One header and its content, with whatever in it. */
function member(name: string, { flag = '0', link = '', content = '', mode = 0o644 } = {}): Buffer {
  const head = Buffer.alloc(512)
  head.write(name, 0)
  head.write(mode.toString(8).padStart(7, '0'), 100)
  head.write(content.length.toString(8).padStart(11, '0'), 124)
  head.write('00000000000', 136)
  head.write('        ', 148)
  head.write(flag, 156)
  head.write(link, 157)
  head.write('ustar\0', 257)
  head.write(
    `${head
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  )
  const data = Buffer.alloc(Math.ceil(content.length / 512) * 512)
  data.write(content)
  return Buffer.concat([head, data])
}
const end = Buffer.alloc(1024)
const rewritten = (...members: Buffer[]) => all(rewrite(read(Buffer.concat([...members, end])), same))

for (const form of ['gnu', 'pax', 'ustar'])
  test(`a tar in ${form} form comes out of its folder with files, modes and links as they were`, async () => {
    const archive = pack(`--format=${form}`, 'source')
    assert.is(await soleFolder(read(archive, 700)), 'source')
    const out = await mkdtemp(join(folder, 'out-'))
    await writeFile(join(folder, 'new.tar'), await all(rewrite(read(archive, 1000), outOf('source'))))
    execFileSync('tar', ['-C', out, '-xf', join(folder, 'new.tar')])
    assert.is(execFileSync('diff', ['-r', '--no-dereference', source, out]).toString(), '')
    assert.is(execFileSync('stat', ['-c', '%a %h', join(out, 'größe')]).toString(), '755 1\n')
    assert.is(execFileSync('stat', ['-c', '%h', join(out, 'hard')]).toString(), '2\n')
    assert.is(await readFile(join(out, LONG), 'utf8'), 'long')
  })

test('only a folder that holds everything is one to be taken out of', async () => {
  assert.is(await soleFolder(read(pack('-C', 'source', '.'))), undefined)
  assert.is(await soleFolder(read(Buffer.concat([member('a/x'), member('b/x'), end]))), undefined)
  assert.is(await soleFolder(read(Buffer.concat([member('Procfile'), end]))), undefined)
  assert.is(await soleFolder(read(Buffer.concat([member('a/x'), member('./a/y'), end]))), 'a')
})

test('pointers of Git LFS are found wherever they are, and nothing that only looks like one', async () => {
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 12345\n`
  const members = [
    member('p/logo.png', { content: pointer }),
    member('p/docs.md', { content: `It looks so:\n${pointer}` }),
    member('p/short', { content: 'version https://git-lfs.github.com/spec/v1\n' }),
    member('p/large', { content: pointer + 'x'.repeat(1024) }),
    member('p/deep/b\xe9.png', { content: pointer.replace('\noid', '\next-0-foo sha256:1\noid') }),
  ]
  const { pointers, folder } = await lookThrough(read(Buffer.concat([...members, end])))
  assert.equal(pointers, ['p/logo.png', 'p/deep/b\xe9.png'])
  assert.is(folder, 'p')
})

test('names that lead out of the archive are refused', async () => {
  assert.match(await refusal(rewritten(member('../up'))), '"../up" in it leads out of the archive')
  assert.match(await refusal(rewritten(member('a/../../up'))), 'leads out')
  assert.match(await refusal(rewritten(member('/etc/passwd'))), '"/etc/passwd" in it has an absolute name')
  assert.match(await refusal(rewritten(member('hard', { flag: '1', link: '/etc/shadow' }))), 'has an absolute name')
  assert.match(await refusal(rewritten(member('hard', { flag: '1', link: '../../x' }))), 'leads out')
  const behind = rewritten(member('a', { flag: '2', link: '/home' }), member('a/b'))
  assert.match(await refusal(behind), '"a/b" in it is behind a symbolic link')
})

test('devices, sockets and what is not known are refused', async () => {
  for (const flag of ['3', '4', '6', 'Z'])
    assert.match(await refusal(rewritten(member('dev', { flag }))), '"dev" in it is neither a file nor a folder nor a')
})

test('sparse files are refused, and it is said how to make it without them', async () => {
  const sparse = /It has sparse files\. Make it without --sparse\./
  assert.match(await refusal(rewritten(member('holes', { flag: 'S' }))), sparse)
  const pax = member('x', { flag: 'x', content: '22 GNU.sparse.major=1\n' })
  assert.match(await refusal(rewritten(pax, member('holes'))), sparse)
})

test('set-uid bits do not pass', async () => {
  assert.is((await rewritten(member('su', { mode: 0o4755 }))).toString('latin1', 100, 107), '0000755')
})

test('what is no tar, empty, damaged or cut off is told apart', async () => {
  assert.match(await refusal(rewritten(Buffer.alloc(512, 'x'))), 'It is neither a tar nor a tar.gz file.')
  assert.match(await refusal(rewritten()), 'It is empty.')
  assert.match(await refusal(rewritten(member('a'), Buffer.alloc(512, 'x'))), 'It is damaged.')
  const cut = pack('source').subarray(0, 1100)
  assert.match(await refusal(all(rewrite(read(cut), same))), 'It ends early.')
  const huge = member('name', { flag: 'L' })
  huge.write('77777777777', 124)
  huge.write('        ', 148)
  huge.write(
    `${huge
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  )
  assert.match(await refusal(rewritten(huge)), 'of unreasonable length')
})

test('names that would cost the daemon too much are refused', async () => {
  const deep = `${'d/'.repeat(limits.sourceDepth)}f`
  const long = (path: string) => member('././@LongLink', { flag: 'L', content: `${path}\0` })
  assert.match(await refusal(rewritten(long(deep), member('x'))), 'too many folders')
  function* links() {
    for (let n = 0; ; n++) yield Buffer.concat([long(`${n}${'x'.repeat(3500)}`), member('x', { flag: '2', link: 'y' })])
  }
  assert.match(await refusal(all(rewrite(Readable.from(links()), same))), 'too many symbolic links')
})

test('numbers below zero count as none', async () => {
  const head = member('x')
  head.write('-0000000777', 124)
  head.write('        ', 148)
  head.write(
    `${head
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  )
  assert.is((await rewritten(head)).toString('latin1', 124, 135), '0'.repeat(11))
})

test('more files than are allowed are refused while they are counted', async () => {
  const most = limits.sourceEntries
  Object.assign(limits, { sourceEntries: 1000 })
  try {
    assert.ok(await rewritten(...Array<Buffer>(1000).fill(member('f'))))
    assert.match(await refusal(rewritten(...Array<Buffer>(1001).fill(member('f')))), 'It has more than 1000 files.')
  } finally {
    Object.assign(limits, { sourceEntries: most })
  }
})

test('a stored archive that is gone is told to who reads it, and to nobody before', async () => {
  const path = join(folder, 'gone.tar')
  const archive = readSource(path)
  await new Promise((resolve) => setTimeout(resolve, 50))
  await writeFile(path, 'late')
  assert.is(String(await all(archive)), 'late')
  assert.match(await refusal(all(readSource(join(folder, 'never.tar')))), 'ENOENT')
})

test.run()
