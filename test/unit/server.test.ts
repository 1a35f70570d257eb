import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage, type RequestListener } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect, createServer as createNetServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocket } from 'ws'
import { readConfig } from '../../daemon/config.ts'
import { proofOf } from '../../daemon/forwarded.ts'
import { limits } from '../../daemon/limits.ts'
import { createLog } from '../../daemon/log.ts'
import { ensureCertificates } from '../../daemon/route/certificate.ts'
import { type ApiServer, createServer } from '../../daemon/server.ts'
import { freePort } from '../e2e/ports.ts'
import { waitFor } from '../e2e/wait.ts'

let data = ''
let port = 0
let ca = ''
let server: ApiServer
let api: RequestListener
let routers: WebSocket[]
let met: { secret: string; socket: Duplex }[]
let log: string[]

test.before.each(async () => {
  data = await mkdtemp(join(tmpdir(), 'sluice-server-'))
  port = await freePort()
  api = (req, res) => res.end(`api ${req.url}`)
  routers = []
  met = []
  log = []
  server = await make()
  await server.listen()
  ca = await readFile(join(data, 'tls', 'ca.pem'), 'utf8')
})
test.after.each(async () => {
  await server.close()
  await rm(data, { recursive: true })
})

async function make(hosts = '127.0.0.1,::1'): Promise<ApiServer> {
  const config = readConfig({ SLUICE_DATA: data, SLUICE_PORT: String(port), SLUICE_HOST: hosts })
  const parts = {
    api: ((req, res) => api(req, res)) satisfies RequestListener,
    git: (req: IncomingMessage, res: { end(text: string): void }) => {
      if (!req.url?.includes('.git/')) return false
      res.end('git')
      return true
    },
    routers: (socket: WebSocket) => void routers.push(socket),
    rendezvous: (socket: Duplex, secret: string) => void met.push({ secret, socket }),
    attach: (_: unknown, socket: Socket) => void socket.end('attached'),
    tunnel: (_: unknown, socket: Socket) => void socket.end('tunnelled'),
    registry: () => false,
    routerToken: 'router-token',
    tls: await ensureCertificates(config),
    log: createLog((line) => void log.push(line)),
  }
  return createServer(parts, config)
}

async function get(
  url: string,
  headers: Record<string, string> = {},
): Promise<{ status: number | undefined; text: string }> {
  const request = url.startsWith('https') ? httpsRequest(url, { ca, headers }) : httpRequest(url, { headers })
  const [response] = (await once(request.end(), 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of response) text += chunk
  return { status: response.statusCode, text }
}

test('HTTP and TLS are served on the same port, with a certificate that the authority vouches for', async () => {
  for (const protocol of ['http', 'https'])
    for (const host of ['localhost', '127.0.0.1'])
      assert.is((await get(`${protocol}://${host}:${port}/apps`)).text, 'api /apps')
})

test('what a router says of a client is believed, and from anyone else it gets nowhere; routers do not connect by routers', async () => {
  api = (req, res) => res.end(String(req.headers['x-forwarded-for']))
  const claim = { 'x-forwarded-for': '198.51.100.7', 'x-forwarded-proto': 'https' }
  assert.is((await get(`http://localhost:${port}/`, claim)).text, 'undefined')
  const routed = { ...claim, 'sluice-router': proofOf('router-token') }
  assert.is((await get(`http://localhost:${port}/`, routed)).text, '198.51.100.7')
  const socket = new WebSocket(`ws://localhost:${port}/routers`, {
    headers: { ...routed, authorization: 'Bearer router-token' },
  })
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
  assert.is(response.statusCode, 404)
})

test('who is refused an upgrade and does not go is cut off', async () => {
  const { refused } = limits
  Object.assign(limits, { refused: 50 })
  try {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    let [text, end] = ['', '']
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      end ||= code ?? ''
    })
    socket.write('GET /routers HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n')
    await once(socket, 'end')
    assert.match(text, /^HTTP\/1\.1 401/)
    await waitFor('it to be cut off', () => {
      socket.write('more')
      return end !== ''
    })
    assert.match(end, /^(ECONNRESET|EPIPE)$/)
  } finally {
    Object.assign(limits, { refused })
  }
})

