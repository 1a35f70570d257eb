import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { early } from './early.ts'
import { touch, typeLabel } from './engine.ts'
import { describe, startLoad } from './load.ts'
import { startPlatform } from './platform.ts'
import { type Source, web } from './source.ts'
import { waitFor } from './wait.ts'

const platform = await startPlatform()
test.after(() => platform.stop())

/** Pushes a version that cannot go live, under load; the old one must serve every request, before and after. */
async function failing(
  app: string,
  spoil: (source: Source) => Promise<unknown>,
  reason: RegExp,
): Promise<{ output: string; source: Source }> {
  const source = await platform.deploy(app)
  const served = await source.head()
  const load = startLoad(
    platform.ports.http,
    `${app}.localhost`,
    ({ status, body }) => status === 200 && body === 'v1 web.1\n',
  )
  await spoil(source)
  const { code, output } = await platform.push(source, app)
  const result = await load.stop()
  assert.is.not(code, 0, output)
  assert.match(output, reason)
  assert.match(output, /v2 still serves/)
  assert.match(output, /pre-receive hook declined/)
  assert.is(result.failures.length, 0, describe(result))
  const refs = await platform.git(source.dir, 'ls-remote', `https://localhost:${platform.ports.api}/${app}.git`, 'main')
  assert.match(refs.stdout, new RegExp(`^${served}\t`), 'the ref must not move')
  assert.equal(
    (await platform.releases(app)).map(({ version, status, current }) => [version, status, current]),
    [
      [1, 'succeeded', false],
      [2, 'succeeded', true],
      [3, 'failed', false],
    ],
  )
  return { output, source }
}

/** The next good push takes a number that was never used. */
async function recovers(app: string, source: Source): Promise<void> {
  await source.version('v9', { web })
  const { code, output } = await platform.push(source, app)
  assert.is(code, 0, output)
  assert.match(output, /Released v4/)
  assert.match((await platform.request(app)).body, /^v9 /)
}

test('Z4: a release that exits while it boots leaves the old one serving, and the push says why', async () => {
  const app = 'exits'
  const spoil = (source: Source) => source.version('v2', { web: `BOOT=exit ${web}` })
  const { output, source } = await failing(app, spoil, /web\.1 exited with status 1/)
  assert.match(output, /cannot reach the database/)
  await recovers(app, source)
  await waitFor('the dynos of the failed and the replaced release to be gone', async () => {
    return (await platform.containers(app)).length === 1
  })
})

test('Z4: a release whose release command fails is never started', async () => {
  const spoil = (source: Source) => source.version('v2', { web, release: 'echo migrating; exit 3' })
  const { output, source } = await failing('migrating', spoil, /release command exited with status 3/)
  assert.match(output, /migrating/)
  await recovers('migrating', source)
})

test('a config change that is made while a release command runs serves without its code when that fails', async () => {
  const app = 'meanwhile'
  const source = await platform.deploy(app)
  await source.version('v2', { web, release: 'echo migrating; until test -e /tmp/go; do sleep 0.1; done; exit 3' })
  const push = platform.push(source, app)
  await waitFor('the release command', () => /migrating/.test(push.sofar()), { within: 60_000 })
  await platform.api('PATCH', `/apps/${app}/config-vars`, { A: '1' })
  const command = (await platform.containers(app)).find(({ Labels }) => Labels[typeLabel] === 'release')
  if (!command) throw new Error('there is no release command')
  await touch(command, '/tmp/go')
  const { code, output } = await push
  assert.is.not(code, 0, output)
  assert.is((await platform.settled(app, 5)).status, 'succeeded')
  assert.match((await platform.request(app)).body, /^v1 /)
  assert.is(JSON.parse((await platform.request(app, '/env')).body).A, '1')
  const { description } = await platform.api<{ description: string }>('GET', `/apps/${app}/releases/5`)
  assert.is(description, 'Set A config vars again, without the code of v3')
})

test('a release command that succeeds runs once, before the cutover, with the new code and config', async () => {
  const source = await platform.deploy('phased')
  await source.version('v2', { web, release: 'echo "release command of $(cat version) in $DYNO"' })
  const { code, output } = await platform.push(source, 'phased')
  assert.is(code, 0, output)
  assert.is(output.match(/release command of v2 in release\.\d+/g)?.length, 1, output)
  assert.match((await platform.request('phased')).body, /^v2 /)
})

