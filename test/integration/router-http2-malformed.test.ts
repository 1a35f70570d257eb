import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  codeOf,
  DATA,
  END_HEADERS,
  END_STREAM,
  fields,
  frame,
  get,
  HEADERS,
  type RawHttp2,
  RST_STREAM,
  rawHttp2,
} from './router-http2-raw.ts'
import { ask, outcome, type SecureRig, startSecureRig } from './router-http2-rig.ts'
import { type Dyno, eventually, httpDyno, rawDyno } from './router-rig.ts'

/** What is malformed reaches no dyno, and costs nobody else anything: heads, lengths, trailers (RFC 9113 8). */

let rig: SecureRig
let dyno: Dyno
let reached: string[]

const PROTOCOL_ERROR = 1
const INTERNAL_ERROR = 2

async function start(limits: Parameters<typeof startSecureRig>[0] = {}): Promise<void> {
  rig = await startSecureRig(limits)
  reached = []
  dyno = await httpDyno((req, res) => {
    reached.push(req.url ?? '')
    res.end('ok')
  })
  rig.serve({ backends: [dyno.route()] })
}

test.after.each(async () => {
  await rig.close()
  dyno.close()
})

const whole = END_HEADERS | END_STREAM
const answered = (client: RawHttp2, stream: number) =>
  client.until(
    `an answer to ${stream}`,
    (one) => one.stream === stream && (one.type === HEADERS || one.type === RST_STREAM),
  )

const without = (name: string) => get().filter(([one]) => one !== name)
const withField = (name: string, value: string): [string, string][] => [...get(), [name, value]]

/** Reset by nghttp2, or answered with our page. */
const malformed: Record<string, { list: [string, string][]; flags?: number }> = {
  'no method': { list: without(':method') },
  'no path': { list: without(':path') },
  'no scheme': { list: without(':scheme') },
  'no host at all': { list: without(':authority') },
  'the scheme http': { list: [...without(':scheme'), [':scheme', 'http']] },
  'two methods': { list: [[':method', 'POST'], ...get()] },
  'a pseudo-header behind a field': { list: [['x-first', '1'], ...get()] },
  'an unknown pseudo-header': { list: [...get(), [':x', '1']] },
  'authority and Host that differ': { list: withField('host', 'b.localhost') },
  'an authority with a user': { list: get('/', 'me@a.localhost') },
  'a path without a slash': { list: get('x') },
  'an absolute path': { list: get('https://b.localhost/') },
  'a path with a blank': { list: get('/a b') },
  'a path with a line end': { list: get('/a\r\nx: y') },
  'a path with a fragment': { list: get('/a#b') },
  'a path beyond ASCII': { list: get('/caf\xe9') },
  Connection: { list: withField('connection', 'close') },
  'Transfer-Encoding': { list: withField('transfer-encoding', 'chunked') },
  Upgrade: { list: withField('upgrade', 'websocket') },
  'Keep-Alive': { list: withField('keep-alive', 'timeout=5') },
  'HTTP2-Settings': { list: withField('http2-settings', 'AAMAAABkAAQAAP__') },
  'TE with more than trailers': { list: withField('te', 'trailers, deflate') },
  'a bad length': { list: withField('content-length', '+3'), flags: END_HEADERS },
  'two lengths': { list: [...withField('content-length', '3'), ['content-length', '4']], flags: END_HEADERS },
  'a length without a body': { list: withField('content-length', '3') },
  'an expectation that nobody knows': { list: withField('expect', 'more') },
  CONNECT: {
    list: [
      [':method', 'CONNECT'],
      [':authority', 'a.localhost:443'],
    ],
  },
  'CONNECT for a websocket': { list: [[':method', 'CONNECT'], [':protocol', 'websocket'], ...without(':method')] },
  TRACE: { list: [[':method', 'TRACE'], ...without(':method')] },
}

test('what is malformed reaches no dyno, and costs the connection nothing', async () => {
  await start()
  const client = await rawHttp2(rig.securePort)
  let id = 1
  for (const [what, { list, flags = whole }] of Object.entries(malformed)) {
    client.write(frame(HEADERS, flags, id, fields(...list)))
    const answer = await answered(client, id)
    if (answer.type === RST_STREAM) assert.is(codeOf(answer), PROTOCOL_ERROR, what)
    else assert.not.match(answer.payload.toString('latin1'), /^\x88/, what)
    id += 2
  }
  client.write(frame(HEADERS, whole, id, fields(...get('/last'))))
  assert.is((await answered(client, id)).type, HEADERS)
  assert.equal(reached, ['/last'])
  client.socket.destroy()
})

