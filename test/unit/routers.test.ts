import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { limits } from '../../daemon/limits.ts'
import { HANDOVER, PROTOCOL, REPLACED } from '../../router/protocol.ts'
import { connect, FakeSocket, openRouters, statesOf } from './routers-rig.ts'
import { createStillClock, type StillClock } from './still-clock.ts'

/** What the daemon knows of its routers. */

let folder = ''
let clock: StillClock
const file = () => join(folder, 'routers.json')
const setUp = () => openRouters(clock, file())

test.before.each(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-routers-'))
  clock = createStillClock(1_000_000)
})

test.after.each(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))

test('a router that is cut off is awaited, then lost, and falls behind; when it is back it is connected', async () => {
  const { routers, publish } = setUp()
  await publish('a')
  const one = await connect(routers, 'one')
  clock.pass(1)
  const two = await connect(routers, 'two')
  assert.equal(statesOf(routers), ['one connected 0', 'two connected 0'])
  two.end()
  const cut = clock.now()
  clock.pass(5000)
  await publish('b')
  one.apply()
  await publish('c')
  one.apply()
  assert.equal(statesOf(routers), ['one connected 0', 'two awaited 2'])
  clock.pass(limits.routerReturn)
  assert.equal(statesOf(routers), ['one connected 0', 'two lost 2'])
  assert.is(routers.list()[1]?.lastSeen, cut)
  await connect(routers, 'two', two.version)
  assert.equal(statesOf(routers), ['one connected 0', 'two connected 0'])
  routers.close()
})

test('a router that is silent does not count as connected before its connection breaks', async () => {
  const { routers, publish } = setUp()
  await publish('a')
  const one = await connect(routers, 'one')
  clock.pass(limits.routerSilence)
  assert.equal(statesOf(routers), ['one awaited 0'])
  one.emit('pong')
  assert.equal(statesOf(routers), ['one connected 0'])
  routers.close()
})

test('of two connections of one router the newer wins, and nothing was lost', async () => {
  const { routers, publish } = setUp()
  await publish('a')
  const older = await connect(routers, 'one')
  const since = routers.connectedSince
  clock.pass(10)
  const newer = await connect(routers, 'one')
  assert.equal(older.closes, [REPLACED])
  assert.is(routers.connected, 1)
  assert.is(routers.connectedSince, since)
  newer.end()
  assert.is(routers.connected, 0)
  routers.close()
})

test('what still comes by a connection that was replaced means nothing', async () => {
  const { routers, publish, backends } = setUp()
  const checks = { host: 'a', liveness: { path: '/', timeout: 5000, interval: 10_000, attempts: 3 } }
  backends.push({ id: 'dyno', dyno: 'web.1', address: '192.0.2.9', port: 80, mode: 'serve', checks })
  await publish('a')
  const older = await connect(routers, 'one')
  const newer = await connect(routers, 'one')
  older.say({ kind: 'failing', checks: [{ backend: 'dyno', check: 'liveness', reason: 'it answered 500' }] })
  assert.not(routers.panics('app'))
  await publish('b')
  older.say({ kind: 'applied', version: newer.version })
  assert.not.ok(routers.acknowledged('app'))
  newer.apply()
  assert.ok(routers.acknowledged('app'))
  routers.close()
})

test('a router that hands over stays until its successor is there, and acknowledges nothing new meanwhile', async () => {
  const { routers, publish } = setUp()
  await publish('a')
  const older = await connect(routers, 'one')
  assert.ok(routers.acknowledged('app'))
  older.end(HANDOVER)
  assert.is(routers.connected, 1)
  await publish('b')
  assert.not.ok(routers.acknowledged('app'))
  await connect(routers, 'one', older.version)
  assert.ok(routers.acknowledged('app'))
  assert.is(routers.connected, 1)
  assert.is(routers.connectedSince, 1_000_000)
  routers.close()
})

test('a router that comes back with the newest table leaves no other behind', async () => {
  const { routers, publish } = setUp()
  await publish('a')
  const one = await connect(routers, 'one')
  clock.pass(1)
  const two = await connect(routers, 'two')
  one.end()
  await connect(routers, 'one', one.version)
  two.apply()
  assert.equal(statesOf(routers), ['one connected 0', 'two connected 0'])
  await routers.followed(AbortSignal.timeout(30_000))
  routers.close()
})

