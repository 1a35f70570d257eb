import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { limits } from '../../daemon/limits.ts'
import { createLog } from '../../daemon/log.ts'
import { Absences } from '../../daemon/route/absence.ts'
import { Attendance, type Peer } from '../../daemon/route/attendance.ts'
import { openRegister } from '../../daemon/route/register.ts'
import { limits as router } from '../../router/limits.ts'
import { type Backend, HANDOVER, PROTOCOL } from '../../router/protocol.ts'
import { waitFor } from '../e2e/wait.ts'
import { connect, FakeSocket, openRouters, statesOf } from './routers-rig.ts'
import { createStillClock, type StillClock } from './still-clock.ts'

/** A router that is gone may serve on by its last table: for whom a change waits, and how long. */

const GOODBYE = 1001
const old: Backend = { id: 'old', dyno: 'web.1', address: '192.0.2.9', port: 80, mode: 'drain' }
const receipt = { inFlight: 0, finished: 0, cut: 0, failed: 0, took: 0 }
const drained = { kind: 'drained', backend: 'old', receipt }

let clock: StillClock
let folder = ''
const file = () => join(folder, 'routers.json')

test.before.each(async () => {
  clock = createStillClock(1_000_000)
  folder = await mkdtemp(join(tmpdir(), 'sluice-routers-'))
})

test.after.each(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))

/** Two that follow the table; `two` is lost, in this way, and then the app changes, which `one` follows. */
async function oneOfTwo(end: (two: FakeSocket) => void) {
  const { backends, ...rig } = openRouters(clock, file())
  const { routers, publish } = rig
  await publish('a')
  const one = await connect(routers, 'one')
  end(await connect(routers, 'two'))
  backends.push(old)
  await publish('b')
  one.apply()
  one.say(drained)
  return { ...rig, one }
}

test('a change waits for a router whose connection has broken, until it is back and follows', async () => {
  const { routers, publish } = await oneOfTwo((two) => two.end())
  assert.not.ok(routers.acknowledged('app'))
  assert.not.ok(routers.drained('old'))
  let followed = false
  const following = routers.followed(new AbortController().signal).then(() => {
    followed = true
  })
  clock.pass(limits.routerReturn - 1)
  assert.equal(statesOf(routers), ['one connected 0', 'two awaited 1'])
  const two = new FakeSocket()
  routers.accept(two.webSocket)
  two.say({
    kind: 'hello',
    protocol: PROTOCOL,
    applied: 1,
    certificates: [],
    router: { id: 'two', host: '', pid: 1, workers: 1 },
  })
  await publish('b')
  assert.is(routers.connected, 2)
  clock.pass(limits.routerReturn)
  assert.not.ok(routers.acknowledged('app'), 'it is connected, and has not said that it follows')
  assert.not.ok(followed)
  two.apply()
  assert.ok(routers.acknowledged('app'))
  await following
  assert.not.ok(routers.drained('old'))
  two.say(drained)
  assert.ok(routers.drained('old'))
  routers.close()
})

test('what it has said before its connection broke is still true', async () => {
  const { routers, publish, backends } = openRouters(clock)
  backends.push(old)
  await publish('a')
  const [one, two] = [await connect(routers, 'one'), await connect(routers, 'two')]
  for (const socket of [one, two]) socket.say(drained)
  two.end()
  assert.ok(routers.acknowledged('app'))
  assert.ok(routers.drained('old'))
  routers.close()
})

test('one that does not come back is waited for no more after a while: that is said, and who waited looks again', async () => {
  const { routers, changes, said } = await oneOfTwo((two) => two.end())
  assert.not.ok(routers.acknowledged('app'))
  const following = routers.followed(new AbortController().signal)
  changes.splice(0)
  clock.pass(limits.routerReturn)
  assert.equal(changes, ['app'])
  assert.ok(routers.acknowledged('app'))
  assert.ok(routers.drained('old'))
  await following
  assert.match(said.join(''), /router disconnected; for a while changes wait for it.*two/)
  assert.match(said.join(''), /router did not come back; changes wait for it no more.*two/)
  assert.equal(statesOf(routers), ['one connected 0', 'two lost 1'])
  routers.close()
})

test('one that has said that it stops is not waited for, by the next daemon either', async () => {
  const { routers } = await oneOfTwo((two) => two.end(GOODBYE))
  assert.equal(statesOf(routers), ['one connected 0', 'two lost 1'])
  assert.ok(routers.acknowledged('app'))
  assert.ok(routers.drained('old'))
  await next(routers)
  const { routers: later } = openRouters(clock, file())
  assert.equal(statesOf(later), ['one awaited 0', 'two lost 0'])
  later.close()
})

/** This daemon ends, and what it knows is on disk. */
async function next(routers: { list(): unknown[]; close(): void }): Promise<void> {
  const known = routers.list().length
  routers.close()
  await waitFor('the register', async () => {
    const stored = await readFile(file(), 'utf8').catch(() => '[]')
    return JSON.parse(stored).length === known
  })
}

test('who forgets one ends the wait for it at once, whether its connection is broken or silent', async () => {
  const broken = await oneOfTwo((two) => two.end())
  assert.not.ok(broken.routers.acknowledged('app'))
  broken.changes.splice(0)
  assert.is(broken.routers.forget('two'), 'forgotten')
  assert.equal(broken.changes, ['app'])
  assert.ok(broken.routers.acknowledged('app'))
  broken.routers.close()

  const silent = await oneOfTwo(() => {})
  clock.pass(limits.routerSilence)
  silent.one.emit('pong')
  assert.not.ok(silent.routers.acknowledged('app'))
  assert.equal(statesOf(silent.routers), ['one connected 0', 'two awaited 1'])
  assert.is(silent.routers.forget('two'), 'forgotten')
  assert.ok(silent.routers.acknowledged('app'))
  assert.is(silent.routers.connected, 1)
  silent.routers.close()
})

