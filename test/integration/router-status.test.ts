import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readExposition } from '../unit/exposition.ts'
import { fakeDaemon, leavePlace, makePlace, type Place, startRouter, waitFor, workersOf } from './router-process-rig.ts'
import { client, eventually, get, httpDyno, tableOf } from './router-rig.ts'

/** What a router says of itself on its status port. */

let place: Place

test.before.each(async () => {
  place = await makePlace()
})

test.after.each(() => leavePlace(place))

const ask = async (path: string): Promise<{ status: number; text: string }> => {
  const res = await fetch(`http://127.0.0.1:${place.status}${path}`)
  return { status: res.status, text: await res.text() }
}

const start = (more: NodeJS.ProcessEnv = {}) =>
  startRouter(place, { SLUICE_ROUTER_STATUS_PORT: String(place.status), ...more })

/** Value of a line, by its name and labels. */
const figure = (text: string, name: string): number =>
  Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${name} `))
      ?.slice(name.length + 1) ?? Number.NaN,
  )

async function until(name: string, value: number): Promise<string> {
  for (const deadline = Date.now() + 50_000; ; ) {
    const { text } = await ask('/metrics')
    if (figure(text, name) === value) return text
    if (Date.now() > deadline) throw new Error(`waited in vain for ${name} ${value} in ${text}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

