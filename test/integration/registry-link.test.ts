import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../daemon/clock.ts'
import { readConfig } from '../../daemon/config.ts'
import { createLog } from '../../daemon/log.ts'
import { createRegistry } from '../../daemon/registry/registry.ts'
import { pidOf } from './registry-rig.ts'

test('links that the component has put into its folder are not followed by the daemon, which may write anywhere', async () => {
  const data = await mkdtemp(join(tmpdir(), 'sluice-links-'))
  const [token, tls] = [join(data, 'admin.token'), join(data, 'tls')]
  for (const folder of [tls, join(data, 'registry')]) await mkdir(folder, { mode: 0o700 })
  await writeFile(token, 'secret', { mode: 0o600 })
  await symlink('../admin.token', join(data, 'registry', 'config.json'))
  await symlink('../tls', join(data, 'registry', 'storage'))
  const config = readConfig({ SLUICE_DATA: data })
  const registry = createRegistry({ config, clock: systemClock, log: createLog(() => {}) })
  try {
    await registry.start()
    assert.is(await readFile(token, 'utf8'), 'secret')
    for (const path of [token, tls]) assert.is((await stat(path)).uid, process.getuid?.(), path)
  } finally {
    await registry.stop()
    await rm(data, { recursive: true })
  }
})

test('what it has stored is its own, whoever it was given to', async () => {
  const data = await mkdtemp(join(tmpdir(), 'sluice-links-'))
  const blobs = join(data, 'registry', 'storage', 'docker', 'registry', 'v2', 'blobs')
  await mkdir(blobs, { recursive: true, mode: 0o700 })
  const config = readConfig({ SLUICE_DATA: data })
  const registry = createRegistry({ config, clock: systemClock, log: createLog(() => {}) })
  try {
    await registry.start()
    assert.is((await stat(blobs)).uid, 65_534)
  } finally {
    await registry.stop()
    await rm(data, { recursive: true })
  }
})

test('a component that is dead, of which the daemon has not heard yet, or whose socket is gone, is replaced and waited for', async () => {
  const data = await mkdtemp(join(tmpdir(), 'sluice-dead-'))
  const registry = createRegistry({
    config: readConfig({ SLUICE_DATA: data }),
    clock: systemClock,
    log: createLog(() => {}),
  })
  const ask = async () => (await registry.send({ method: 'GET', path: '/v2/' })).resume().statusCode
  try {
    await registry.start()
    assert.is(await ask(), 200)
    const pid = await pidOf(data)
    process.kill(pid, 'SIGKILL')
    // without a pause, in which the daemon, which is this process, would hear of it
    while (!isDead(pid));
    assert.is(await ask(), 200)
    const second = await pidOf(data)
    assert.is.not(second, pid)
    await rm(join(data, 'registry', 'socket'))
    assert.is(await ask(), 200)
    assert.is.not(await pidOf(data), second)
  } finally {
    await registry.stop()
    await rm(data, { recursive: true })
  }
})

/** All its threads have let go of their sockets. */
const isDead = (pid: number): boolean =>
  readdirSync(`/proc/${pid}/task`).length === 1 && /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))

test.run()