test('while none is connected none is given up, and the first that is back has not the word for all', async () => {
  const { routers, publish, one } = await oneOfTwo((two) => two.end())
  one.end()
  clock.pass(10.5 * limits.routerReturn)
  assert.equal(statesOf(routers), ['one awaited 0', 'two awaited 1'])
  await publish('c')
  await connect(routers, 'one')
  clock.pass(limits.routerReturn - 1)
  assert.not.ok(routers.acknowledged('app'))
  clock.pass(1)
  assert.ok(routers.acknowledged('app'))
  routers.close()
})

test('a daemon that starts waits for all that the last one had, from when the first is there', async () => {
  const first = openRouters(clock, file())
  await first.publish('a')
  for (const id of ['one', 'two', 'three']) {
    await connect(first.routers, id)
    clock.pass(1)
  }
  await next(first.routers)
  clock.pass(10 * limits.routerReturn)
  const { routers, publish } = openRouters(clock, file())
  await publish('a')
  clock.pass(10 * limits.routerReturn)
  await connect(routers, 'one', 7)
  assert.not.ok(routers.acknowledged('app'))
  assert.equal(statesOf(routers), ['one connected 0', 'two awaited 7', 'three awaited 7'])
  await connect(routers, 'two', 7)
  assert.not.ok(routers.acknowledged('app'))
  clock.pass(limits.routerReturn)
  assert.ok(routers.acknowledged('app'))
  routers.close()
})

test('a list of an older daemon, which does not say who may serve, has all of them waited for', async () => {
  const known = { host: '', address: '', workers: 1, applied: 3, firstSeen: 1, lastSeen: 2 }
  await writeFile(file(), JSON.stringify([{ id: 'one', ...known }]))
  const { routers } = openRouters(clock, file())
  assert.equal(statesOf(routers), ['one awaited 0'])
  routers.close()
})

test('a dyno that boots waits for routers that are connected, so that none is too late for a router that is gone', async () => {
  const { routers, publish, backends } = openRouters(clock)
  backends.push({ ...old, id: 'new', mode: 'probe' })
  await publish('a')
  const [one, two] = [await connect(routers, 'one'), await connect(routers, 'two')]
  one.say({ kind: 'health', backend: 'new', up: true, reason: '' })
  assert.not.ok(routers.healthy('new'))
  two.end()
  assert.ok(routers.healthy('new'))
  routers.close()
})

/** Routers that are there as these. */
function attend(...ids: string[]) {
  const log = createLog(() => {})
  const parts = { log, clock, register: openRegister(undefined, { log, clock }) }
  const attendance = new Attendance({ ...parts, gone() {}, changed() {} })
  const peers = ids.map((id): Peer => {
    const sets = { healthy: new Set<string>(), drained: new Set<string>(), certificates: new Set<string>() }
    const router = { id, host: '', pid: 1, workers: 1 }
    const state = { address: '', process: '', handedOverAt: null, applied: 0, told: 0, heardAt: clock.now() }
    const peer = { socket: new FakeSocket().webSocket, router, ...state, ...sets }
    attendance.enter(peer, { router, applied: 0 })
    return peer
  })
  const states = () => attendance.list().map(({ id, state }) => `${id} ${state}`)
  return { attendance, peers, states }
}

test('one whose successor does not come is awaited from then on: it may not have gone', () => {
  const { attendance, peers, states } = attend('one', 'two')
  const [one, two] = peers as [Peer, Peer]
  attendance.closed(two, HANDOVER)
  clock.pass(limits.routerHandover)
  attendance.look()
  assert.equal(states(), ['one connected', 'two connected'])
  clock.pass(1)
  attendance.look()
  assert.equal(states(), ['one connected', 'two awaited'])
  attendance.heard(one)
  clock.pass(limits.routerReturn)
  assert.equal(states(), ['one connected', 'two lost'])
  clock.pass(limits.routerSilence)
  attendance.look()
  assert.equal(states(), ['one awaited', 'two lost'])
  attendance.close()
})

test('a router that falls silent is missed as soon when the clock is set back', () => {
  const { attendance, states } = attend('one')
  clock.pass(-60_000)
  attendance.look()
  clock.pass(limits.routerSilence)
  assert.equal(states(), ['one awaited'])
  attendance.close()
})

test('a router that hands over is waited for until it has given its successor up and dialled again', () => {
  const dials = router.redialMost + router.connect
  assert.ok(limits.routerHandover + limits.routerReturn >= router.succession)
  assert.ok(limits.routerReturn >= router.ping + dials, 'of a silence it hears a ping later than we do')
})

test('those that are waited for are bounded: the one that has been gone longest is given up', () => {
  const lost: string[] = []
  const absences = new Absences({ clock, connected: () => false, lost: (router) => lost.push(router) })
  for (let i = 0; i <= limits.knownRouters; i++) absences.begin(`r${i}`)
  assert.equal(lost, ['r0'])
  assert.is(absences.words().length, limits.knownRouters)
  absences.close()
  assert.is(absences.words().length, 0)
})

test.run()
