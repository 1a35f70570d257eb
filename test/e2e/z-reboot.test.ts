import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { call } from './engine.ts'
import { startPlatform } from './platform.ts'
import { sampleFiles } from './source.ts'
import { read, text } from './story.ts'
import type { Dyno } from './view.ts'
import { waitFor } from './wait.ts'

const AT_ONCE = 2

/** The machine restarts: no container is left, and all dynos of all apps come back. */
const platform = await startPlatform({ SLUICE_BOOTS: String(AT_ONCE) })
test.after(() => platform.stop())

const big = 'reboot-big'
const small = ['reboot-a', 'reboot-b', 'reboot-c']
const dynos = async () => (await Promise.all([big, ...small].map((app) => platform.dynos(app)))).flat()
const allUp = async (count: number) => {
  const all = await dynos()
  return all.length === count && all.every(({ state }) => state === 'up') && all
}

/** The daemon is dead while every container is removed; what was there before. */
async function reboot(): Promise<Set<string>> {
  const before = new Set((await dynos()).map(({ id }) => id))
  await platform.daemon.kill('SIGKILL')
  for (const { Id } of await platform.containers()) await call('DELETE', `/containers/${Id}?force=true&v=true`)
  await platform.startDaemon()
  return before
}

const allBack = (before: Set<string>, count: number) =>
  waitFor('all to be up again', async () => {
    const all = await allUp(count)
    return all && !all.some(({ id }) => before.has(id)) && all
  })

/** What the engine knows of each container: its dyno, and when its process began, ms. */
async function began(): Promise<(dyno: { id: string }) => number> {
  const all = await platform.containers()
  const found = all.map(async ({ Id, Labels }) => {
    const { State } = await call<{ State: { StartedAt: string } }>('GET', `/containers/${Id}/json`)
    return [Labels['sluice.id'] ?? '', Date.parse(State.StartedAt)] as const
  })
  const starts = new Map(await Promise.all(found))
  return ({ id }) => {
    const at = starts.get(id)
    if (at === undefined) throw new Error(`${id} has no container`)
    return at
  }
}

/** When the web dynos of an app came up last, by their names, ms. */
async function cameUp(app: string): Promise<Map<string, number>> {
  const lines = (await text(platform, app)).matchAll(
    /^(\S+) heroku\[(web\.\d+)\]: State changed from starting to up$/gm,
  )
  return new Map([...lines].map(([, time = '', name = '']) => [name, Date.parse(time)]))
}

await platform.prepare(async () => {
  const source = await platform.createSource(
    sampleFiles({ web: 'BOOT_DELAY=1 perl server.pl', worker: 'perl -e "sleep 600"' }),
  )
  const deploy = async (app: string) => {
    await platform.createApp(app)
    const { code, output } = await platform.push(source, app)
    if (code !== 0) throw new Error(output)
  }
  await Promise.all([big, ...small].map(deploy))
  const updates = [
    { type: 'web', quantity: 4 },
    { type: 'worker', quantity: 1 },
  ]
  await platform.api('PATCH', `/apps/${big}/formation`, { updates })
  await waitFor('all to be up', () => allUp(8))
})

test('after a restart of the host all dynos are back, few boot at once, web dynos first, and no app waits for a big one', async () => {
  const all = await allBack(await reboot(), 8)
  const startOf = await began()
  const starts = (which: (dyno: Dyno) => boolean) => all.filter(which).map(startOf)
  const web = starts(({ type }) => type === 'web')
  const boots: { from: number; to: number }[] = []
  for (const app of [big, ...small]) {
    const ups = await cameUp(app)
    for (const dyno of await platform.dynos(app))
      if (dyno.type === 'web') boots.push({ from: startOf(dyno), to: ups.get(dyno.name) ?? 0 })
  }
  const most = Math.max(...boots.map(({ from: at }) => boots.filter(({ from, to }) => from <= at && at < to).length))
  assert.ok(most >= 1 && most <= AT_ONCE, `${most} booted at once: ${JSON.stringify(boots)}`)
  // Not all: on a busy machine the last app is looked at when the first dynos are up.
  const [worker = 0] = starts(({ type }) => type === 'worker')
  assert.ok(web.filter((at) => at < worker).length >= web.length - AT_ONCE, 'a worker began before web dynos')
  const ofBig = new Set((await platform.dynos(big)).map(({ id }) => id))
  const last = Math.max(...starts(({ id }) => !ofBig.has(id)))
  const later = starts(({ id, type }) => type === 'web' && ofBig.has(id)).filter((at) => at > last)
  assert.ok(later.length >= 2, 'a small app waited for the big one')
  for (const app of [big, ...small])
    assert.not(
      (await read(platform, app)).some((line) => line.includes('R10')),
      app,
    )
})

test('what a person asks for boots before what comes back by itself', async () => {
  const before = await reboot()
  await platform.api('PATCH', '/apps/reboot-c/formation/web', { quantity: 2 })
  const begun = (await platform.containers()).length
  const all = await allBack(before, 9)
  const startOf = await began()
  const [asked] = (await platform.dynos('reboot-c')).filter(({ name }) => name === 'web.2').map(startOf)
  const earlier = all.map(startOf).filter((at) => at < (asked ?? 0))
  // those whose turn it was, and one whose turn it is because it has waited longest
  assert.ok(
    earlier.length <= begun + AT_ONCE + 1,
    `${earlier.length} began before it, ${begun} before it was asked for`,
  )
})

test.run()
