import { execFile } from 'node:child_process'
import { mkdtemp, rm, rmdir, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startPlatform } from './platform.ts'

const run = promisify(execFile)

/** The platform's data on a file system of its own, which a test can fill. */
const disk = await mkdtemp(join(tmpdir(), 'sluice-disk-'))
await run('mount', ['-t', 'tmpfs', '-o', 'size=1500m', 'tmpfs', disk])
process.env.TMPDIR = disk
const platform = await startPlatform()
test.after(async () => {
  await platform.stop()
  await run('umount', ['--lazy', disk])
  await rmdir(disk)
})

const filler = join(disk, 'filler')

async function fillUpTo(left: number): Promise<void> {
  const { bavail, bsize } = await statfs(disk)
  await run('fallocate', ['--length', String(bavail * bsize - left), filler])
}

const MiB = 1024 * 1024
const app = 'full'
const source = await platform.prepare(() => platform.deploy(app))

for (const left of [200 * MiB, 64 * 1024])
  test(`Z4: a push with ${left / MiB} MB of disk left fails and says so, the old release serves, and the next push goes through`, async () => {
    const before = (await platform.releases(app)).filter(({ status }) => status === 'succeeded').length
    const { body } = await platform.request(app)
    await fillUpTo(left)
    await source.version(`full-${left}`)
    const { code, output } = await platform.push(source, app)
    assert.is.not(code, 0)
    assert.match(output, /disk|space/i, output)
    assert.is((await platform.request(app)).body, body)
    await rm(filler)
    assert.is((await platform.releases(app)).filter(({ status }) => status === 'succeeded').length, before)
    assert.is((await platform.push(source, app)).code, 0)
    assert.match((await platform.request(app)).body, new RegExp(`^full-${left} `))
  })

test.run()
