import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { boundDisk } from '../../daemon/build/disk.ts'
import { createOutput, formatSize } from '../../daemon/build/output.ts'
import { measure, plainFolder, readResult } from '../../daemon/build/slug/result.ts'
import { receiveSource } from '../../daemon/build/source/source.ts'
import { limits } from '../../daemon/limits.ts'

let folder: string
test.before.each(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-result-'))
})
test.after.each(() => rm(folder, { recursive: true }))

const nothing = { mode: 'detect', buildpacks: [] } as const
const selection = { ...nothing, buildpacks: [] }
const thrown = (work: Promise<unknown>): Promise<string> => work.then(() => '', String)

test('results that are symbolic links, pipes or missing count as missing', async () => {
  await writeFile(join(folder, 'archive.tar.zst'), 'x')
  await symlink('/etc/passwd', join(folder, 'Procfile'))
  execFileSync('mkfifo', [join(folder, 'release.yml'), join(folder, 'description')])
  const result = await readResult(folder, selection)
  assert.equal([...result.processTypes], [])
  assert.is(result.description, '')
  const { checksum } = await measure(join(folder, 'archive.tar.zst'))
  assert.is(checksum, 'SHA256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881')
})

test('a build without an archive, or with a link in its place, is refused', async () => {
  assert.match(await thrown(measure(join(folder, 'archive.tar.zst'))), /left no slug/)
  await symlink('/etc/passwd', join(folder, 'archive.tar.zst'))
  assert.match(await thrown(measure(join(folder, 'archive.tar.zst'))), /left no slug/)
})

test('a slug beyond the limit is refused in the words of Heroku', async () => {
  await writeFile(join(folder, 'archive.tar.zst'), '')
  await truncate(join(folder, 'archive.tar.zst'), limits.slugSize + 100_000)
  assert.match(
    await thrown(measure(join(folder, 'archive.tar.zst'))),
    /Compiled slug size: 1024\.1M is too large \(max is 1024M\)\.\nSee: http/,
  )
})

test('no step on the way to a folder may be a symbolic link', async () => {
  await mkdir(join(folder, 'a', 'b'), { recursive: true })
  await symlink(join(folder, 'a'), join(folder, 'link'))
  assert.is(await plainFolder(folder, ['a', 'b']), join(folder, 'a', 'b'))
  assert.match(await thrown(plainFolder(folder, ['link', 'b'])), /removed link/)
})

test('a source beyond the limit is refused while it arrives', async () => {
  const chunks = Readable.from(Array.from({ length: 100 }, () => Buffer.alloc(1000)))
  const signal = new AbortController().signal
  assert.match(
    await thrown(receiveSource(chunks, join(folder, 'source.tar'), { signal, most: 5000 })),
    /larger than 4\.9K/,
  )
})

test('a build that writes too much is stopped with a sentence', async () => {
  await writeFile(join(folder, 'large'), Buffer.alloc(3 * 1024 * 1024, 1))
  const bound = boundDisk(folder, { most: 1024 * 1024, watched: folder })
  await once(bound.signal, 'abort')
  bound.stop()
  assert.is(bound.signal.reason.message, 'The build needs more than 1.0M of disk, so it was stopped.')
})

test('a line of ours begins a line, and what the log has from elsewhere is shown but not logged', () => {
  let shown = ''
  let logged = ''
  const output = createOutput({
    show: (chunk) => {
      shown += chunk
    },
    log: (chunk) => {
      logged += chunk
    },
    end: async () => {},
  })
  output.write(Buffer.from('downloading\r50%'))
  output.step('Launching...')
  output.problem('one\ntwo')
  output.relay(Buffer.from('migrating\n'))
  output.blank()
  output.detail('end')
  assert.is(shown, 'downloading\r50%\n-----> Launching...\n !     one\n !     two\nmigrating\n\n       end\n')
  assert.is(logged, shown.replace('migrating\n', ''))
})

test('sizes are shown as Heroku shows them', () => {
  assert.equal([500, 2048, 58_930_000, 2 ** 31].map(formatSize), ['500B', '2.0K', '56.2M', '2.0G'])
})

test.run()
