import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { changeConfig } from '../../daemon/release/config.ts'
import { listReleases, rollback } from '../../daemon/release/release.ts'
import { closeAll, open, type Stage, versions, well } from './reconcile-rig.ts'

/** What a later release does to one that is still on its way. */
test.after.each(closeAll)

/** It runs and never listens, so only its boot time would end it, which is longer than these tests wait. */
const deaf = {}

const statuses = async ({ d, app }: Stage) =>
  (await listReleases(d.db, app.id)).map(({ version, status }) => `v${version} ${status}`)

const dynosOf = (stage: Stage, version: number) => async () =>
  (await versions(stage)).some(([, , release]) => release === version)

test('a config change that repairs one which does not boot need not wait for it, and has what it brought', async () => {
  const stage = await open(({ env }) => (env.includes('BAD=1') ? deaf : well))
  await stage.deploy()
  await changeConfig(stage.d, stage.app, stage.account, { BAD: '1', KEPT: '1' })
  await stage.until('v3 to boot', dynosOf(stage, 3))
  const config = await changeConfig(stage.d, stage.app, stage.account, { BAD: null })
  assert.equal(config, { KEPT: '1' })
  await stage.until('v4 to be alone', async () => (await versions(stage)).join() === 'web.1,up,4')
  assert.equal(await statuses(stage), ['v4 succeeded', 'v3 expired', 'v2 succeeded', 'v1 succeeded'])
  const [, v3] = await listReleases(stage.d.db, stage.app.id)
  assert.is(v3?.reason, 'v4 was released later, was up first, and serves in its place.')
  const log = stage.d.logs.recent(stage.app.id, {}, 100).map(({ text }) => text)
  assert.ok(log.includes(`Release v3 superseded: ${v3?.reason}`), log.join('\n'))
  const refused = await rollback(stage.d, stage.app, stage.account, 'v3').catch((error: unknown) => String(error))
  assert.match(String(refused), /Cannot roll back to v3: a later one came to serve before it/)
})

test('nor need it where there is room for one of them beside what serves', async () => {
  const stage = await open(({ env }) => (env.includes('BAD=1') ? deaf : well), undefined, undefined, {
    settings: { SLUICE_MEMORY: '1024MB' },
  })
  await stage.deploy()
  await changeConfig(stage.d, stage.app, stage.account, { BAD: '1' })
  await stage.until('v3 to boot', dynosOf(stage, 3))
  await changeConfig(stage.d, stage.app, stage.account, { BAD: null })
  await stage.until('v4 to be alone', async () => (await versions(stage)).join() === 'web.1,up,4')
  assert.equal(await statuses(stage), ['v4 succeeded', 'v3 expired', 'v2 succeeded', 'v1 succeeded'])
})

test('a rollback need not wait either, and who waits for the code that it replaces is told', async () => {
  const stage = await open(({ release }) => (release.version === 3 ? deaf : well))
  await stage.deploy()
  const pushed = stage.deploy()
  await stage.until('v3 to boot', dynosOf(stage, 3))
  await rollback(stage.d, stage.app, stage.account, 'v2')
  assert.equal(await pushed, {
    succeeded: false,
    reason: 'v4 was released later, was up first, and serves in its place.',
    by: null,
    version: 3,
  })
  assert.is((await statuses(stage))[0], 'v4 succeeded')
})

test('code whose release is superseded by a config change serves all the same, and who waits for it is told so', async () => {
  const stage = await open(({ release }) => (release.version === 3 ? deaf : well))
  await stage.deploy()
  const pushed = stage.deploy()
  await stage.until('v3 to boot', dynosOf(stage, 3))
  await changeConfig(stage.d, stage.app, stage.account, { A: '1' })
  const { succeeded, by } = await pushed
  assert.equal({ succeeded, by }, { succeeded: true, by: 4 })
})

test('when the later release fails, the one before it has its turn again: nothing is lost with it', async () => {
  let first = true
  const stage = await open(({ release, env }) => {
    if (env.includes('BAD=1')) return { exits: { after: 5, code: 1 } }
    if (release.version !== 3 || !first) return well
    first = false
    return deaf
  })
  await stage.deploy()
  await changeConfig(stage.d, stage.app, stage.account, { GOOD: '1' })
  await stage.until('v3 to boot', dynosOf(stage, 3))
  await changeConfig(stage.d, stage.app, stage.account, { BAD: '1' })
  await stage.until('v3 to be alone', async () => (await versions(stage)).join() === 'web.1,up,3')
  assert.equal(await statuses(stage), ['v4 failed', 'v3 succeeded', 'v2 succeeded', 'v1 succeeded'])
})

test('however many do not boot, the newest has its turn', async () => {
  const stage = await open(({ release }) => (release.version > 2 && release.version < 6 ? deaf : well))
  await stage.deploy()
  for (const name of ['A', 'B', 'C', 'D']) await changeConfig(stage.d, stage.app, stage.account, { [name]: '1' })
  await stage.until('v6 to be alone', async () => (await versions(stage)).join() === 'web.1,up,6')
  assert.equal((await statuses(stage)).slice(0, 4), ['v6 succeeded', 'v5 expired', 'v4 expired', 'v3 expired'])
})

test('a release command that has begun comes to its end before a later release begins', async () => {
  let beside: boolean | undefined
  const stage: Stage = await open(({ type, release }) => {
    if (type !== 'release') return well
    if (release.version === 3) return {}
    if (release.version === 4) beside = commands().length > 0
    return { exits: { after: 1, code: 0 } }
  })
  const commands = () =>
    [...stage.world.dynos.values()].filter(({ placed }) => placed.type === 'release' && placed.running)
  await stage.deploy({ web: 'serve', release: 'migrate' })
  await changeConfig(stage.d, stage.app, stage.account, { A: '1' })
  await stage.until('its command', () => commands().length === 1)
  await changeConfig(stage.d, stage.app, stage.account, { B: '1' })
  for (let n = 0; n < 3; n++) await stage.look()
  for (const { end } of commands()) end(0)
  await stage.until('v4 to be alone', async () => (await versions(stage)).join() === 'web.1,up,4')
  assert.is(beside, false)
})

test.run()
