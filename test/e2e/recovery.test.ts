import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readExposition } from '../unit/exposition.ts'
import { describe, startLoad } from './load.ts'
import { startPlatform } from './platform.ts'
import { waitFor } from './wait.ts'

const platform = await startPlatform()
test.after(() => platform.stop())

const app = 'lasting'
await platform.prepare(() => platform.deploy(app))

const answers = () => waitFor('the app to answer', async () => /^v1 web\.1/.test((await platform.request(app)).body))
const running = async () => (await platform.containers()).filter(({ State }) => State === 'running').map(({ Id }) => Id)

test('what was done is in the metrics, for who has the token', async () => {
  const url = `http://127.0.0.1:${platform.ports.api}`
  const token = await readFile(join(platform.data, 'metrics.token'), 'utf8')
  const answer = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${token}` } })
  const { samples } = readExposition(await answer.text())
  for (const [name, value] of [
    ['sluice_apps', 1],
    ['sluice_build_seconds_count{result="succeeded"}', 1],
    ['sluice_build_seconds_count{result="failed"}', 0],
    ['sluice_releases_total{result="succeeded"}', 1],
    ['sluice_cutover_seconds_count', 1],
    ['sluice_routers{state="connected"}', 1],
    ['sluice_dynos{type="web",state="up"}', 1],
    ['sluice_builds_running', 0],
  ] as const)
    assert.is(samples.get(name), value, name)
  for (const name of ['sluice_engine_call_seconds_count{call="start",result="ok"}', 'sluice_log_lines_total'])
    assert.ok((samples.get(name) ?? 0) > 0, name)
  const health = await fetch(`${url}/sluice/health`)
  assert.equal([health.status, await health.json()], [200, { status: 'ok' }])
})

interface Finding {
  check: string
  state: string
  text: string
}

/** What the doctor says of these things, and its exit code. */
const examined = (...checks: string[]) =>
  new Promise<string[]>((resolve) => {
    const main = join(import.meta.dirname, '..', '..', 'cli', 'main.js')
    const env = {
      ...process.env,
      SLUICE_DATA: platform.data,
      SLUICE_PORT: String(platform.ports.api),
      SLUICE_HTTP_PORT: String(platform.ports.http),
      SLUICE_TLS_PORT: String(platform.ports.tls),
    }
    execFile(process.execPath, [main, 'doctor', '--json'], { env }, (error, out) => {
      const { findings } = JSON.parse(out) as { findings: Finding[] }
      const about = findings.filter(({ check }) => checks.includes(check))
      resolve([`code ${error?.code ?? 0}`, ...about.map(({ check, state }) => `${state} ${check}`)])
    })
  })

test('the doctor finds all well, a router that is gone, and a daemon that is', async () => {
  const ports = ['ok ports', 'ok ports', 'ok ports']
  assert.equal((await examined('API', 'routers', 'ports', 'database')).slice(1), [
    ...['ok API', 'ok database', 'ok routers', ...ports],
  ])
  await platform.router.kill('SIGKILL')
  await waitFor('the daemon to miss its router', async () => {
    const [router] = await platform.api<{ state: string }[]>('GET', '/sluice/routers')
    return router?.state === 'awaited'
  })
  assert.equal(await examined('routers'), ['code 1', 'fail routers', 'warn routers'])
  await platform.daemon.kill('SIGKILL')
  assert.equal(await examined('API', 'ports', 'data folder'), [
    ...['code 1', 'fail API', 'ok data folder', 'fail ports', 'fail ports', 'fail ports'],
  ])
  platform.router.start()
  await platform.startDaemon()
  await answers()
})

test('apps are served while the daemon is dead', async () => {
  const before = await running()
  await platform.daemon.kill('SIGKILL')
  const load = startLoad(platform.ports.http, `${app}.localhost`)
  await waitFor('two hundred requests', () => load.sent() >= 200)
  const result = await load.stop()
  assert.is(result.failures.length, 0, describe(result))
  await platform.startDaemon()
  assert.equal(await running(), before)
})

test('a killed router serves again as soon as it is up, from its snapshot, before it reaches a daemon', async () => {
  await platform.daemon.kill('SIGKILL')
  await platform.router.kill('SIGKILL')
  platform.router.start()
  await answers()
  await platform.startDaemon()
  await answers()
})

test('a deploy goes through after the router was killed and started again', async () => {
  await platform.router.kill('SIGKILL')
  platform.router.start()
  await answers()
  const { version } = await platform.api<{ version: number }>('POST', `/apps/${app}/releases`, { release: '2' })
  assert.is((await platform.settled(app, version)).status, 'succeeded')
  await answers()
})

test('a release waits for a router and says so; it goes live once one is there', async () => {
  await platform.router.kill('SIGKILL')
  await platform.api('PATCH', `/apps/${app}/config-vars`, { LATE: '1' })
  const releases = await platform.releases(app)
  assert.is(releases.at(-1)?.status, 'pending')
  platform.router.start()
  assert.is((await platform.settled(app, releases.length)).status, 'succeeded')
  assert.is(JSON.parse((await platform.request(app, '/env')).body).LATE, '1')
})

test('a dyno that ends while the daemon is dead is replaced once the daemon is back', async () => {
  await waitFor('the dynos of older releases to be gone', async () => (await platform.containers()).length === 1)
  const [before] = await platform.dynos(app)
  await platform.daemon.kill('SIGKILL')
  await platform.request(app, '/crash')
  await waitFor('the dyno to have ended', async () => (await running()).length === 0)
  await platform.startDaemon()
  await waitFor('another dyno to be up', async () => {
    const [dyno] = await platform.dynos(app)
    return dyno?.state === 'up' && dyno.id !== before?.id
  })
  await answers()
  await waitFor('the dead container to be removed', async () => (await platform.containers()).length === 1)
})

test('a crashed dyno is started again, and its requests are answered with H10 or by it, never with nothing', async () => {
  const [before] = await platform.dynos(app)
  await platform.request(app, '/crash')
  const replies = []
  for (;;) {
    const reply = await platform.request(app)
    replies.push(reply)
    const [dyno] = await platform.dynos(app)
    if (dyno?.state === 'up' && dyno.id !== before?.id && reply.status === 200) break
    assert.ok(replies.length < 5000, 'the dyno did not come back')
  }
  assert.equal(
    replies.filter(({ status }) => ![200, 502, 503].includes(status)),
    [],
  )
})

test.run()
