import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Command, Outcome } from './command.ts'
import { describe, startLoad } from './load.ts'
import { startPlatform } from './platform.ts'
import { type Source, web } from './source.ts'
import { waitFor } from './wait.ts'

const platform = await startPlatform()
test.after(() => platform.stop())

const fast = { within: 30_000, every: 5 }

/** Kills the daemon at the moment that `step` waits for, starts it again, looks at what is left, and returns what the push said. */
async function killedDuring(
  app: string,
  step: (push: Command) => Promise<unknown>,
  slow = 'BOOT_DELAY=2',
): Promise<Outcome> {
  const source = await platform.deploy(app)
  const load = startLoad(platform.ports.http, `${app}.localhost`)
  await source.version('v2', { web: `${slow} ${web}` })
  const push = platform.push(source, app)
  await step(push)
  await platform.daemon.kill('SIGKILL')
  await platform.startDaemon()
  const outcome = await push
  await whole(app)
  const result = await load.stop()
  assert.is(result.failures.length, 0, describe(result))
  await goesOn(app, source)
  return outcome
}

/** Exactly one release serves, it is the one that the API calls current, and nothing else runs. */
async function whole(app: string): Promise<void> {
  await waitFor(`${app} to have one release that serves and no other container`, async () => {
    const releases = await platform.releases(app)
    const dynos = await platform.dynos(app)
    const containers = await platform.containers(app)
    const seen = JSON.stringify({ releases: releases.map(({ status }) => status), dynos, containers })
    if (releases.some(({ status }) => status === 'pending')) throw new Error(seen)
    if (dynos.length !== 1 || dynos[0]?.state !== 'up' || containers.length !== 1) throw new Error(seen)
    const current = releases.filter(({ current }) => current)
    if (current.length !== 1 || dynos[0].release.version !== current[0]?.version) throw new Error(seen)
    return true
  })
  const bodies = await Promise.all(Array.from({ length: 20 }, () => platform.request(app)))
  const answers = new Set(bodies.map(({ body }) => body))
  assert.is(answers.size, 1, `answers of two releases: ${[...answers].join(' ')}`)
}

async function goesOn(app: string, source: Source): Promise<void> {
  await source.version('v3', { web })
  const { code, output } = await platform.push(source, app)
  assert.is(code, 0, output)
  assert.match((await platform.request(app)).body, /^v3 /)
  await platform.api('DELETE', `/apps/${app}`)
}

test('Z5: the daemon is killed while it builds', async () => {
  const begun = (push: Command) => waitFor('the build to begin', () => /app detected/.test(push.sofar()), fast)
  assert.is.not((await killedDuring('at-build', begun)).code, 0)
})

test('Z5: the daemon is killed right after the release was made', async () => {
  const made = () => waitFor('v3 to exist', async () => (await platform.releases('at-release')).length === 3, fast)
  assert.is.not((await killedDuring('at-release', made)).code, 0)
})

test('Z5: the daemon is killed while the new dyno boots', async () => {
  assert.is.not((await killedDuring('at-boot', () => platform.booting('at-boot'))).code, 0)
})

test('Z5: the daemon is killed as the first request reaches the new release', async () => {
  const live = () =>
    waitFor('an answer of v2', async () => /^v2/.test((await platform.request('at-cutover')).body), fast)
  await killedDuring('at-cutover', live, 'BOOT_DELAY=0')
})

/** Nobody waited for these to be told that they failed, so a daemon that comes back finishes them. */
async function finishedAfter(app: string, change: () => Promise<unknown>, version: number): Promise<void> {
  const load = startLoad(platform.ports.http, `${app}.localhost`)
  await change()
  await platform.daemon.kill('SIGKILL')
  await platform.startDaemon()
  assert.is((await platform.settled(app, version)).status, 'succeeded')
  await whole(app)
  assert.is((await platform.dynos(app))[0]?.release.version, version)
  const result = await load.stop()
  assert.is(result.failures.length, 0, describe(result))
}

test('Z5: a config change and a rollback are finished by the daemon that comes back', async () => {
  const app = 'finished'
  await platform.deploy(app, { web: `BOOT_DELAY=1 ${web}` })
  const set = () => platform.api('PATCH', `/apps/${app}/config-vars`, { COLOUR: 'blue' })
  await finishedAfter(app, set, 3)
  assert.is(JSON.parse((await platform.request(app, '/env')).body).COLOUR, 'blue')
  await finishedAfter(app, () => platform.api('POST', `/apps/${app}/releases`, { release: '2' }), 4)
  assert.is(JSON.parse((await platform.request(app, '/env')).body).COLOUR, undefined)
})

test('Z5: scaling and a restart are finished by the daemon that comes back', async () => {
  const app = 'finished'
  const [before] = await platform.dynos(app)
  const load = startLoad(platform.ports.http, `${app}.localhost`)
  await platform.api('PATCH', `/apps/${app}/formation/web`, { quantity: 2 })
  await platform.api('DELETE', `/apps/${app}/dynos`)
  await platform.daemon.kill('SIGKILL')
  await platform.startDaemon()
  await waitFor('two dynos, both of them new', async () => {
    const dynos = await platform.dynos(app)
    const fresh = dynos.length === 2 && dynos.every(({ id, state }) => state === 'up' && id !== before?.id)
    return fresh && (await platform.containers(app)).length === 2
  })
  const result = await load.stop()
  assert.is(result.failures.length, 0, describe(result))
})

test('Z5: the daemon is killed while a release command runs', async () => {
  const app = 'at-phase'
  const source = await platform.deploy(app)
  await source.version('v2', { web, release: 'echo migrating && sleep 3' })
  const push = platform.push(source, app)
  await waitFor('the release command to run', () => /migrating/.test(push.sofar()), fast)
  await platform.daemon.kill('SIGKILL')
  await platform.startDaemon()
  assert.is.not((await push).code, 0)
  await whole(app)
  assert.match((await platform.request(app)).body, /^v1 /)
  await goesOn(app, source)
})

test.run()
