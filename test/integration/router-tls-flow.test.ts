import { once } from 'node:events'
import type { Server, TLSSocket } from 'node:tls'
import { connect } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { transport } from '../../router/config.ts'
import { SocketConn } from '../../router/conn.ts'
import { Contexts } from '../../router/contexts.ts'
import { listenTls } from '../../router/listener.ts'
import { Session } from '../../router/session.ts'
import { TlsConn } from '../../router/tls-conn.ts'
import { make } from './chains.ts'
import { type Dyno, eventually, get, portOf, type Rig, rawDyno, startRig } from './router-rig.ts'

/** Bytes over TLS, past the streams of Node's sockets. */

const pair = await make({ names: ['a.localhost'] })
let rig: Rig
let secure: Server
let dyno: Dyno

test.before.each(async () => {
  rig = await startRig()
  const contexts = new Contexts(rig.router, () => {})
  const own = { key: Buffer.from(pair.key), cert: Buffer.from(pair.cert) }
  secure = await listenTls(rig.router, { host: '127.0.0.1', port: 0 }, { ...own, contexts })
})

test.after.each(async () => {
  dyno.close()
  secure.close()
  await rig.close()
})

async function open(): Promise<TLSSocket> {
  const place = { host: '127.0.0.1', port: portOf(secure), servername: 'a.localhost', ca: pair.cert }
  const to = { ...place, allowHalfOpen: true }
  const socket = connect(to)
  await once(socket, 'secureConnect')
  return socket
}

const conns = () => [...rig.router.sessions].flatMap((one) => (one instanceof Session ? [one.conn] : []))

async function textOf(socket: TLSSocket): Promise<string> {
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return text
}

const counted = (letter: string, many: number): string =>
  Array.from({ length: many }, (_, i) => letter + String(i).padStart(7, '0')).join('')

async function serve(answer: (request: string) => string): Promise<void> {
  dyno = await rawDyno((socket) => {
    let got = ''
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      got += String(chunk)
      const answered = answer(got)
      if (answered === '') return
      got = ''
      socket.write(answered)
    })
  })
  rig.serve({ backends: [dyno.route()] })
}

const whole = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`

test('what a slow client leaves with the router comes whole and in order, while others are answered', async () => {
  // more than the kernel takes from a client that does not read: it may be 8 MB
  const long = (letter: string): string => counted(letter, 1_000_000).repeat(3)
  const bodies = { a: long('a'), b: long('b'), c: 'short' }
  await serve((request) => whole(bodies[/GET \/(\w)/.exec(request)?.[1] as keyof typeof bodies]))
  const slow = await Promise.all(
    (['a', 'b'] as const).map(async (letter) => {
      const socket = await open()
      socket.pause()
      socket.write(get('Connection: close').replace('GET /', `GET /${letter}`))
      return { socket, letter }
    }),
  )
  // how much is left is the kernel's to say: no more than where the dyno is stopped, and it may be little of that
  let before: number[] = []
  await eventually(
    () => {
      const now = conns().map(({ buffered }) => buffered)
      const still = now.length === 2 && now.every((bytes, at) => bytes > 0 && bytes === before[at])
      before = now
      return still
    },
    () => `both to have left something with the router, which has ${conns().map(({ buffered }) => buffered)}`,
  )
  assert.ok(conns().every((conn) => conn instanceof (transport === 'handle' ? TlsConn : SocketConn)))
  const other = await open()
  other.write(get('Connection: close').replace('GET /', 'GET /c'))
  assert.match(await textOf(other), /\r\n\r\nshort$/)
  other.destroy()
  for (const { socket, letter } of slow) {
    assert.ok((await textOf(socket)).endsWith(`\r\n\r\n${bodies[letter]}`), letter)
    socket.destroy()
  }
})

test('a large body reaches the dyno whole, in whatever pieces it comes', async () => {
  const body = counted('z', 200_000)
  let seen = ''
  await serve((request) => {
    const at = request.indexOf('\r\n\r\n') + 4
    if (request.length - at < body.length) return ''
    seen = request.slice(at)
    return whole('taken')
  })
  const socket = await open()
  socket.write(
    get(`Content-Length: ${body.length}`, 'Connection: close').replace('GET', 'POST') + body.slice(0, 100_000),
  )
  for (let at = 100_000; at < body.length; at += 150_001) socket.write(body.slice(at, at + 150_001))
  assert.match(await textOf(socket), /taken$/)
  assert.ok(seen === body)
  socket.destroy()
})

test('pipelined requests are answered in order, and a client that half-closes gets them all and a proper end', async () => {
  await serve((request) => whole(/GET (\S+)/.exec(request)?.[1] ?? ''))
  const socket = await open()
  const paths = Array.from({ length: 50 }, (_, i) => `/${i}`)
  socket.end(paths.map((path) => get().replace('GET /', `GET ${path}`)).join(''))
  const text = await textOf(socket)
  assert.equal(
    [...text.matchAll(/\r\n\r\n(\/\d+)/g)].map(([, path]) => path),
    paths,
  )
  socket.destroy()
  await eventually(
    () => rig.router.sessions.size === 0,
    () => 'the connection to be gone',
  )
})

test('a client that goes in the middle of an answer is accounted for once, and its connection is gone', async () => {
  dyno = await rawDyno((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n')
      const going = setInterval(() => socket.write('x'.repeat(1000)), 5)
      socket.on('close', () => clearInterval(going))
    })
  })
  rig.serve({ backends: [dyno.route()] })
  const socket = await open()
  socket.write(get())
  await once(socket, 'data')
  socket.destroy()
  await eventually(
    () => rig.router.sessions.size === 0 && rig.lines.length > 0,
    () => 'the connection to be gone',
  )
  assert.is(rig.lines.length, 1)
  assert.match(rig.lines[0] ?? '', /code=H27/)
})

test.run()