test('a certificate that was renewed is served from the next handshake on, and who is connected stays', async () => {
  const shown = async (socket: TLSSocket): Promise<string> => {
    await once(socket, 'secureConnect')
    return socket.getPeerCertificate().fingerprint256
  }
  const before = connectTls({ port, host: 'localhost', ca })
  const first = await shown(before)
  const config = readConfig({ SLUICE_DATA: data, SLUICE_DOMAIN: 'example.com' })
  server.useCertificate(await ensureCertificates(config))
  const after = connectTls({ port, host: 'localhost', ca })
  assert.is.not(await shown(after), first)
  after.destroy()
  before.end('GET /still HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
  let text = ''
  for await (const chunk of before) text += chunk
  assert.match(text, /api \/still$/)
})

test('requests for repositories go to git', async () => {
  assert.is((await get(`http://localhost:${port}/sample.git/info/refs`)).text, 'git')
})

test('a first byte that comes alone is enough to tell, and what follows is not lost', async () => {
  const socket = connect(port, '127.0.0.1')
  socket.write('G')
  await new Promise((resolve) => setImmediate(resolve))
  socket.write('ET /slow HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
  let text = ''
  for await (const chunk of socket) text += chunk
  assert.match(text, /api \/slow$/)
})

test('clients that leave without a word, or speak nonsense, do no harm', async () => {
  for (const nonsense of ['', '\x16', '\x16\x03\x01\xff\xff garbage', '\0\0\0\0', 'HELLO\r\n\r\n']) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.resume().end(nonsense, 'latin1')
    await once(socket, 'close')
  }
  assert.is((await get(`https://localhost:${port}/`)).status, 200)
})

test('a secret in place of a request, over TLS, is a rendezvous; what follows it is left on the stream', async () => {
  const secret = '0a'.repeat(32)
  for (const [sent, left] of [
    [[`${secret}\r\n`, 'input'], 'input'],
    [[`${secret}\r\ninput`], 'input'],
    [[secret, '\x03'], '\x03'],
    [[secret.slice(0, 10), `${secret.slice(10)}\r\n`, 'x'], 'x'],
  ] as const) {
    const socket = connectTls({ port, host: 'localhost', ca })
    await once(socket, 'secureConnect')
    for (const piece of sent) await new Promise((resolve) => socket.write(piece, resolve))
    const { secret: got, socket: other } = await waitFor('the rendezvous', () => met.shift())
    assert.is(got, secret)
    let text = ''
    other.on('data', (chunk) => (text += chunk))
    await waitFor('the input', () => text === left)
    socket.destroy()
    other.destroy()
  }
})

test('a secret without TLS is not listened to', async () => {
  const socket = connect(port, '127.0.0.1')
  socket.write(`${'0a'.repeat(32)}\r\n`)
  let text = ''
  for await (const chunk of socket) text += chunk
  assert.match(text, /^HTTP\/1\.1 400 /)
  assert.is(met.length, 0)
})

/** What comes back for a request line that no client library would send. */
async function ask(target: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(`GET ${target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`)
  let text = ''
  for await (const chunk of socket) text += chunk
  return text
}

test('a target that is no URL is answered, and so is a request that nobody foresaw', async () => {
  for (const target of ['//', 'http://[', '*']) assert.match(await ask(target), /^HTTP\/1\.1 200 /)
  api = (req) => void new URL(req.url ?? '', 'http://localhost')
  for (const target of ['//', 'http://[']) assert.match(await ask(target), /^HTTP\/1\.1 400 /)
  api = (_, res) => res.end('api')
  assert.is((await get(`http://localhost:${port}/`)).text, 'api')
})

test('a request that makes a part of the server throw is answered, and the next one too', async () => {
  const before = api
  api = () => {
    throw new Error('surprise')
  }
  assert.is((await get(`http://127.0.0.1:${port}/`)).status, 400)
  api = before
  assert.is((await get(`http://127.0.0.1:${port}/`)).status, 200)
})

test('what a part throws is in the log with the id of the request, and nothing that the client sent', async () => {
  api = () => {
    throw new Error('surprise')
  }
  const request = httpRequest(`http://127.0.0.1:${port}/secret?token=secret`, {
    method: 'POST',
    headers: { 'request-id': 'abc,def', authorization: 'Bearer secret' },
  })
  const [response] = (await once(request.end('secret'), 'response')) as [IncomingMessage]
  response.resume()
  assert.is(response.headers['request-id'], 'abc')
  assert.is(log.length, 1)
  const { request: id, method, error } = JSON.parse(String(log[0]).slice('<3>'.length))
  assert.equal([id, method], ['abc', 'POST'])
  assert.match(error, /^Error: surprise/)
  assert.not.match(log.join(''), /secret/)
})

test('the growing Request-Id of the official CLI fits', async () => {
  assert.is((await get(`http://localhost:${port}/`, { 'request-id': 'x'.repeat(60_000) })).status, 200)
  assert.is((await get(`http://localhost:${port}/`, { 'request-id': 'x'.repeat(70_000) })).status, 431)
})

test('a router with the token is let in, over HTTP and TLS', async () => {
  for (const protocol of ['ws', 'wss']) {
    const socket = new WebSocket(`${protocol}://localhost:${port}/routers`, {
      ca,
      headers: { authorization: 'Bearer router-token' },
    })
    await once(socket, 'open')
    routers.at(-1)?.send('table')
    const [message] = (await once(socket, 'message')) as [Buffer]
    assert.is(String(message), 'table')
  }
  assert.is(routers.length, 2)
})

test('a router without the token, and a websocket to anywhere else, is refused', async () => {
  for (const [path, authorization] of [
    ['/routers', ''],
    ['/routers', 'Bearer router-tokem'],
    ['/routers', 'router-token'],
    ['/other', 'Bearer router-token'],
  ] as const) {
    const socket = new WebSocket(`ws://localhost:${port}${path}`, { headers: { authorization } })
    const [error] = (await once(socket, 'error')) as [Error]
    assert.match(error.message, /401|404/)
  }
  assert.is(routers.length, 0)
})

test('a taken port is told in one sentence with the way out', async () => {
  const second = await make('127.0.0.1')
  const why = await second.listen().then(
    () => '',
    (error: Error) => error.message,
  )
  assert.is(
    why,
    `Port ${port} of 127.0.0.1 is taken, perhaps by another Sluice. Stop that, or set SLUICE_PORT to a free port.`,
  )
})

/** How long a running answer may take, which is not waited for here. */
const LINGER = 3000

test('a close ends idle connections and routers at once', async () => {
  const router = new WebSocket(`ws://localhost:${port}/routers`, { headers: { authorization: 'Bearer router-token' } })
  await once(router, 'open')
  const closed = once(router, 'close')
  const started = performance.now()
  await server.close()
  assert.is((await closed)[0], 1001)
  assert.ok(performance.now() - started < LINGER)
})

test('a close lets a running answer end, and waits no longer than a few seconds for one that does not', async () => {
  let answered = (): void => {}
  const asked = new Promise<void>((resolve) => {
    answered = resolve
  })
  let finish = (): void => {}
  api = (req, res) => {
    res.write('half ')
    if (req.url === '/ends') finish = () => res.end('whole')
    answered()
  }
  const ends = get(`http://localhost:${port}/ends`)
  await asked
  const never = get(`http://localhost:${port}/never`).catch(() => 'cut')
  const closing = server.close()
  finish()
  assert.is((await ends).text, 'half whole')
  await closing
  assert.is(await never, 'cut')
  await new Promise<void>((resolve, reject) => {
    const again = createNetServer().on('error', reject)
    again.listen(port, '127.0.0.1', () => again.close(() => resolve()))
  })
})

test.run()
