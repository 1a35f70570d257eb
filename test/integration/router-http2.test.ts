import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Asked, ask, outcome, request, type SecureRig, startSecureRig } from './router-http2-rig.ts'
import { cannedDyno, client, type Dyno, eventually, get, httpDyno, rawDyno } from './router-rig.ts'

/** HTTP/2 from clients, HTTP/1.1 to the dyno: what arrives, and what comes back. */

let rig: SecureRig
let dyno: Dyno

test.before.each(async () => {
  rig = await startSecureRig({ idle: 60_000 })
})

test.after.each(async () => {
  await rig.close()
  dyno?.close()
})

/** The dyno tells what it got. */
async function echo(): Promise<void> {
  dyno = await httpDyno(async (req, res) => {
    let body = ''
    for await (const chunk of req) body += chunk
    const { method, url, rawHeaders, rawTrailers } = req
    res.end(JSON.stringify({ method, url, rawHeaders, rawTrailers, body }))
  })
  rig.serve({ backends: [dyno.route()] })
}

interface Told {
  method: string
  url: string
  rawHeaders: string[]
  rawTrailers: string[]
  body: string
}

const told = ({ body }: Asked): Told => JSON.parse(body)
const valuesOf = ({ rawHeaders }: Told, name: string): string[] =>
  rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name)

test('a request becomes HTTP/1.1 with Heroku’s headers, and its log line says http2.0', async () => {
  await echo()
  const session = await rig.http2()
  const asked = await ask(session, { ':path': '/x?y=1', 'user-agent': 'test', te: 'trailers' })
  assert.is(asked.headers[':status'], 200)
  assert.is(asked.code, 0)
  const got = told(asked)
  assert.is(got.url, '/x?y=1')
  assert.equal(valuesOf(got, 'host'), ['a.localhost'])
  assert.equal(valuesOf(got, 'x-forwarded-proto'), ['https'])
  assert.equal(valuesOf(got, 'x-forwarded-port'), [String(rig.securePort)])
  assert.equal(valuesOf(got, 'x-forwarded-for'), ['127.0.0.1'])
  assert.equal(valuesOf(got, 'via'), ['2.0 sluice'])
  assert.equal(valuesOf(got, 'te'), [])
  assert.equal(valuesOf(got, 'user-agent'), ['test'])
  assert.equal(valuesOf(got, 'transfer-encoding'), [])
  await eventually(
    () => rig.lines.length === 1,
    () => 'the log line',
  )
  assert.match(
    rig.lines[0] ?? '',
    /^at=info method=GET path="\/x\?y=1" host=a\.localhost .* dyno=web\.1 connect=\d+ms service=\d+ms status=200 bytes=\d+ protocol=http2\.0 tls=true tls_version=tls1\.3$/,
  )
})

test('who offers only HTTP/1.1, or nothing, gets HTTP/1.1 on the same port', async () => {
  await echo()
  const url = `https://a.localhost:${rig.securePort}/`
  const curl = async (version: string) => {
    const args = ['-sk', '--resolve', `a.localhost:${rig.securePort}:127.0.0.1`, version, '-w', ' %{http_version}', url]
    return (await promisify(execFile)('curl', args)).stdout
  }
  assert.match(await curl('--http1.1'), / 1\.1$/)
  assert.match(await curl('--no-alpn'), / 1\.1$/)
  assert.match(await curl('--http2'), / 2$/)
})

test('crumbs of cookies are one field again', async () => {
  await echo()
  const got = told(await ask(await rig.http2(), { cookie: ['a=1', 'b=2', 'c=3'] }))
  assert.equal(valuesOf(got, 'cookie'), ['a=1; b=2; c=3'])
})

test('a body of known length keeps it; one of unknown length comes in chunks, with its trailers', async () => {
  await echo()
  const session = await rig.http2()
  const known = request(session, { ':method': 'POST', 'content-length': '5' }, false)
  known.end('hello')
  const first = told(await outcome(known))
  assert.is(first.body, 'hello')
  assert.equal(valuesOf(first, 'content-length'), ['5'])

  const open = session.request(
    { ':method': 'POST', ':authority': 'a.localhost', ':path': '/' },
    { waitForTrailers: true },
  )
  open.on('wantTrailers', () => open.sendTrailers({ 'x-sum': '7', 'x-forwarded-for': '1.2.3.4' }))
  open.write('one ')
  open.end('two')
  const second = told(await outcome(open))
  assert.is(second.body, 'one two')
  assert.equal(valuesOf(second, 'transfer-encoding'), ['chunked'])
  assert.equal(second.rawTrailers, ['x-sum', '7'])
})

test('a body of a megabyte arrives whole both ways, over one connection to the dyno a request', async () => {
  dyno = await httpDyno((req, res) => req.pipe(res))
  rig.serve({ backends: [dyno.route()] })
  const session = await rig.http2()
  const body = 'x'.repeat(1_000_000)
  for (let round = 0; round < 3; round++) {
    const stream = request(session, { ':method': 'POST' }, false)
    stream.end(body)
    const asked = await outcome(stream)
    assert.is(asked.body.length, body.length)
    assert.ok(asked.complete)
  }
})

