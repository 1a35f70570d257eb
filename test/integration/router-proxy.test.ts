import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { createConnection, type Server } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readConfig } from '../../router/config.ts'
import { Contexts } from '../../router/contexts.ts'
import { Gate, parseBalancers } from '../../router/gate.ts'
import type { Limits } from '../../router/limits.ts'
import { listen, listenTls } from '../../router/listener.ts'
import { version1, version2 } from '../vectors/proxy.ts'
import { EC, make } from './chains.ts'
import { startChild } from './router-child.ts'
import { client, type Dyno, eventually, get, httpDyno, portOf, type Rig, startRig } from './router-rig.ts'

/** Load balancers in front of the router: whose word is taken, and who is counted as whom. */

let rig: Rig
let dyno: Dyno
let servers: Server[] = []

test.before.each(async () => {
  rig = await startRig()
  dyno = await httpDyno((req, res) =>
    res.end(`for=${req.headers['x-forwarded-for']} port=${req.headers['x-forwarded-port']};`),
  )
  rig.serve({ backends: [dyno.route()] })
})

test.after.each(async () => {
  for (const server of servers) server.close()
  servers = []
  dyno.close()
  await rig.close()
})

const gateOf = (balancers: string, limits: Partial<Limits> = {}, warn?: (sentence: string) => void): Gate =>
  new Gate({ ...rig.router.limits, ...limits }, parseBalancers(balancers), warn)

async function open(gate: Gate): Promise<number> {
  const server = await listen(rig.router, { host: '127.0.0.1', port: 0 }, gate)
  servers.push(server)
  return portOf(server)
}

test('a balancer’s word is taken for the client and its port, in one piece, by bytes, and before each connection’s requests', async () => {
  const port = await open(gateOf('127.0.0.1'))
  const whole = client(port).write(`${version1('192.0.2.7', 443)}${get('X-Forwarded-For: 6.6.6.6')}${get()}`)
  await whole.until(/for=6.6.6.6, 192.0.2.7 port=443;[\s\S]*for=192.0.2.7 port=443;/)
  assert.match(rig.lines[0] ?? '', / fwd="6.6.6.6, 192.0.2.7" /)
  const bytes = client(port)
  await once(bytes.socket, 'connect')
  const header = version2(0x21, 0x11, '\xc0\0\x02\x08\x7f\0\0\x01\0\x01\0\x51')
  for (const byte of header + get()) {
    bytes.write(byte)
    await new Promise(setImmediate)
  }
  await bytes.until(/for=192.0.2.8 port=81;/)
})

test('a balancer that speaks for itself is itself', async () => {
  const port = await open(gateOf('127.0.0.0/8'))
  for (const header of ['PROXY UNKNOWN\r\n', version2(0x20, 0, '')])
    await client(port)
      .write(header + get())
      .until(new RegExp(`for=127.0.0.1 port=${port};`))
})

test('a balancer’s connection without a header, with a bad one, or a late one is closed without a word', async () => {
  const said: string[] = []
  const gate = gateOf('127.0.0.1', { proxyHeaderTime: 50 }, (sentence) => said.push(sentence))
  const port = await open(gate)
  for (const start of [get(), 'PROXY TCP4 1.2.3.4\r\n', version1('192.0.2.1').slice(0, 10), '']) {
    assert.is(await client(port).write(start).untilClosed(), '')
  }
  const ended = client(port).write('PROXY TCP4')
  ended.socket.end()
  await ended.untilClosed()
  assert.is(gate.refused.proxy, 5)
  assert.equal(said.length, 1)
  assert.is(dyno.accepted, 0)
})

test('a router process learns of its balancers from its settings, and says what is wrong with them', async () => {
  const child = await startChild([dyno.route()], 4096, { SLUICE_ROUTER_PROXY: '10.0.0.0/8, 127.0.0.1' })
  try {
    await client(child.port)
      .write(version1('192.0.2.7', 443) + get())
      .until(/for=192.0.2.7 port=443;/)
    assert.is(await client(child.port).write(get()).untilClosed(), '')
  } finally {
    await child.close()
  }
  assert.throws(
    () => readConfig({ SLUICE_ROUTER_PROXY: 'everybody' }),
    /SLUICE_ROUTER_PROXY has "everybody"; it must be/,
  )
})

