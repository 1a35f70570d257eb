import { connect } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  CONTINUATION,
  codeOf,
  DATA,
  END_HEADERS,
  END_STREAM,
  fields,
  frame,
  GOAWAY,
  get,
  HEADERS,
  PING,
  type RawHttp2,
  RST_STREAM,
  rawHttp2,
  SETTINGS,
  uint32,
  WINDOW_UPDATE,
} from './router-http2-raw.ts'
import { request, type SecureRig, startSecureRig } from './router-http2-rig.ts'
import { type Dyno, eventually, httpDyno, rawDyno } from './router-rig.ts'

/** Clients that mean no good: floods end the connection that they come by, and nobody holds more than bounded memory. */

let rig: SecureRig
let dyno: Dyno
let reached: string[]

const REFUSED_STREAM = 7
const CANCEL = 8
const ENHANCE_YOUR_CALM = 11

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
/** GOAWAY may be lost when Node.js is just writing something else; the end is not. */
async function thrownOut(client: RawHttp2): Promise<void> {
  await client.untilClosed()
  for (const one of client.frames) if (one.type === GOAWAY) assert.is(codeOf(one), ENHANCE_YOUR_CALM)
}
const answered = (client: RawHttp2, stream: number) =>
  client.until(
    `an answer to ${stream}`,
    (one) => one.stream === stream && (one.type === HEADERS || one.type === RST_STREAM),
  )

const without = (name: string) => get().filter(([one]) => one !== name)

for (const [what, method, behind] of [
  ['at once', 'GET', true],
  ['when they have reached the dyno', 'GET', false],
  ['that ask for a head only', 'HEAD', false],
] as const)
  test(`rapid reset: requests taken back ${what} are counted, and the connection is closed`, async () => {
    await start({ resets: 20, resetsPerSecond: 0 })
    const silent = await rawDyno((socket) => socket.on('error', () => {}).resume())
    rig.serve({ backends: [silent.route()] })
    const client = await rawHttp2(rig.securePort)
    for (let n = 0; n < 22 && !client.closed; n++) {
      const id = 2 * n + 1
      const reset = frame(RST_STREAM, 0, id, uint32(CANCEL))
      const head = frame(HEADERS, whole, id, fields([':method', method], ...without(':method')))
      client.write(head, ...(behind ? [reset] : []))
      if (behind) continue
      await eventually(
        () => silent.accepted === n + 1 || client.closed,
        () => 'the request at the dyno',
      )
      client.write(reset)
    }
    await thrownOut(client)
    await eventually(
      () => rig.router.sessions.size === 0,
      () => 'the session to be gone',
    )
    silent.close()
  })

test('requests that are refused count as well', async () => {
  await start({ resets: 5, resetsPerSecond: 0 })
  const client = await rawHttp2(rig.securePort)
  for (let n = 0; n < 6; n++) client.write(frame(HEADERS, whole, 2 * n + 1, fields(...get('/a#b'))))
  await thrownOut(client)
})

for (const [what, flood] of [
  ['PING', frame(PING, 0, 0, Buffer.alloc(8))],
  ['SETTINGS', frame(SETTINGS, 0, 0)],
] as const)
  test(`a flood of ${what} frames closes the connection`, async () => {
    await start({ controlFrames: 50, controlFramesPerSecond: 0 })
    const client = await rawHttp2(rig.securePort)
    for (let n = 0; n < 60; n++) client.write(flood)
    await thrownOut(client)
  })

test('endless CONTINUATION frames, and empty DATA frames, close the connection', async () => {
  await start()
  const endless = await rawHttp2(rig.securePort)
  endless.write(frame(HEADERS, END_STREAM, 1, fields(...get())))
  for (let n = 0; n < 20; n++) endless.write(frame(CONTINUATION, 0, 1, fields([`x-${n}`, 'v'])))
  await endless.untilClosed()
  const empty = await rawHttp2(rig.securePort)
  empty.write(frame(HEADERS, END_HEADERS, 1, fields([':method', 'POST'], ...without(':method'))))
  for (let n = 0; n < 1100; n++) empty.write(frame(DATA, 0, 1))
  await empty.untilClosed()
  assert.equal(
    reached.filter((path) => path !== '/'),
    [],
  )
})

test('more requests at once than are allowed are refused, those within go on', async () => {
  await start({ streams: 3 })
  const silent = await rawDyno((socket) => socket.on('error', () => {}).resume())
  rig.serve({ backends: [silent.route()] })
  const client = await rawHttp2(rig.securePort)
  for (let n = 0; n < 5; n++) client.write(frame(HEADERS, whole, 2 * n + 1, fields(...get())))
  for (const id of [7, 9]) assert.is(codeOf(await answered(client, id)), REFUSED_STREAM)
  await eventually(
    () => silent.accepted === 3,
    () => 'three requests at the dyno',
  )
  client.socket.destroy()
  silent.close()
})

