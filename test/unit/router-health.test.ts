import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createNetServer, type Server } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Troubles } from '../../daemon/route/trouble.ts'
import { ask, askAll } from '../../router/health.ts'
import { limits } from '../../router/limits.ts'
import { Probes } from '../../router/probes.ts'
import type { Backend, Table } from '../../router/protocol.ts'
import { waitFor } from '../e2e/wait.ts'

const open: Server[] = []
test.after.each(() => {
  for (const server of open.splice(0)) server.close()
})

async function listening(server: Server): Promise<number> {
  open.push(server.listen(0, '127.0.0.1'))
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const serve = (answer: (req: IncomingMessage, res: ServerResponse) => void) => listening(createServer(answer))
const host = 'demo.localhost'
const check = { path: '/healthz?a=1', timeout: 5000 }
const asked = async (port: number, more = {}) =>
  (await ask({ address: '127.0.0.1', port }, host, { ...check, ...more }))?.replace('GET /healthz?a=1, ', '') ?? null
const status = (code: number, body = '') =>
  serve((_, res) => {
    res.writeHead(code, { location: '/' }).end(body)
  })

test('an answer below 400 is good, whatever it says, and what is asked is a GET with the host of the app', async () => {
  let seen: (string | undefined)[] = []
  const port = await serve(({ method, url, headers }, res) => {
    seen = [method, url, headers.host, headers['user-agent']]
    res.end()
  })
  assert.is(await asked(port), null)
  assert.equal(seen, ['GET', '/healthz?a=1', 'demo.localhost', 'Sluice health check'])
  assert.is(await asked(await status(204)), null)
  assert.is(await asked(await status(302)), null)
})

test('any other answer, none, half of one and nonsense are told apart', async () => {
  assert.is(await asked(await status(400)), 'it answered 400')
  assert.is(await asked(await status(503)), 'it answered 503')
  assert.is(await asked(await serve(() => {}), { timeout: 50 }), 'it did not answer within 0.05 s')
  assert.is(await asked(await listening(createNetServer((socket) => socket.destroy()))), 'it broke the connection off')
  assert.is(
    await asked(await listening(createNetServer((socket) => socket.end('hello\r\n\r\n')))),
    'it broke the connection off',
  )
})

test('content is looked for in the beginning of the body, over its pieces', async () => {
  const without = 'it answered 200 without the content that is wanted'
  const split = await serve((_, res) => {
    res.write('all is w')
    setImmediate(() => res.end('ell'))
  })
  assert.is(await asked(split, { content: 'well' }), null)
  assert.is(await asked(split, { content: 'ill' }), without)
  const endless = await serve((req, res) => {
    const more = setInterval(() => res.write('x'.repeat(32 * 1024)), 1)
    req.on('close', () => clearInterval(more))
  })
  assert.is(await asked(endless, { content: 'well' }), without)
  assert.is(await asked(await status(500, 'well'), { content: 'well' }), 'it answered 500')
})

/** Answers with this, again and again, as long as anybody reads. */
const pouring = (begin: string, more: string) =>
  listening(
    createNetServer((socket) => {
      const pour = () => socket.write(more.repeat(1000), (error) => error ?? pour())
      socket.on('error', () => {})
      socket.write(begin)
      pour()
    }),
  )

test('an answer in very many pieces is not read to its end, so that no dyno keeps the router busy', async () => {
  const { concat } = Buffer
  let looks = 0
  Buffer.concat = (list) => {
    looks++
    return concat(list)
  }
  try {
    const bytes = await pouring('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', '1\r\nx\r\n')
    const patient = { content: 'well', timeout: 60_000 }
    assert.is(await asked(bytes, patient), 'it answered 200 without the content that is wanted')
    assert.ok(looks <= 1001, `it was looked ${looks} times`)
    const hints = await pouring('', 'HTTP/1.1 103 Early Hints\r\n\r\n')
    assert.is(await asked(hints, patient), 'it sent too many preliminary answers')
  } finally {
    Buffer.concat = concat
  }
})

function probing(port: number, withCheck = true) {
  const told: string[] = []
  const probes = new Probes(
    { ...limits, checkPause: 5 },
    { up: (id) => told.push(`${id} up`), unwell: (id, reason) => told.push(`${id}: ${reason}`) },
  )
  const backend: Backend = { id: 'new', dyno: 'web.1', address: '127.0.0.1', port, mode: 'probe' }
  const table = (backends: Backend[]) => ({ version: 1, apps: [{ backends }], challenges: [] }) as unknown as Table
  probes.follow(table([withCheck ? { ...backend, checks: { host, startup: check } } : backend]))
  return { told, probes, leave: () => probes.follow(table([])) }
}

test('a backend is up when its check passes; why not is told once for each reason, and again when asked', async () => {
  const answers = [503, 503, 500, 503, 200]
  let asks = 0
  const port = await serve((_, res) => res.writeHead(answers[asks++] ?? 599).end())
  const { told, probes, leave } = probing(port)
  await waitFor('the backend to be up', () => told.includes('new up'))
  const line = (status: number) => `new: GET /healthz?a=1, it answered ${status}`
  assert.equal(told, [line(503), line(500), line(503), 'new up'])
  assert.is(asks, answers.length)
  probes.report()
  assert.is(told.at(-1), 'new up')
  leave()
})

test('one that starts is asked all checks in turn, and what is told is the first that does not pass', async () => {
  const seen: string[] = []
  let ready = false
  const port = await serve(({ url = '' }, res) => {
    seen.push(url)
    res.writeHead(url === '/ready' && !ready ? 503 : 200).end()
  })
  const watch = (path: string) => ({ path, timeout: 5000, interval: 10_000, attempts: 3 })
  const checks = { host, startup: { path: '/up', timeout: 5000 }, readiness: watch('/ready'), liveness: watch('/live') }
  const place = { address: '127.0.0.1', port }
  assert.is(await askAll(place, checks), 'GET /ready, it answered 503')
  ready = true
  assert.is(await askAll(place, checks), null)
  assert.equal(seen, ['/up', '/ready', '/up', '/ready', '/live'])
})

test('a long path is not told whole, and nobody who listens is a reason of its own', async () => {
  const port = await status(500)
  const place = { address: '127.0.0.1', port }
  assert.is(
    await ask(place, host, { path: `/${'x'.repeat(500)}`, timeout: 5000 }),
    `GET /${'x'.repeat(99)}, it answered 500`,
  )
  for (const server of open.splice(0)) await new Promise((resolve) => server.close(resolve))
  assert.is(await asked(port), 'it refused the connection')
})

test('without a check a connection is enough, and nobody is asked', async () => {
  let asks = 0
  const port = await serve((_, res) => res.writeHead(++asks && 500).end())
  const { told, leave } = probing(port, false)
  await waitFor('the backend to be up', () => told.includes('new up'))
  assert.is(asks, 0)
  leave()
})

test('a backend that leaves the table is asked no more', async () => {
  let asks = 0
  const port = await serve((_, res) => res.writeHead(++asks && 503).end())
  const { told, probes, leave } = probing(port)
  await waitFor('a first answer', () => asks > 0)
  probes.report()
  leave()
  await waitFor('the last answer', async () => {
    const before = asks
    await new Promise((resolve) => setTimeout(resolve, 100))
    return asks === before
  })
  assert.not.ok(told.includes('new up'))
})

test('the last word on each of so many dynos is remembered, without what a terminal would obey', () => {
  const troubles = new Troubles()
  troubles.note('a', 'it answered 500')
  troubles.note('a', '\x1b[2Jgone')
  assert.is(troubles.of('a'), '?[2Jgone')
  assert.is(troubles.of('b'), undefined)
  for (let n = 0; n < 1000; n++) troubles.note(`other ${n}`, 'x'.repeat(1000))
  assert.is(troubles.of('a'), undefined)
  assert.is(troubles.of('other 0')?.length, 200)
})

test.run()
