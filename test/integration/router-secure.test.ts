import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Server } from 'node:tls'
import { connect } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Contexts } from '../../router/contexts.ts'
import { editionOf, nothing } from '../../router/edition.ts'
import { listenTls } from '../../router/listener.ts'
import { Snapshots } from '../../router/snapshot.ts'
import { freePort } from '../e2e/ports.ts'
import { make } from './chains.ts'
import { client, type Dyno, httpDyno, portOf, type Rig, startRig, tableOf } from './router-rig.ts'

/** The way to https, and what an authority asks on the way to a certificate. */

const pair = await make({ names: ['a.localhost'] })
let rig: Rig
let secure: Server
let dyno: Dyno
/** What the dyno got. */
let seen: string[]

test.before.each(async () => {
  rig = await startRig()
  rig.router.tlsPort = 8443
  const [key, cert] = [Buffer.from(pair.key), Buffer.from(pair.cert)]
  secure = await listenTls(
    rig.router,
    { host: '127.0.0.1', port: 0 },
    { key, cert, contexts: new Contexts(rig.router, () => {}) },
  )
  seen = []
  dyno = await httpDyno((req, res) => {
    seen.push(`${req.method} ${req.url}`)
    if (req.url === '/own') res.setHeader('Strict-Transport-Security', 'max-age=1; preload')
    res.end('<dyno>')
  })
})

test.after.each(async () => {
  dyno.close()
  secure.close()
  await rig.close()
})

const TOKEN = 'LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0'
const CHALLENGE = `/.well-known/acme-challenge/${TOKEN}`

const request = (line: string, ...fields: string[]): string =>
  [`${line} HTTP/1.1`, 'Host: a.localhost', ...fields, '', ''].join('\r\n')

/** Over http; the connection is closed by the client when the answer matches. */
async function plain(text: string, until: RegExp = /\r\n\r\n/): Promise<string> {
  const asking = client(rig.port).write(text)
  const answer = await asking.until(until)
  asking.socket.destroy()
  return answer
}

async function overTls(target: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: portOf(secure), servername: 'a.localhost', ca: pair.cert })
  await once(socket, 'secureConnect')
  socket.write(request(`GET ${target}`, 'Connection: close'))
  let text = ''
  for await (const chunk of socket) text += chunk
  return text
}

const serve = (app: Parameters<Rig['serve']>[0]) => rig.serve({ backends: [dyno.route()], ...app })

test('an app that asks for it has http answered by a redirect to the same place, which is logged', async () => {
  serve({ redirect: true })
  const text = await plain(request('GET /a/b?c=d'))
  assert.match(text, /^HTTP\/1\.1 301 Moved Permanently\r\nLocation: https:\/\/a\.localhost:8443\/a\/b\?c=d\r\n/)
  assert.match(text, /\r\nCache-Control: no-store\r\n[\s\S]*Connection: keep-alive\r\n/)
  assert.match(
    rig.lines[0] ?? '',
    /^at=info method=GET path="\/a\/b\?c=d" host=a\.localhost .* dyno= connect= service= status=301 bytes=35 /,
  )
  rig.router.tlsPort = 443
  assert.match(
    await plain(request('HEAD /')),
    /^HTTP\/1\.1 301 .*\r\nLocation: https:\/\/a\.localhost\/\r\n[\s\S]*\r\n\r\n$/,
  )
  assert.match(await plain(request('OPTIONS *')), /^HTTP\/1\.1 308 .*\r\nLocation: https:\/\/a\.localhost\/\r\n/)
  assert.equal(seen, [])
})

test('another method is asked to be sent again; a body that nobody takes ends the connection', async () => {
  serve({ redirect: true })
  const posting = client(rig.port).write(`${request('POST /form', 'Content-Length: 5')}hello${request('GET /next')}`)
  const text = await posting.untilClosed()
  assert.match(
    text,
    /^HTTP\/1\.1 308 Permanent Redirect\r\nLocation: https:\/\/a\.localhost:8443\/form\r\n[\s\S]*Connection: close\r\n/,
  )
  assert.is(text.match(/HTTP\/1\.1/g)?.length, 1, 'the body is not read as a request')
  assert.match(await plain(request('DELETE /form')), /^HTTP\/1\.1 308 [\s\S]*Connection: keep-alive/)
})

test('requests over TLS, and those to other apps, are not redirected; one in maintenance is', async () => {
  serve({ redirect: true })
  assert.match(await overTls('/'), /^HTTP\/1\.1 200 [\s\S]*<dyno>/)
  serve({ redirect: true, maintenance: true })
  assert.match(await plain(request('GET /')), /^HTTP\/1\.1 301 /)
  assert.match(await overTls('/'), /^HTTP\/1\.1 503 [\s\S]*Offline for Maintenance/)
  serve({})
  assert.match(await plain(request('GET /'), /<dyno>/), /^HTTP\/1\.1 200 /)
})

