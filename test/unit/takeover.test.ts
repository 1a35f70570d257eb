import { sql } from 'kysely'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Deploy } from '../../daemon/build/deploy.ts'
import { awaitLaunch } from '../../daemon/build/launch.ts'
import type { Slug } from '../../daemon/build/slug/slug.ts'
import { createStopwatch } from '../../daemon/build/stage.ts'
import { listReleases, type Release } from '../../daemon/release/release.ts'
import { dynosOf } from '../../daemon/run/dyno.ts'
import { scale } from '../../daemon/run/formation.ts'
import { restart } from '../../daemon/run/restart.ts'
import { receiptInTime, takeoverOf } from '../../daemon/run/takeover.ts'
import { closeAll, open, type Stage, signal, well } from './reconcile-rig.ts'

test.after.each(closeAll)

const receipt = (inFlight: number, more = {}) => ({
  inFlight,
  finished: inFlight,
  cut: 0,
  failed: 0,
  took: 100,
  ...more,
})
const releaseOf = async (stage: Stage, version: number) =>
  (await listReleases(stage.d.db, stage.app.id)).find((one) => one.version === version) as Release
const takeover = async (stage: Stage, version: number) => takeoverOf(stage.d.db, (await releaseOf(stage, version)).id)
const told = (stage: Stage): string[] =>
  stage.d.logs
    .recent(stage.app.id, {}, 100)
    .map(({ source, dyno, text }) => `${source}[${dyno}]: ${text}`)
    .filter((line) => line.includes('took over'))

test('a release gets a receipt of what its predecessor had under way, over all dynos, and the log tells it once', async () => {
  const stage = await open(() => well)
  await stage.deploy()
  await scale(stage.d, stage.app, stage.account, [{ type: 'web', quantity: 2 }])
  await stage.until('two dynos', () => stage.serving().length === 2)
  const [one, two] = stage.serving() as [string, string]
  for (const id of [one, two]) stage.undrained.add(id)
  await stage.deploy()
  stage.d.routers.receipts.note(one, 'a', receipt(3))
  stage.undrained.delete(one)
  await stage.until('the first', async () => (await takeover(stage, 3))?.dynos === 1)
  assert.is((await takeover(stage, 3))?.settled_at, null)
  assert.equal(told(stage), [])
  stage.d.routers.receipts.note(two, 'a', receipt(4, { finished: 2, cut: 1, failed: 1, took: 1234 }))
  stage.d.routers.receipts.note(two, 'b', receipt(1))
  stage.undrained.delete(two)
  await stage.until('the old to be gone', () => stage.world.dynos.size === 2)
  await stage.until('the receipt', async () => typeof (await takeover(stage, 3))?.settled_at === 'number')
  const { replaced, dynos, in_flight, finished, cut, failed, took } = (await takeover(stage, 3)) ?? {}
  assert.equal(
    { replaced, dynos, in_flight, finished, cut, failed, took },
    {
      ...{ replaced: 2, dynos: 2, in_flight: 8, finished: 6 },
      ...{ cut: 1, failed: 1, took: 1234 },
    },
  )
  const line = 'app[api]: Release v3 took over from v2: 8 requests in flight, 6 drained, 1 cut, 1 failed, 1.2 s'
  assert.equal(told(stage), [line])
  const shown: string[] = []
  const output = { step() {}, problem() {}, blank() {}, write() {}, detail: (text: string) => shown.push(text) }
  const request = { app: stage.app, signal }
  const slug = { process_types: '{}' } as Slug
  const stopwatch = createStopwatch()
  await awaitLaunch({ d: stage.d, request, output, stopwatch } as unknown as Deploy, slug, await releaseOf(stage, 3))
  assert.is(shown.at(-1), 'Took over: 8 requests in flight, 6 drained, 1 cut, 1 failed, 1.2 s')
})

test('what is known when a release begins to serve is known before its predecessor is gone, or not at all', async () => {
  const stage = await open(() => well)
  await stage.deploy()
  const [old] = stage.serving() as [string]
  stage.undrained.add(old)
  await stage.deploy()
  const release = await releaseOf(stage, 3)
  assert.is(await receiptInTime(stage.d, release), null)
  stage.d.routers.receipts.note(old, 'a', receipt(2))
  assert.is(await receiptInTime(stage.d, release), null, 'a router has yet to tell')
  stage.undrained.delete(old)
  assert.equal(await receiptInTime(stage.d, release), receipt(2))
})

test('a dyno that ends before it is drained is counted when it is gone, with what routers say by then', async () => {
  const stage = await open(() => well)
  await stage.deploy()
  const [old] = stage.serving() as [string]
  stage.undrained.add(old)
  await stage.deploy()
  stage.d.routers.receipts.note(old, 'a', receipt(2, { finished: 0, failed: 2 }))
  stage.world.dynos.get(old)?.end(1)
  await stage.until('the receipt', async () => (await takeover(stage, 3))?.failed === 2)
  await stage.until('what is counted to be forgotten', () => stage.d.routers.receipts.of(old) === null)
})

test('neither a restart nor silent routers make a receipt, and nothing waits for one', async () => {
  const stage = await open(() => well)
  await stage.deploy()
  const [first] = stage.serving() as [string]
  stage.d.routers.receipts.note(first, 'a', receipt(1))
  await restart(stage.d, stage.app, {})
  await stage.until('the successor', () => stage.world.dynos.size === 1 && !stage.serving().includes(first))
  await stage.deploy()
  await stage.until('the old to be gone', () => stage.world.dynos.size === 1)
  for (const version of [1, 2, 3]) assert.is(await takeover(stage, version), undefined)
  assert.equal(told(stage), [])
})

test('a receipt that cannot be written holds up neither a release nor the end of a dyno', async () => {
  const stage = await open(() => well)
  await stage.deploy()
  const [old] = stage.serving() as [string]
  stage.d.routers.receipts.note(old, 'a', receipt(1))
  await sql`ALTER TABLE receipts RENAME TO lost`.execute(stage.d.db)
  assert.ok((await stage.deploy()).succeeded)
  await stage.until('the old to be gone', async () => {
    const dynos = await dynosOf(stage.d.db, stage.app.id)
    return dynos.length === 1 && stage.world.dynos.size === 1
  })
  assert.equal(
    stage.said.filter((line) => line.includes('pass failed')),
    [],
  )
  assert.ok(stage.said.some((line) => line.includes('missing in a receipt')))
})

test('a dyno drains as long as its tunnels may stay, and they need for their end', async () => {
  const stage = await open(() => well)
  await stage.deploy()
  const [old] = stage.serving() as [string]
  stage.undrained.add(old)
  await stage.deploy()
  const since = async () =>
    (await dynosOf(stage.d.db, stage.app.id)).find(({ id, state }) => id === old && state === 'draining')?.updated_at
  await stage.until('the drain', async () => (await since()) !== undefined)
  for (const [ms, time] of [
    [undefined, 45_000],
    [0, 45_000],
    [600_000, 615_000],
  ] as const) {
    stage.grace.ms = ms
    assert.is(await stage.look(), ((await since()) ?? 0) + time)
  }
})

test.run()
