import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { waitFor } from '../e2e/wait.ts'
import { type Host, startHost } from './host.ts'

/** What the API answers to those who ask for processes; what becomes of these is shown end to end. */
const app = 'errand'
let host: Host

test.before(async () => {
  host = await startHost()
  await host.request('POST', '/apps', { body: { name: app } })
})
test.after(() => host.close())

const post = (body: unknown, path = `/apps/${app}/dynos`) => host.request('POST', path, { body })

async function refused(body: unknown, words: RegExp): Promise<void> {
  const { status, json } = await post(body)
  assert.is(status, 422, JSON.stringify(body))
  assert.is(json.id, 'invalid_params')
  assert.match(json.message, words)
}

test('an app without code has nothing to run', async () => {
  await refused({ command: 'bash' }, /There is no code to run yet/)
  const row = await host.d.db.selectFrom('apps').selectAll().where('name', '=', app).executeTakeFirstOrThrow()
  await host.deploy(row, { web: 'node .', worker: 'node worker.js' })
})

test('an attached one is answered with the secret by which its client meets it', async () => {
  const { status, json } = await post({
    command: 'worker 42',
    attach: true,
    env: { TERM: 'xterm', COLUMNS: 100, LINES: 33 },
  })
  assert.is(status, 201)
  assert.match(json.name, /^run\.\d{4}$/)
  assert.equal([json.type, json.state, json.size, json.command], ['run', 'starting', 'Basic', 'node worker.js 42'])
  assert.equal([json.release.version, json.app.name], [2, app])
  const { port } = new URL(host.url)
  assert.match(json.attach_url, new RegExp(`^rendezvous://localhost:${port}/[0-9a-f]{64}$`))
  const meeting = host.d.rendezvous.claim(json.attach_url.slice(-64))
  assert.equal(meeting?.terminal, { kind: 'tty', columns: 100, rows: 33 })
})

test('the terminal is the client’s: 80 by 24 unless it says more, none when it wants none', async () => {
  for (const [body, terminal] of [
    [{}, { kind: 'tty', columns: 80, rows: 24 }],
    [{ env: { COLUMNS: 'x', LINES: 0 } }, { kind: 'tty', columns: 80, rows: 24 }],
    [{ force_no_tty: true, env: { COLUMNS: 100 } }, { kind: 'pipes' }],
  ] as const) {
    const { json } = await post({ command: 'ls', attach: true, ...body })
    assert.equal(host.d.rendezvous.claim(json.attach_url.slice(-64))?.terminal, terminal)
  }
})

test('a detached one has no secret', async () => {
  const { status, json } = await post({ command: 'ls', type: 'chore', size: 'standard-2x', time_to_live: 60 })
  assert.is(status, 201)
  assert.match(json.name, /^chore\.\d{4}$/)
  assert.equal([json.attach_url, json.size], [null, 'Standard-2X'])
})

test('what cannot be run is refused in words', async () => {
  for (const [body, words] of [
    [{}, /`command`/],
    [{ command: '   ' }, /`command`/],
    [{ command: 'x'.repeat(70_000) }, /`command`/],
    [{ command: 'ls', size: 'enormous' }, /No such dyno size: enormous/],
    [{ command: 'ls', type: 'a b' }, /at most 63 letters/],
    [{ command: 'ls', type: 'release' }, /the name of release commands/],
    [{ command: 'ls', env: { 'A B': '1' } }, /"A B" is not a valid name/],
    [{ command: 'ls', env: { A: 'x'.repeat(70_000) } }, /64 KB/],
    [{ command: 'ls', env: { A: { b: 1 } } }, /`env\.A`/],
    [{ command: 'ls', time_to_live: 0 }, /`time_to_live`/],
  ] as const)
    await refused(body, words)
})

test('a process inside a dyno: that dyno must be there, and up', async () => {
  const there = await post({ command: 'worker', env: { TERM: 'xterm' } }, `/apps/${app}/dynos/web.1`)
  assert.is(there.status, 201)
  assert.equal([there.json.name, there.json.command], ['web.1', 'worker'])
  assert.ok(host.d.rendezvous.claim(there.json.attach_url.slice(-64)))
  assert.is((await post({ command: 'ls' }, `/apps/${app}/dynos/web.9`)).status, 404)
  assert.is((await post({}, `/apps/${app}/dynos/web.1`)).status, 422)
})

test('when too many wait for their clients, no further one runs without its own', async () => {
  const meeting = {
    app: '',
    dyno: 'web.1',
    terminal: undefined,
    open: () => Promise.reject(new Error('x')),
    missed() {},
  }
  const { id } = (await host.request('GET', `/apps/${app}`)).json
  for (;;)
    try {
      host.d.rendezvous.invite({ ...meeting, app: id })
    } catch {
      break
    }
  const { status, json } = await post({ command: 'ls', attach: true })
  assert.is(status, 429)
  assert.match(json.message, /wait for their clients already/)
  await waitFor('it to be on its way out', async () => {
    const left = await host.d.db.selectFrom('dynos').selectAll().where('one_off', 'is not', null).execute()
    return left.every(({ state }) => state === 'stopping')
  })
  host.d.rendezvous.close()
})

test('nothing of it is in the daemon’s log', async () => {
  await post({ command: 'echo hunter2', attach: true, env: { PASSWORD: 'hunter2' } })
  assert.not.match(host.logged.join('\n'), /hunter2/)
})

test('a stranger finds no app', async () => {
  const { token } = await host.invite('stranger@example.com')
  assert.is((await host.request('POST', `/apps/${app}/dynos`, { body: { command: 'ls' }, token })).status, 404)
})

test.run()
