import { once } from 'node:events'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { AppRoute, TableChange } from '../../router/protocol.ts'
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
import { client, eventually, tableOf } from './router-rig.ts'

/** Changes of the table, in the real process: what fits is in force and on disk; what does not makes the router ask for the whole table. */

let place: Place
let daemon: FakeDaemon

test.before.each(async () => {
  place = await makePlace()
  daemon = fakeDaemon(place.api)
})

test.after.each(async () => {
  daemon.close()
  await leavePlace(place)
})

const app = (id: string, more: Partial<AppRoute> = {}): AppRoute => ({
  ...{ id, name: id, hosts: [`${id}.localhost`], certificates: [], maintenance: false, empty: 'none' },
  backends: [{ id: `dyno-${id}`, dyno: 'web.1', address: '127.0.0.1', port: place.dyno.port, mode: 'serve' }],
  ...more,
})
const change = (base: number, version: number, apps: AppRoute[], gone: string[] = []): TableChange => ({
  ...{ base, version, apps, gone, challenges: [] },
})
const versions = () => heard(daemon, 'applied').map(({ version }) => version)
const applied = (version: number) =>
  eventually(
    () => versions().at(-1) === version,
    () => `${version} among ${versions()}`,
  )

async function statusOf(host: string): Promise<string> {
  const text = await client(place.http)
    .write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    .untilClosed()
  return text.slice(9, 12)
}
const statuses = () => Promise.all(['a', 'b', 'c'].map((id) => statusOf(`${id}.localhost`)))

async function following(version: number) {
  const router = startRouter(place)
  await waitFor(daemon, 'hello')
  daemon.send({ ...tableOf(version, {}), apps: [app('a'), app('b')] })
  await applied(version)
  return router
}

test('changes one after the other are in force, and on disk when they are acknowledged', async () => {
  const { child } = await following(5)
  daemon.change(change(5, 6, [app('c')]))
  daemon.change(change(6, 7, [app('a', { maintenance: true })], ['b']))
  await applied(7)
  assert.equal(await statuses(), ['503', '404', '200'])
  daemon.close()
  child.kill('SIGKILL')
  await once(child, 'exit')
  await startRouter(place).up()
  assert.equal(await statuses(), ['503', '404', '200'])
  daemon = fakeDaemon(place.api)
  await waitFor(daemon, 'hello')
  assert.is(heard(daemon, 'hello')[0]?.applied, 7)
})

test('a change that does not follow what was told is not taken; the whole table is asked for, once', async () => {
  await following(5)
  daemon.change(change(6, 7, [app('c')]))
  daemon.change(change(5, 6, [app('c')]))
  daemon.change(change(7, 8, [app('c')]))
  await waitFor(daemon, 'whole')
  assert.equal(await statuses(), ['200', '200', '404'])
  daemon.send({ ...tableOf(8, {}), apps: [app('b'), app('c')] })
  await applied(8)
  daemon.change(change(8, 9, [app('a')]))
  await applied(9)
  assert.equal(await statuses(), ['200', '200', '200'])
  assert.equal([heard(daemon, 'whole').length, versions()], [1, [5, 8, 9]])
  daemon.change(change(3, 10, []))
  await waitFor(daemon, 'whole', 2)
})

test('on a new connection a change means nothing before the whole table, whatever version it follows', async () => {
  await following(5)
  daemon.cut()
  await waitFor(daemon, 'hello', 2)
  daemon.change(change(5, 6, [app('c')]))
  await waitFor(daemon, 'whole')
  assert.equal([await statuses(), versions()], [['200', '200', '404'], [5]])
})

test('a change that cannot be is refused; the next one is one to it, and mends it', async () => {
  await following(5)
  daemon.change(change(5, 6, [app('c', { hosts: ['a.localhost'] })]))
  await waitFor(daemon, 'refused')
  assert.match(heard(daemon, 'refused')[0]?.reason ?? '', /two apps claim the host a.localhost/)
  assert.equal(await statuses(), ['200', '200', '404'])
  daemon.change(change(6, 7, [app('c')], ['b']))
  await applied(7)
  assert.equal(await statuses(), ['200', '404', '200'])
  assert.is(heard(daemon, 'whole').length, 0)
})

test('a worker that starts after changes follows all of them', async () => {
  const router = startRouter(place, { SLUICE_ROUTER_WORKERS: '1' })
  await waitFor(daemon, 'hello')
  daemon.send({ ...tableOf(1, {}), apps: [app('a'), app('b')] })
  daemon.change(change(1, 2, [app('c')], ['b']))
  await applied(2)
  const [worker = 0] = workersOf(router.child.pid ?? 0)
  process.kill(worker, 'SIGKILL')
  await eventually(
    () => workersOf(router.child.pid ?? 0).some((pid) => pid !== worker),
    () => 'another worker',
  )
  assert.equal(await statuses(), ['200', '404', '200'])
})

test.run()
