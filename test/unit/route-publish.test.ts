import { EventEmitter } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { WebSocket } from 'ws'
import { systemClock } from '../../daemon/clock.ts'
import { createLog } from '../../daemon/log.ts'
import { createRouters } from '../../daemon/route/control.ts'
import { tableAfter } from '../../router/edition.ts'
import { type AppRoute, type Challenge, PROTOCOL, parseDown, type Table } from '../../router/protocol.ts'

/** Rows in memory, and what was read of them. */
async function setUp() {
  const rows = new Map<string, AppRoute>()
  const reads: (string[] | undefined)[] = []
  const failing = { now: false }
  const challenges: Challenge[] = []
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
      challenges: () => [...challenges],
      changed() {},
      logLine() {},
    },
  )
  const sent: string[][] = []
  const kinds: string[] = []
  const messages: string[] = []
  let followed: Table = { version: 0, apps: [], challenges: [] }
  const socket = Object.assign(new EventEmitter(), {
    send(text: string) {
      const message = parseDown(text)
      messages.push(text)
      kinds.push(message.kind)
      if (message.kind === 'table') followed = message.table
      if (message.kind === 'change') followed = tableAfter(followed, [message.change])
      sent.push(followed.apps.map(({ name }) => name).sort())
    },
    ping() {},
    close() {},
  })
  routers.accept(socket as unknown as WebSocket)
  socket.emit('message', JSON.stringify({ kind: 'hello', protocol: PROTOCOL, applied: 0 }))
  while (sent.length === 0) await setImmediate()
  sent.splice(0)
  kinds.splice(0)
  return { routers, route, rows, reads, sent, kinds, messages, failing, challenges, socket }
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

test('a router gets the whole table once, then changes, until it asks for the whole', async () => {
  const { routers, route, sent, kinds, messages, socket } = await setUp()
  for (const id of ['a', 'b']) route(id)
  await routers.publish()
  route('b', 'renamed')
  await routers.publish('b')
  assert.equal(kinds, ['change', 'change'])
  assert.equal(
    JSON.parse(messages.at(-1) ?? '').change.apps.map(({ id }: AppRoute) => id),
    ['b'],
  )
  socket.emit('message', JSON.stringify({ kind: 'whole' }))
  while (kinds.length < 3) await setImmediate()
  assert.equal([kinds.at(-1), sent.at(-1)], ['table', ['a', 'renamed']])
  route('c')
  await routers.publish('c')
  assert.equal([kinds.at(-1), sent.at(-1)], ['change', ['a', 'c', 'renamed']])
  routers.close()
})

test('a table in which nothing has changed is sent when routers are to look at their files again', async () => {
  const { routers, route, sent, kinds } = await setUp()
  route('a')
  await routers.publish()
  await Promise.all([routers.repeat(), routers.publish()])
  assert.equal(sent, [['a'], ['a']])
  assert.equal(kinds, ['change', 'change'])
  route('b')
  await routers.publish('b')
  assert.equal(sent.at(-1), ['a', 'b'])
  routers.close()
})

test('a table whose number was raised for one router goes whole to the others, too, at once', async () => {
  const { routers, route, sent, kinds } = await setUp()
  route('a')
  await routers.publish()
  const later = Object.assign(new EventEmitter(), { OPEN: 1, readyState: 1, send: () => {}, ping() {}, close() {} })
  routers.accept(later as unknown as WebSocket)
  const router = { id: 'later', host: '', pid: 1, workers: 1 }
  later.emit('message', JSON.stringify({ kind: 'hello', protocol: PROTOCOL, applied: 9, router }))
  while (kinds.length < 2) await setImmediate()
  assert.equal([kinds.at(-1), sent.at(-1)], ['table', ['a']])
  route('b')
  await routers.publish('b')
  assert.equal([kinds.at(-1), sent.at(-1)], ['change', ['a', 'b']])
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

test('who waits for the routers goes on when each live one follows what was published, and not before', async () => {
  const { routers, route, sent, challenges, socket } = await setUp()
  const say = (version: number) => socket.emit('message', JSON.stringify({ kind: 'applied', version }))
  route('a')
  await routers.publish()
  challenges.push({ host: 'www.example.com', token: 't', authorization: 't.k' })
  await routers.publish('a')
  assert.is(sent.length, 2, 'a challenge alone makes a new table')
  await routers.publish('a')
  assert.is(sent.length, 2, 'which is sent once')
  let followed = false
  const following = routers.followed(new AbortController().signal).then(() => {
    followed = true
  })
  say(2)
  await setImmediate()
  assert.not(followed)
  say(3)
  await following
  await routers.followed(new AbortController().signal)
  routers.close()
})

test('with no router who waits waits on, until that is broken off', async () => {
  const { routers, route, socket } = await setUp()
  route('a')
  await routers.publish()
  socket.emit('close')
  const stopping = new AbortController()
  const waiting = routers.followed(stopping.signal).then(
    () => 'followed',
    (error) => error.message,
  )
  await setImmediate()
  stopping.abort(new Error('stopped'))
  assert.is(await waiting, 'stopped')
  assert.is(await routers.followed(stopping.signal).catch((error) => error.message), 'stopped')
  routers.close()
})

test.run()
