import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { changeConfig, currentConfig } from '../../daemon/release/config.ts'
import { changesBetween, failAttended, failRelease } from '../../daemon/release/failure.ts'
import { abandon } from '../../daemon/release/outcome.ts'
import { createRelease, findRelease, listReleases, type Release, rollback } from '../../daemon/release/release.ts'
import { decide } from '../../daemon/store/database.ts'
import type { RolloutState } from '../../daemon/store/schema.ts'
import { closeAll, open, type Stage, versions, well } from './reconcile-rig.ts'

/** What becomes of config changes whose release has the code of one that fails. */
test.after.each(closeAll)

/** It runs and never listens, so only its boot time would end it, which is longer than these tests wait. */
const deaf = {}
const crashes = { exits: { after: 5, code: 1 } }

const released = ({ d, app }: Stage, version: number): Promise<Release> => findRelease(d.db, app.id, `v${version}`)

const newest = async ({ d, app }: Stage) => (await listReleases(d.db, app.id))[0]?.version

const statuses = async ({ d, app }: Stage, most: number) =>
  (await listReleases(d.db, app.id)).slice(0, most).map(({ version, status }) => `v${version} ${status}`)

const set = ({ d, app, account }: Stage, vars: Record<string, string>) => changeConfig(d, app, account, vars)

const alone = (stage: Stage, version: number) =>
  stage.until(`v${version} to be alone`, async () => (await versions(stage)).join() === `web.1,up,${version}`)

const said = ({ d, app }: Stage) => d.logs.recent(app.id, {}, 200).map(({ text }) => text)

const callOff = async (stage: Stage, version: number) =>
  abandon(stage.d, (await released(stage, version)).id, 'The push was interrupted.')

/** Fails all that are on their way: a dyno that boots would keep the process. */
async function giveUp(stage: Stage): Promise<void> {
  for (;;) {
    const pending = (await listReleases(stage.d.db, stage.app.id)).find(({ status }) => status === 'pending')
    if (!pending) break
    await failRelease(stage.d, pending.id, 'The test is over.')
  }
  await alone(stage, 2)
}

/** What a release runs; null for none. */
const code = async (stage: Stage, version: number) => (await released(stage, version)).slug_id

/** v2 serves, v3 is pushed and does not come up. Resolves when it is on record. */
async function pushed(stage: Stage): Promise<void> {
  await stage.deploy()
  void stage.deploy()
  await stage.until('v3', async () => (await newest(stage)) === 3)
}

const stuck = () => open(({ release }) => (release.version === 3 || release.version === 4 ? deaf : well))

test('a config change that was made while a push booted does not bring its code when it is called off, and is made again without it', async () => {
  const stage = await stuck()
  await pushed(stage)
  assert.equal(await set(stage, { A: '1' }), { A: '1' })
  assert.is(await callOff(stage, 3), true)
  assert.equal(await currentConfig(stage.d, stage.app.id), { A: '1' })
  await alone(stage, 5)
  assert.equal(await statuses(stage, 3), ['v5 succeeded', 'v4 failed', 'v3 failed'])
  assert.is(await code(stage, 5), await code(stage, 2))
  const { description, reason } = { ...(await released(stage, 5)), reason: (await released(stage, 4)).reason }
  assert.is(description, 'Set A config vars again, without the code of v3')
  assert.is(reason, 'It has the code of v3, which failed.')
  // dynos come and go meanwhile
  const log = said(stage).filter((text) => /^(Release|Set) /.test(text))
  const from = log.indexOf('Release v3 failed: The push was interrupted.')
  assert.equal(
    log.slice(from, from + 4),
    [
      'Release v3 failed: The push was interrupted.',
      'Release v4 failed: It has the code of v3, which failed.',
      'Set A config vars again, without the code of v3 by user admin@example.com',
      'Release v5 created by user admin@example.com',
    ],
    log.join('\n'),
  )
})

test('nor when the daemon is started anew, in whatever state it was', async () => {
  for (const state of ['waiting', 'booting', 'cutover'] as RolloutState[]) {
    const stage = await stuck()
    await pushed(stage)
    await set(stage, { A: '1' })
    const { id } = await released(stage, 4)
    await stage.d.db.updateTable('rollouts').set({ attended: 1 }).where('version', '=', 3).execute()
    await stage.d.db.updateTable('rollouts').set({ state }).where('release_id', '=', id).execute()
    await failAttended(stage.d)
    await alone(stage, 5)
    assert.equal(await statuses(stage, 3), ['v5 succeeded', 'v4 failed', 'v3 failed'], state)
    assert.is(await code(stage, 5), await code(stage, 2))
    await failAttended(stage.d)
    assert.is((await listReleases(stage.d.db, stage.app.id)).length, 5)
  }
})

