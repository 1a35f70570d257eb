import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocket, WebSocketServer } from 'ws'
import type { Limits } from '../../router/limits.ts'
import type { Backend } from '../../router/protocol.ts'
import { drained, endOf, raw } from './router-drain-rig.ts'
import { client, eventually, get, type Rig, rawDyno, startRig } from './router-rig.ts'

let rig: Rig
const begin = async (limits: Partial<Limits> = {}) => {
  rig = await startRig({ grace: 60_000, ...limits })
}
test.after.each(() => rig.close())

/** A dyno that speaks WebSocket: `accept` gets each connection, `ends` how each was closed, `read` the bytes of the first. */
async function chat(accept: (socket: WebSocket) => void = () => {}) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
  await once(server, 'listening')
  const ends: number[] = []
  const errors: string[] = []
  const transports: Socket[] = []
  server.on('connection', (socket, req) => {
    transports.push(req.socket)
    socket.on('close', (code) => ends.push(code))
    socket.on('error', (error) => errors.push(error.message))
    accept(socket)
  })
  const { port } = server.address() as AddressInfo
  const route = (mode: Backend['mode']): Backend => ({ id: 'old', dyno: 'web.1', address: '127.0.0.1', port, mode })
  const read = () => transports[0]?.bytesRead ?? 0
  return { route, ends, errors, read, close: () => server.close() }
}

const echo = (socket: WebSocket): void => void socket.on('message', (data, binary) => socket.send(data, { binary }))

/** A WebSocket through the router, and what it has seen. */
async function talk(options: { autoPong?: boolean } = {}) {
  const headers = { host: 'a.localhost' }
  const socket = new WebSocket(`ws://127.0.0.1:${rig.port}/`, { headers, ...options })
  const seen = { lengths: [] as number[], errors: [] as string[], end: 0, reason: '' }
  socket.on('message', (data: Buffer) => seen.lengths.push(data.length))
  socket.on('error', (error) => seen.errors.push(error.message))
  socket.on('close', (code, reason) => Object.assign(seen, { end: code, reason: String(reason) }))
  await once(socket, 'open')
  return { socket, seen }
}

/** The backend has drained, and both sides of the WebSocket have seen its end. */
const over = async (seen: { end: number }, dyno: { ends: number[] }) => {
  await drained(rig)
  await eventually(
    () => seen.end > 0 && dyno.ends.length > 0,
    () => 'both ends',
  )
}
/** The same for a raw client, which has seen its end. */
const dynoOver = (dyno: { ends: number[] }) => over({ end: 1 }, dyno)

const GOING_AWAY = '\x88\x0c\x03\xe9restarting'

test("a WebSocket stays for its app's grace, then both sides read 1001 and nothing is reset", async () => {
  await begin()
  const dyno = await chat(echo)
  rig.serve({ backends: [dyno.route('serve')] })
  const { socket, seen } = await talk()
  rig.serve({ backends: [dyno.route('drain')] })
  socket.send('still here')
  await eventually(
    () => seen.lengths.length === 1,
    () => 'the echo while it drains',
  )
  assert.equal(rig.drained, [])
  rig.serve({ grace: 0, backends: [dyno.route('drain')] })
  await over(seen, dyno)
  assert.equal([seen.end, seen.reason, ...dyno.ends], [1001, 'restarting', 1001])
  assert.equal([...seen.errors, ...dyno.errors], [])
  assert.equal(rig.receipts.get('old'), { inFlight: 1, finished: 0, cut: 1, failed: 0 })
  assert.match(rig.lines[0] ?? '', /^at=info .* status=101 bytes=12 /)
  dyno.close()
})

test('large messages that are on their way both ways arrive whole before the end', async () => {
  await begin()
  const size = 20_000_000
  const heard: number[] = []
  const dyno = await chat((socket) => {
    socket.on('message', (data: Buffer) => heard.push(data.length))
    socket.send(Buffer.alloc(size))
  })
  rig.serve({ backends: [dyno.route('serve')] })
  const { socket, seen } = await talk()
  socket.send(Buffer.alloc(size))
  await eventually(
    () => dyno.read() > 100_000,
    () => 'the beginning of the message',
  )
  rig.serve({ grace: 0, backends: [dyno.route('drain')] })
  await over(seen, dyno)
  assert.equal([seen.lengths, heard], [[size], [size]])
  assert.equal([seen.end, ...dyno.ends], [1001, 1001])
  dyno.close()
})

