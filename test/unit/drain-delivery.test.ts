import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { limits } from '../../daemon/limits.ts'
import { waitFor } from '../e2e/wait.ts'
import { numbers, type Receiver, type Rig, startReceiver, startRig } from './drain-rig.ts'

let rig: Rig
let receiver: Receiver

test.before.each(async () => {
  rig = await startRig()
  receiver = await startReceiver()
})
test.after.each(async () => {
  await rig.close()
  await receiver.vanish().catch(() => undefined)
})

const url = ({ host, port }: Receiver) => `syslog://${host}:${port}`
const got = (wanted: string, from = receiver) => waitFor(`"${wanted}" to arrive`, () => from.texts().includes(wanted))
const stored = (wanted: string) =>
  waitFor(`${wanted} to be on disk`, async () => {
    const files = ['current', 'previous'].map((name) => readFile(join(rig.data, 'logs', 'a', name), 'utf8'))
    return (await Promise.allSettled(files)).some((file) => file.status === 'fulfilled' && file.value.includes(wanted))
  })
const unique = (texts: string[]) => [...new Set(texts)]

test('lines from then on arrive, in order, over one connection', async () => {
  rig.say('before')
  const { token } = rig.open(url(receiver))
  for (const text of numbers(1, 300)) rig.say(text)
  await got('300')
  assert.equal(receiver.texts(), numbers(1, 300))
  assert.match(receiver.messages[0] ?? '', new RegExp(`^<190>1 \\S+\\+00:00 ${token} app web.1 - - 1\n$`))
  assert.is(receiver.connections, 1)
})

test('a receiver that is not there yet gets the lines when it comes; the app is told why once', async () => {
  await receiver.vanish()
  const { token } = rig.open(url(receiver))
  for (const text of numbers(1, 5)) rig.say(text)
  await waitFor('an L13', () => rig.told().length > 0)
  await receiver.listen()
  await got('5')
  assert.equal(
    receiver.texts().filter((text) => !text.startsWith('Error')),
    numbers(1, 5),
  )
  const words = `error="connection refused" uri="${url(receiver)}/" drain=${token}`
  assert.equal(rig.told(), [`Error L13 (delivery error): ${words}`])
})

test('a receiver that resets its connections misses nothing', async () => {
  rig.open(url(receiver))
  for (const text of numbers(1, 160)) {
    rig.say(text)
    if (Number(text) % 40 === 0) {
      await got(text)
      for (const socket of receiver.sockets) socket.resetAndDestroy()
    }
  }
  await waitFor('all lines', () => numbers(1, 160).every((text) => receiver.texts().includes(text)))
  assert.equal(unique(receiver.texts()), numbers(1, 160))
})

test('a receiver that resets a connection without having read gets what was written', async () => {
  receiver.greet = (socket) => {
    if (receiver.connections > 1) return
    socket.pause()
    setImmediate(() => socket.resetAndDestroy())
  }
  rig.open(url(receiver))
  for (const text of numbers(1, 50)) {
    rig.say(text)
    await turn()
  }
  await waitFor('all lines', () => numbers(1, 50).every((text) => receiver.texts().includes(text)))
})

test('a receiver that ends its connections when they are idle gets the next line, and nobody is told', async () => {
  rig.open(url(receiver))
  for (const text of numbers(1, 4)) {
    rig.say(text)
    await got(text)
    const open = [...receiver.sockets]
    for (const socket of open) socket.end()
    await waitFor('the connections to end', () => open.every((socket) => !receiver.sockets.has(socket)))
  }
  assert.equal(unique(receiver.texts()), numbers(1, 4))
  assert.equal(rig.told(), [])
})

test('what a receiver was too slow for is counted, and told to it as L10', async () => {
  receiver.greet = (socket) => void socket.pause()
  rig.open(url(receiver))
  rig.say('begin')
  const [begin] = rig.logs.recent('a', {}, 1)
  for (let n = 1; n <= 4000; n++) {
    rig.say(`${n} ${'x'.repeat(9000)}`)
    if (n % 50 === 0) await turn()
    // What a slow disk drops is told as L10, too, and is not what is counted here.
    if (n % 200 === 0) await stored(`"${n} xxx`)
  }
  receiver.greet = () => {}
  for (const socket of receiver.sockets) socket.resume()
  rig.say('end')
  const [end] = rig.logs.recent('a', {}, 1)
  await got('end')
  const messages = unique(receiver.messages)
  const dropped = messages.flatMap((message) => {
    const [, count] =
      / - - Error L10 \(output buffer overflow\): (\d+) messages dropped since \S+\+00:00\.\n$/.exec(message) ?? []
    return count === undefined ? [] : [Number(count)]
  })
  const lines = messages.filter((message) => !message.includes('Error L10'))
  assert.ok(dropped.length > 0)
  assert.is(lines.length + dropped.reduce((sum, count) => sum + count, 0), (end?.seq ?? 0) - (begin?.seq ?? 0) + 1)
  assert.match(
    receiver.messages.find((message) => message.includes('L10')) ?? '',
    /^<172>1 \S+ d\.\S+ heroku logplex - - /,
  )
})

