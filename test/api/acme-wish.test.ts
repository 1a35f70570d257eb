import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { certificateId } from '../../daemon/acme/certificate-id.ts'
import { Problem } from '../../daemon/acme/problem.ts'
import type { Reply } from '../../daemon/acme/transport.ts'
import { managedDomain, managedDomains, progressed } from '../../daemon/route/acm-domain.ts'
import { bindAutomatic } from '../../daemon/route/domain.ts'
import { keepAutomatic } from '../../daemon/route/sni-endpoint.ts'
import { createWishes, turnWithin } from '../../daemon/route/wish.ts'
import { decide } from '../../daemon/store/database.ts'
import { make } from '../integration/chains.ts'
import { startHost } from './host.ts'

/** When an authority wishes certificates to be renewed, and what comes of it. */

const DIRECTORY = 'https://acme.example.com/directory'
const INFO = 'https://acme.example.com/renewal-info'
const HOUR = 3_600_000
const DAY = 24 * HOUR
const host = await startHost({ SLUICE_ACME_DIRECTORY: DIRECTORY })
test.after(() => host.close())

/** A domain with its certificate of two days ago, which is to be renewed in twenty. */
async function issued(app: string, directory = DIRECTORY) {
  const hostname = `${app}.example.com`
  const { request, d } = host
  await request('POST', '/apps', { body: { name: app } })
  await request('POST', `/apps/${app}/acm`, { body: {} })
  const { json } = await request('POST', `/apps/${app}/domains`, { body: { hostname } })
  const { cert, key } = await make({ names: [hostname], signer: true, days: 88 })
  const now = d.clock.now()
  await decide(d.db, async (tx) => {
    const given = { app: json.app.id, pair: { chain: cert, key }, instead: null, now }
    await bindAutomatic(tx, json.id, { endpoint: await keepAutomatic(d, tx, given), now })
    await progressed(tx, { id: json.id, now }, { state: 'issued', next_at: now + 20 * DAY, directory })
  })
  return { id: json.id as string, cert, next: now + 20 * DAY }
}

const nextAt = async (id: string): Promise<number | undefined> =>
  (await managedDomain(host.d.db, id))?.progress?.next_at

type Answer = { status?: number; body?: string; headers?: Record<string, string> } | Error

/** The daemon's part that asks, an authority with these answers, and time that passes at once. */
function setUp(answers: { directory?: object; info?: () => Answer }, begin = Date.now()) {
  const asked: string[] = []
  const warned: string[] = []
  let now = begin
  const reply = ({ status = 200, body = '', headers = {} }: Exclude<Answer, Error>): Reply => {
    return { status, body, header: (name) => headers[name] }
  }
  const ask = async (url: string): Promise<Reply> => {
    asked.push(url)
    const place = 'https://acme.example.com/x'
    const directory = { newNonce: place, newAccount: place, newOrder: place, renewalInfo: INFO, ...answers.directory }
    if (url === DIRECTORY) return reply({ body: JSON.stringify(directory) })
    const answer = answers.info?.() ?? {}
    if (answer instanceof Error) throw answer
    return reply(answer)
  }
  const clock = { ...host.d.clock, now: () => now }
  const log = { ...host.d.log, warn: (event: string) => void warned.push(event) }
  const wishes = createWishes({ ...host.d, clock, log }, ask, DIRECTORY)
  return {
    asked,
    warned,
    /** Lets time pass until `end`, and has each look that is due. */
    async until(end: number): Promise<void> {
      for (;;) {
        const at = await wishes.look(await managedDomains(host.d.db), new AbortController().signal)
        if (at === null || at > begin + end) break
        now = Math.max(now, at)
      }
      now = begin + end
    },
  }
}

const during = (start: number, end: number, headers: Record<string, string> = {}): Answer => ({
  body: JSON.stringify({ suggestedWindow: { start: new Date(start).toISOString(), end: new Date(end).toISOString() } }),
  headers,
})