test('nor when its release command fails, which does not run again for it', async () => {
  const commands: number[] = []
  let running: (() => void) | undefined
  const stage: Stage = await open(({ type, release }) => {
    if (type !== 'release') return well
    commands.push(release.version)
    running?.()
    return {}
  })
  const begun = new Promise<void>((resolve) => {
    running = resolve
  })
  await stage.deploy()
  const push = stage.deploy({ web: 'serve', release: 'migrate' })
  await begun
  await set(stage, { A: '1' })
  const command = () =>
    [...stage.world.dynos.values()].find(({ placed }) => placed.type === 'release' && placed.running)
  await stage.until('the command', () => command() !== undefined)
  command()?.end(1)
  assert.match((await push).reason ?? '', /release command exited with status 1/)
  await alone(stage, 5)
  assert.equal(commands, [3])
  assert.equal(await statuses(stage, 3), ['v5 succeeded', 'v4 failed', 'v3 failed'])
  assert.equal(await currentConfig(stage.d, stage.app.id), { A: '1' })
})

test('nor is it lost when the code does not boot, with and without it', async () => {
  const stage = await stuck()
  await stage.deploy()
  const push = stage.deploy()
  await stage.until('v3', async () => (await newest(stage)) === 3)
  await set(stage, { A: '1' })
  await stage.until('A to serve', async () => {
    const broken = (
      await stage.d.db.selectFrom('rollouts').select('release_id').where('version', 'in', [3, 4]).execute()
    ).map(({ release_id }) => release_id)
    for (const { placed, end } of stage.world.dynos.values())
      if (placed.running && broken.includes(placed.release)) end(1)
    return (await versions(stage)).join() === 'web.1,up,5'
  })
  assert.is((await push).succeeded, false)
  assert.is(await code(stage, 5), await code(stage, 2))
  assert.equal(await currentConfig(stage.d, stage.app.id), { A: '1' })
})

test('each of several is made again by itself, so that a bad one takes no other with it', async () => {
  const stage = await open(({ release, env }) => {
    if (env.includes('BAD=1')) return crashes
    return release.version === 3 || release.version === 4 ? deaf : well
  })
  await pushed(stage)
  await set(stage, { A: '1', B: '1' })
  await set(stage, { BAD: '1' })
  await callOff(stage, 3)
  await stage.until('A to serve alone', async () => (await versions(stage)).join() === 'web.1,up,6')
  const [v7, v6] = await listReleases(stage.d.db, stage.app.id)
  assert.equal([v7?.status, v6?.status], ['failed', 'succeeded'])
  assert.equal(await currentConfig(stage.d, stage.app.id), { A: '1', B: '1' })
})

test('what a later release has done away with, or has itself, is not made again', async () => {
  const stage = await open(({ release }) => (release.version > 2 ? deaf : well))
  await pushed(stage)
  await set(stage, { A: '1' })
  await rollback(stage.d, stage.app, stage.account, 'v2')
  await callOff(stage, 3)
  assert.equal(await statuses(stage, 3), ['v5 pending', 'v4 failed', 'v3 failed'])
  assert.equal(await currentConfig(stage.d, stage.app.id), {})
  await giveUp(stage)
})

test('what was set twice, because it had not booted, is made again once', async () => {
  const stage = await open(({ release }) => (release.version === 4 ? crashes : release.version < 3 ? well : deaf))
  await pushed(stage)
  await set(stage, { A: '1' })
  await stage.until('v4 to fail', async () => (await released(stage, 4)).status === 'failed')
  await set(stage, { A: '1' })
  await callOff(stage, 3)
  assert.equal(await statuses(stage, 4), ['v6 pending', 'v5 failed', 'v4 failed', 'v3 failed'])
  await giveUp(stage)
})

test('a config change that a push has overtaken has its turn when that is called off', async () => {
  const stage = await open(({ release }) => (release.version > 2 ? deaf : well))
  await stage.deploy()
  await set(stage, { A: '1' })
  void stage.deploy()
  await stage.until('v4', async () => (await newest(stage)) === 4)
  await callOff(stage, 4)
  assert.equal(await statuses(stage, 2), ['v4 failed', 'v3 pending'])
  assert.equal(await currentConfig(stage.d, stage.app.id), { A: '1' })
  await giveUp(stage)
})

test('what was set on a rollback that fails comes without what that would have brought back', async () => {
  const stage = await open(({ release }) => (release.version === 5 || release.version === 6 ? deaf : well))
  await stage.deploy()
  await set(stage, { KEPT: 'old', GONE: '1' })
  await alone(stage, 3)
  await changeConfig(stage.d, stage.app, stage.account, { KEPT: 'new', GONE: null })
  await alone(stage, 4)
  await rollback(stage.d, stage.app, stage.account, 'v3')
  await set(stage, { A: '1' })
  await callOff(stage, 5)
  await alone(stage, 7)
  assert.equal(await currentConfig(stage.d, stage.app.id), { KEPT: 'new', A: '1' })
})