test('a client that opens no window holds bounded memory, whatever the dynos have for it', async () => {
  const most = 256 * 1024
  rig = await startSecureRig({ responseBuffer: most, idle: 60_000 })
  let sent = 0
  dyno = await rawDyno((socket) => {
    socket.on('error', () => {})
    const pump = (): void => {
      while (socket.writable && socket.write(Buffer.alloc(65_536))) sent += 65_536
    }
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n')
      pump()
    })
    socket.on('drain', pump)
  })
  rig.serve({ backends: [dyno.route()] })
  // SETTINGS_INITIAL_WINDOW_SIZE (4) of 0
  const client = await rawHttp2(rig.securePort, Buffer.concat([Buffer.from([0, 4]), uint32(0)]))
  const streams = 20
  for (let n = 0; n < streams; n++) client.write(frame(HEADERS, whole, 2 * n + 1, fields(...get())))
  const unsent = (): number =>
    [...rig.router.sessions].reduce((sum, one) => sum + ('unsent' in one ? Number(one.unsent) : 0), 0)
  await eventually(
    () => dyno.accepted === streams && unsent() > most,
    () => `what the dynos have sent to pile up; ${unsent()} bytes have`,
  )
  let before = -1
  await eventually(
    () => {
      const still = sent === before
      before = sent
      return still && unsent() > most
    },
    () => 'the dynos to be stopped',
  )
  assert.ok(unsent() <= most + streams * 65_536, `${unsent()} bytes`)
  // whoever opens the window gets more
  client.write(frame(WINDOW_UPDATE, 0, 1, uint32(10_000_000)), frame(WINDOW_UPDATE, 0, 0, uint32(10_000_000)))
  const bytes = (): number =>
    client.frames
      .filter(({ type, stream }) => type === DATA && stream === 1)
      .reduce((sum, { payload }) => sum + payload.length, 0)
  await eventually(
    () => bytes() > 1_000_000,
    () => `a megabyte on the stream that was opened; ${bytes()} bytes came`,
  )
  client.socket.destroy()
})

test('a client that never takes the end of its response is reset', async () => {
  await start({ idle: 200 })
  const client = await rawHttp2(rig.securePort, Buffer.concat([Buffer.from([0, 4]), uint32(0)]))
  client.write(frame(HEADERS, whole, 1, fields(...get())))
  const reset = await client.until('a reset', ({ type, stream }) => type === RST_STREAM && stream === 1)
  assert.is(codeOf(reset), CANCEL)
  client.socket.destroy()
})

test('a client that stops to read from its connection is cut, and holds nothing', async () => {
  await start({ idle: 1000, linger: 50, clientIdle: 400, responseBuffer: 64 * 1024 * 1024 })
  const large = await httpDyno((_, res) => res.end(Buffer.alloc(20_000_000)))
  rig.serve({ backends: [large.route()] })
  const settings = Buffer.concat([Buffer.from([0, 4]), uint32(0x7fffffff)])
  const client = await rawHttp2(rig.securePort, settings)
  client.socket.pause()
  client.write(frame(WINDOW_UPDATE, 0, 0, uint32(0x7fff0000)), frame(HEADERS, whole, 1, fields(...get())))
  await eventually(
    () => rig.lines.some((line) => line.includes('status=200 bytes=20000000')),
    () => `the end of the dyno's part in ${rig.lines}`,
  )
  await eventually(
    () => rig.router.sessions.size === 0,
    () => 'the session to be gone',
  )
  client.socket.destroy()
  large.close()
})

test('a client that shakes hands and says nothing, or half a head, is closed', async () => {
  await start({ clientIdle: 400, linger: 50 })
  const client = await rawHttp2(rig.securePort)
  client.write(frame(HEADERS, END_STREAM, 1, fields(...get())))
  await client.untilClosed()
  const mute = connect({
    ...{ port: rig.securePort, host: '127.0.0.1', ALPNProtocols: ['h2'], rejectUnauthorized: false },
  })
  let closed = false
  mute.on('close', () => {
    closed = true
  })
  mute.on('error', () => {})
  mute.resume()
  await eventually(
    () => closed,
    () => 'the mute client to be closed',
  )
})

test('a client that keeps its side open after GOAWAY is cut', async () => {
  await start({ clientIdle: 400, linger: 50 })
  const stubborn = { ALPNProtocols: ['h2'], rejectUnauthorized: false, allowHalfOpen: true }
  const socket = connect(rig.securePort, '127.0.0.1', stubborn)
  socket.on('error', () => {})
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  socket.write(frame(SETTINGS, 0, 0))
  socket.resume()
  await eventually(
    () => rig.router.sessions.size === 1,
    () => 'the session',
  )
  await eventually(
    () => rig.router.sessions.size === 0,
    () => 'the session to be gone',
  )
  socket.destroy()
})

test('a client that uploads for nothing is held back: what the dyno does not take stays within the windows', async () => {
  rig = await startSecureRig({ idle: 60_000, requestBuffer: 65_536 })
  dyno = await rawDyno((socket) => {
    socket.on('error', () => {})
    socket.pause()
  })
  rig.serve({ backends: [dyno.route()] })
  const session = await rig.http2()
  const stream = request(session, { ':method': 'POST' }, false)
  stream.on('error', () => {})
  let taken = 0
  const pump = (): void => {
    stream.write(Buffer.alloc(65_536), (error) => {
      if (error) return
      taken += 65_536
      pump()
    })
  }
  pump()
  let before = -1
  await eventually(
    () => {
      const still = taken === before && taken > 0
      before = taken
      return still
    },
    () => 'the upload to stop',
  )
  // the kernel's buffers between router and dyno take some megabytes
  assert.ok(taken < 16_000_000, `${taken} bytes taken`)
  stream.close(CANCEL)
})

test.run()