test('a renewal is moved into the time that the authority wishes, and again when that is another', async () => {
  const { id, cert } = await issued('moved')
  let [start, end] = [Date.now() + 50 * DAY, Date.now() + 52 * DAY]
  const { asked, until } = setUp({ info: () => during(start, end) })
  await until(HOUR)
  assert.equal(asked, [DIRECTORY, `${INFO}/${certificateId(cert)}`])
  const first = (await nextAt(id)) ?? 0
  assert.ok(start <= first && first <= end, new Date(first).toISOString())
  await until(8 * HOUR)
  assert.is(asked.length, 3)
  assert.is(await nextAt(id), first)
  // the certificate will be revoked
  start = Date.now() - 3 * HOUR
  end = Date.now() - 2 * HOUR
  await until(16 * HOUR)
  assert.ok(((await nextAt(id)) ?? 0) < Date.now())
  await host.request('DELETE', '/apps/moved')
})

test('it is asked as often as it says, within bounds', async () => {
  await issued('often')
  let wait = '1'
  const { asked, until } = setUp({
    info: () => during(Date.now() + 50 * DAY, Date.now() + 51 * DAY, { 'retry-after': wait }),
  })
  await until(HOUR)
  await until(3 * HOUR)
  assert.is(asked.filter((url) => url !== DIRECTORY).length, 3)
  wait = '999999999'
  await until(4 * HOUR)
  asked.length = 0
  await until(52 * HOUR)
  assert.is(asked.filter((url) => url !== DIRECTORY).length, 2)
  await host.request('DELETE', '/apps/often')
})

test('what it does not say, or says wrongly, changes nothing; one that is away is left alone for an hour', async () => {
  const { id, next } = await issued('silent')
  const bare = setUp({ directory: { renewalInfo: undefined } })
  await bare.until(20 * HOUR)
  assert.equal(bare.asked, [DIRECTORY])
  const now = Date.now()
  const odd: Answer[] = [
    { status: 404, body: '{}' },
    { body: 'soon' },
    { body: '{"suggestedWindow":{"start":"tomorrow","end":1}}' },
    during(now + 2 * DAY, now + DAY),
  ]
  for (const answer of odd) {
    const { asked, warned, until } = setUp({ info: () => answer })
    await until(5 * HOUR)
    assert.is(asked.length, 2)
    assert.equal(warned, [])
    assert.is(await nextAt(id), next)
  }
  for (const away of [{ status: 503 }, { status: 429 }, new Problem('authority', 'It cannot be reached.')]) {
    const { asked, warned, until } = setUp({ info: () => away })
    await until(HOUR)
    assert.is(asked.length, 2)
    assert.equal(warned, ['the authority does not say when to renew'])
    assert.is(await nextAt(id), next)
  }
  await host.request('DELETE', '/apps/silent')
})

test('of what is from another authority nothing is asked, and of what is a day old not yet', async () => {
  await issued('foreign', 'https://other.example.com/directory')
  const foreign = setUp({ info: () => during(0, 1) })
  await foreign.until(30 * HOUR)
  assert.equal(foreign.asked, [])
  await host.request('DELETE', '/apps/foreign')
  const { cert } = await issued('young')
  const young = setUp({ info: () => during(0, 1) }, Date.now() - 36 * HOUR)
  await young.until(6 * HOUR)
  assert.equal(young.asked, [DIRECTORY])
  await young.until(20 * HOUR)
  assert.equal(young.asked.slice(0, 2), [DIRECTORY, `${INFO}/${certificateId(cert)}`])
  await host.request('DELETE', '/apps/young')
})

test('each name has its own time in the window, always the same, and well before the certificate ends', () => {
  const life = { starts_at: 0, expires_at: 90 * DAY }
  const window = { start: 60 * DAY, end: 62 * DAY }
  const at = (name: string) => turnWithin(window, name, life)
  assert.is(at('a.example.com'), at('a.example.com'))
  assert.is.not(at('a.example.com'), at('b.example.com'))
  for (let n = 0; n < 100; n++) {
    assert.ok(at(`${n}.example.com`) >= window.start && at(`${n}.example.com`) <= window.end)
    assert.is(turnWithin({ start: 100 * DAY, end: 200 * DAY }, `${n}.example.com`, life), 75 * DAY)
  }
})

test.run()
