import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { describe, type Load, startLoad } from './load.ts'
import { startPlatform } from './platform.ts'
import { waitFor } from './wait.ts'

/** Memory for three dynos: a build, which needs as much as one, finds room beside two. */
const platform = await startPlatform({ SLUICE_MEMORY: '1536MB' })
test.after(() => platform.stop())

const app = 'crowded'
const source = await platform.prepare(() => platform.deploy(app))

const newest = async (name: string) => (await platform.releases(name)).at(-1)
const set = async (name: string, vars: Record<string, string>) => {
  await platform.api('PATCH', `/apps/${name}/config-vars`, vars)
  return (await newest(name))?.version ?? 0
}

const scale = (quantity: number) =>
  platform.api('PATCH', `/apps/${app}/formation`, { updates: [{ type: 'web', quantity }] })

/** Until exactly these run, of this version. */
const serves = (name: string, names: string[], version?: number) =>
  waitFor(
    `${name} to have ${names.join(', ')} of v${version ?? '*'}`,
    async () => {
      const dynos = (await platform.dynos(name)).filter(({ state }) => state === 'up')
      const seen = dynos.filter(({ release }) => version === undefined || release.version === version)
      const containers = (await platform.containers(name)).filter(({ State }) => State === 'running').length
      if (seen.map((dyno) => dyno.name).join() !== names.join() || containers !== names.length)
        throw new Error(`${seen.map((dyno) => dyno.name).join(', ')}, ${containers} containers`)
      return true
    },
    { within: 120_000 },
  )

/** What is done under load: no request may fail, and there must never be more dynos than have memory. */
async function underLoad(work: () => Promise<unknown>): Promise<void> {
  const load: Load = startLoad(platform.ports.http, `${app}.localhost`)
  let most = 0
  let ended = false
  const counting = (async () => {
    while (!ended) {
      const running = (await platform.containers()).filter(({ State }) => State === 'running').length
      most = Math.max(most, running)
    }
  })()
  try {
    await work()
  } finally {
    ended = true
    await counting
  }
  const result = await load.stop()
  assert.is(result.failures.length, 0, describe(result))
  assert.ok(most <= 3, `${most} containers ran at once`)
}

const THREE = ['web.1', 'web.2', 'web.3']

test('what is beyond a machine that is full is refused in words that say what to do', async () => {
  await scale(3)
  await serves(app, THREE)
  const scaled = await platform.cli(['ps:scale', 'web=4', '-a', app])
  assert.is(scaled.code, 2)
  assert.match(
    words(scaled.output),
    /Cannot scale to web@4:Basic: that takes 512 MB of memory, and this machine has 0 MB left\. Scale something down \(heroku ps:scale\)/,
  )
  const run = await platform.cli(['run', 'echo hello', '-a', app])
  assert.is(run.code, 2)
  assert.match(
    words(run.output),
    /Cannot run a dyno of the type Basic: it takes 512 MB of memory, and this machine has 0 MB left\./,
  )
  await source.version('v2')
  const push = await platform.push(source, app)
  assert.is(push.code, 1)
  assert.match(push.output, /! {5}A build takes 512 MB of memory, and this machine has 0 MB left\./)
  assert.match(push.output, /Push failed/)
  await serves(app, THREE)
})

test('a release rolls in batches: no request fails, no more dynos run than have memory, and the log says what waits', async () => {
  let version = 0
  await underLoad(async () => {
    version = await set(app, { COLOUR: 'blue' })
    assert.is((await platform.settled(app, version)).status, 'succeeded')
    await serves(app, THREE, version)
  })
  // `heroku logs` has the newest lines, and by now those of the load.
  const { id } = await platform.api<{ id: string }>('GET', `/apps/${app}`)
  const journal = await readFile(join(platform.data, 'logs', id, 'current'), 'utf8')
  const told = journal.match(/"web\.\d","Waiting for memory: it takes 512 MB, and this machine has 0 MB left"/g) ?? []
  assert.ok(told.length >= 1 && told.length <= THREE.length, told.join('\n'))
})

test('a release whose first batch does not boot fails, and the old formation is whole again', async () => {
  const before = (await newest(app))?.version ?? 0
  await underLoad(async () => {
    const version = await set(app, { BOOT: 'exit' })
    assert.is((await platform.settled(app, version)).status, 'failed')
    await serves(app, THREE, before)
  })
})

test('a restart goes one after the other', async () => {
  const before = (await platform.dynos(app)).map(({ id }) => id)
  await underLoad(async () => {
    await platform.api('DELETE', `/apps/${app}/dynos`)
    await waitFor('three others', async () =>
      (await platform.dynos(app)).every(({ id, state }) => state === 'up' && !before.includes(id)),
    )
    await serves(app, THREE)
  })
})

test('a daemon that is killed within a batch goes on with it', async () => {
  await underLoad(async () => {
    const version = await set(app, { COLOUR: 'green' })
    await waitFor('the first batch to begin', async () => {
      const dynos = await platform.dynos(app)
      return dynos.some((dyno) => dyno.release.version === version && dyno.state === 'starting')
    })
    await platform.daemon.kill('SIGKILL')
    await platform.startDaemon()
    assert.is((await platform.settled(app, version)).status, 'succeeded')
    await serves(app, THREE, version)
  })
})

test('what crashes on a full machine comes back', async () => {
  const before = (await platform.dynos(app)).map(({ id }) => id)
  await platform.request(app, '/crash')
  await waitFor('another dyno in its place', async () =>
    (await platform.dynos(app)).some(({ id }) => !before.includes(id)),
  )
  await serves(app, THREE)
})

test('an app whose only dyno has no room beside it: releases, pushes and restarts are refused, until it is serial', async () => {
  await scale(1)
  await serves(app, ['web.1'])
  const alone = await platform.deploy('alone')
  await scale(2)
  await serves(app, ['web.1', 'web.2'])
  const failed = await set('alone', { COLOUR: 'blue' })
  assert.is((await platform.settled('alone', failed)).status, 'failed')
  const { output } = await platform.heroku(['logs', '-a', 'alone'])
  assert.match(output, new RegExp(`Release v${failed} failed: This machine has no memory left for it: it takes 512 MB`))
  const restarted = await platform.cli(['ps:restart', '-a', 'alone'])
  assert.is(restarted.code, 2)
  assert.match(words(restarted.output), /with a gap in service: heroku ps:stop web\.1, and it comes back/)
  await alone.version('v2')
  const push = await platform.push(alone, 'alone')
  assert.is(push.code, 1)
  assert.match(push.output, /A new release beside the one that serves takes 512 MB of memory/)
  assert.match(push.output, /heroku features:enable serial-deploy/)
  assert.match((await platform.request('alone')).body, /^v1 /)
  await platform.api('PATCH', '/apps/alone/features/serial-deploy', { enabled: true })
  const version = await set('alone', { COLOUR: 'green' })
  assert.is((await platform.settled('alone', version)).status, 'succeeded')
  await serves('alone', ['web.1'], version)
})

/** As the CLI has wrapped them, on one line. */
const words = (output: string): string => output.replace(/[\s▸›]+/g, ' ')

test.run()
