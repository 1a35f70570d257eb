import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createApi } from '../../daemon/api/api.ts'
import { readConfig } from '../../daemon/config.ts'
import { limits } from '../../daemon/limits.ts'
import { ensureCertificates } from '../../daemon/route/certificate.ts'
import { type ApiServer, createServer } from '../../daemon/server.ts'
import { freePort } from '../e2e/ports.ts'
import { type Host, startHost } from './host.ts'

/** Clients that mean no good, or know no better, against the daemon's own server: each gets a clear answer, and nobody else notices. */
let host: Host
let server: ApiServer
let port = 0
const bounds = limits as { bodyTime: number; answerTime: number }
const usual = { ...limits }

test.before(async () => {
  Object.assign(bounds, { bodyTime: 1500, answerTime: 1500 })
  host = await startHost()
  port = await freePort()
  const config = readConfig({
    ...{ SLUICE_DATA: host.d.config.data, SLUICE_PORT: String(port), SLUICE_HOST: '127.0.0.1' },
    ...{ SLUICE_ADMIN_TOKEN: host.token },
  })
  const refuse = (socket: { destroy(): void }): void => void socket.destroy()
  const tls = await ensureCertificates(config)
  server = createServer(
    {
      ...{
        api: createApi(host.d),
        git: () => false,
        registry: () => false,
        routers: (socket) => socket.close(),
        rendezvous: refuse,
      },
      ...{
        attach: (_, socket) => refuse(socket),
        tunnel: (_, socket) => refuse(socket),
        routerToken: 'router',
        tls,
        log: host.d.log,
      },
    },
    config,
  )
  await server.listen()
  await host.request('POST', '/apps', { body: { name: 'target' } })
})
test.after(async () => {
  await server.close()
  await host.close()
  Object.assign(bounds, { bodyTime: usual.bodyTime, answerTime: usual.answerTime })
})
test.after.each(async () => {
  assert.equal(
    host.logged.filter((line) => line.includes('request failed') || line.includes('its handler broke')),
    [],
    'nothing of it is the daemon’s own failure',
  )
  assert.match(await ask('GET /account'), /^HTTP\/1\.1 200 /)
})

const head = (line: string, headers: string[] = [], type = 'application/json'): string =>
  [
    ...[`${line} HTTP/1.1`, 'host: localhost', `authorization: Bearer ${host.token}`, `content-type: ${type}`],
    ...[...headers, '', ''],
  ].join('\r\n')

const open = (): Socket => connect(port, '127.0.0.1').on('error', () => {})

/** All that comes back until the server is done with the connection. */
async function read(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (chunk) => (text += chunk))
  if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve))
  return text
}

async function ask(line: string, { headers = [] as string[], body = '' as string | Buffer } = {}): Promise<string> {
  const socket = open()
  socket.write(head(line, [`content-length: ${Buffer.byteLength(body)}`, 'connection: close', ...headers]))
  socket.write(body)
  return read(socket)
}

const statusOf = (text: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1])

test('bodies of 10 MB are refused with 413, whether they say so, come in chunks or are packed', async () => {
  // they have the usual time to come
  const { bodyTime } = bounds
  bounds.bodyTime = usual.bodyTime
  const large = Buffer.alloc(10 * 1024 * 1024, 0x20)
  assert.is(statusOf(await ask('POST /apps', { body: large })), 413)
  const socket = open()
  socket.write(head('POST /apps', ['transfer-encoding: chunked', 'connection: close']))
  for (let sent = 0; sent < 160; sent++) socket.write(`10000\r\n${' '.repeat(65_536)}\r\n`)
  socket.write('0\r\n\r\n')
  assert.is(statusOf(await read(socket)), 413)
  const packed = gzipSync(large)
  assert.is(statusOf(await ask('POST /apps', { headers: ['content-encoding: gzip'], body: packed })), 415)
  bounds.bodyTime = bodyTime
})

test('a body without end is cut off', async () => {
  const socket = open()
  socket.write(head('POST /apps', ['transfer-encoding: chunked']))
  const chunk = Buffer.from(`100000\r\n${' '.repeat(1024 * 1024)}\r\n`)
  const pump = (): void => {
    while (!socket.destroyed && socket.write(chunk));
  }
  socket.on('drain', pump)
  pump()
  await read(socket)
  assert.ok(socket.bytesWritten < 200 * 1024 * 1024, `${socket.bytesWritten} bytes were taken`)
})

test('a body of a byte at a time is given up with 408, and so is one that nobody reads', async () => {
  for (const [path, status] of [
    ['/apps', 408],
    ['/nothing/here', 404],
  ] as const) {
    const socket = open()
    socket.write(head(`POST ${path}`, ['content-length: 1000']))
    const slow = setInterval(() => socket.write(' '), 50)
    const began = performance.now()
    assert.is(statusOf(await read(socket)), status)
    clearInterval(slow)
    assert.ok(performance.now() - began < 10_000)
  }
})

