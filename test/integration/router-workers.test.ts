import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { MOST, startLoad } from './router-load.ts'
import {
  fakeDaemon,
  heard,
  leavePlace,
  makePlace,
  type Place,
  type Started,
  startRouter,
  waitFor,
  workersOf,
} from './router-process-rig.ts'
import { client, eventually, get, tableOf } from './router-rig.ts'

/** One router, several processes. */

let place: Place

test.before.each(async () => {
  place = await makePlace()
})

test.after.each(() => leavePlace(place))

async function serving(more: NodeJS.ProcessEnv = {}) {
  const daemon = fakeDaemon(place.api)
  const router = startRouter(place, more)
  await waitFor(daemon, 'hello')
  daemon.send(tableOf(1, { backends: [place.dyno.route()] }))
  await waitFor(daemon, 'applied')
  return { daemon, router, pid: router.child.pid ?? 0 }
}

/** It comes by another way than what it does. */
const says = (router: Started, sentence: RegExp) =>
  eventually(
    () => sentence.test(router.said()),
    () => `${sentence} in ${router.said()}`,
  )

test('there are as many workers as are asked for, and they share the load', async () => {
  const { daemon, pid } = await serving({ SLUICE_ROUTER_WORKERS: '3' })
  assert.is(workersOf(pid).length, 3)
  assert.is(heard(daemon, 'hello')[0]?.router.workers, 3)
  await Promise.all(Array.from({ length: 30 }, () => client(place.http).write(get('Connection: close')).untilClosed()))
  const lines = () => heard(daemon, 'log').reduce((sum, { lines }) => sum + lines.length, 0)
  await eventually(
    () => lines() === 30,
    () => `30 lines, not ${lines()}`,
  )
  daemon.close()
})

test('a worker that is killed is replaced; only what it had is lost, and it follows the table that is in force', async () => {
  const { daemon, router, pid } = await serving()
  const load = startLoad(place.http, 4)
  await eventually(
    () => load.answered > 20,
    () => 'answers',
  )
  const [first = 0, other] = workersOf(pid)
  process.kill(first, 'SIGKILL')
  await eventually(
    () => workersOf(pid).length === 2 && !workersOf(pid).includes(first),
    () => 'another worker',
  )
  assert.ok(workersOf(pid).includes(other ?? 0))
  await says(router, new RegExp(`<4>Worker ${first} has ended \\(SIGKILL\\); another takes its place\\.\n`))
  const then = load.answered
  await eventually(
    () => load.answered > then + 50,
    () => 'more answers',
  )
  await load.stop()
  // at most what was under way
  assert.ok(load.failures.length <= MOST, String(load.failures))
  process.kill(other ?? 0, 'SIGKILL')
  assert.match(await client(place.http).write(get('Connection: close')).untilClosed(), /hello/)
  daemon.close()
})

test('a table is acknowledged when every worker follows it, not before', async () => {
  const { daemon, pid } = await serving()
  const [stopped = 0] = workersOf(pid)
  process.kill(stopped, 'SIGSTOP')
  daemon.send(tableOf(2, { hosts: ['a.localhost', 'b.localhost'], backends: [place.dyno.route()] }))
  const follows = async () => {
    // the one that runs: a connection that the stopped one was given waits
    const one = connect(place.http, '127.0.0.1').on('error', () => {})
    one.write('GET / HTTP/1.1\r\nHost: b.localhost\r\nConnection: close\r\n\r\n')
    const answer = await Promise.race([once(one, 'data'), new Promise((resolve) => setTimeout(resolve, 200))])
    one.destroy()
    return Array.isArray(answer) && /200 OK/.test(String(answer[0]))
  }
  while (!(await follows()));
  assert.equal(
    heard(daemon, 'applied').map(({ version }) => version),
    [1],
  )
  process.kill(stopped, 'SIGCONT')
  await waitFor(daemon, 'applied', 2)
  assert.ok(workersOf(pid).includes(stopped))
  daemon.close()
})

test('a worker that does not answer is ended and replaced, and holds up no table', async () => {
  const { daemon, router, pid } = await serving()
  const [stopped = 0] = workersOf(pid)
  process.kill(stopped, 'SIGSTOP')
  daemon.send(tableOf(2, { backends: [place.dyno.route()] }))
  await waitFor(daemon, 'applied', 2)
  await says(router, new RegExp(`<4>Worker ${stopped} does not answer; it is ended\\.\n`))
  await eventually(
    () => workersOf(pid).length === 2,
    () => 'the replacement',
  )
  daemon.close()
})

test('a backend is tried by one process, and is drained when it is in all', async () => {
  const { daemon } = await serving({ SLUICE_ROUTER_WORKERS: '4' })
  const before = place.dyno.accepted
  daemon.send(tableOf(2, { empty: 'starting', backends: [place.dyno.route('probe', 'fresh')] }))
  await waitFor(daemon, 'health')
  await waitFor(daemon, 'applied', 2)
  assert.is(place.dyno.accepted, before + 1)
  daemon.send(tableOf(3, { backends: [place.dyno.route('drain', 'fresh')] }))
  await waitFor(daemon, 'drained')
  assert.equal(heard(daemon, 'drained')[0]?.receipt, { inFlight: 0, finished: 0, cut: 0, failed: 0, took: 0 })
  daemon.close()
})

test.run()