test('Strict-Transport-Security is told over TLS only, on pages of ours too; an app’s own stays the only one', async () => {
  serve({ hsts: 86_400 })
  assert.match(await overTls('/'), /\r\nStrict-Transport-Security: max-age=86400\r\n/)
  assert.equal((await overTls('/own')).match(/strict-transport-security: .*/gi), [
    'Strict-Transport-Security: max-age=1; preload',
  ])
  assert.not.match(await plain(request('GET /'), /<dyno>/), /Strict-Transport-Security/)
  serve({ hsts: 0, maintenance: true })
  assert.match(await overTls('/'), /^HTTP\/1\.1 503 [\s\S]*\r\nStrict-Transport-Security: max-age=0\r\n/)
  assert.not.match(await plain(request('GET /')), /Strict-Transport-Security/)
  serve({})
  assert.not.match(await overTls('/'), /Strict-Transport-Security/)
})

test('a challenge of the table is answered for its host, in maintenance and before any redirect', async () => {
  const challenges = [
    { host: 'a.localhost', token: TOKEN, authorization: `${TOKEN}.thumb` },
    { host: 'nobody.example.com', token: TOKEN, authorization: 'other' },
  ]
  const { apps } = tableOf(1, { redirect: true, maintenance: true, backends: [dyno.route()] })
  rig.router.apply({ version: 1, apps, challenges })
  const text = await plain(request(`GET ${CHALLENGE}`), /thumb/)
  assert.match(text, /^HTTP\/1\.1 200 OK\r\nContent-Type: application\/octet-stream\r\n[\s\S]*\r\n\r\nLoq\w+\.thumb$/)
  assert.match(
    rig.lines[0] ?? '',
    /^at=info method=GET path="\/\.well-known\/acme-challenge\/Loq\w+" .* status=200 bytes=49 /,
  )
  const foreign = request(`GET ${CHALLENGE}`).replace('a.localhost', 'NOBODY.example.com:80')
  assert.match(await plain(foreign, /other/), /^HTTP\/1\.1 200 OK/)
  rig.router.apply({ version: 2, apps, challenges: [] })
  assert.match(await plain(foreign), /^HTTP\/1\.1 404 /)
})

test('tokens that are not of the table go to the app, without a redirect, because it may have a client of its own', async () => {
  const challenges = [{ host: 'a.localhost', token: TOKEN, authorization: 'ours' }]
  const { apps } = tableOf(1, { redirect: true, backends: [dyno.route()] })
  rig.router.apply({ version: 1, apps, challenges })
  const others = [`${CHALLENGE}x`, CHALLENGE.slice(0, -1), `${CHALLENGE}?a=b`, `${CHALLENGE}/`, CHALLENGE.toLowerCase()]
  for (const target of others) assert.match(await plain(request(`GET ${target}`), /<dyno>/), /^HTTP\/1\.1 200 /, target)
  assert.match(await plain(request(`POST ${CHALLENGE}`), /<dyno>/), /^HTTP\/1\.1 200 /)
  assert.equal(seen, [...others.map((target) => `GET ${target}`), `POST ${CHALLENGE}`])
})

test('redirects lead to the port for TLS that clients see', async () => {
  const data = await mkdtemp(join(tmpdir(), 'sluice-secure-'))
  const snapshots = new Snapshots(join(data, 'router'))
  await snapshots.write(editionOf(tableOf(1, { redirect: true }), new Map()), nothing)
  const main = join(import.meta.dirname, '..', '..', 'router', 'main.js')
  const tls = String(await freePort())
  for (const [settings, place] of [
    [{ SLUICE_TLS_PORT: tls }, `https://a.localhost:${tls}/`],
    [{ SLUICE_TLS_PORT: tls, SLUICE_TLS_PUBLIC_PORT: '443' }, 'https://a.localhost/'],
  ] as const) {
    const port = await freePort()
    const env = { ...process.env, ...settings, SLUICE_DATA: data, SLUICE_HTTP_PORT: String(port), SLUICE_PORT: '1' }
    const child = spawn(process.execPath, [main], {
      env: { ...env, SLUICE_ROUTER_HOST: '127.0.0.1' },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    try {
      for await (const said of child.stderr) if (String(said).includes('listens')) break
      const asking = client(port).write(request('GET /'))
      assert.match(await asking.until(/\r\n\r\n/), `\r\nLocation: ${place}\r\n`)
      asking.socket.destroy()
    } finally {
      child.kill('SIGKILL')
    }
  }
  await rm(data, { recursive: true, force: true })
})

test.run()
