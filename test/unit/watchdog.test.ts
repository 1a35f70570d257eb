import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, createServer as createNetServer, type Server as NetServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createLog } from '../../daemon/log.ts'
import { openDatabase } from '../../daemon/store/database.ts'
import { keepWatchdog, type Vitals, vitalsOf } from '../../daemon/watchdog.ts'
import { waitFor } from '../e2e/wait.ts'

/** One that is asked every few ms. */
function watched(vitals: Vitals) {
  const logged: string[] = []
  let signs = 0
  const notify = async (...states: string[]): Promise<void> => {
    assert.equal(states, ['WATCHDOG=1'])
    signs++
  }
  const { close } = keepWatchdog({ every: 15, vitals, notify, log: createLog((line) => logged.push(line)) })
  return { logged, close, signs: () => signs }
}

test('it gives signs of life while everything answers', async () => {
  const { signs, logged, close } = watched({ one: async () => {}, other: async () => {} })
  await waitFor('three signs', () => signs() >= 3, { every: 1 })
  close()
  assert.equal(logged, [])
})

test('it gives none while one part does not answer, says which, and goes on when it does', async () => {
  let answer = (): void => {}
  const stuck = new Promise<void>((resolve) => {
    answer = resolve
  })
  const { signs, logged, close } = watched({ one: async () => {}, other: () => stuck })
  await waitFor('a line of the log', () => logged.length >= 2, { every: 1 })
  assert.is(signs(), 0)
  assert.equal(JSON.parse((logged[0] ?? '').replace('<3>', '')).of, ['other'])
  answer()
  await waitFor('a sign', () => signs() > 0, { every: 1 })
  close()
})

test('a part that fails is no sign of life, and is asked again', async () => {
  let broken = true
  const { signs, logged, close } = watched({
    one: () => (broken ? Promise.reject(new Error('no disk')) : Promise.resolve()),
  })
  await waitFor('a line of the log', () => logged.length >= 2, { every: 1 })
  assert.is(signs(), 0)
  assert.match(logged[0] ?? '', /no sign of life.*"of":\["one"\].*no disk/)
  broken = false
  await waitFor('a sign', () => signs() > 0, { every: 1 })
  close()
})

const listening = (server: Server | NetServer): Promise<number> =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)))

test('the API lives when it answers whatever at one of its addresses, or is full, and the database when it answers', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-watchdog-'))
  const db = await openDatabase(join(folder, 'sluice.db'))
  const server = createServer((_, res) => {
    res.statusCode = 503
    res.end()
  })
  const full = createNetServer((socket) => socket.resetAndDestroy())
  const port = await listening(server)
  const ask = (port: number, hosts = ['127.0.0.1', '::1']) => vitalsOf(db, { hosts, port })
  const lives = (vitals: Vitals, name: string) =>
    vitals[name]?.().then(
      () => true,
      () => false,
    )
  assert.ok(await lives(ask(port), 'api'))
  assert.ok(await lives(ask(port, ['0.0.0.0']), 'api'))
  assert.ok(await lives(ask(await listening(full)), 'api'))
  assert.ok(await lives(ask(port), 'database'))
  server.close()
  full.close()
  server.closeAllConnections()
  assert.not(await lives(ask(port), 'api'))
  await db.destroy()
  assert.not(await lives(ask(port), 'database'))
  await rm(folder, { recursive: true })
})

test.run()
