import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Backend, Watch } from '../../router/protocol.ts'
import {
  type FakeDaemon,
  fakeDaemon,
  heard,
  leavePlace,
  makePlace,
  type Place,
  startRouter,
  waitFor,
  workersOf,
} from './router-process-rig.ts'
import { client, type Dyno, eventually, get, httpDyno, tableOf } from './router-rig.ts'

/** Checks of dynos that serve, by a real router with two workers, over the end of each of its processes. */

const watch: Watch = { path: '/ready', timeout: 2000, interval: 20, attempts: 2 }

interface Patient extends Dyno {
  name: string
  ill: boolean
  route(): Backend
}

async function patient(name: string): Promise<Patient> {
  const self = { name, ill: false }
  const dyno = await httpDyno(({ url }, res) => {
    if (url === '/ready') res.writeHead(self.ill ? 503 : 200).end()
    else res.end(`<${name}>`)
  })
  const checks = { host: 'a.localhost', readiness: watch }
  return Object.assign(self, dyno, { route: () => ({ ...dyno.route('serve', name), dyno: name, checks }) })
}

let place: Place
let patients: [Patient, Patient, Patient]
let daemon: FakeDaemon
let successor = 0

test.before.each(async () => {
  place = await makePlace()
  patients = [await patient('one'), await patient('two'), await patient('three')]
  daemon = fakeDaemon(place.api)
})

test.after.each(async () => {
  end(successor)
  successor = 0
  daemon.close()
  for (const dyno of patients) dyno.close()
  await leavePlace(place)
})

function end(pid: number): void {
  try {
    if (pid > 0) process.kill(pid, 'SIGKILL')
  } catch {
    // it has ended
  }
}

async function start() {
  const router = startRouter(place, { SLUICE_ROUTER_STATUS_PORT: String(place.status) })
  await waitFor(daemon, 'hello')
  daemon.send(tableOf(1, { backends: patients.map((one) => one.route()) }))
  await waitFor(daemon, 'failing')
  return { router, pid: router.child.pid ?? 0 }
}

/** Who answers sixty requests, each over a connection of its own, so that every worker has some. */
async function answering(): Promise<string[]> {
  const names = new Set<string>()
  await Promise.all(
    Array.from({ length: 60 }, async () => {
      const text = await client(place.http).write(get('Connection: close')).untilClosed()
      names.add(/<(\w+)>/.exec(text)?.[1] ?? text)
    }),
  )
  return [...names].sort()
}

async function answer(names: string[]): Promise<void> {
  const deadline = Date.now() + 50_000
  for (let last = await answering(); last.join() !== names.join(); last = await answering())
    if (Date.now() > deadline) throw new Error(`waited in vain for ${names} to answer, not ${last}`)
}

const told = () => heard(daemon, 'check').map(({ backend, reason }) => `${backend} ${reason}`)
const ILL = 'GET /ready, it answered 503'

test('who fails its check gets no new requests in any worker, a new one too, and the daemon is told once', async () => {
  const { pid } = await start()
  assert.equal(heard(daemon, 'failing'), [{ kind: 'failing', checks: [] }])
  patients[0].ill = true
  await answer(['three', 'two'])
  await waitFor(daemon, 'check')
  assert.equal(told(), [`one ${ILL}`])
  const [first = 0] = workersOf(pid)
  process.kill(first, 'SIGKILL')
  await eventually(
    () => workersOf(pid).length === 2 && !workersOf(pid).includes(first),
    () => 'another worker',
  )
  for (let n = 0; n < 3; n++) assert.equal(await answering(), ['three', 'two'])
  const metrics = await (await fetch(`http://127.0.0.1:${place.status}/metrics`)).text()
  assert.match(metrics, /^sluice_router_unwell_dynos\{app="a"\} 1$/m)
  assert.match(metrics, /^sluice_router_panic\{app="a"\} 0$/m)
  assert.match(metrics, /^sluice_router_checks_total\{result="failed"\} [1-9]/m)
  patients[0].ill = false
  await answer(['one', 'three', 'two'])
  await waitFor(daemon, 'check', 2)
  assert.equal(told(), [`one ${ILL}`, 'one null'])
})

test('Z8: when most fail, all get requests; when fewer do, only those that pass', async () => {
  await start()
  for (const one of patients) one.ill = true
  await waitFor(daemon, 'check', 3)
  await answer(['one', 'three', 'two'])
  patients[1].ill = false
  patients[2].ill = false
  await waitFor(daemon, 'check', 5)
  await answer(['three', 'two'])
})

test('without the daemon it goes on with its own view, and tells all of it when the daemon is back', async () => {
  await start()
  daemon.close()
  patients[0].ill = true
  await answer(['three', 'two'])
  daemon = fakeDaemon(place.api)
  await waitFor(daemon, 'hello')
  daemon.send(tableOf(2, { backends: patients.map((one) => one.route()) }))
  await waitFor(daemon, 'failing')
  assert.equal(heard(daemon, 'failing'), [
    { kind: 'failing', checks: [{ backend: 'one', check: 'readiness', reason: ILL }] },
  ])
})

test('a successor goes on with the view of the router that it succeeds', async () => {
  const { pid } = await start()
  patients[0].ill = true
  await answer(['three', 'two'])
  // it could not find that out again by itself
  const slow = { ...watch, interval: 3_600_000 }
  const backends = patients.map((one) => ({ ...one.route(), checks: { host: 'a.localhost', readiness: slow } }))
  daemon.send(tableOf(2, { backends }))
  await waitFor(daemon, 'failing', 2)
  process.kill(pid, 'SIGUSR2')
  await waitFor(daemon, 'hello', 2)
  successor = heard(daemon, 'hello').at(-1)?.router.pid ?? 0
  assert.equal(await answering(), ['three', 'two'])
  daemon.send(tableOf(3, { backends }))
  await waitFor(daemon, 'failing', 3)
  assert.equal(heard(daemon, 'failing').at(-1)?.checks, [{ backend: 'one', check: 'readiness', reason: ILL }])
  assert.equal(told(), [`one ${ILL}`])
})

test('a router that starts anew finds it out anew, by its table from disk', async () => {
  const { router } = await start()
  router.child.kill('SIGKILL')
  daemon.close()
  patients[0].ill = true
  await startRouter(place).up()
  await answer(['three', 'two'])
})

test.run()
