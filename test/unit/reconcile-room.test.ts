import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { setFeature } from '../../daemon/app/feature.ts'
import { changeConfig } from '../../daemon/release/config.ts'
import { listReleases } from '../../daemon/release/release.ts'
import { listAwaited } from '../../daemon/run/awaited.ts'
import { createCapacity } from '../../daemon/run/capacity.ts'
import { scale } from '../../daemon/run/formation.ts'
import { runOneOff } from '../../daemon/run/oneoff.ts'
import { restart } from '../../daemon/run/restart.ts'
import { closeAll, open, type Stage, versions, well } from './reconcile-rig.ts'

test.after.each(closeAll)

const DYNO = 512

/** An app with so many web dynos on a machine that has memory for `places` of them. */
async function running(web: number, places: number): Promise<Stage> {
  const stage = await open(
    ({ env }) => (env.includes('BAD=1') ? { exits: { after: 5, code: 1 } } : well),
    undefined,
    undefined,
    { settings: { SLUICE_MEMORY: `${places * DYNO}MB` } },
  )
  await stage.deploy()
  if (web > 1) await scale(stage.d, stage.app, stage.account, [{ type: 'web', quantity: web }])
  await stage.until('the formation', () => stage.serving().length === web)
  return stage
}

/** Looks all the time how many dynos there are at most, and how many serve at least. */
function watch(stage: Stage) {
  const seen = { most: 0, least: Number.POSITIVE_INFINITY }
  const timer = setInterval(() => {
    seen.most = Math.max(seen.most, [...stage.world.dynos.values()].filter(({ placed }) => placed.running).length)
    seen.least = Math.min(seen.least, stage.serving().length)
  }, 1)
  return () => {
    clearInterval(timer)
    return seen
  }
}

const status = async (stage: Stage) => (await listReleases(stage.d.db, stage.app.id))[0]

const refusal = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'it was not refused',
    ({ message }) => message,
  )

const wish = { ...{ command: 'true', env: {}, size: undefined, type: undefined, attached: false }, terminal: null }

test('a machine that is full with four dynos releases them in two batches: half of them always serve, and there are never more', async () => {
  const stage = await running(4, 4)
  const done = watch(stage)
  const { succeeded, version } = await stage.deploy()
  assert.ok(succeeded)
  const replaced = async () => (await versions(stage)).filter(([, , release]) => release === version)
  await stage.until('all four', async () => (await replaced()).filter(([, state]) => state === 'up').length === 4)
  assert.equal(
    await versions(stage),
    [1, 2, 3, 4].map((n) => [`web.${n}`, 'up', version]),
  )
  assert.equal(done(), { most: 4, least: 2 })
})

test('a release that fails in its first batch leaves the old formation as it was', async () => {
  const stage = await running(2, 2)
  const done = watch(stage)
  await changeConfig(stage.d, stage.app, stage.account, { BAD: '1' })
  await stage.until('the failure', async () => (await status(stage))?.status === 'failed')
  assert.match((await status(stage))?.reason ?? '', /web\.1 exited with status 1/)
  await stage.until('both dynos', () => stage.serving().length === 2)
  assert.is(done().least, 1)
})

test('a restart without room goes one after the other', async () => {
  const stage = await running(3, 3)
  const before = stage.serving()
  const done = watch(stage)
  await restart(stage.d, stage.app, {})
  await stage.until('three others', () => stage.serving().filter((id) => !before.includes(id)).length === 3)
  assert.equal(done(), { most: 3, least: 2 })
})

test('where the only dyno has no room for another beside it, a release fails and says what to do, a restart is refused', async () => {
  const stage = await running(1, 1)
  const before = stage.serving()
  const { succeeded, reason } = await stage.deploy()
  assert.not.ok(succeeded)
  assert.match(reason ?? '', /^This machine has no memory left for it: it takes 512 MB beside what serves\./)
  assert.match(reason ?? '', /heroku features:enable serial-deploy\.\nv2 still serves\.$/)
  assert.is(
    await refusal(restart(stage.d, stage.app, {})),
    'Cannot restart web.1 and serve meanwhile: its successor takes 512 MB of memory, and this machine has 0 MB left. To restart it with a gap in service: heroku ps:stop web.1, and it comes back.',
  )
  assert.equal(stage.serving(), before)
})

test('a serial app has its only dyno stopped for a new release and for a restart', async () => {
  const stage = await running(1, 1)
  const feature = { name: 'serial-deploy', enabled: true }
  await setFeature(stage.d, { ...stage.app, collaborators: [] } as never, stage.account, feature)
  const done = watch(stage)
  assert.ok((await stage.deploy()).succeeded)
  const before = stage.serving()
  await restart(stage.d, stage.app, {})
  await stage.until('another', () => stage.serving().length === 1 && stage.serving()[0] !== before[0])
  assert.equal(done(), { most: 1, least: 0 })
})