test('healthz is 503 until there is a table, and while a worker does not answer', async () => {
  const [late, way] = [join(place.data, 'late.cjs'), join(place.data, 'in-its-way')]
  await writeFile(
    late,
    `if (process.argv[1].endsWith('worker.js')) while (require('node:fs').existsSync('${way}'))
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)`,
  )
  const daemon = fakeDaemon(place.api)
  const router = start({ NODE_OPTIONS: `--require ${late}` })
  await waitFor(daemon, 'hello')
  assert.equal(await ask('/healthz'), { status: 503, text: 'no table has come from the daemon yet\n' })
  daemon.send(tableOf(1, { backends: [place.dyno.route()] }))
  await waitFor(daemon, 'applied')
  assert.equal(await ask('/healthz'), { status: 200, text: 'ok\n' })
  const [stopped = 0] = workersOf(router.child.pid ?? 0)
  process.kill(stopped, 'SIGSTOP')
  const health = async (text: string) => {
    while ((await ask('/healthz')).text !== text) await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await health('1 of 2 workers do not answer\n')
  process.kill(stopped, 'SIGCONT')
  await health('ok\n')
  await writeFile(way, '')
  process.kill(stopped, 'SIGKILL')
  await health('1 of 2 workers serve\n')
  await rm(way)
  await health('ok\n')
  assert.is(figure((await ask('/metrics')).text, 'sluice_router_worker_revivals_total'), 1)
  daemon.close()
})

test('the figures of all workers add up to the requests that were made, by app, class and code', async () => {
  const dyno = await httpDyno((req, res) => {
    res.statusCode = Number(req.url?.slice(1))
    if (res.statusCode === 444) req.socket.destroy()
    else res.end('12345')
  })
  const daemon = fakeDaemon(place.api)
  start()
  await waitFor(daemon, 'hello')
  daemon.send(tableOf(4, { backends: [dyno.route()] }))
  await waitFor(daemon, 'applied')
  const request = (status: number) =>
    client(place.http)
      .write(get('Connection: close').replace('GET /', `GET /${status}`))
      .untilClosed()
  await Promise.all([200, 200, 200, 201, 301, 404, 404, 500, 444].map(request))
  const text = await until('sluice_router_request_seconds_count{app="a"}', 9)
  assert.is(figure(text, 'sluice_router_requests_total{app="a",class="2xx"}'), 4)
  assert.is(figure(text, 'sluice_router_requests_total{app="a",class="3xx"}'), 1)
  assert.is(figure(text, 'sluice_router_requests_total{app="a",class="4xx"}'), 2)
  assert.is(figure(text, 'sluice_router_requests_total{app="a",class="5xx"}'), 2)
  assert.is(figure(text, 'sluice_router_errors_total{app="a",code="H13"}'), 1)
  assert.is(figure(text, 'sluice_router_request_seconds_bucket{app="a",le="+Inf"}'), 9)
  assert.is(figure(text, 'sluice_router_response_bytes_total{app="a"}'), 40)
  assert.is(figure(text, 'sluice_router_table_version'), 4)
  assert.is(figure(text, 'sluice_router_daemon_connected'), 1)
  readExposition(text)
  assert.is(figure(text, 'sluice_router_log_lines_dropped_total'), 0)
  daemon.close()
  await until('sluice_router_daemon_connected', 0)
  dyno.close()
})

test('on an address that others reach metrics are for who has the token, and health is for everybody', async () => {
  const [one = ''] = Object.values(networkInterfaces()).flatMap((all = []) =>
    all.flatMap(({ address, family, internal }) => (internal || family !== 'IPv4' ? [] : [address])),
  )
  assert.ok(one, 'this machine has an address of its own')
  startRouter(place, { SLUICE_ROUTER_STATUS_PORT: String(place.status), SLUICE_ROUTER_STATUS_HOST: one })
  const from = (path: string, authorization = '') =>
    fetch(`http://${one}:${place.status}${path}`, { headers: { authorization } })
  const health = () =>
    from('/healthz').then(
      ({ status }) => status,
      () => 0,
    )
  while ((await health()) !== 503) await new Promise((resolve) => setTimeout(resolve, 50))
  assert.is((await from('/metrics', 'Bearer ')).status, 401, 'there is no token yet')
  const file = join(place.data, 'metrics.token')
  await writeFile(file, 'one\n')
  assert.is((await from('/metrics')).status, 401)
  assert.is((await from('/metrics', 'Bearer two')).status, 401)
  const answer = await from('/metrics', 'Bearer one')
  assert.is(answer.status, 200)
  readExposition(await answer.text())
  await writeFile(file, 'two')
  assert.is((await from('/metrics', 'Bearer one')).status, 401)
  assert.is((await from('/metrics', 'Bearer two')).status, 200)
  assert.is(await fetch(`http://127.0.0.1:${place.status}/`).catch(() => undefined), undefined, 'it is there only')
})

test('open connections are told, worker by worker', async () => {
  const daemon = fakeDaemon(place.api)
  start()
  await waitFor(daemon, 'hello')
  daemon.send(tableOf(1, { backends: [place.dyno.route()] }))
  await waitFor(daemon, 'applied')
  const clients = Array.from({ length: 5 }, () => client(place.http).write(get()))
  await Promise.all(clients.map((one) => one.until(/hello/)))
  const open = async () =>
    [...(await ask('/metrics')).text.matchAll(/^sluice_router_connections\{worker="\d+"\} (\d+)$/gm)]
      .map(([, n]) => Number(n))
      .reduce((sum, n) => sum + n, 0)
  while ((await open()) !== 5) await new Promise((resolve) => setTimeout(resolve, 50))
  for (const { socket } of clients) socket.destroy()
  while ((await open()) !== 0) await new Promise((resolve) => setTimeout(resolve, 50))
  daemon.close()
})

test('a status port that is taken is said once and keeps nobody from serving; other paths and methods are refused', async () => {
  const taken = createServer().listen(place.status, '127.0.0.1')
  await once(taken, 'listening')
  const router = start()
  await router.up()
  const said = new RegExp(
    `<4>The status port ${place.status} cannot be used \\(.*EADDRINUSE.*\\); it is tried again\\.\n`,
    'g',
  )
  await eventually(
    () => said.test(router.said()),
    () => `the sentence in ${router.said()}`,
  )
  assert.match(await client(place.http).write(get('Connection: close')).untilClosed(), /404/)
  taken.close()
  while ((await ask('/').catch(() => ({ status: 0 }))).status !== 404)
    await new Promise((resolve) => setTimeout(resolve, 100))
  assert.is((await fetch(`http://127.0.0.1:${place.status}/healthz`, { method: 'POST' })).status, 405)
  assert.is(router.said().match(said)?.length, 1)
})

test.run()
