import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createSecureContext, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocketServer } from 'ws'
import { systemClock } from '../../daemon/clock.ts'
import { createLog } from '../../daemon/log.ts'
import { ensureCertificates } from '../../daemon/route/certificate.ts'
import type { Pair } from '../../daemon/route/chain.ts'
import { createRouters } from '../../daemon/route/control.ts'
import type { Routers } from '../../daemon/route/routers.ts'
import { Contexts } from '../../router/contexts.ts'
import type { AppRoute } from '../../router/protocol.ts'
import { Router } from '../../router/router.ts'
import { freePort } from '../e2e/ports.ts'
import { EC, type Made, make } from './chains.ts'
import { type Dyno, eventually, httpDyno, tableOf } from './router-rig.ts'

/** The real router process and the daemon's end of the protocol over a real websocket; TLS clients of Node.js and OpenSSL. */

const main = join(import.meta.dirname, '..', '..', 'router', 'main.js')
let data: string
let ports: { http: number; https: number; api: number }
let dyno: Dyno
const running = new Set<ChildProcess>()
const closing: (() => void)[] = []

test.before.each(async () => {
  data = await mkdtemp(join(tmpdir(), 'sluice-tls-'))
  await writeFile(join(data, 'router.token'), 'secret\n')
  await ensureCertificates({ data, domain: 'localhost', api: { hosts: [] } })
  ports = { http: await freePort(), https: await freePort(), api: await freePort() }
  dyno = await httpDyno((_, res) => res.end('hello'))
})

test.after.each(async () => {
  for (const child of running) child.kill('SIGKILL')
  running.clear()
  for (const close of closing.splice(0)) close()
  dyno.close()
  await rm(data, { recursive: true, force: true })
})

function startRouter(): ChildProcess {
  const env = {
    ...process.env,
    ...{ SLUICE_DATA: data, SLUICE_PORT: String(ports.api), SLUICE_ROUTER_HOST: '127.0.0.1' },
    ...{ SLUICE_HTTP_PORT: String(ports.http), SLUICE_TLS_PORT: String(ports.https) },
  }
  const child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  running.add(child)
  return child
}

/** The daemon's end, with apps and certificates as this test has them. */
interface Source {
  routers: Routers
  apps: AppRoute[]
  pairs: Map<string, Pair>
  /** Ids of the certificates that were asked for. */
  asked: string[]
  /** Bytes that went to the router. */
  sent(): number
  publish(): Promise<void>
  stop(): void
}

function startDaemon(): Source {
  const server = createHttpServer()
  const sockets = new WebSocketServer({ server, path: '/routers' })
  let bytes = 0
  const source: Source = {
    apps: [],
    pairs: new Map(),
    asked: [],
    sent: () => bytes,
    routers: createRouters(
      { clock: systemClock, log: createLog(() => {}) },
      {
        routes: async () => source.apps,
        async pairs(ids) {
          source.asked.push(...ids)
          return new Map([...source.pairs].filter(([id]) => ids.includes(id)))
        },
        challenges: () => [],
        changed() {},
        logLine() {},
      },
    ),
    async publish() {
      await source.routers.publish()
      await eventually(
        () => source.routers.acknowledged('app'),
        () => 'the router to apply the table',
      )
    },
    stop() {
      source.routers.close()
      for (const socket of sockets.clients) socket.terminate()
      server.close()
    },
  }
  sockets.on('connection', (socket) => {
    const { send } = socket
    socket.send = ((text: string) => {
      bytes += text.length
      return send.call(socket, text, {})
    }) as typeof send
    source.routers.accept(socket)
  })
  server.listen(ports.api, '127.0.0.1')
  closing.push(source.stop)
  return source
}

const appOf = (app: Partial<AppRoute>): AppRoute[] => tableOf(0, { backends: [dyno.route()], ...app }).apps
const pairOf = ({ cert, key }: Made): Pair => ({ chain: cert, key })

/** A handshake for this name; the certificate that came, and the connection. */
async function greet(
  servername: string,
  ca?: string,
  session?: Buffer,
): Promise<{ subject: string; socket: TLSSocket; session: Promise<Buffer> }> {
  const socket = connect({
    host: '127.0.0.1',
    port: ports.https,
    servername,
    rejectUnauthorized: ca !== undefined,
    ...(ca ? { ca } : {}),
    ...(session ? { session } : {}),
  })
  const given = new Promise<Buffer>((resolve) => socket.once('session', resolve))
  await once(socket, 'secureConnect')
  socket.on('error', () => undefined)
  return { subject: String(socket.getPeerCertificate().subject?.CN), socket, session: given }
}

async function subjectFor(servername: string, ca?: string): Promise<string> {
  const { subject, socket } = await greet(servername, ca)
  socket.destroy()
  return subject
}

async function ask(socket: TLSSocket, host: string): Promise<string> {
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  const [answer] = await once(socket, 'data')
  return String(answer)
}

