import { EventEmitter } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { WebSocket } from 'ws'
import { systemClock } from '../../daemon/clock.ts'
import { createLog } from '../../daemon/log.ts'
import { createRouters } from '../../daemon/route/control.ts'
import { drainTime } from '../../daemon/route/grace.ts'
import { Receipts } from '../../daemon/route/receipt.ts'
import { type AppRoute, PROTOCOL, type Receipt } from '../../router/protocol.ts'

const receipt = (inFlight: number, more: Partial<Receipt> = {}): Receipt => ({
  ...{ inFlight, finished: inFlight, cut: 0, failed: 0, took: 5 },
  ...more,
})

test('receipts of several routers are summed, the last word of each; drains run side by side, so the longest counts', () => {
  const receipts = new Receipts()
  assert.is(receipts.of('dyno'), null)
  receipts.note('dyno', 'a', receipt(3, { finished: 1, took: 10 }))
  receipts.note('dyno', 'a', receipt(3, { finished: 1, cut: 1, failed: 1, took: 30 }))
  receipts.note('dyno', 'b', receipt(2, { took: 20 }))
  receipts.note('other', 'a', receipt(9))
  assert.equal(receipts.of('dyno'), { inFlight: 5, finished: 3, cut: 1, failed: 1, took: 30 })
})

test('a receipt is taken once, whatever routers repeat, until its dyno is gone', () => {
  const receipts = new Receipts()
  receipts.note('dyno', 'a', receipt(1))
  assert.equal(receipts.take('dyno'), receipt(1))
  receipts.note('dyno', 'a', receipt(1))
  assert.is(receipts.take('dyno'), null)
  assert.ok(receipts.taken('dyno'))
  receipts.forget('dyno')
  assert.not.ok(receipts.taken('dyno'))
  assert.is(receipts.of('dyno'), null)
})

test('what routers tell of dynos that never were is bounded', () => {
  const receipts = new Receipts()
  for (let i = 0; i <= 100_000; i++) receipts.note(`dyno-${i}`, 'a', receipt(1))
  assert.is(receipts.of('dyno-0'), null)
  assert.equal(receipts.of('dyno-1'), receipt(1))
})

/** Routers that say hello as these processes, and drains as they are told. */
async function setUp() {
  const backends: AppRoute['backends'] = [{ id: 'old', dyno: 'web.1', address: '10.0.0.1', port: 1, mode: 'drain' }]
  const app: AppRoute = {
    ...{ id: 'app', name: 'a', hosts: ['a'], certificates: [], maintenance: false, empty: 'none', backends },
    grace: 7000,
  }
  const routers = createRouters(
    { clock: systemClock, log: createLog(() => {}) },
    { routes: async () => [app], pairs: async () => new Map(), challenges: () => [], changed() {}, logLine() {} },
  )
  await routers.publish()
  const join = async (id: string, pid: number) => {
    let greeted = false
    const send = () => {
      greeted = true
    }
    const socket = Object.assign(new EventEmitter(), { send, ping() {}, close() {}, readyState: 1, OPEN: 1 })
    routers.accept(socket as unknown as WebSocket)
    const say = (message: object) => socket.emit('message', JSON.stringify(message))
    const router = { id, host: 'h', pid, workers: 1 }
    say({ kind: 'hello', protocol: PROTOCOL, applied: 0, certificates: [], router })
    while (!greeted) await setImmediate()
    return { socket, drained: (told: Receipt) => say({ kind: 'drained', backend: 'old', receipt: told }) }
  }
  return { routers, join }
}

test('a router that comes back says the same again; one that took its place has drains of its own', async () => {
  const { routers, join } = await setUp()
  const first = await join('a', 1)
  first.drained(receipt(2))
  first.socket.emit('close')
  const again = await join('a', 1)
  again.drained(receipt(2))
  assert.equal(routers.receipts.of('old'), receipt(2))
  const successor = await join('a', 2)
  assert.not.ok(routers.drained('old'))
  successor.drained(receipt(1))
  assert.ok(routers.drained('old'))
  assert.equal(routers.receipts.of('old'), receipt(3))
  assert.is(routers.graceOf('app'), 7000)
  assert.is(routers.graceOf('gone'), undefined)
  routers.close()
})

test('a dyno drains no shorter than requests may take, and no shorter than its tunnels may stay', () => {
  assert.equal([undefined, 0, 30_000, 60_000].map(drainTime), [45_000, 45_000, 45_000, 75_000])
})

test.run()