test('many requests at once over one connection, each answered by its own', async () => {
  await echo()
  const session = await rig.http2()
  const asked = await Promise.all(Array.from({ length: 80 }, (_, n) => ask(session, { ':path': `/${n}` })))
  assert.equal(
    asked.map((one) => told(one).url),
    asked.map((_, n) => `/${n}`),
  )
})

test('a chunked response gives its data and trailers; hop-by-hop fields stay behind; repeated fields are joined', async () => {
  const head = [
    'HTTP/1.1 200 OK',
    'Transfer-Encoding: chunked',
    'Connection: keep-alive, X-Hop',
    'X-Hop: 1',
    'Keep-Alive: timeout=5',
    'Set-Cookie: a=1',
    'Set-Cookie: b=2',
    'ETag: "1"',
    'ETag: "2"',
    'constructor: c',
    'Via: 1.1 inner',
    'X-Latin: caf\xe9',
  ].join('\r\n')
  dyno = await rawDyno((socket) => {
    socket.on('data', () => socket.write(`${head}\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\nVia: x\r\n\r\n`, 'latin1'))
    socket.on('error', () => {})
  })
  rig.serve({ backends: [dyno.route()] })
  const session = await rig.http2()
  for (const _ of [1, 2]) {
    const { headers, trailers, body, complete } = await ask(session)
    assert.is(body, 'hello')
    assert.ok(complete)
    assert.is(trailers['x-sum'], '7')
    assert.is(trailers.via, undefined)
    assert.equal(headers['set-cookie'], ['a=1', 'b=2'])
    assert.is(headers.etag, '"1", "2"')
    assert.is(headers.constructor, 'c')
    assert.is(headers.via, '1.1 inner, 1.1 sluice')
    assert.is(headers['x-latin'], 'caf\xe9')
    for (const name of ['transfer-encoding', 'connection', 'keep-alive', 'x-hop', 'date'])
      assert.is(headers[name], undefined, name)
  }
  assert.is(dyno.accepted, 1)
})