test('a reader that does not read is let go, and holds nobody up', async () => {
  for (let count = 0; count < 60; count++) await host.request('POST', '/apps', { body: {} })
  const socket = open()
  socket.pause()
  // Far more than what the network takes without a reader.
  for (let count = 0; count < 400; count++) socket.write(head('GET /apps'))
  assert.match(await ask('GET /account'), /^HTTP\/1\.1 200 /)
  const left = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  await delay(bounds.answerTime + 1000)
  // A connection that was ended has nothing but what had been sent.
  socket.resume()
  await left
  assert.ok(socket.bytesRead > 0)
})

test('JSON 100,000 levels deep, broken UTF-8, half characters and names of JavaScript’s own are refused', async () => {
  const deep = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`
  for (const [line, body, statuses] of [
    ['POST /apps', `{"name":${deep}}`, [422]],
    ['POST /apps', '['.repeat(100_000), [400]],
    ['POST /apps', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), [400]],
    ['POST /apps', '{"name":"\\ud800"}', [422]],
    ['POST /apps', '{"name":"a\\u0000b"}', [422]],
    ['POST /apps', '{"name":{"__proto__":{"name":"x"}}}', [422]],
    ['PATCH /apps/target/config-vars', '{"__proto__":"x"}', [422]],
    ['PATCH /apps/target/config-vars', '{"A":"\\ud800"}', [422]],
    ['PATCH /apps/target/config-vars', '{"\\udfff":"x"}', [422]],
    ['PATCH /apps/target/config-vars', '{"A":"\\u0000"}', [422]],
    ['PATCH /apps/target', '{"__proto__":{"maintenance":true},"constructor":{}}', [422]],
    ['PATCH /apps/target', '{"constructor":{"prototype":{"maintenance":true}}}', [200]],
    ['POST /apps/target/domains', '{"hostname":"a\\u0000.example.com"}', [422]],
    ['POST /apps/target/collaborators', '{"user":"\\u0000"}', [422]],
  ] as const)
    assert.ok(
      (statuses as readonly number[]).includes(statusOf(await ask(line, { body }))),
      `${line} ${body.slice(0, 60)}`,
    )
  assert.is((await host.request('GET', '/apps/target')).json.maintenance, false)
  assert.is(({} as { maintenance?: unknown }).maintenance, undefined)
  const { json } = await host.request('PATCH', '/apps/target/config-vars', {
    body: '{"constructor":"x","E":"\\ud83d\\ude00"}',
  })
  assert.equal(json, { constructor: 'x', E: '😀' })
})

test('paths that do not decode, or are very long, are not found', async () => {
  for (const path of [
    '/apps/%ff',
    '/apps/%',
    '/apps/%e0%a4%a',
    '/apps/%00',
    '/apps/..%2f..%2fetc',
    `/apps/${'x'.repeat(60_000)}`,
    `/${'a/'.repeat(20_000)}`,
  ])
    for (const method of ['GET', 'PATCH', 'DELETE'])
      assert.is(statusOf(await ask(`${method} ${path}`)), 404, path.slice(0, 60))
  for (const header of [
    'range: \x01',
    `range: ${'id '.repeat(10_000)}`,
    'range: version a~b..',
    'accept: ,;;,',
    'if-none-match: ,"',
  ])
    assert.ok(
      [200, 400, 406, 416].includes(statusOf(await ask('GET /apps/target/releases', { headers: [header] }))),
      header.slice(0, 60),
    )
})

test('heads that are too large get 431; ten thousand headers in a small one are no harm', async () => {
  assert.is(statusOf(await ask('GET /account', { headers: [`x-large: ${'x'.repeat(70_000)}`] })), 431)
  const many = Array.from({ length: 10_000 }, (_, index) => `a${index % 7}:b`)
  assert.ok([200, 400, 401, 431].includes(statusOf(await ask('GET /account', { headers: many }))))
})

test('requests that are sent ahead are answered in order', async () => {
  const socket = open()
  for (let count = 0; count < 50; count++) socket.write(head('GET /account', [`request-id: r-${count}`]))
  socket.write(head('GET /apps/none', ['request-id: last', 'connection: close']))
  const text = await read(socket)
  const ids = [...text.matchAll(/^request-id: (.*)\r$/gim)].map(([, id]) => id)
  assert.equal(ids, [...Array.from({ length: 50 }, (_, count) => `r-${count}`), 'last'])
})

test('thousands of connections that say nothing, or half a head, hold nobody up, and memory stays as it was', async () => {
  const floods = async () => {
    const sockets = Array.from({ length: 2000 }, open)
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    for (const [index, socket] of sockets.entries()) if (index % 2) socket.write('GET /account HTT')
    assert.match(await ask('GET /account'), /^HTTP\/1\.1 200 /)
    for (const socket of sockets) socket.destroy()
    for (let count = 0; count < 200; count++)
      await ask('PATCH /apps/target/config-vars', { body: `{"A":"${'\\ud800'.repeat(1000)}"}` })
    await delay(200)
    return process.memoryUsage().heapUsed / 1024 / 1024
  }
  const before = await floods()
  await floods()
  const after = await floods()
  assert.ok(after < before + 100, `the heap grew from ${before.toFixed(0)} to ${after.toFixed(0)} MB`)
})

test.run()