test('a release is not called off any more when one that has its code has come to the cutover', async () => {
  const stage = await stuck()
  await pushed(stage)
  await set(stage, { A: '1' })
  await stage.until('v4 to boot', async () => (await versions(stage)).some(([, , release]) => release === 4))
  const { id } = await released(stage, 4)
  await stage.d.db.updateTable('rollouts').set({ state: 'cutover' }).where('release_id', '=', id).execute()
  assert.is(await callOff(stage, 3), false)
  assert.equal(await statuses(stage, 2), ['v4 pending', 'v3 pending'])
  await giveUp(stage)
})

test('without code that is left, what was set is there for the first push that succeeds', async () => {
  const stage = await open(({ release }) => (release.version < 4 ? deaf : well))
  void stage.deploy()
  await stage.until('v2', async () => (await newest(stage)) === 2)
  await set(stage, { A: '1' })
  await callOff(stage, 2)
  assert.equal(await statuses(stage, 4), ['v4 succeeded', 'v3 failed', 'v2 failed', 'v1 succeeded'])
  assert.is(await code(stage, 4), null)
  assert.is((await stage.deploy()).succeeded, true)
  assert.equal(await currentConfig(stage.d, stage.app.id), { A: '1' })
})

test('what a push had taken over from one that fell is made again when it fails too', async () => {
  const stage = await open(({ release }) => (release.version > 2 && release.version < 6 ? deaf : well))
  await pushed(stage)
  await set(stage, { A: '1', B: '1' })
  await set(stage, { B: '2' })
  void stage.deploy()
  await stage.until('v6', async () => (await newest(stage)) === 6)
  await changeConfig(stage.d, stage.app, stage.account, { C: '1' })
  await callOff(stage, 3)
  assert.equal(await statuses(stage, 5), ['v7 pending', 'v6 pending', 'v5 failed', 'v4 failed', 'v3 failed'])
  assert.equal(await currentConfig(stage.d, stage.app.id), { A: '1', B: '2', C: '1' })
  await callOff(stage, 6)
  assert.equal(await currentConfig(stage.d, stage.app.id), { A: '1', B: '2', C: '1' })
  const made = (await listReleases(stage.d.db, stage.app.id)).filter(({ version }) => version > 7)
  assert.equal(made.map(({ description }) => description).reverse(), [
    'Set A config vars again, without the code of v6',
    'Set B config vars again, without the code of v6',
    'Set C config vars again, without the code of v6',
  ])
  await alone(stage, 10)
  assert.is(await code(stage, 10), await code(stage, 2))
})

test('but not what it had not, nor does a change that fails without the code come back for ever', async () => {
  const stage = await open(({ release, env }) => (env.includes('BAD=1') ? crashes : release.version > 2 ? deaf : well))
  await pushed(stage)
  await set(stage, { BAD: '1' })
  await callOff(stage, 3)
  await stage.until('v5 to fail', async () => (await released(stage, 5)).status === 'failed')
  void stage.deploy()
  await stage.until('v6', async () => (await newest(stage)) === 6)
  assert.equal(await currentConfig(stage.d, stage.app.id), {})
  await callOff(stage, 6)
  assert.is(await newest(stage), 6)
  await alone(stage, 2)
})

test('the release of one image falls with the code that it keeps beside it, and so does what is based on that', async () => {
  const stage = await open(({ release }) => (release.version > 2 && release.version < 6 ? deaf : well))
  await pushed(stage)
  const { d, app, account } = stage
  const wanted = { app: app.id, account, description: 'Deployed worker', slugId: await code(stage, 2), keeps: true }
  await decide(d.db, (tx) => createRelease(d, tx, wanted))
  await set(stage, { A: '1' })
  assert.is(await callOff(stage, 3), true)
  assert.equal(await statuses(stage, 4), ['v6 pending', 'v5 failed', 'v4 failed', 'v3 failed'])
  assert.is((await released(stage, 4)).reason, 'It has the code of v3, which failed.')
  await alone(stage, 6)
  assert.equal(await currentConfig(d, app.id), { A: '1' })
  await decide(d.db, (tx) => createRelease(d, tx, { ...wanted, slugId: wanted.slugId }))
  await alone(stage, 7)
})

test('changes are what makes one config of another', () => {
  assert.equal(changesBetween({ A: '1', B: '1', C: '1' }, { A: '1', B: '2', D: '1' }), { B: '2', C: null, D: '1' })
  assert.equal(changesBetween({ constructor: '1' }, {}), { constructor: null })
})

test.run()