test('a message in fragments is waited for', async () => {
  await begin()
  const heard: string[] = []
  const dyno = await chat((socket) => socket.on('message', (data) => heard.push(String(data))))
  rig.serve({ backends: [dyno.route('serve')] })
  const { socket, seen } = await talk()
  const before = dyno.read()
  socket.send('one ', { fin: false })
  await eventually(
    () => dyno.read() > before,
    () => 'the first fragment',
  )
  rig.serve({ grace: 0, backends: [dyno.route('drain')] })
  socket.send('message', { fin: true })
  await over(seen, dyno)
  assert.equal(heard, ['one message'])
  assert.equal([seen.end, ...dyno.ends], [1001, 1001])
  dyno.close()
})

test('a message that never ends holds nobody up: the close frame comes between two of its frames', async () => {
  await begin({ tunnelMessage: 20 })
  const dyno = await chat((socket) => socket.send('one ', { fin: false }))
  rig.serve({ backends: [dyno.route('serve')] })
  const { seen } = await talk()
  rig.serve({ grace: 0, backends: [dyno.route('drain')] })
  await over(seen, dyno)
  assert.equal([seen.end, ...dyno.ends], [1001, 1001])
  assert.equal(seen.errors, [])
  dyno.close()
})

test('a client that stops in the middle of a frame is ended without a reset', async () => {
  await begin({ tunnelMessage: 20, tunnelClose: 20, linger: 20_000 })
  const dyno = await chat()
  rig.serve({ backends: [dyno.route('serve')] })
  const self = await raw(rig, 'websocket')
  const end = endOf(self.socket)
  const before = dyno.read()
  self.write('\x82\xff\0\0\0\0\0\x10\0\0mask and a little')
  await eventually(
    () => dyno.read() > before,
    () => 'the beginning of the frame',
  )
  rig.serve({ grace: 0, backends: [dyno.route('drain')] })
  assert.is(await self.untilClosed(), GOING_AWAY)
  await dynoOver(dyno)
  assert.equal(end, { ended: true, error: '' })
  assert.equal(dyno.ends, [1006], 'no frame of ours was put into its frame')
  assert.equal(rig.receipts.get('old'), { inFlight: 1, finished: 0, cut: 1, failed: 0 })
  dyno.close()
})

test('a client that ignores the close frame is sent a half-close, and after that it is gone', async () => {
  await begin({ tunnelClose: 20, linger: 20 })
  const dyno = await chat()
  rig.serve({ backends: [dyno.route('serve')] })
  const self = await raw(rig, 'websocket')
  self.socket.removeAllListeners('end')
  const end = endOf(self.socket)
  const pings = setInterval(() => self.write('\x89\x80mask'), 5)
  rig.serve({ grace: 0, backends: [dyno.route('drain')] })
  await dynoOver(dyno)
  clearInterval(pings)
  await eventually(
    () => end.ended && rig.router.sessions.size === 0,
    () => 'the end of the session',
  )
  assert.ok(self.text.endsWith(GOING_AWAY), JSON.stringify(self.text))
  self.socket.destroy()
  assert.equal(dyno.ends, [1001])
  dyno.close()
})

test('a client that does not read holds nobody up', async () => {
  await begin({ tunnelMessage: 20, tunnelClose: 20, linger: 20 })
  const dyno = await chat((socket) => socket.send(Buffer.alloc(50_000_000)))
  rig.serve({ backends: [dyno.route('serve')] })
  const self = await raw(rig, 'websocket')
  self.socket.pause()
  rig.serve({ grace: 0, backends: [dyno.route('drain')] })
  await dynoOver(dyno)
  assert.equal(rig.receipts.get('old'), { inFlight: 1, finished: 0, cut: 1, failed: 0 })
  await eventually(
    () => rig.router.sessions.size === 0,
    () => 'the end of the session',
  )
  self.socket.destroy()
  dyno.close()
})

test('a backend that leaves the table closes its WebSockets at once', async () => {
  await begin()
  const dyno = await chat()
  rig.serve({ backends: [dyno.route('serve')] })
  const { seen } = await talk()
  rig.serve({ backends: [] })
  await eventually(
    () => seen.end > 0 && dyno.ends.length > 0,
    () => 'both ends',
  )
  assert.equal([seen.end, ...dyno.ends], [1001, 1001])
  assert.equal(rig.drained, [], 'it was not draining')
  dyno.close()
})

test('who closes by himself while his backend drains is closed with his own code, and has finished', async () => {
  await begin()
  const dyno = await chat(echo)
  rig.serve({ backends: [dyno.route('serve')] })
  const { socket, seen } = await talk()
  rig.serve({ backends: [dyno.route('drain')] })
  socket.close(4321, 'enough')
  await over(seen, dyno)
  assert.equal([seen.end, ...dyno.ends], [4321, 4321])
  assert.equal(rig.receipts.get('old'), { inFlight: 1, finished: 1, cut: 0, failed: 0 })
  dyno.close()
})

