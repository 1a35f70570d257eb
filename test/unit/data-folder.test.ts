import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openDataFolder, shareWithRouter } from '../../daemon/data-folder.ts'

const FILES = ['router.token', 'metrics.token', 'tls/key.pem', 'tls/cert.pem', 'tls/ca.key', 'admin.token']

/** The modes of the folder and of what is in it, after a start. */
async function modes(given: number | undefined): Promise<Record<string, string>> {
  const place = await mkdtemp(join(tmpdir(), 'sluice-data-'))
  const data = join(place, 'data')
  if (given !== undefined) {
    await mkdir(data)
    await chmod(data, given)
  }
  await openDataFolder(data)
  await mkdir(join(data, 'tls'), { mode: 0o700 })
  for (const name of FILES) await writeFile(join(data, name), '', { mode: 0o600 })
  await shareWithRouter(data)
  const mode = async (name: string) => [name, ((await stat(join(data, name))).mode & 0o777).toString(8)] as const
  const found = Object.fromEntries(await Promise.all(['.', 'tls', ...FILES].map(mode)))
  await rm(place, { recursive: true })
  return found
}

test('a data folder is closed to all others, and what is in it', async () => {
  for (const given of [undefined, 0o755, 0o777, 0o750])
    assert.equal(new Set(Object.values(await modes(given))), new Set(['700', '600']))
})

test('a group that may pass through it reads what a router needs, and no more', async () => {
  const shared = {
    '.': '710',
    tls: '710',
    'router.token': '640',
    'metrics.token': '640',
    'tls/key.pem': '640',
    'tls/cert.pem': '640',
  }
  assert.equal(await modes(0o710), { ...shared, 'tls/ca.key': '600', 'admin.token': '600' })
})

test.run()
