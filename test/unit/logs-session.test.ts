import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../daemon/clock.ts'
import { STATUS, UserError } from '../../daemon/errors.ts'
import { limits } from '../../daemon/limits.ts'
import { createLog } from '../../daemon/log.ts'
import { createLogs, type Logs } from '../../daemon/logs/logs.ts'
import { createSessions, type Session, type Sessions } from '../../daemon/logs/session.ts'
import { createSeal } from '../../daemon/store/seal.ts'
import { waitFor } from '../e2e/wait.ts'

const log = createLog(() => {})
const seal = createSeal(Buffer.alloc(32, 7))
let data = ''
let logs: Logs
let sessions: Sessions
let server: Server
let ahead = 0
let destroyed = false
const clock = { ...systemClock, now: () => Date.now() + ahead }

test.before.each(async () => {
  data = await mkdtemp(join(tmpdir(), 'sluice-session-'))
  logs = createLogs({ data }, log)
  ahead = 0
  destroyed = false
  sessions = createSessions({ logs, seal, clock, log, knows: async () => !destroyed })
  server = createServer((req, res) => {
    sessions.serve((req.url ?? '').slice(1), req, res).catch((error: unknown) => {
      res.writeHead(error instanceof UserError ? STATUS[error.id] : 500).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
test.after.each(async () => {
  await logs.close()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await rm(data, { recursive: true })
})

const session = (fields: Partial<Session> = {}): string =>
  sessions.create('a', { account: 'me', lines: 100, tail: false, filter: {}, ...fields })

async function get(id: string, headers: Record<string, string> = {}, method = 'GET'): Promise<IncomingMessage> {
  const { port } = server.address() as AddressInfo
  const call = request({ port, host: '127.0.0.1', path: `/${id}`, headers, method }).end()
  const [response] = (await once(call, 'response')) as [IncomingMessage]
  return response.setEncoding('utf8')
}

async function body(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of response) text += chunk
  return text
}

/** Reads until the text has come; then leaves. */
async function until(response: IncomingMessage, wanted: RegExp): Promise<string> {
  let text = ''
  for await (const chunk of response) {
    text += chunk
    if (wanted.test(text)) return text
  }
  throw new Error(`ended before ${wanted}: ${text}`)
}

const write = (text: string): void => logs.write('a', { at: 0, source: 'app', dyno: 'web.1', text })
const events = { accept: 'text/event-stream' }
/** The last event of a session without a tail. */
const NO_MORE = 'id: 0\nretry: 1\n\n'

test('a tail that does not read is cut', async () => {
  sessions = createSessions({ logs, seal, clock, log, knows: async () => !destroyed, slowest: 500 })
  const response = await get(session({ tail: true }), events)
  const { socket } = response
  response.pause()
  const line = 'x'.repeat(9000)
  const writer = setInterval(() => {
    for (let count = 0; count < 100; count++) write(line)
  }, 20)
  await waitFor('the connection to be ended by the other side', async () => {
    const open = await new Promise<number>((resolve) => server.getConnections((_, count) => resolve(count)))
    return open === 0
  })
  clearInterval(writer)
  socket.destroy()
})

test('a client of server-sent events gets the last lines, each with its id, and the end', async () => {
  for (const text of ['one', 'two', 'three']) write(text)
  const response = await get(session({ lines: 2 }), events)
  assert.is(response.headers['content-type'], 'text/event-stream; charset=utf-8')
  const [two, three] = logs.recent('a', {}, 2).map(({ seq }) => seq)
  const head = 'data: 1970-01-01T00:00:00.000000+00:00 app[web.1]:'
  assert.is(await body(response), `id: ${two}\n${head} two\n\nid: ${three}\n${head} three\n\n${NO_MORE}`)
})

test('a session without a tail ends for good: its client need not wait, and is told so when it comes back', async () => {
  const id = session({ filter: { dyno: 'nothing' } })
  assert.is(await body(await get(id, events)), NO_MORE)
  write('later')
  const back = await get(id, { ...events, 'last-event-id': '0' })
  assert.is(back.statusCode, 204)
  assert.is(await body(back), '')
})

test('other clients get plain lines', async () => {
  write('one')
  const response = await get(session())
  assert.is(response.headers['content-type'], 'text/plain; charset=utf-8')
  assert.is(await body(response), '1970-01-01T00:00:00.000000+00:00 app[web.1]: one\n')
})

test('a tail shows what was written before and what is written then', async () => {
  write('before')
  const response = await get(session({ tail: true }), events)
  write('after')
  assert.match(await until(response, /after/), /before[\s\S]*after/)
})

test('a tail that comes back gets what it missed, and nothing twice', async () => {
  const id = session({ tail: true })
  write('seen')
  const first = await until(await get(id, events), /seen\n\n/)
  write('missed')
  const last = /id: (\d+)/.exec(first)?.[1] ?? ''
  const text = await until(await get(id, { ...events, 'last-event-id': last }), /missed\n\n/)
  assert.not.match(text, /seen/)
})

test('a tail may come back after a day less a minute, a session may be opened within five minutes', async () => {
  const id = session({ tail: true })
  ahead = 6 * 60_000
  assert.is((await get(id, events)).statusCode, 404)
  ahead = 24 * 3600_000 - 60_000
  const back = await get(id, { ...events, 'last-event-id': '0' })
  assert.is(back.statusCode, 200)
  back.destroy()
  assert.is((await get(session({ tail: false }), events)).statusCode, 200)
})

test('an id that was not given out is not found', async () => {
  const id = session()
  const forged = id.slice(0, 40) + (id[40] === 'A' ? 'B' : 'A') + id.slice(41)
  for (const wrong of ['x', forged]) assert.is((await get(wrong, events)).statusCode, 404)
})

test('the filter is part of the session', async () => {
  write('web')
  logs.write('a', { at: 0, source: 'heroku', dyno: 'router', text: 'at=info' })
  assert.match(await body(await get(session({ filter: { source: 'heroku' } }))), /^[^\n]*at=info\n$/)
})

test('a tail ends cleanly when the daemon stops, so that the client comes back', async () => {
  const response = await get(session({ tail: true }), events)
  const ending = body(response)
  logs.endFollowers()
  assert.is(await ending, 'retry: 10000\n\n')
  assert.is(response.headers.connection, 'close')
})

test('a tail ends for good when its app is destroyed', async () => {
  const id = session({ tail: true })
  const ending = body(await get(id, events))
  destroyed = true
  await logs.remove('a')
  assert.is(await ending, '')
  assert.is((await get(id, { ...events, 'last-event-id': '0' })).statusCode, 404)
})

test('a tail ends when its account may no longer see the app, although nobody writes a line', async () => {
  sessions = createSessions({ logs, seal, clock, log, knows: async () => !destroyed, keepAlive: 20 })
  write('before')
  // a tail shows what is on disk, and this one does not last
  await logs.flush()
  const text = body(await get(session({ tail: true }), events))
  destroyed = true
  assert.match(await text, /before/)
  assert.not.match(await text, 'retry')
})

test('HEAD is answered without a body, also for a tail', async () => {
  write('one')
  const response = await get(session({ tail: true }), events, 'HEAD')
  assert.is(response.headers['content-type'], 'text/event-stream; charset=utf-8')
  assert.is(await body(response), '')
})

test('one line is one event, whatever is in it', async () => {
  write('a\rb\u2028c \u001b[31mred\u001b[0m\u0085d\ne')
  const text = await body(await get(session({ lines: 1 }), events))
  assert.match(text, /^id: \d+\ndata: [^\n]* a b\u2028c \u001b\[31mred\u001b\[0m\u0085d e\n\nid: 0\nretry: 1\n\n$/)
})

test('any number of lines may be asked for; what is kept comes', async () => {
  for (let n = 0; n < 2000; n++) write(String(n))
  const count = async (lines: number) => (await body(await get(session({ lines })))).split('\n').length - 1
  assert.equal(await Promise.all([1e9, 1500, 7, 0, -3, Number.NaN].map(count)), [1500, 1500, 7, 0, 0, 0])
})

test('a tail shows only what its filter lets through', async () => {
  const response = await get(session({ tail: true, filter: { source: 'app', dyno: 'worker' } }), events)
  write('of another dyno')
  logs.write('a', { at: 0, source: 'heroku', dyno: 'worker.1', text: 'of another source' })
  logs.write('a', { at: 0, source: 'app', dyno: 'worker.12', text: 'mine' })
  assert.match(await until(response, /\n\n/), /^id: \d+\ndata: \S+ app\[worker\.12\]: mine\n\n$/)
})

test('a tail that was too slow is told so in the words of tails', async () => {
  const id = session({ tail: true })
  write('seen')
  const [seen] = logs.recent('a', {}, 1)
  for (let n = 0; n < 3000; n++) write(String(n))
  const text = await until(await get(id, { ...events, 'last-event-id': String(seen?.seq) }), / 2999\n\n/)
  assert.match(
    text,
    /heroku\[logplex\]: Error L11 \(Tail buffer overflow\) -> This tail session dropped \d+ messages since /,
  )
})

test('two hundred tails of a busy app get every line, from one encoding', async () => {
  const tails = await Promise.all(Array.from({ length: 200 }, () => get(session({ tail: true }), events)))
  const ends = tails.map((tail) => until(tail, / 999\n\n/))
  for (let n = 0; n < 1000; n++) write(String(n))
  const [first = '', ...others] = await Promise.all(ends)
  assert.is(first.match(/^data: /gm)?.length, 1000)
  assert.ok(others.every((text) => text === first))
  for (const tail of tails) tail.destroy()
})

test('more sessions than the limit are refused with a sentence', async () => {
  const tails = await Promise.all(
    Array.from({ length: limits.logSessions }, () => get(session({ tail: true }), events)),
  )
  assert.is((await get(session())).statusCode, 429)
  tails[0]?.destroy()
  await waitFor('one to be free', async () => (await get(session())).statusCode === 200)
  for (const tail of tails) tail.destroy()
})

test('a client that does not read holds no lines back from others', async () => {
  const stuck = await get(session({ tail: true }), events)
  stuck.pause()
  const text = 'z'.repeat(9000)
  for (let n = 0; n < 1400; n++) write(`${n} ${text}`)
  const reader = await get(session({ lines: 1 }))
  assert.match(await body(reader), / 1399 z/)
  stuck.destroy()
})

test.run()
