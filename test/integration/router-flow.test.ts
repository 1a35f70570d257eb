import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocket, WebSocketServer } from 'ws'
import { Backend } from '../../router/backend.ts'
import { limits } from '../../router/limits.ts'
import type { Upstream } from '../../router/upstream.ts'
import { cannedDyno, client, eventually, get, httpDyno, type Rig, rawDyno, startRig } from './router-rig.ts'

let rig: Rig
test.before.each(async () => {
  rig = await startRig()
})
test.after.each(() => rig.close())

const post = (...lines: string[]) => get(...lines).replace('GET', 'POST')

test('requests of one client, pipelined too, share connections on both sides and are answered in order', async () => {
  const dyno = await httpDyno((req, res) => res.end(`<${req.url}>`))
  rig.serve({ backends: [dyno.route()] })
  const requests = Array.from({ length: 50 }, (_, i) => get().replace('/', `/${i}`))
  const text = await client(rig.port)
    .write(requests.join(''))
    .until(/<\/49>/)
  assert.equal(
    [...text.matchAll(/<\/(\d+)>/g)].map((match) => Number(match[1])),
    requests.map((_, i) => i),
  )
  assert.is(dyno.accepted, 1)
  assert.is(rig.lines.length, 50)
  dyno.close()
})

test('a body of any framing arrives whole, both ways', async () => {
  const dyno = await httpDyno((req, res) => req.pipe(res))
  rig.serve({ backends: [dyno.route()] })
  const body = 'x'.repeat(300_000)
  const counted = client(rig.port).write(post(`Content-Length: ${body.length}`, 'Connection: close') + body)
  assert.is((await counted.untilClosed()).match(/x/g)?.length, body.length)
  const chunks = client(rig.port).write(post('Transfer-Encoding: chunked'))
  for (let i = 0; i < 100; i++) chunks.write(`bb8\r\n${'y'.repeat(3000)}\r\n`)
  await chunks.write('0\r\n\r\n').until(/\r\n0\r\n\r\n$/)
  assert.is(chunks.text.match(/y/g)?.length, 300_000)
  dyno.close()
})

test('a slow reader slows the dyno down instead of filling our memory', async () => {
  let sent = 0
  let done = false
  const piece = Buffer.alloc(64 * 1024, 'x')
  const total = 64 * 1024 * 1024
  const dyno = await httpDyno((_, res) => {
    res.writeHead(200, { 'content-length': total })
    const more = () => {
      while (sent < total) {
        sent += piece.length
        if (!res.write(piece)) return
      }
      done = true
      res.end()
    }
    res.on('drain', more)
    more()
  })
  rig.serve({ backends: [dyno.route()] })
  const slow = connect({ port: rig.port, host: '127.0.0.1' })
  slow.write(get())
  await once(slow, 'readable')
  let before = -1
  await eventually(
    () => {
      const settled = sent === before
      before = sent
      return settled && sent > 1_000_000
    },
    () => 'the dyno to be held up',
  )
  assert.not(done)
  assert.ok(sent < 32 * 1024 * 1024, `${sent} bytes are under way`)
  let received = 0
  slow.on('data', (chunk) => {
    received += chunk.length
  })
  await eventually(
    () => received > total,
    () => `the rest after ${received}`,
  )
  slow.destroy()
  dyno.close()
})

test('a slow dyno slows the client down', async () => {
  const dyno = await rawDyno((socket) => socket.pause())
  rig.serve({ backends: [dyno.route()] })
  const fast = connect({ port: rig.port, host: '127.0.0.1' })
  fast.write(post(`Content-Length: ${256 * 1024 * 1024}`))
  const piece = Buffer.alloc(64 * 1024)
  let sent = 0
  let pending = 0
  const more = () => {
    pending++
    fast.write(piece, () => {
      pending--
      sent += piece.length
      if (sent < 256 * 1024 * 1024) more()
    })
  }
  more()
  let before = -1
  let still = 0
  await eventually(
    () => {
      still = sent === before ? still + 1 : 0
      before = sent
      return still > 20 && pending > 0
    },
    () => 'the client to be held up',
  )
  assert.ok(sent < 64 * 1024 * 1024, `${sent} bytes are under way`)
  fast.destroy()
  dyno.close()
})