test('a side that has sent its own close frame gets no second one', async () => {
  await begin()
  const sockets: WebSocket[] = []
  const dyno = await chat((socket) => sockets.push(socket))
  rig.serve({ backends: [dyno.route('serve')] })
  const self = await raw(rig, 'websocket')
  sockets[0]?.close(1000)
  await self.until(/^\x88\x02\x03\xe8$/)
  rig.serve({ grace: 0, backends: [dyno.route('drain')] })
  self.write('\x88\x82\0\0\0\0\x03\xe8')
  assert.is(await self.untilClosed(), '\x88\x02\x03\xe8')
  await dynoOver(dyno)
  assert.equal(dyno.ends.length, 1)
  dyno.close()
})

test('what says websocket and speaks something else is half-closed as any tunnel', async () => {
  await begin()
  const dyno = await chat()
  rig.serve({ backends: [dyno.route('serve')] })
  const self = await raw(rig, 'websocket')
  const end = endOf(self.socket)
  self.write('\x83\x03no frames at all')
  await eventually(
    () => dyno.errors.length > 0,
    () => 'the dyno to complain',
  )
  rig.serve({ grace: 0, backends: [dyno.route('drain')] })
  await drained(rig)
  await self.untilClosed()
  assert.equal(end, { ended: true, error: '' })
  dyno.close()
})

test('a backend that serves again keeps its tunnels', async () => {
  await begin()
  const dyno = await chat(echo)
  rig.serve({ backends: [dyno.route('serve')] })
  const { socket, seen } = await talk()
  rig.serve({ grace: 50, backends: [dyno.route('drain')] })
  rig.serve({ grace: 50, backends: [dyno.route('serve')] })
  const { seen: other } = await drainOther(dyno.route('serve'))
  assert.is(other.end, 1001)
  socket.send('still here')
  await eventually(
    () => seen.lengths.length === 1,
    () => 'the echo',
  )
  socket.close()
  dyno.close()
})

/** Puts a second dyno beside this one and drains it, with a grace that ends after that of the first would have. */
async function drainOther(beside: Backend) {
  const dyno = await chat()
  const headers = { host: 'b.localhost' }
  const route = (mode: Backend['mode']) => ({ ...dyno.route(mode), id: 'other' })
  const app = { id: 'b', name: 'b', certificates: [], maintenance: false, empty: 'none' as const }
  const both = (mode: Backend['mode'], version: number) =>
    rig.router.apply({
      version,
      challenges: [],
      apps: [
        { ...app, hosts: ['b.localhost'], grace: 100, backends: [route(mode)] },
        { ...app, id: 'app', name: 'a', hosts: ['a.localhost'], grace: 50, backends: [beside] },
      ],
    })
  both('serve', 100)
  const socket = new WebSocket(`ws://127.0.0.1:${rig.port}/`, { headers })
  const seen = { end: 0 }
  socket.on('close', (code) => Object.assign(seen, { end: code }))
  await once(socket, 'open')
  both('drain', 101)
  await over(seen, dyno)
  dyno.close()
  return { seen }
}

test('a WebSocket that was asked for before the router stops, or has a successor, is not refused', async () => {
  await begin()
  let asked: Socket | undefined
  const dyno = await rawDyno((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      asked = socket
    })
  })
  rig.serve({ backends: [dyno.route()] })
  const late = client(rig.port).write(get('Connection: Upgrade', 'Upgrade: websocket'))
  await eventually(
    () => asked !== undefined,
    () => 'the request at the dyno',
  )
  const closed = rig.router.close({ idle: 0, requests: 60_000, tunnels: 60_000 })
  asked?.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello')
  await late.until(/^HTTP\/1.1 101 [\s\S]*hello$/)
  late.socket.destroy()
  asked?.destroy()
  await closed
  dyno.close()
})

test('when the router stops, tunnels get their close frames before it is gone', async () => {
  await begin({ shutdown: 400 + 5000 + 3000 })
  const dyno = await chat()
  rig.serve({ backends: [dyno.route('serve')] })
  const { seen } = await talk()
  await rig.router.close()
  await eventually(
    () => seen.end > 0 && dyno.ends.length > 0,
    () => 'the close frames',
  )
  assert.equal([seen.end, ...dyno.ends], [1001, 1001])
  dyno.close()
})

test.run()
