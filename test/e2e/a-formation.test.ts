import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startPlatform } from './platform.ts'
import { refused } from './refused.ts'
import { web } from './source.ts'
import { waitFor } from './wait.ts'

const platform = await startPlatform()
test.after(() => platform.stop())

const scale = (app: string, quantities: Record<string, number | string>) =>
  platform.api('PATCH', `/apps/${app}/formation`, {
    updates: Object.entries(quantities).map(([type, quantity]) => ({ type, quantity })),
  })
/** Asks for pages as a browser does. */
const browser = { headers: { accept: 'text/html' } }

const running = async (app: string) =>
  (await platform.dynos(app))
    .filter(({ state }) => state === 'up')
    .map(({ name }) => name)
    .sort()
const shows = (app: string, names: string[]) =>
  waitFor(`ps of ${app} to show ${names.join(', ') || 'nothing'}`, async () => {
    const seen = await running(app)
    if (seen.join() !== names.join()) throw new Error(`ps shows ${seen.join(', ') || 'nothing'}`)
    return true
  })
const ended = (app: string, names: string[]) =>
  waitFor(`only ${names.join(', ')} of ${app} to be in the engine`, async () => {
    const seen = (await platform.containers(app)).length
    if (seen !== names.length) throw new Error(`there are ${seen} containers`)
    return true
  })

const worker = 'perl -e "$| = 1; print qq(worker works\\n); sleep 1000"'

test('A12: the first deploy runs one web dyno and nothing of the other types', async () => {
  await platform.deploy('formed', { web, worker })
  await shows('formed', ['web.1'])
})

test('A9, A10: scaling numbers dynos from one, and the highest go first', async () => {
  await scale('formed', { web: 3, worker: 1 })
  await shows('formed', ['web.1', 'web.2', 'web.3', 'worker.1'])
  const before = await platform.dynos('formed')
  await scale('formed', { web: 1 })
  await shows('formed', ['web.1', 'worker.1'])
  const idOf = (dynos: typeof before, name: string) => dynos.find((dyno) => dyno.name === name)?.id
  assert.is(idOf(await platform.dynos('formed'), 'web.1'), idOf(before, 'web.1'))
  await ended('formed', ['web.1', 'worker.1'])
})

test('A9: the same count again changes nothing', async () => {
  const before = await platform.dynos('formed')
  await scale('formed', { web: 1 })
  assert.equal(await platform.dynos('formed'), before)
})

test('A9: an unknown type, a negative count and a count that is no number are refused', async () => {
  await refused(scale('formed', { nope: 1 }), 404, /process type/)
  await refused(scale('formed', { web: -1 }), 422, /negative|must be/)
  await refused(scale('formed', { web: 'many' }), 422, /number/)
  await shows('formed', ['web.1', 'worker.1'])
})

test('A9: an app scaled to zero shows a 503 page with code H14, and a deploy keeps it at zero', async () => {
  const source = await platform.deploy('zero')
  await scale('zero', { web: 0 })
  const page = await waitFor('the page of an app without web dynos', async () => {
    const reply = await platform.request('zero', '/', browser)
    return reply.status === 503 && reply
  })
  assert.match(page.body, /<html/i)
  await source.version('v2')
  const { code, output } = await platform.push(source, 'zero')
  assert.is(code, 0, output)
  assert.equal(await running('zero'), [])
  const log = await platform.cli(['logs', '--app', 'zero', '--dyno', 'router'])
  assert.match(log.stdout, /code=H14/)
  await scale('zero', { web: 1 })
  await shows('zero', ['web.1'])
  assert.match((await platform.request('zero')).body, /^v2 /)
})

test('A11: a type that a failing release drops runs on; one that a good release drops is stopped after the cutover', async () => {
  const source = await platform.deploy('dropping', { web, worker })
  await scale('dropping', { worker: 1 })
  await shows('dropping', ['web.1', 'worker.1'])
  await source.version('v2', { web: 'BOOT=exit perl server.pl' })
  assert.is.not((await platform.push(source, 'dropping')).code, 0)
  await shows('dropping', ['web.1', 'worker.1'])
  await source.version('v3', { web })
  const { code, output } = await platform.push(source, 'dropping')
  assert.is(code, 0, output)
  await shows('dropping', ['web.1'])
  assert.match((await platform.request('dropping')).body, /^v3 /)
})

test('A12: an app without a web process is deployed, routed nowhere, and its other types run', async () => {
  await platform.deploy('webless', { worker })
  assert.equal(await running('webless'), [])
  await scale('webless', { worker: 1 })
  await shows('webless', ['worker.1'])
  assert.is((await platform.request('webless')).status, 503)
})

test.run()