test('HEAD, 204 and 304 have no body, and the next response is not confused', async () => {
  const dyno = await httpDyno((req, res) => {
    if (req.url === '/204') res.writeHead(204).end()
    else if (req.url === '/304') res.writeHead(304, { etag: 'x' }).end()
    else res.writeHead(200, { 'content-length': 5 }).end('hello')
  })
  rig.serve({ backends: [dyno.route()] })
  const all = client(rig.port).write(get().replace('GET', 'HEAD'))
  all.write(get().replace('/', '/204')).write(get().replace('/', '/304')).write(get())
  const text = await all.until(/hello$/)
  assert.equal(
    [...text.matchAll(/HTTP\/1.1 (\d+)/g)].map((match) => match[1]),
    ['200', '204', '304', '200'],
  )
  assert.is(text.match(/Content-Length: 5/g)?.length, 2)
  dyno.close()
})

test('an HTTP/1.0 client gets no chunks, and a close at the end', async () => {
  const dyno = await httpDyno((_, res) => {
    res.write('hel')
    res.end('lo')
  })
  rig.serve({ backends: [dyno.route()] })
  const old = client(rig.port).write('GET / HTTP/1.0\r\nHost: a.localhost\r\nConnection: keep-alive\r\n\r\n')
  const text = await old.untilClosed()
  assert.match(text, /\r\n\r\nhello$/)
  assert.not.match(text, /chunked/i)
  dyno.close()
})

test('a response that lasts until the close passes, and ends with a close', async () => {
  const dyno = await cannedDyno('HTTP/1.0 200 OK\r\nX: 1\r\n\r\nhello', true)
  rig.serve({ backends: [dyno.route()] })
  assert.match(await client(rig.port).write(get()).untilClosed(), /Connection: close\r\n[\s\S]*\r\n\r\nhello$/)
  assert.match(rig.lines[0] ?? '', /status=200 bytes=5 /)
  dyno.close()
})

test('early hints pass, a 100 of the dyno does not', async () => {
  const dyno = await cannedDyno(
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  )
  rig.serve({ backends: [dyno.route()] })
  const text = await client(rig.port).write(get()).until(/ok$/)
  assert.match(text, /^HTTP\/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP\/1.1 200 OK/)
  dyno.close()
})

test('the router itself says 100-continue', async () => {
  const dyno = await httpDyno((req, res) => {
    assert.is(req.headers.expect, undefined)
    req.pipe(res)
  })
  rig.serve({ backends: [dyno.route()] })
  const polite = client(rig.port).write(post('Content-Length: 5', 'Expect: 100-continue'))
  await polite.until(/^HTTP\/1.1 100 Continue\r\n\r\n$/)
  await polite.write('hello').until(/hello/)
  dyno.close()
})

test('a response before the end of the request is passed on, and both sides are closed', async () => {
  const dyno = await rawDyno((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig'))
  })
  rig.serve({ backends: [dyno.route()] })
  const text = await client(rig.port).write(post('Content-Length: 1000')).write('x').untilClosed()
  assert.match(text, /^HTTP\/1.1 413 [\s\S]*Connection: close[\s\S]*big$/)
  dyno.close()
})

test('a pooled connection that the dyno closes under a request costs the client nothing', async () => {
  const dyno = await rawDyno((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello')
      socket.once('data', () => socket.destroy())
    })
  })
  rig.serve({ backends: [dyno.route()] })
  const keep = client(rig.port)
  for (let i = 1; i <= 5; i++) await keep.write(get()).until(new RegExp(`(hello[\\s\\S]*){${i}}`))
  assert.is(dyno.accepted, 5)
  assert.not.match(keep.text, /503/)
  dyno.close()
})

test('a pooled connection that the dyno has ended serves nobody, before it is gone too', async () => {
  const dyno = await rawDyno(() => {})
  const events = { drained() {} }
  const backend = new Backend(dyno.route(), limits, events)
  backend.follow('serve')
  const nothing = () => {}
  const user = {
    ...{ connected: nothing, connectFailed: nothing, responded: nothing, backendDrained: nothing },
    ...{ backendEnded: nothing, backendClosed: nothing, gone: nothing, seat: -1 },
  }
  for (const happened of [(one: Upstream) => one.ended(), (one: Upstream) => one.data(Buffer.from('late'))]) {
    const first = backend.connection(user, 0)
    backend.giveBack(first)
    happened(first)
    const second = backend.connection(user, 0)
    assert.is.not(second, first)
    second.drop()
  }
  dyno.close()
})

