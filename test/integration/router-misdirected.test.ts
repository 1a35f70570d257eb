import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { AppRoute } from '../../router/protocol.ts'
import { make } from './chains.ts'
import { ask, type SecureRig, startSecureRig } from './router-http2-rig.ts'
import { type Dyno, httpDyno, tableOf } from './router-rig.ts'

/**
 * 421 (RFC 9110 15.5.20): browsers use a connection for every name that its certificate covers (RFC 9113 9.1.1), and another app's name
 * need not be meant for it.
 */

let rig: SecureRig
let dyno: Dyno

const app = (id: string, hosts: string[], certificates: AppRoute['certificates'] = []): AppRoute => {
  const [route] = tableOf(0, { id, name: id, hosts, certificates, backends: [dyno.route('serve', `dyno-${id}`)] }).apps
  return route as AppRoute
}

const bound = (id: string, hosts: string[]) => [{ id, hosts }]
let version = 0

function serve(...apps: AppRoute[]): void {
  rig.router.apply({ version: ++version, challenges: [], apps })
}

test.before.each(async () => {
  rig = await startSecureRig()
  dyno = await httpDyno((req, res) => res.end(req.headers.host))
  const { cert, key } = await make({ names: ['*.example.com'] })
  rig.use(new Map(['one', 'new', 'two'].map((id) => [id, { id, chain: cert, key }])))
})

test.after.each(async () => {
  await rig.close()
  dyno.close()
})

/** The status of a request for `host` over a connection that was made for `servername`. */
async function status(servername: string, host: string): Promise<unknown> {
  const session = await rig.http2({ servername })
  const { headers } = await ask(session, { ':authority': host, 'user-agent': 'test "1"' })
  session.destroy()
  return headers[':status']
}

test('another app’s host over a certificate that is not its own: 421, H31, and the connection goes on', async () => {
  serve(
    app('one', ['www.example.com', 'shop.example.com'], bound('one', ['www.example.com', 'shop.example.com'])),
    app('two', ['api.example.com'], bound('two', ['api.example.com'])),
    app('bare', ['bare.example.com', 'bare.localhost']),
  )
  const session = await rig.http2({ servername: 'www.example.com' })
  const of = async (host: string) =>
    (await ask(session, { ':authority': host, 'user-agent': 't"1' })).headers[':status']
  assert.is(await of('www.example.com'), 200)
  assert.is(await of('shop.example.com'), 200)
  assert.is(await of('api.example.com'), 421)
  assert.is(await of('bare.example.com'), 421)
  assert.is(await of('unknown.example.com'), 404)
  assert.is(await of('www.example.com:443'), 200)
  const line = rig.lines.find((one) => one.includes('H31')) ?? ''
  assert.match(line, /^at=error code=H31 desc="Misdirected Request" method=GET path="\/" host=api\.example\.com /)
  assert.match(
    line,
    / dyno= connect= service= status=421 bytes= protocol=http2\.0 tls=true tls_version=tls1\.3 agent="t%221"$/,
  )
  assert.not(rig.lines[0]?.includes('agent='))
})

test('over the platform’s own certificate every host that has no other is fine', async () => {
  serve(
    app('a', ['a.localhost', 'bare.example.com']),
    app('b', ['b.localhost']),
    app('two', ['api.example.com'], bound('two', ['api.example.com'])),
  )
  assert.is(await status('a.localhost', 'b.localhost'), 200)
  assert.is(await status('a.localhost', 'bare.example.com'), 200)
  assert.is(await status('a.localhost', 'api.example.com'), 421)
  assert.is(await status('api.example.com', 'a.localhost'), 421)
})

test('a client that names no app, or nothing, is taken at its word', async () => {
  serve(app('two', ['api.example.com'], bound('two', ['api.example.com'])), app('a', ['a.localhost']))
  for (const host of ['api.example.com', 'a.localhost']) {
    assert.is(await status('balancer.example.net', host), 200)
    assert.is(await status('', host), 200)
  }
})

test('a renewed certificate does not misdirect those who came under the old one', async () => {
  const hosts = ['www.example.com', 'shop.example.com']
  serve(app('one', hosts, bound('one', hosts)))
  const session = await rig.http2({ servername: 'www.example.com' })
  const of = async (host: string) => (await ask(session, { ':authority': host })).headers[':status']
  assert.is(await of('shop.example.com'), 200)
  serve(app('one', hosts, bound('new', hosts)))
  for (const host of hosts) assert.is(await of(host), 200)
})

test('HTTP/1.1 over TLS is held to the same', async () => {
  const { connect } = await import('node:tls')
  serve(
    app('one', ['www.example.com'], bound('one', ['www.example.com'])),
    app('two', ['api.example.com'], bound('two', ['api.example.com'])),
  )
  const socket = connect({
    ...{ port: rig.securePort, host: '127.0.0.1', servername: 'www.example.com', rejectUnauthorized: false },
  })
  let text = ''
  const ended = new Promise<void>((resolve) => socket.on('data', (chunk) => (text += chunk)).on('close', resolve))
  for (const [host, how] of [
    ['api.example.com', 'keep-alive'],
    ['www.example.com', 'close'],
  ])
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: ${how}\r\n\r\n`)
  await ended
  assert.match(text, /^HTTP\/1\.1 421 Misdirected Request\r\n[\s\S]*HTTP\/1\.1 200 OK\r\n/)
})

test.run()