test('Z4: a build that fails makes no release, and the push shows its output', async () => {
  const source = await platform.deploy('unbuilt')
  await platform.git(source.dir, 'rm', '--quiet', 'Procfile')
  await source.commit({ README: 'nothing that a buildpack knows' })
  const { code, output } = await platform.push(source, 'unbuilt')
  assert.is.not(code, 0)
  assert.match(output, / ! {5}/)
  assert.is((await platform.releases('unbuilt')).length, 2)
  assert.match((await platform.request('unbuilt')).body, /^v1 /)
})

test('Z4: a rollback to code that is gone from the disk fails, and the old release serves', async () => {
  const app = 'lost-code'
  const source = await platform.deploy(app)
  await source.version('v2')
  assert.is((await platform.push(source, app)).code, 0)
  const { slug } = await platform.api<{ slug: { id: string } }>('GET', `/apps/${app}/releases/2`)
  await rm(join(platform.data, 'slugs', slug.id), { recursive: true })
  await platform.api('POST', `/apps/${app}/releases`, { release: '2' })
  assert.is((await platform.settled(app, 4)).status, 'failed')
  assert.match((await platform.request(app)).body, /^v2 /)
  const { stdout } = await platform.heroku(['logs', '--app', app])
  assert.match(stdout, /could not be started/)
})

test('a config change that breaks the app leaves the old release serving, and does not leak into the next', async () => {
  const app = 'misconfigured'
  await platform.deploy(app)
  const set = (vars: Record<string, string>) => platform.api('PATCH', `/apps/${app}/config-vars`, vars)
  const load = startLoad(platform.ports.http, `${app}.localhost`)
  await set({ BOOT: 'exit' })
  assert.is((await platform.settled(app, 3)).status, 'failed')
  await set({ FINE: '1' })
  assert.is((await platform.settled(app, 4)).status, 'succeeded')
  const seen = JSON.parse((await platform.request(app, '/env')).body)
  assert.equal([seen.FINE, seen.BOOT], ['1', undefined])
  const result = await load.stop()
  assert.is(result.failures.length, 0, describe(result))
})

/** The next version of the app has a health check. */
const checked = (source: Source, health: string, check: object = { path: '/healthz' }) =>
  source.commit({
    ...{ version: 'v2\n', Procfile: `web: HEALTH=${health} ${web}\n` },
    'app.json': JSON.stringify({ healthchecks: { web: [check] } }),
  })

test('a release whose health check fails at first goes live when it passes, without a failed request', async () => {
  const app = 'slow-to-health'
  const source = await platform.deploy(app)
  const load = startLoad(platform.ports.http, `${app}.localhost`)
  await checked(source, '3')
  const { code, output } = await platform.push(source, app)
  const { ready } = await platform.request(app, '/ready').then(({ body }) => ({ ready: Number(body) }))
  const result = await load.stop()
  assert.is(code, 0, output)
  assert.match(output, /remote: -----> Health check of web: GET \/healthz/)
  assert.is(result.failures.length, 0, describe(result))
  const first = load.seen('v2 web.1\n')?.first ?? 0
  assert.ok(first - ready >= 2000, `it served ${first - ready} ms after it began to listen`)
})

test('a health check that is none fails the build, with its place', async () => {
  const app = 'badly-checked'
  const source = await platform.deploy(app)
  await checked(source, '0', { path: 'healthz' })
  const { code, output } = await platform.push(source, app)
  assert.is.not(code, 0)
  assert.match(output, / ! {5}app\.json: healthchecks\.web\[0\]\.path must begin with "\/"/)
  assert.match((await platform.request(app)).body, /^v1 /)
})

early(
  'a release whose health check never passes fails after the boot timeout, and the push says what it answered',
  async () => {
    const app = 'unhealthy'
    const reason = /web\.1 did not pass its health check within 60 seconds \(R10\): GET \/healthz, it answered 500\./
    const { output, source } = await failing(app, (source) => checked(source, 'ill'), reason)
    assert.match(output, /v2 listens on/)
    const { stdout } = await platform.heroku(['logs', '--app', app, '-n', '1500'])
    assert.match(stdout, /Error R10 \(Boot timeout\) -> Web process did not pass its health check within 60 seconds/)
    await recovers(app, source)
  },
)

early('Z4: releases that never listen, or listen on another port, fail after the boot timeout', async () => {
  const spoil = (boot: string) => (source: Source) => source.version('v2', { web: `BOOT=${boot} ${web}` })
  const timeout = /web\.1 did not accept connections on \$PORT within 60 seconds/
  const [deaf, wrong] = await Promise.all([
    failing('deaf', spoil('deaf'), timeout),
    failing('wrong-port', spoil('wrong-port'), timeout),
  ])
  assert.match(deaf.output, /thinking forever/)
  await recovers('wrong-port', wrong.source)
})

test.run()
