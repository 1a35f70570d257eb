import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, rmdir, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Refusal } from './client.ts'
import { describe, startLoad } from './load.ts'
import { startPlatform } from './platform.ts'
import { waitFor } from './wait.ts'
import { whole } from './whole.ts'

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

const cli = join(import.meta.dirname, '..', '..', 'cli', 'main.js')
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

test('a push that finds the disk full goes through when there is something to remove, and an app is told of what it lost', async () => {
  await platform.createApp('hoard')
  const { id } = await platform.api<{ id: string }>('GET', '/apps/hoard')
  const kept = join(platform.data, 'cache', id, 'heroku-24', 'kept')
  await mkdir(kept, { recursive: true })
  await run('fallocate', ['--length', String(600 * MiB), join(kept, 'modules')])
  await fillUpTo(100 * MiB)
  await source.version('after-collection')
  const { code, output } = await platform.push(source, app)
  await rm(filler)
  assert.is(code, 0, output)
  assert.match((await platform.request(app)).body, /^after-collection /)
  assert.not.ok(existsSync(kept))
  const { stdout } = await platform.cli(['logs', '-a', 'hoard'])
  assert.match(stdout, /app\[api\]: Removed the build cache to free disk space/)
})

/** Does it without one byte of disk: what a file system rounds up for one file, another one takes. */
async function onFullDisk(work: () => Promise<void>): Promise<void> {
  await waitFor('the rows to have their reserve', () => existsSync(join(platform.data, 'reserve')))
  await fillUpTo(MiB)
  try {
    await waitFor('the last byte to be taken', async () => {
      await run('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k', 'oflag=append', 'conv=notrunc']).catch(() => {})
      return (await statfs(disk)).bavail === 0
    })
    await work()
  } finally {
    await rm(filler)
  }
}

const sluice = async (...args: string[]) => {
  const env = { ...process.env, SLUICE_DATA: platform.data, SLUICE_PORT: String(platform.ports.api) }
  return (await run(process.execPath, [cli, 'disk', ...args], { env })).stdout
}

test('sluice disk tells what a dyno has written, below /app and beside it', async () => {
  const command = 'head -c 20000000 /dev/zero | tee /tmp/one > /app/two; sleep 600'
  const { name } = await platform.api<{ name: string }>('POST', `/apps/${app}/dynos`, { command })
  const held = async () => /\ndyno +run\.\d+ +40\.\d MB /.test(`\n${await sluice(app)}`)
  await waitFor(`${name} to hold 40 MB`, held)
  await platform.api('DELETE', `/apps/${app}/dynos/${name}`)
  await whole(platform)
})

test('sluice disk tells who holds most, and has it removed, on a disk without a byte left', async () => {
  const { id } = await platform.api<{ id: string }>('GET', '/apps/hoard')
  const kept = join(platform.data, 'cache', id, 'heroku-24', 'kept')
  await mkdir(kept, { recursive: true })
  await run('fallocate', ['--length', String(200 * MiB), join(kept, 'modules')])
  await onFullDisk(async () => {
    assert.match(await sluice(), /: short of disk\n[\s\S]*\ncache +1 +210 MB +210 MB\n/)
    assert.match(await sluice('full'), /\nslug +v\d+ .* serves\n/)
    assert.match(await sluice('--collect'), /\ncache +1 +210 MB\n[\s\S]*Removed /)
    assert.not.ok(existsSync(kept))
  })
})

/** The oldest that still has its code. */
const kept = async () =>
  (await platform.api<{ version: number; eligible_for_rollback: boolean }[]>('GET', `/apps/${app}/releases`))
    .filter(({ eligible_for_rollback }) => eligible_for_rollback)
    .map(({ version }) => ({ release: String(version) }))[0]

type Change = { name: string; method: string; path: string; body?: unknown }
const changes: Change[] = [
  { name: 'a config change', method: 'PATCH', path: '/config-vars', body: { FULL: 'x'.repeat(20_000) } },
  { name: 'scaling', method: 'PATCH', path: '/formation/web', body: { quantity: 2 } },
  { name: 'a restart', method: 'DELETE', path: '/dynos' },
  { name: 'a rollback', method: 'POST', path: '/releases', body: kept },
]

test('with no byte of disk left each change is refused with the reason or done, nothing fails, and all goes on when there is room', async () => {
  const load = startLoad(platform.ports.http, `${app}.localhost`, ({ status }) => status === 200)
  for (const { name, method, path, body } of changes) {
    await onFullDisk(async () => {
      const answer = await platform
        .api(method, `/apps/${app}${path}`, typeof body === 'function' ? await body() : body)
        .then(
          () => 'accepted',
          (error: Refusal) => error.message,
        )
      assert.match(answer, /^accepted$|^The disk of this host is full/, `${name}: ${answer}`)
      assert.is((await platform.request(app)).status, 200, name)
      assert.ok(platform.daemon.running, name)
    })
    await whole(platform)
    await platform.api('PATCH', `/apps/${app}/config-vars`, { AFTER: name })
    await whole(platform)
  }
  const result = await load.stop()
  assert.is(result.failures.length, 0, describe(result))
})

test('an app can be destroyed with no byte of disk left, and its disk comes back', async () => {
  const other = await platform.createApp('burden')
  await platform.push(source, other)
  await onFullDisk(async () => {
    await platform.api('DELETE', `/apps/${other}`)
    await waitFor('the app to be erased', () => /app erased/.test(platform.daemon.log()))
    assert.ok((await statfs(disk)).bavail > 0)
  })
  await whole(platform)
})

test('a daemon and a router that were killed start on a full disk, and serve', async () => {
  await onFullDisk(async () => {
    await platform.router.kill('SIGKILL')
    platform.router.start()
    await waitFor('the router to serve', async () => (await platform.request(app)).status === 200)
    await platform.daemon.kill('SIGKILL')
    await platform.startDaemon()
    assert.is((await platform.request(app)).status, 200)
  })
  await whole(platform)
})

test.run()