test('when a router is lost, whose dynos wait for its word is looked at again', async () => {
  const { routers, publish, backends, changes } = setUp()
  backends.push({ id: 'dyno', dyno: 'web.1', address: '192.0.2.9', port: 80, mode: 'probe' })
  await publish('a')
  const one = await connect(routers, 'one')
  const two = await connect(routers, 'two')
  one.say({ kind: 'health', backend: 'dyno', up: true, reason: '' })
  assert.not.ok(routers.healthy('dyno'))
  changes.splice(0)
  two.end()
  assert.equal(changes, ['app'])
  assert.ok(routers.healthy('dyno'))
  routers.close()
})

test('a dyno is dead when every live router finds it so; whoever changes that has its app looked at', async () => {
  const { routers, publish, backends, changes, lines } = setUp()
  const checks = { host: 'a', liveness: { path: '/', timeout: 5000, interval: 10_000, attempts: 3 } }
  for (const id of ['dyno', 'other'])
    backends.push({ id, dyno: 'web.1', address: '192.0.2.9', port: 80, mode: 'serve', checks })
  await publish('a')
  const [one, two] = [await connect(routers, 'one'), await connect(routers, 'two')]
  for (const socket of [one, two]) socket.say({ kind: 'failing', checks: [] })
  const dead = { backend: 'dyno', check: 'liveness', reason: 'GET /, it answered 500' }
  changes.splice(0)
  one.say({ kind: 'check', ...dead })
  assert.equal(changes.splice(0), ['app'])
  assert.is(routers.dead('dyno'), null)
  two.say({ kind: 'failing', checks: [dead] })
  assert.equal(changes.splice(0), ['app'])
  assert.is(routers.dead('dyno')?.since, clock.now())
  assert.not(routers.panics('app'))
  two.say({ kind: 'check', ...dead, backend: 'other' })
  assert.ok(routers.panics('app'), 'by one router it is enough')
  two.say({ kind: 'check', ...dead, reason: null })
  assert.is(routers.dead('dyno'), null)
  two.end()
  assert.is(routers.dead('dyno')?.since, clock.now(), 'a lost router has no say')
  assert.is(lines.filter((line) => line.includes('failed (liveness): GET /, it answered 500')).length, 2)
  routers.close()
})

test('a router that is silent is no reason to call a dyno not booted', () =>
  assert.ok(limits.routerSilence < limits.boot))

test('a router of another protocol is sent away with the reason, which is logged once', () => {
  const { routers, said } = setUp()
  for (let i = 0; i < 3; i++) {
    const socket = new FakeSocket()
    routers.accept(socket.webSocket, '192.0.2.1')
    socket.say({ kind: 'hello', protocol: PROTOCOL - 1, applied: 3 })
    assert.equal(socket.closes, [1002])
  }
  assert.is(said.filter((line) => line.includes('speaks another protocol')).length, 1)
  assert.equal(routers.list(), [])
  routers.close()
})

test('lines of apps that are not there are passed over, whatever their id is', async () => {
  const { routers, publish, lines } = setUp()
  await publish('a')
  const one = await connect(routers, 'one')
  const line = (app: string) => ({ app, at: 1, text: 'at=info' })
  one.say({ kind: 'log', lines: [line('../../else'), line('app'), line('gone')], dropped: 0 })
  assert.equal(lines, ['app at=info'])
  routers.close()
})

test('routers are remembered by the next daemon, until one that is gone is forgotten', async () => {
  const first = setUp()
  await first.publish('a')
  const socket = await connect(first.routers, 'one')
  assert.is(first.routers.forget('one'), 'connected')
  socket.end()
  first.routers.close()
  while (!(await readFile(file(), 'utf8').catch(() => '')).includes('one')) await setImmediate()
  clock.pass(5)
  const second = setUp()
  assert.equal(second.routers.list(), [
    {
      ...{ id: 'one', host: 'host-one', address: '192.0.2.1', workers: 2, applied: socket.version },
      ...{ firstSeen: 1_000_000, lastSeen: 1_000_000, state: 'awaited', behind: 0 },
    },
  ])
  assert.is(second.routers.forget('other'), 'unknown')
  assert.is(second.routers.forget('one'), 'forgotten')
  second.routers.close()
  while ((await readFile(file(), 'utf8')) !== '[]') await setImmediate()
})

test.run()