test('nobody else is believed', async () => {
  const port = await open(gateOf('192.0.2.0/24'))
  assert.match(
    await client(port)
      .write(version1('192.0.2.7') + get())
      .untilClosed(),
    /^HTTP\/1.1 400 /,
  )
  await client(port)
    .write(get('X-Forwarded-For: 192.0.2.7'))
    .until(/for=192.0.2.7, 127.0.0.1 /)
})

async function openTls(gate: Gate): Promise<number> {
  const { key, cert } = await make({ names: ['a.localhost'], algorithm: EC })
  const contexts = new Contexts(rig.router, () => {})
  const pair = { key: Buffer.from(key), cert: Buffer.from(cert), contexts }
  const server = await listenTls(rig.router, { host: '127.0.0.1', port: 0 }, pair, gate)
  servers.push(server)
  return portOf(server)
}

/** A TLS client behind a balancer; `joins`: the header is in one segment with the handshake. */
async function behind(port: number, joins: boolean, ALPNProtocols: string[]): Promise<TLSSocket> {
  const raw = createConnection(port, '127.0.0.1')
  await once(raw, 'connect')
  if (joins) raw.cork()
  raw.write(version2(0x21, 0x11, '\xc0\0\x02\x09\x7f\0\0\x01\0\x01\x01\xbb'), 'latin1')
  const secure = connectTls({ socket: raw, servername: 'a.localhost', rejectUnauthorized: false, ALPNProtocols })
  if (joins) process.nextTick(() => raw.uncork())
  return secure
}

const told = (count: number) =>
  eventually(
    () =>
      rig.lines.length === count &&
      rig.lines.every((line) => line.includes('fwd="192.0.2.9"') && line.includes('tls=true')),
    () => `${count} lines in ${rig.lines}`,
  )

test('the header comes before TLS, in the same segment as the handshake too', async () => {
  const port = await openTls(gateOf('127.0.0.1'))
  for (const joins of [true, false]) {
    const secure = await behind(port, joins, ['http/1.1'])
    secure.write(get('Connection: close'))
    let text = ''
    for await (const chunk of secure) text += chunk
    assert.match(text, /for=192.0.2.9 port=443;/)
  }
  await told(2)
})

test('of HTTP/2 behind a balancer each request is the client’s', async () => {
  const secure = await behind(await openTls(gateOf('127.0.0.1')), true, ['h2'])
  const session = connectHttp2('https://a.localhost', { createConnection: () => secure })
  for (let i = 0; i < 2; i++) {
    const stream = session.request({ ':path': '/' })
    let text = ''
    for await (const chunk of stream) text += chunk
    assert.match(text, /for=192.0.2.9 port=443;/)
  }
  session.destroy()
  await told(2)
})

test('one client has so many connections, however many balancers it comes through; of IPv6 a /64 is one', async () => {
  const gate = gateOf('127.0.0.1', { connectionsPerAddress: 2 })
  const port = await open(gate)
  for (const [mine, other] of [
    ['192.0.2.1', '192.0.2.2'],
    ['2001:db8:0:1::1', '2001:db8:0:2::1'],
  ] as const) {
    const first = client(port).write(version1(mine) + get())
    await first.until(/for=/)
    const second = client(port).write(version1(mine.replace(/::1$/, '::2')) + get())
    await second.until(/for=/)
    assert.is(
      await client(port)
        .write(version1(mine) + get())
        .untilClosed(),
      '',
    )
    await client(port)
      .write(version1(other) + get())
      .until(/for=/)
    first.socket.destroy()
    for (let text = ''; !text.includes('for='); ) {
      const again = client(port).write(version1(mine) + get('Connection: close'))
      text = await again.untilClosed()
    }
  }
  assert.ok(gate.refused.address >= 2)
})

test('all together have so many connections; then they are closed as they come, and there is room again', async () => {
  const said: string[] = []
  const gate = gateOf('', { connections: 20 }, (sentence) => said.push(sentence))
  const port = await open(gate)
  const open20 = Array.from({ length: 20 }, () => client(port).write(get()))
  for (const one of open20) await one.until(/for=/)
  const more = Array.from({ length: 50 }, () => client(port).write(get()))
  for (const one of more) assert.is(await one.untilClosed(), '')
  assert.is(gate.refused.connections, 50)
  assert.equal(said, ['Clients are turned away: there are as many connections as the router takes.'])
  for (const one of open20) await one.write(get()).until(/for=[\s\S]*for=/)
  open20[0]?.socket.destroy()
  await eventually(
    () => rig.router.sessions.size === 19,
    () => 'the first to be gone',
  )
  await client(port).write(get()).until(/for=/)
})

test.run()