test('each domain gets the certificate that it is bound to, all others the platform’s own', async () => {
  const daemon = startDaemon()
  const [www, wild] = [await make({ names: ['www.example.com'] }), await make({ names: ['*.example.com'] })]
  daemon.pairs.set('w', pairOf(www)).set('x', pairOf(wild))
  daemon.apps = appOf({
    hosts: ['a.localhost', 'www.example.com', '*.example.com', 'bare.example.com'],
    certificates: [
      { id: 'w', hosts: ['www.example.com'] },
      { id: 'x', hosts: ['*.example.com'] },
    ],
  })
  startRouter()
  await daemon.publish()
  const { subject, socket } = await greet('www.example.com', www.cert)
  assert.is(subject, 'www.example.com')
  assert.match(await ask(socket, 'www.example.com'), /^HTTP\/1\.1 200 [\s\S]*hello/)
  socket.destroy()
  assert.is(await subjectFor('ANY.example.com', wild.cert), '*.example.com')
  for (const name of ['bare.example.com', 'a.localhost', 'unknown.example.org', 'localhost'])
    assert.is(await subjectFor(name), 'Sluice', name)
})

test('openssl’s client gets the whole chain, and verifies it', async () => {
  const daemon = startDaemon()
  const root = await make({ subject: 'CN=root', authority: true })
  const middle = await make({ subject: 'CN=middle', authority: true, issuer: root })
  const site = await make({ names: ['www.example.com'], issuer: middle })
  daemon.pairs.set('w', { chain: site.cert + middle.cert, key: site.key })
  daemon.apps = appOf({ hosts: ['www.example.com'], certificates: [{ id: 'w', hosts: ['www.example.com'] }] })
  startRouter()
  await daemon.publish()
  await writeFile(join(data, 'root.pem'), root.cert)
  const args = ['s_client', '-connect', `127.0.0.1:${ports.https}`, '-servername', 'www.example.com']
  const client = spawn('openssl', [...args, '-CAfile', join(data, 'root.pem'), '-verify_return_error', '-showcerts'])
  client.stdin.end()
  let said = ''
  client.stdout.on('data', (chunk) => {
    said += chunk
  })
  await once(client, 'close')
  assert.match(said, /Verify return code: 0 \(ok\)/)
  assert.is(said.match(/BEGIN CERTIFICATE/g)?.length, 2)
})

test('the router process speaks HTTP/2 to who wants it, and its tickets outlive a certificate of the platform’s', async () => {
  const daemon = startDaemon()
  daemon.apps = appOf({})
  startRouter()
  await daemon.publish()
  const url = `https://a.localhost:${ports.https}/`
  const args = ['-skS', '--http2', '--resolve', `a.localhost:${ports.https}:127.0.0.1`, '-w', ' %{http_version}', url]
  const { stdout } = await promisify(execFile)('curl', args)
  assert.is(stdout, 'hello 2')
  const { socket, session } = await greet('a.localhost')
  const ticket = await session
  socket.destroy()
  await rm(join(data, 'tls', 'cert.pem'))
  await ensureCertificates({ data, domain: 'localhost', api: { hosts: [] } })
  daemon.apps = appOf({ maintenance: true })
  await daemon.publish()
  const resumed = await greet('a.localhost', undefined, ticket)
  assert.ok(resumed.socket.isSessionReused())
  assert.match(await ask(resumed.socket, 'a.localhost'), /^HTTP\/1\.1 503 /)
  resumed.socket.destroy()
})

test('an update is served from the next handshake on: none fails, open connections go on, nothing is restarted', async () => {
  const daemon = startDaemon()
  const [old, renewed] = [
    await make({ names: ['www.example.com'] }),
    await make({ subject: 'CN=renewed', names: ['www.example.com'] }),
  ]
  daemon.pairs.set('old', pairOf(old))
  const bound = (id: string) =>
    appOf({ hosts: ['www.example.com'], certificates: [{ id, hosts: ['www.example.com'] }] })
  daemon.apps = bound('old')
  startRouter()
  await daemon.publish()
  const before = await greet('www.example.com')
  const session = await before.session
  let stop = false
  const subjects: string[] = []
  const clients = Array.from({ length: 4 }, async () => {
    while (!stop) subjects.push(await subjectFor('www.example.com'))
  })
  await eventually(
    () => subjects.length > 20,
    () => '20 handshakes',
  )
  daemon.pairs.delete('old')
  daemon.pairs.set('new', pairOf(renewed))
  daemon.apps = bound('new')
  await daemon.publish()
  const first = subjects.length
  await eventually(
    () => subjects.length > first + 40,
    () => '40 more handshakes',
  )
  daemon.apps = appOf({ hosts: ['www.example.com'] })
  await daemon.publish()
  assert.is(await subjectFor('www.example.com'), 'Sluice')
  stop = true
  await Promise.all(clients)
  // those that were under way when the table came, one a client, may have either
  assert.ok(subjects.slice(first + 4, first + 40).every((subject) => subject === 'renewed'))
  assert.match(await ask(before.socket, 'www.example.com'), /200 /)
  const resumed = await greet('www.example.com', undefined, session)
  assert.match(await ask(resumed.socket, 'www.example.com'), /200 /)
  assert.ok(resumed.socket.isSessionReused())
  resumed.socket.destroy()
  before.socket.destroy()
  const files = await readFile(join(data, 'router', 'certificates.json'), 'utf8')
  assert.is(files, '[]')
})

