import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { changeConfig } from '../../daemon/release/config.ts'
import { listReleases } from '../../daemon/release/release.ts'
import { scale } from '../../daemon/run/formation.ts'
import { restart } from '../../daemon/run/restart.ts'
import { createFaultyEngine, type FaultyEngine } from '../engine/faulty.ts'
import { closeAll, open, versions, well } from './reconcile-rig.ts'

test.after.each(closeAll)

test('a release takes over only when all of its web dynos are up, and the old ones go', async () => {
  const stage = await open(() => well)
  await stage.deploy()
  await scale(stage.d, stage.app, stage.account, [{ type: 'web', quantity: 3 }])
  await stage.until('three dynos', () => stage.serving().length === 3)
  const before = stage.serving()
  const { succeeded } = await stage.deploy()
  assert.ok(succeeded)
  await stage.until('the old to be gone', () => before.every((id) => !stage.world.dynos.has(id)))
  assert.equal(
    await versions(stage),
    [1, 2, 3].map((n) => [`web.${n}`, 'up', 3]),
  )
})

test('a release that crashes on boot fails, with its last words, and the old one never stops serving', async () => {
  const stage = await open(({ release }) =>
    release.version === 3 ? { prints: [{ text: 'no database\n' }], exits: { after: 20, code: 7 } } : well,
  )
  await stage.deploy()
  const before = stage.serving()
  const { succeeded, reason } = await stage.deploy()
  assert.not.ok(succeeded)
  assert.match(reason ?? '', /web\.1 exited with status 7/)
  assert.match(reason ?? '', /no database/)
  assert.match(reason ?? '', /v2 still serves/)
  assert.equal(stage.serving(), before)
  await stage.until('the failed dynos to be gone', () => stage.world.dynos.size === 1)
  assert.is((await listReleases(stage.d.db, stage.app.id))[0]?.status, 'failed')
})

test('a config change after a failed release starts from the one that serves, and numbers are not used again', async () => {
  const stage = await open(({ env }) => (env.includes('BAD=1') ? { exits: { after: 1, code: 1 } } : well))
  await stage.deploy()
  await changeConfig(stage.d, stage.app, stage.account, { BAD: '1' })
  await stage.until('v3 to fail', async () => (await listReleases(stage.d.db, stage.app.id))[0]?.status === 'failed')
  const config = await changeConfig(stage.d, stage.app, stage.account, { GOOD: '1' })
  assert.equal(config, { GOOD: '1' })
  await stage.until(
    'v4 to serve',
    async () => (await listReleases(stage.d.db, stage.app.id))[0]?.status === 'succeeded',
  )
  assert.is((await listReleases(stage.d.db, stage.app.id))[0]?.version, 4)
})

test('a restart replaces each web dyno beside its successor, without a moment with none', async () => {
  const stage = await open(() => well)
  await stage.deploy()
  const [before] = stage.serving()
  let gaps = 0
  const watch = setInterval(() => {
    if (stage.serving().length === 0) gaps++
  }, 1)
  await restart(stage.d, stage.app, {})
  await stage.until('the successor', () => stage.serving().length === 1 && stage.serving()[0] !== before)
  clearInterval(watch)
  assert.is(gaps, 0)
})

test('twenty dynos and an engine that fails half of its starts and stops: the old twenty stay up, and all heals', async () => {
  let faulty: FaultyEngine | undefined
  const stage = await open(
    () => well,
    (inner) => {
      faulty = createFaultyEngine(inner, { seed: 6, probability: 0.5, faults: ['create', 'start', 'stop', 'stopped'] })
      const calm = { ...inner }
      return {
        ...calm,
        start: (spec, signal) =>
          spec.release.version < 3 ? inner.start(spec, signal) : (faulty as FaultyEngine).start(spec, signal),
        stop: (id, grace) => (faulty as FaultyEngine).stop(id, grace),
      }
    },
  )
  await stage.deploy()
  await scale(stage.d, stage.app, stage.account, [{ type: 'web', quantity: 20 }])
  await stage.until('twenty dynos', () => stage.serving().length === 20)
  const before = stage.serving().sort()
  for (let attempt = 0; attempt < 3; attempt++) {
    const { succeeded } = await stage.deploy()
    assert.not.ok(succeeded)
    assert.equal(stage.serving().sort(), before)
  }
  assert.ok((faulty?.struck.create ?? 0) + (faulty?.struck.start ?? 0) > 0)
  faulty?.heal()
  const { succeeded, version } = await stage.deploy()
  assert.ok(succeeded)
  await stage.until('only the new twenty', () => stage.world.dynos.size === 20 && stage.serving().length === 20)
  for (const [, state, release] of await versions(stage)) assert.equal([state, release], ['up', version])
})

test('a worker never runs twice in one slot, and one whose type has gone ends after the cutover', async () => {
  let most = 0
  const stage = await open(() => well)
  const watch = setInterval(() => {
    const workers = [...stage.world.dynos.values()].filter(({ placed }) => placed.type === 'worker' && placed.running)
    most = Math.max(most, workers.length)
  }, 1)
  await stage.deploy({ web: 'serve', worker: 'work' })
  await scale(stage.d, stage.app, stage.account, [{ type: 'worker', quantity: 1 }])
  await stage.until('a worker', async () =>
    (await versions(stage)).some(([name, state]) => name === 'worker.1' && state === 'up'),
  )
  await stage.deploy({ web: 'serve', worker: 'work' })
  await stage.until('its successor', async () =>
    (await versions(stage)).some(([name, , version]) => name === 'worker.1' && version === 3),
  )
  await stage.deploy({ web: 'serve' })
  await stage.until('no worker', async () => !(await versions(stage)).some(([name]) => name === 'worker.1'))
  clearInterval(watch)
  assert.is(most, 1)
})

test.run()