test('more dynos, a larger size and one-off dynos are refused when there is no room, and nothing changes', async () => {
  const stage = await running(1, 2)
  const { d, app, account } = stage
  assert.is(
    await refusal(scale(d, app, account, [{ type: 'web', quantity: 3 }])),
    'Cannot scale to web@3:Basic: that takes 1024 MB of memory, and this machine has 512 MB left. Scale something down (heroku ps:scale), in this app or another, or ask for a smaller dyno type.',
  )
  assert.match(
    await refusal(scale(d, app, account, [{ type: 'web', size: 'Standard-2X' }])),
    /^Cannot scale to web@1:Standard-2X: that takes 1024 MB of memory, and this machine has 512 MB left\./,
  )
  await runOneOff(d, app, account, { ...wish, timeToLive: undefined })
  assert.match(
    await refusal(runOneOff(d, app, account, { ...wish, timeToLive: undefined })),
    /^Cannot run a dyno of the type Basic: it takes 512 MB of memory, and this machine has 0 MB left\. Scale something down/,
  )
  assert.equal(await versions(stage).then((all) => all.map(([name]) => String(name).split('.')[0]).sort()), [
    'run',
    'web',
  ])
})

test('of two who want the last room at once, one gets it', async () => {
  const stage = await running(1, 2)
  const { d, app, account } = stage
  const both = await Promise.all(
    [1, 2].map(() => refusal(runOneOff(d, app, account, { ...wish, timeToLive: undefined }))),
  )
  assert.is(both.filter((text) => text === 'it was not refused').length, 1)
})

test('what waits for memory is told, and goes on when somebody gives some back', async () => {
  const stage = await running(1, 2)
  const { d, app, account } = stage
  await runOneOff(d, app, account, { ...wish, timeToLive: undefined })
  await d.db.updateTable('dynos').set({ replace: 1 }).where('type', '=', 'web').execute()
  await stage.until('it to wait', () => d.capacity.waiting(app.id).length === 1)
  const [awaited] = await listAwaited(d.db, d.capacity.waiting(app.id))
  assert.equal([awaited?.name, awaited?.state, awaited?.release.version], ['web.1', 'waiting for memory', 2])
  assert.match(awaited?.id ?? '', /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/)
  const [before] = stage.serving()
  const lines = d.logs.recent(app.id, {}, 100)
  assert.ok(
    lines.some(({ text }) => text === 'Waiting for memory: it takes 512 MB, and this machine has 0 MB left'),
    JSON.stringify(lines),
  )
  await stage.until('the successor', async () => {
    for (const { placed, end } of stage.world.dynos.values()) if (placed.type === 'run') end(0)
    return stage.serving().length === 1 && stage.serving()[0] !== before
  })
  assert.equal(d.capacity.waiting(app.id), [])
})

test('each that is restarted where there is no room beside tells so once, and that it waits at most once', async () => {
  const stage = await running(3, 3)
  const { d, app } = stage
  const before = new Set(stage.serving())
  await restart(d, app, {})
  await stage.until(
    'the successors',
    () => stage.serving().length === 3 && stage.serving().every((id) => !before.has(id)),
  )
  const told = (name: string, begin: string) =>
    d.logs.recent(app.id, {}, 100).filter(({ dyno, text }) => dyno === name && text.startsWith(begin)).length
  for (const name of ['web.1', 'web.2', 'web.3']) {
    assert.is(told(name, 'Restarting'), 1, name)
    assert.is(told(name, 'State changed from up to starting'), 1, name)
    assert.ok(told(name, 'Waiting for memory') <= 1, name)
  }
  assert.is(told('web.1', 'Waiting for memory'), 1)
})

test('what a young dyno uses by now is asked of the engine, and not expected of it once more', async () => {
  const MiB = 1024 ** 2
  const stage = await open(() => ({ ...well, uses: 200 * MiB }))
  await stage.deploy()
  const { db, clock, engine } = stage.d
  const capacity = createCapacity({ db, clock, engine, bound: undefined, poke() {}, available: () => 2048 * MiB })
  const left = async () => Math.round((await capacity.room(db)).now / MiB)
  // In its first seconds up it is expected to grow to almost all of its size, beside the reserve.
  const before = await left()
  assert.ok(before >= 2048 - 256 - 512 && before < 2048 - 256 - 400, String(before))
  await capacity.measure()
  const after = await left()
  assert.ok(after >= before + 150, `${before}, then ${after}`)
})

test('builds share what is left, none with less than it needs, and the last one waits for another', async () => {
  const stage = await running(1, 4)
  const { capacity } = stage.d
  const ends: (() => void)[] = []
  const given: number[] = []
  const build = () =>
    capacity.build(new AbortController().signal, (memory) => {
      given.push(memory / 1024 ** 2 / DYNO)
      return new Promise<void>((resolve) => ends.push(resolve))
    })
  const first = build()
  await stage.until('the first', () => given.length === 1)
  const second = build()
  ends[0]?.()
  await first
  await stage.until('the second', () => given.length === 2)
  assert.equal(given, [3, 3])
  ends[1]?.()
  await second
  await scale(stage.d, stage.app, stage.account, [{ type: 'web', quantity: 4 }])
  assert.match(await refusal(build()), /^A build takes 512 MB of memory, and this machine has 0 MB left\./)
})

test.run()