test('killed and started without a daemon it serves the certificates that it has kept, which only the owner can read', async () => {
  const daemon = startDaemon()
  const www = await make({ names: ['www.example.com'] })
  daemon.pairs.set('w', pairOf(www))
  daemon.apps = appOf({ hosts: ['www.example.com'], certificates: [{ id: 'w', hosts: ['www.example.com'] }] })
  const first = startRouter()
  await daemon.publish()
  daemon.stop()
  first.kill('SIGKILL')
  await once(first, 'exit')
  for (const name of await readdir(join(data, 'router')))
    assert.is((await stat(join(data, 'router', name))).mode & 0o777, 0o600, name)
  startRouter()
  await waitForPort(ports.https)
  assert.is(await subjectFor('www.example.com', www.cert), 'www.example.com')
  // a daemon that comes back does not send again what is there
  const back = startDaemon()
  back.pairs = daemon.pairs
  back.apps = daemon.apps
  await back.publish()
  assert.equal(back.asked, [])
  assert.is(await subjectFor('www.example.com', www.cert), 'www.example.com')
})

async function waitForPort(port: number): Promise<void> {
  for (let left = 400; left > 0; left--) {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
    const there = await once(socket, 'secureConnect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (there) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error('the router did not open its TLS port')
}

test('a certificate that was removed, or that OpenSSL does not take, costs its host nothing but the certificate', async () => {
  const daemon = startDaemon()
  const [www, other] = [await make({ names: ['www.example.com'] }), await make({ names: ['other.example.com'] })]
  daemon.pairs.set('mixed', { chain: www.cert, key: other.key }).set('w', pairOf(www))
  daemon.apps = appOf({
    hosts: ['www.example.com', 'gone.example.com', 'mixed.example.com'],
    certificates: [
      { id: 'w', hosts: ['www.example.com'] },
      { id: 'gone', hosts: ['gone.example.com'] },
      { id: 'mixed', hosts: ['mixed.example.com'] },
    ],
  })
  startRouter()
  await daemon.publish()
  assert.is(await subjectFor('www.example.com'), 'www.example.com')
  assert.is(await subjectFor('gone.example.com'), 'Sluice')
  assert.is(await subjectFor('mixed.example.com'), 'Sluice')
})

test('a thousand certificates are sent once; later tables are small, and each is served', async () => {
  const daemon = startDaemon()
  const keys = await make({ names: ['x.example.com'], algorithm: EC })
  const count = 1000
  for (let index = 0; index < count; index++) daemon.pairs.set(`id-${index}`, pairOf(keys))
  const names = Array.from({ length: count }, (_, index) => `n${index}.example.com`)
  const app = (maintenance: boolean) =>
    appOf({
      hosts: names,
      maintenance,
      certificates: names.map((name, index) => ({ id: `id-${index}`, hosts: [name] })),
    })
  daemon.apps = app(false)
  startRouter()
  await daemon.publish()
  const first = daemon.sent()
  daemon.apps = app(true)
  const begin = performance.now()
  await daemon.publish()
  const [later, ms] = [daemon.sent() - first, performance.now() - begin]
  console.log(`1000 certificates: first table ${first} bytes, later ${later} bytes, applied in ${ms.toFixed(0)} ms`)
  assert.is(daemon.asked.length, count)
  assert.ok(later < first / 5, `first ${first} bytes, later ${later}`)
  assert.is(await subjectFor('n999.example.com'), 'x.example.com')
})

test('OpenSSL’s forms of certificates are bounded: the least recently used is made again when it is asked for', async () => {
  const router = new Router({ up() {}, drained() {}, line() {} }, { secureContexts: 2 })
  const contexts = new Contexts(router, () => {})
  const names = ['a.example.com', 'b.example.com', 'c.example.com']
  const certificates = new Map(
    await Promise.all(
      names.map(async (name) => {
        const { cert, key } = await make({ names: [name] })
        return [name, { id: name, chain: cert, key }] as const
      }),
    ),
  )
  router.apply(tableOf(1, { hosts: names, certificates: names.map((name) => ({ id: name, hosts: [name] })) }))
  contexts.use(certificates)
  const [a, b] = [contexts.find('a.example.com'), contexts.find('b.example.com')]
  assert.instance(a, createSecureContext().constructor)
  assert.is(contexts.find('a.example.com'), a)
  contexts.find('c.example.com')
  assert.is(contexts.find('a.example.com'), a)
  assert.is.not(contexts.find('b.example.com'), b)
  contexts.use(new Map())
  assert.is(contexts.find('a.example.com'), undefined)
  await router.close()
})

test.run()