for (const [what, text, status, length] of [
  ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n', 200, '12'],
  ['204', 'HTTP/1.1 204 No Content\r\n\r\n', 204, undefined],
  ['304', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n', 304, '12'],
  ['an empty body', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 200, '0'],
] as const)
  test(`a response without a body ends with its head: ${what}`, async () => {
    dyno = await cannedDyno(text)
    rig.serve({ backends: [dyno.route()] })
    const session = await rig.http2()
    for (const _ of [1, 2]) {
      const asked = await ask(session, { ':method': what === 'HEAD' ? 'HEAD' : 'GET' })
      assert.is(asked.headers[':status'], status)
      assert.is(asked.headers['content-length'], length)
      assert.is(asked.body, '')
      assert.is(asked.code, 0)
    }
    assert.is(dyno.accepted, 1)
  })

test('a large head comes through, one that is too large is H25', async () => {
  const session = await rig.http2({ maxHeaderListPairs: 1000, settings: { maxHeaderListSize: 2_000_000 } })
  const of = async (count: number) => {
    dyno?.close()
    const large = Array.from({ length: count }, (_, n) => `X-${n}: ${'v'.repeat(7000)}\r\n`).join('')
    dyno = await cannedDyno(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${large}\r\nok`)
    rig.serve({ backends: [dyno.route()] })
    return (await ask(session)).headers
  }
  assert.is((await of(18))['x-17']?.length, 7000)
  assert.is((await of(80))[':status'], 502)
})

test('a body that lasts until the dyno closes ends properly', async () => {
  dyno = await cannedDyno('HTTP/1.1 200 OK\r\n\r\nuntil the end', true)
  rig.serve({ backends: [dyno.route()] })
  const asked = await ask(await rig.http2())
  assert.is(asked.body, 'until the end')
  assert.ok(asked.complete)
})

test('Expect: 100-continue is answered by the router, early hints are passed on', async () => {
  dyno = await rawDyno((socket) => {
    let seen = ''
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      seen += chunk
      if (!seen.endsWith('hello')) return
      socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x\r\n\r\n')
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
  })
  rig.serve({ backends: [dyno.route()] })
  const session = await rig.http2()
  const stream = request(session, { ':method': 'POST', 'content-length': '5', expect: '100-continue' }, false)
  const asked = outcome(stream)
  await once(stream, 'continue')
  stream.end('hello')
  const { early, body } = await asked
  assert.is(body, 'ok')
  assert.equal(
    early.map((head) => [head[':status'], head.link, head.connection]),
    [
      [100, undefined, undefined],
      [103, '</a.css>', undefined],
    ],
  )
})

for (const [kind, text] of [
  ['of known length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly'],
  ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n0\r\nX-Sum: 7\r\n\r\n'],
] as const)
  test(`an early response ${kind} arrives whole, and the rest of the request is told off without an error`, async () => {
    dyno = await rawDyno((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.write(text))
      socket.resume()
    })
    rig.serve({ backends: [dyno.route()] })
    const session = await rig.http2()
    const stream = request(session, { ':method': 'POST' }, false)
    stream.write('the beginning')
    const asked = await outcome(stream)
    assert.is(asked.headers[':status'], 200)
    assert.is(asked.body, 'early')
    assert.is(asked.code, 0)
    if (kind === 'in chunks') assert.is(asked.trailers['x-sum'], '7')
    assert.not(session.closed)
    assert.is((await ask(session)).body, 'early')
  })

test('what waits for the client’s window stays what it was, whatever else is read meanwhile', async () => {
  const size = 300_000
  dyno = await httpDyno((req, res) => res.end(Buffer.alloc(size, req.url?.charCodeAt(1))))
  rig.serve({ backends: [dyno.route()] })
  const session = await rig.http2()
  const letters = [...'abcdefghijkl']
  const bodies = await Promise.all(
    letters.map(async (letter) => {
      const stream = request(session, { ':path': `/${letter}` })
      await once(stream, 'response')
      // by now the first pieces of all of them have been read
      await ask(session, { ':path': '/z' })
      return (await outcome(stream)).body
    }),
  )
  for (const [at, letter] of letters.entries()) assert.ok(bodies[at] === letter.repeat(size), `all of ${letter}`)
})

test('a slow client stops the dyno, not its neighbours, and gets all in the end', async () => {
  const size = 8_000_000
  dyno = await httpDyno((req, res) => res.end(req.url === '/big' ? Buffer.alloc(size, 120) : 'small'))
  rig.serve({ backends: [dyno.route()] })
  const session = await rig.http2()
  const big = request(session, { ':path': '/big' })
  const done = new Promise<number>((resolve) => {
    let bytes = 0
    big.on('response', () => {
      setTimeout(() => big.on('data', (chunk: Buffer) => (bytes += chunk.length)).on('end', () => resolve(bytes)), 300)
    })
  })
  await once(big, 'response')
  for (let round = 0; round < 5; round++) assert.is((await ask(session, { ':path': '/small' })).body, 'small')
  assert.is(await done, size)
})

test('a new table is followed from the next request on', async () => {
  dyno = await httpDyno((_, res) => res.end('old'))
  const other = await httpDyno((_, res) => res.end('new'))
  rig.serve({ backends: [dyno.route('serve', 'old')] })
  const session = await rig.http2()
  assert.is((await ask(session)).body, 'old')
  rig.serve({ backends: [dyno.route('drain', 'old'), other.route('serve', 'new')] })
  assert.is((await ask(session)).body, 'new')
  assert.equal(rig.drained, ['old'])
  other.close()
})

test('when the router closes, the client is told by GOAWAY, what runs ends well, and nothing new is taken', async () => {
  let answer = () => {}
  dyno = await httpDyno((_, res) => {
    answer = () => res.end('in time')
  })
  rig.serve({ backends: [dyno.route()] })
  const idle = await rig.http2()
  const busy = await rig.http2()
  const running = ask(busy)
  await eventually(
    () => dyno.accepted === 1,
    () => 'the request to reach the dyno',
  )
  const codes: number[] = []
  for (const session of [idle, busy]) session.on('goaway', (code) => codes.push(code))
  const closed = [once(idle, 'close'), once(busy, 'close')]
  const plain = client(rig.port)
  await eventually(
    () => rig.router.sessions.size === 3,
    () => 'the plain connection',
  )
  const closing = rig.router.close({ idle: 60_000, requests: 60_000, tunnels: 60_000 })
  await eventually(
    () => codes.length === 2,
    () => 'GOAWAY on both, at once',
  )
  assert.equal(codes, [0, 0])
  answer()
  assert.is((await running).body, 'in time')
  await Promise.all(closed)
  // an HTTP/1 client cannot be told so, and may be sending a request just now
  assert.not(plain.closed)
  plain.socket.destroy()
  await closing
})

test('an idle connection is closed with GOAWAY', async () => {
  await rig.close()
  rig = await startSecureRig({ clientIdle: 400 })
  const session = await rig.http2()
  const [code] = await once(session, 'goaway')
  assert.is(code, 0)
  await eventually(
    () => rig.router.sessions.size === 0,
    () => 'the session to be gone',
  )
})

test('HTTP/2 without TLS is none', async () => {
  await echo()
  const answer = await client(rig.port).write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n').untilClosed()
  assert.match(answer, /^HTTP\/1\.1 505 /)
  assert.match(
    await client(rig.port).write(get('Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c')).until(/\}$/),
    /200 /,
  )
})

test.run()
