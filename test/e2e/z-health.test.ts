import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { requestHost } from './client.ts'
import { call, idLabel } from './engine.ts'
import { describe, type Load, startLoad } from './load.ts'
import { startPlatform } from './platform.ts'
import { openTail } from './tail.ts'
import { waitFor } from './wait.ts'

/** What becomes of web dynos that fall ill while they serve. One app, from release to release, under load. */

const platform = await startPlatform()
test.after(() => platform.stop())

const app = 'patient'
const source = await platform.prepare(async () => {
  const source = await platform.deploy(app)
  await platform.api('PATCH', `/apps/${app}/config-vars`, { SLUICE_HOLD_SECONDS: '1' })
  await platform.api('PATCH', `/apps/${app}/formation/web`, { quantity: 2 })
  return source
})

/** Has one dyno itself asked, past the router: `/ill`, `/die`, `/well`, `/deaf`. */
async function tell(dyno: string, path: string): Promise<void> {
  const { id } = (await platform.dynos(app)).find(({ name, state }) => name === dyno && state === 'up') ?? {}
  const container = (await platform.containers(app)).find(({ Labels }) => Labels[idLabel] === id)
  const { Config, NetworkSettings } = await call<Inspected>('GET', `/containers/${container?.Id}/json`)
  const port = Config.Env.find((one) => one.startsWith('PORT='))?.slice('PORT='.length)
  const [network] = Object.values(NetworkSettings.Networks)
  await requestHost(Number(port), app, path, { server: network?.IPAddress ?? '' })
}

interface Inspected {
  Config: { Env: string[] }
  NetworkSettings: { Networks: Record<string, { IPAddress: string }> }
}

const up = () =>
  waitFor('two dynos, both up', async () => {
    const dynos = await platform.dynos(app)
    return dynos.length === 2 && dynos.every(({ state }) => state === 'up') && dynos.map(({ id }) => id)
  })

const tail = await platform.prepare(() => openTail(platform, app))
test.after(() => tail.close())

/** Resolves when the log has told all of this of its health since the last time, in whatever order, and nothing else. */
async function told(...wanted: string[]): Promise<void> {
  const health = () => tail.lines.slice(heard).filter((line) => /Health check (failed|passes)|web dynos/.test(line))
  await waitFor(`the log to tell\n${wanted.join('\n')}\n`, () => {
    if (health().length < wanted.length) throw new Error(`it tells\n${health().join('\n')}`)
    return true
  })
  assert.equal(health().sort(), [...wanted].sort())
  heard = tail.lines.length
}
let heard = 0

const fails = (dyno: string, check: 'readiness' | 'liveness') =>
  `heroku[${dyno}]: Health check failed (${check}): GET ${check === 'readiness' ? '/healthz' : '/live'}, it answered 500`
const passes = (dyno: string, check: 'readiness' | 'liveness') =>
  `heroku[${dyno}]: Health check passes again (${check})`
const all = (line: typeof fails) =>
  ['web.1', 'web.2'].flatMap((dyno) => [line(dyno, 'readiness'), line(dyno, 'liveness')])
const PANIC =
  'heroku[router]: More than half of the web dynos fail their health check: all of them get requests until fewer do'
const CALM = 'heroku[router]: Most web dynos pass their health check again: only those get requests'

const answers = (load: Load, dyno: string) => load.seen(`${version} ${dyno}\n`)?.last ?? 0
let version = 'v1'

/** Resolves when so many ms of answers have come since now, all of the others. */
async function only(load: Load, dyno: string, other: string): Promise<void> {
  await waitFor(`${dyno} to answer alone for a second`, () => answers(load, dyno) - answers(load, other) > 1000)
}

async function under(work: (load: Load) => Promise<void>): Promise<void> {
  const load = startLoad(platform.ports.http, `${app}.localhost`)
  try {
    await work(load)
  } finally {
    const result = await load.stop()
    assert.is(result.failures.length, 0, describe(result))
  }
}

test('without a check: a dyno that no longer listens costs no request; when none does, the log says which refused', async () => {
  await up()
  await under(async (load) => {
    await waitFor('both to answer', () => answers(load, 'web.1') > 0 && answers(load, 'web.2') > 0)
    await tell('web.1', '/deaf')
    await only(load, 'web.2', 'web.1')
  })
  await tell('web.2', '/deaf')
  await waitFor('nobody to take a request', async () => (await platform.request(app)).status === 503)
  const refused = await waitFor('the line of the request', () => tail.lines.find((line) => line.includes('code=H21')))
  assert.match(
    refused,
    /^heroku\[router\]: at=error code=H21 desc="Backend connection refused" .* dyno=web\.[12] .* status=503 /,
  )
  await platform.api('DELETE', `/apps/${app}/dynos`)
  await waitFor('the app to answer', async () => (await platform.request(app)).status === 200)
})

test('a dyno that is not ready gets no requests until it is, and none fails', async () => {
  const watch = { interval: 1, attempts: 2, timeout: 30 }
  const checks = {
    web: [
      { path: '/healthz', ...watch },
      { type: 'liveness', path: '/live', ...watch },
    ],
  }
  version = 'v2'
  await source.commit({ version: 'v2\n', 'app.json': JSON.stringify({ healthchecks: checks }) })
  const { code, output } = await platform.push(source, app)
  assert.is(code, 0, output)
  assert.match(output, /remote: -----> Health check of web: GET \/healthz, GET \/live to stay alive/)
  const dynos = await up()
  await under(async (load) => {
    await waitFor('both to answer', () => answers(load, 'web.1') > 0 && answers(load, 'web.2') > 0)
    await tell('web.1', '/ill')
    await told(fails('web.1', 'readiness'))
    await only(load, 'web.2', 'web.1')
    await tell('web.1', '/well')
    const since = Date.now()
    await waitFor('web.1 to answer again', () => answers(load, 'web.1') > since)
  })
  await told(passes('web.1', 'readiness'))
  assert.equal(await up(), dynos, 'nobody is replaced for it')
})

test('Z8: when all checks fail for a shared cause, traffic flows on and nobody is replaced, over a kill of the daemon; it recovers by itself', async () => {
  const dynos = await up()
  await under(async (load) => {
    for (const dyno of ['web.1', 'web.2']) for (const path of ['/ill', '/die']) await tell(dyno, path)
    await told(PANIC, ...all(fails))
    await platform.daemon.kill('SIGKILL')
    await platform.startDaemon()
    await told(PANIC, ...all(fails))
    const since = Date.now()
    const longer = since + 3000
    await waitFor('both to answer for longer than one is waited for', () =>
      ['web.1', 'web.2'].every((dyno) => answers(load, dyno) > longer),
    )
    assert.equal(await up(), dynos)
    for (const dyno of ['web.1', 'web.2']) await tell(dyno, '/well')
    await told(CALM, ...all(passes))
  })
  assert.equal(await up(), dynos)
})

test('a dyno that fails its liveness check is replaced, once, its successor first', async () => {
  const [first, second] = await up()
  await under(async () => {
    await tell('web.1', '/die')
    await waitFor('a successor', async () => {
      const dynos = await platform.dynos(app)
      return dynos.length === 2 && dynos.every(({ id, state }) => id !== first && state === 'up')
    })
    await waitFor('the end of the dead one', async () => (await platform.containers(app)).length === 2)
  })
  const dynos = await up()
  assert.ok(dynos.includes(second ?? ''))
  await told(fails('web.1', 'liveness'))
  assert.equal(await up(), dynos, 'and not again')
})

test.run()
