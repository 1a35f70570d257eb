import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { waitFor } from '../e2e/wait.ts'
import { numbers, type Rig, startRig } from './drain-rig.ts'

interface Taken {
  path: string | undefined
  headers: IncomingMessage['headers']
  body: string
  status: number
}

let rig: Rig
let server: Server
let taken: Taken[]
let connections: number
const sockets = new Set<Socket>()
/** What the receiver answers. */
let answer: (res: ServerResponse, nth: number) => void

test.before.each(async () => {
  rig = await startRig()
  taken = []
  connections = 0
  answer = (res) => res.end()
  server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      const place = taken.push({
        path: req.url,
        headers: req.headers,
        body: Buffer.concat(chunks).toString(),
        status: 0,
      })
      answer(res, place)
      const one = taken[place - 1]
      if (one) one.status = res.statusCode
    })
  })
  // between two batches of a slow machine it ends no connection
  server.keepAliveTimeout = 0
  server.on('connection', (socket) => {
    connections++
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
test.after.each(async () => {
  await rig.close()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const url = (rest = '/') => `http://127.0.0.1:${(server.address() as AddressInfo).port}${rest}`
/** The texts of a body, each checked against its length. */
function texts(body: string): string[] {
  const found: string[] = []
  for (let rest = Buffer.from(body); rest.length > 0; ) {
    const space = rest.indexOf(' ')
    const end = space + 1 + Number(rest.subarray(0, space))
    const message = rest.subarray(space + 1, end).toString()
    found.push(/^<\d+>1 \S+ host (?:app|heroku) \S+ - (.*)\n$/.exec(message)?.[1] ?? `not a message: ${message}`)
    rest = rest.subarray(end)
  }
  return found
}
const delivered = () => taken.filter(({ status }) => status < 300).flatMap(({ body }) => texts(body))
const got = (text: string) => waitFor(`"${text}" to arrive`, () => delivered().includes(text))

test('a batch is a POST with Heroku’s headers', async () => {
  const { token } = rig.open(url('/in?key=1').replace('//', '//user:p%40ss@'))
  for (const text of numbers(1, 20)) rig.say(`${text} grüße`)
  await got('20 grüße')
  assert.is(taken.length, 1)
  const [{ path, headers, body }] = taken as [Taken]
  assert.is(path, '/in?key=1')
  assert.is(headers['content-type'], 'application/logplex-1')
  assert.is(headers['logplex-msg-count'], '20')
  assert.match(String(headers['logplex-frame-id']), /^[0-9A-F]{32}$/)
  assert.is(headers['logplex-drain-token'], token)
  assert.is(headers['user-agent'], 'Sluice')
  assert.is(headers.authorization, `Basic ${btoa('user:p@ss')}`)
  assert.is(headers['content-length'], String(Buffer.byteLength(body)))
  assert.is(headers.host, new URL(url()).host)
  assert.equal(
    texts(body),
    numbers(1, 20).map((text) => `${text} grüße`),
  )
})

test('batches are bounded, about a second old, and go over one connection', async () => {
  rig.open(url())
  for (const text of numbers(1, 1400)) rig.say(text)
  rig.say('last')
  await got('last')
  assert.ok(taken.length > 1)
  for (const { body, headers } of taken) {
    assert.ok(body.length <= 100 * 1024 + 10_300 && Number(headers['logplex-msg-count']) <= 1000)
    assert.is(texts(body).length, Number(headers['logplex-msg-count']))
  }
  assert.equal(delivered().slice(0, -1), numbers(1, 1400))
  assert.is(new Set(taken.map(({ headers }) => headers['logplex-frame-id'])).size, taken.length)
  const before = performance.now()
  rig.say('one more')
  await got('one more')
  assert.ok(performance.now() - before < 20_000)
  assert.is(connections, 1)
})

test('a batch that was not taken is sent again under its id, until it is', async () => {
  answer = (res, nth) => res.writeHead([500, 429, 401, 302][nth - 1] ?? 204, { location: url('/elsewhere') }).end()
  rig.open(url('/in'))
  rig.say('kept')
  await got('kept')
  assert.equal(
    taken.map(({ status }) => status),
    [500, 429, 401, 302, 204],
  )
  assert.is(new Set(taken.map(({ headers, body, path }) => headers['logplex-frame-id'] + body + path)).size, 1)
  assert.is(rig.told().length, 1)
  assert.match(rig.told()[0] ?? '', /^Error L13 \(delivery error\): error="answered with status 429" uri="http:/)
})

test('a batch that the receiver calls bad is dropped, and the next one says so', async () => {
  answer = (res, nth) => res.writeHead(nth === 1 ? 413 : 200).end()
  rig.open(url())
  for (const text of numbers(1, 3)) rig.say(text)
  await waitFor('the refusal', () => taken.length === 1)
  rig.say('next')
  await got('next')
  const [, { body }] = taken as [Taken, Taken]
  assert.match(texts(body)[0] ?? '', /^Error L10 \(output buffer overflow\): 3 messages dropped since /)
  assert.match(rig.told()[0] ?? '', 'answered with status 413')
})

test('answers of any size and connections that break are survived', async () => {
  answer = (res, nth) => {
    if (nth === 1) res.socket?.resetAndDestroy()
    else if (nth === 2) res.socket?.end('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n')
    else if (nth === 3) res.socket?.end('nonsense\r\n\r\n')
    else {
      const more = (): void => {
        while (!res.destroyed && res.write('x'.repeat(65_536)));
      }
      res.on('drain', more)
      more()
    }
  }
  rig.open(url())
  rig.say('1')
  await waitFor('the endless answer to be cut off', () => taken.length >= 4 && sockets.size === 0)
  answer = (res) => res.end()
  rig.say('2')
  await got('2')
  assert.equal(
    delivered()
      .filter((text) => !text.startsWith('Error L13'))
      .slice(-2),
    ['1', '2'],
  )
})

test('a connection that the receiver ended when it was idle is nothing to tell', async () => {
  rig.open(url())
  for (const text of numbers(1, 3)) {
    rig.say(text)
    await got(text)
    const open = [...sockets]
    for (const socket of open) socket.destroy()
    await waitFor('the connections to end', () => open.every((socket) => !sockets.has(socket)))
  }
  assert.equal(delivered(), numbers(1, 3))
  assert.equal(rig.told(), [])
})

test('an answer that never comes is waited for as long as the limit says; the batch is sent again', async () => {
  answer = (res, nth) => {
    if (nth > 1) res.end()
  }
  rig.open(url())
  rig.say('1')
  await waitFor('the second try', () => taken.length === 2)
  assert.is(taken[0]?.headers['logplex-frame-id'], taken[1]?.headers['logplex-frame-id'])
})

test('a stop delivers what is pending at once', async () => {
  rig.open(url())
  rig.say('1')
  rig.say('2')
  await rig.restart('stopped')
  assert.equal(delivered(), ['1', '2'])
})

test('nothing secret of a URL is in any log', async () => {
  answer = (res) => res.writeHead(500).end('hunter2')
  rig.open(url('/hunter2?k=hunter2').replace('//', '//hunter2:hunter2@'))
  rig.say('x')
  await waitFor('an L13', () => rig.told().length > 0)
  assert.ok(rig.logged.length > 0)
  assert.not.match(rig.logged.join() + rig.told().join(), /hunter2|aHVudGVyMj/)
})

test.run()