for (const [name, value] of [
  ['X-Upper', '1'],
  ['x-a: b\r\nx-b', '1'],
  ['x-control', 'a\r\nx-c: d'],
  ['x-nul', 'a\0b'],
  ['content_length', '7'],
] as const)
  test(`a field of name ${JSON.stringify(name)} and value ${JSON.stringify(value)} does not reach the dyno`, async () => {
    rig = await startSecureRig()
    let got = ''
    dyno = await httpDyno((req, res) => {
      got = req.rawHeaders.join('\n').toLowerCase()
      res.end()
    })
    rig.serve({ backends: [dyno.route()] })
    const client = await rawHttp2(rig.securePort)
    client.write(frame(HEADERS, whole, 1, fields(...get(), [name, value], ['x-good', '1'])))
    await answered(client, 1)
    assert.not.match(got, /x-upper|x-[abc]\b|x-control|x-nul|content.length/)
    client.socket.destroy()
  })

test('a body that is not as long as was said is never whole to the dyno: H27', async () => {
  rig = await startSecureRig()
  let seen = ''
  dyno = await rawDyno((socket) => {
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      seen += chunk
    })
  })
  rig.serve({ backends: [dyno.route()] })
  const post: [string, string][] = [[':method', 'POST'], ...without(':method')]
  for (const [length, body] of [
    ['4', 'hello'],
    ['6', 'hello'],
  ] as const) {
    seen = ''
    const client = await rawHttp2(rig.securePort)
    const lines = rig.lines.length
    client.write(frame(HEADERS, END_HEADERS, 1, fields(...post, ['content-length', length])))
    await eventually(
      () => seen.includes('\r\n\r\n'),
      () => 'the head at the dyno',
    )
    client.write(frame(DATA, END_STREAM, 1, Buffer.from(body)))
    assert.is(codeOf(await client.until('a reset', ({ type }) => type === RST_STREAM)), PROTOCOL_ERROR)
    await eventually(
      () => rig.lines.length > lines,
      () => 'a log line',
    )
    assert.match(rig.lines.at(-1) ?? '', /code=H27/)
    assert.ok(seen.length - seen.indexOf('\r\n\r\n') - 4 < Number(length), seen)
    client.socket.destroy()
  }
})

test('a head that is too large gets 431, a line that is too long 414, and far more a reset', async () => {
  await start()
  const session = await rig.http2({ maxSendHeaderBlockLength: 1_000_000 })
  const large = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`x-${n}`, 'v'.repeat(8000)]))
  assert.is((await ask(session, large)).headers[':status'], 431)
  assert.is((await ask(session, { 'x-long': 'v'.repeat(9000) })).headers[':status'], 431)
  assert.is((await ask(session, { ':path': `/${'p'.repeat(9000)}` })).headers[':status'], 414)
  const many = Object.fromEntries(Array.from({ length: 1100 }, (_, n) => [`x-${n}`, '']))
  assert.is((await ask(session, many)).headers[':status'], 431)
  const huge = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`x-${n}`, 'v'.repeat(8000)]))
  assert.is.not((await ask(session, huge)).code, 0)
  assert.equal(reached, [])
})

test('trailers that are too large reset the request, and it is not whole to the dyno', async () => {
  let whole = false
  rig = await startSecureRig()
  dyno = await httpDyno((req) => req.resume().on('end', () => (whole = true)))
  rig.serve({ backends: [dyno.route()] })
  const session = await rig.http2()
  const headers = { ':method': 'POST', ':authority': 'a.localhost', ':path': '/' }
  const stream = session.request(headers, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-a': 'v'.repeat(5000), 'x-b': 'v'.repeat(5000) }))
  stream.end('body')
  assert.is((await outcome(stream)).code, INTERNAL_ERROR)
  await eventually(
    () => rig.lines.length === 1,
    () => 'a log line',
  )
  assert.not(whole)
})

test.run()
