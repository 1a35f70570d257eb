import { EventEmitter } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { WebSocket } from 'ws'
import { systemClock } from '../../daemon/clock.ts'
import { createLog } from '../../daemon/log.ts'
import { createRouters } from '../../daemon/route/control.ts'
import { type AppRoute, PROTOCOL } from '../../router/protocol.ts'

/** Rows in memory, and what was read of them. */
async function setUp() {
  const rows = new Map<string, AppRoute>()
  const reads: (string[] | undefined)[] = []
  const failing = { now: false }
  const route = (id: string, name = id): void =>
    void rows.set(id, { id, name, hosts: [name], certificates: [], maintenance: false, empty: 'blank', backends: [] })
  const routers = createRouters(
    { clock: systemClock, log: createLog(() => {}) },
    {
      async routes(apps) {
        reads.push(apps)
        if (failing.now) throw new Error('the disk is gone')
        return [...rows.values()].filter(({ id }) => apps === undefined || apps.includes(id))
      },
      pairs: async () => new Map(),
      changed() {},
      logLine() {},
    },
  )
  const sent: string[][] = []
  const socket = Object.assign(new EventEmitter(), {
    send: (text: string) =>
      sent.push(
        JSON.parse(text)
          .table.apps.map(({ name }: AppRoute) => name)
          .sort(),
      ),
    ping() {},
    close() {},
  })
  routers.accept(socket as unknown as WebSocket)
  socket.emit('message', JSON.stringify({ kind: 'hello', protocol: PROTOCOL, applied: 0 }))
  while (sent.length === 0) await setImmediate()
  sent.splice(0)
  return { routers, route, rows, reads, sent, failing }
}

test('the table of all apps is read once, then only the apps that changed; who asks at the same time shares it', async () => {
  const { routers, route, rows, reads, sent } = await setUp()
  for (const id of ['a', 'b', 'c']) route(id)
  await routers.publish()
  route('a', 'renamed')
  rows.delete('b')
  await Promise.all([routers.publish('a'), routers.publish('b'), routers.publish('a')])
  assert.equal(reads, [undefined, ['a', 'b']])
  assert.equal(sent, [
    ['a', 'b', 'c'],
    ['c', 'renamed'],
  ])
  await routers.publish('c')
  assert.is(sent.length, 2, 'what did not change is not sent again')
  routers.close()
})

test('what could not be read is read the next time, with all others', async () => {
  const { routers, route, reads, sent, failing } = await setUp()
  route('a')
  await routers.publish()
  route('a', 'renamed')
  failing.now = true
  assert.match(String(await routers.publish('a').catch(String)), 'the disk is gone')
  failing.now = false
  await routers.publish('other')
  assert.equal(reads.at(-1), undefined)
  assert.equal(sent.at(-1), ['renamed'])
  routers.close()
})

test.run()