test('one bad drain affects nobody: not the app, not its other drains, not other apps', async () => {
  const other = await startReceiver()
  const dead = await startReceiver()
  await dead.vanish()
  receiver.greet = (socket) => void socket.pause()
  rig.open(url(receiver))
  rig.open(url(dead))
  rig.open(url(other))
  rig.open(url(other), { app: 'b' })
  const filler = 'y'.repeat(5000)
  for (const n of numbers(1, 3000)) {
    rig.say(`${n} ${filler}`)
    if (Number(n) % 20 === 0) {
      rig.say(`b ${n}`, 'b')
      await got(`${n} ${filler}`, other)
      await got(`b ${n}`, other)
    }
  }
  assert.is(other.texts().filter((text) => text.endsWith('y')).length, 3000)
  await other.vanish()
})

test('a removed drain gets nothing more, and its connection ends', async () => {
  const { id } = rig.open(url(receiver))
  rig.say('1')
  await got('1')
  rig.drains.end(id)
  rig.say('2')
  await waitFor('the connection to end', () => receiver.sockets.size === 0)
  assert.equal(receiver.texts(), ['1'])
})

test('drains end with the logs of their app', async () => {
  rig.open(url(receiver))
  rig.say('1')
  await got('1')
  await rig.logs.remove('a')
  await waitFor('the connection to end', () => receiver.sockets.size === 0)
})

test('a daemon that stops delivers what is pending; the next one goes on with the next line', async () => {
  const { id } = rig.open(url(receiver))
  rig.say('1')
  rig.say('2')
  await rig.restart('stopped')
  assert.equal(receiver.texts(), ['1', '2'])
  rig.say('3')
  rig.open(url(receiver), { id })
  rig.say('4')
  await got('4')
  assert.equal(receiver.texts(), ['1', '2', '3', '4'])
})

test('a stop waits for no dead receiver; what it did not get comes after the restart', async () => {
  receiver.greet = (socket) => void socket.pause()
  const { id } = rig.open(url(receiver))
  await receiver.vanish()
  for (const text of numbers(1, 3)) rig.say(text)
  const before = performance.now()
  await rig.restart('stopped')
  assert.ok(performance.now() - before < limits.drainStop + 20_000)
  receiver.greet = () => {}
  await receiver.listen()
  rig.open(url(receiver), { id })
  await got('3')
  assert.equal(receiver.texts(), numbers(1, 3))
})

test('a receiver that takes connections only to end them is one that fails: it is told, and left in peace', async () => {
  let connections = 0
  receiver.greet = (socket) => {
    connections++
    socket.destroy()
  }
  rig.open(url(receiver))
  rig.say('1')
  await waitFor('an L13', () => rig.told().some((text) => text.includes('ends its connections at once')))
  assert.ok(connections < 10, `${connections} connections`)
  receiver.greet = () => {}
  await got('1')
})

test('a daemon that is killed loses no line; some may come twice', async () => {
  const { id } = rig.open(url(receiver))
  rig.say('1')
  await waitFor('progress on disk', async () => JSON.parse(await readFile(join(rig.data, 'drains.json'), 'utf8'))[id])
  for (const text of numbers(2, 10)) rig.say(text)
  await rig.restart('killed')
  for (const text of numbers(11, 20)) rig.say(text)
  rig.open(url(receiver), { id })
  await got('20')
  assert.equal(
    unique(receiver.texts())
      .map(Number)
      .sort((a, b) => a - b)
      .map(String),
    numbers(1, 20),
  )
})

test('lines that a drain missed over a restart are told to it', async () => {
  await receiver.vanish()
  rig.say('before')
  const { id } = rig.open(url(receiver))
  rig.say('lost')
  for (const text of numbers(1, limits.logLinesKept)) rig.say(text)
  await rig.restart('stopped')
  await receiver.listen()
  rig.open(url(receiver), { id })
  await got(String(limits.logLinesKept))
  assert.match(receiver.texts()[0] ?? '', /^Error L10 .*: \d+ messages dropped since /)
})

test.run()