test('one that must not be done twice is not sent twice, and is H13 when its dyno closes without a word', async () => {
  let seen = ''
  const dyno = await rawDyno((socket) => {
    socket.on('error', () => {})
    socket.once('data', (first) => {
      seen += first
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello')
      socket.once('data', (second) => {
        seen += second
        socket.destroy()
      })
    })
  })
  rig.serve({ backends: [dyno.route()] })
  const keep = client(rig.port)
  await keep.write(get()).until(/hello$/)
  await keep.write(post('Content-Length: 0')).until(/HTTP\/1.1 503 /)
  assert.is(seen.match(/^POST /gm)?.length, 1)
  assert.match(rig.lines.at(-1) ?? '', 'code=H13')
  dyno.close()
})

test('what a dyno sends after its response is never taken for the next one', async () => {
  const dyno = await cannedDyno(
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
  )
  rig.serve({ backends: [dyno.route()] })
  const keep = client(rig.port)
  for (let i = 1; i <= 3; i++) await keep.write(get()).until(new RegExp(`(hello[\\s\\S]*){${i}}`))
  assert.is(dyno.accepted, 3)
  assert.not.match(keep.text, /evil/)
  dyno.close()
})

test('websockets pass both ways, and count as one request in the log', async () => {
  const echo = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(echo, 'listening')
  echo.on('connection', (socket, req) => {
    socket.send(String(req.headers['x-forwarded-for']))
    socket.on('message', (data) => socket.send(data))
  })
  const port = (echo.address() as AddressInfo).port
  rig.serve({ backends: [{ id: 'ws', dyno: 'web.1', address: '127.0.0.1', port, mode: 'serve' }] })
  const socket = new WebSocket(`ws://127.0.0.1:${rig.port}/chat`, { headers: { host: 'a.localhost' } })
  const heard: number[] = []
  socket.on('message', (data: Buffer) => heard.push(data.length))
  await once(socket, 'open')
  socket.send('x'.repeat(1_000_000))
  socket.send('bye')
  await eventually(
    () => heard.length === 3,
    () => `three messages after ${heard}`,
  )
  assert.equal(heard, [9, 1_000_000, 3])
  socket.close()
  await once(socket, 'close')
  await eventually(
    () => rig.lines.length === 1,
    () => 'the log line',
  )
  assert.match(rig.lines[0] ?? '', /^at=info method=GET path="\/chat" .* status=101 bytes=10\d{5} /)
  echo.close()
})

test('a tunnel half-closes each way by itself', async () => {
  const dyno = await rawDyno((socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly ')
      let all = ''
      socket.on('data', (chunk) => {
        all += chunk
      })
      socket.on('end', () => socket.end(`late ${all}`))
    })
  })
  rig.serve({ backends: [dyno.route()] })
  const tunnel = client(rig.port).write(`${get('Connection: Upgrade', 'Upgrade: echo')}a`)
  await tunnel.until(/early $/)
  tunnel.write('b').socket.end()
  assert.match(await tunnel.untilClosed(), /early late ab$/)
  await eventually(
    () => rig.router.sessions.size === 0,
    () => 'the end of the session',
  )
  dyno.close()
})

test('malformed requests are answered and closed, and reach no dyno', async () => {
  const dyno = await httpDyno((_, res) => res.end('hello'))
  rig.serve({ backends: [dyno.route()] })
  for (const [status, text] of [
    [400, get('Content-Length: 1', 'Transfer-Encoding: chunked')],
    [400, 'GET / HTTP/1.1\nHost: a.localhost\n\n'],
    [400, `${'\0'.repeat(10)}\r\n\r\n`],
    [431, get(...Array.from({ length: 100 }, () => `X: ${'a'.repeat(1000)}`))],
    [431, `GET / HTTP/1.1\r\nX: ${'a'.repeat(70_000)}`],
  ] as const)
    assert.match(await client(rig.port).write(text).untilClosed(), new RegExp(`^HTTP/1.1 ${status} `))
  assert.is(dyno.accepted, 0)
  dyno.close()
})

test('a request behind a malformed one is not served', async () => {
  const dyno = await httpDyno((req, res) => res.end(`<${req.url}>`))
  rig.serve({ backends: [dyno.route()] })
  const text = await client(rig.port)
    .write(get().replace('/', '/1') + get('Content-Length: x') + get().replace('/', '/2'))
    .untilClosed()
  assert.match(text, /<\/1>[\s\S]*400 Bad Request/)
  assert.not.match(text, /<\/2>/)
  dyno.close()
})

test.run()
