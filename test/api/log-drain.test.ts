import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { packageRoot } from '../../daemon/config.ts'
import { openDrains } from '../../daemon/logs/drain/drain.ts'
import { waitFor } from '../e2e/wait.ts'
import { type Answer, type Host, startHost } from './host.ts'

let host: Host
let home: string
let receiver: Server
let received = ''
let receiverUrl = ''

test.before(async () => {
  host = await startHost({ SLUICE_DRAIN_ALLOW: '127.0.0.3' })
  home = await mkdtemp(join(tmpdir(), 'sluice-cli-'))
  await mkdir(join(home, '.cache', 'heroku'), { recursive: true })
  await writeFile(join(home, '.cache', 'heroku', 'terms-of-service'), '')
  receiver = createServer((socket) => {
    socket
      .on('error', () => undefined)
      .on('data', (chunk) => {
        received += chunk
      })
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.3', resolve))
  const address = receiver.address()
  receiverUrl = `syslog://127.0.0.3:${typeof address === 'object' && address ? address.port : 0}`
})
test.after(async () => {
  await host.close()
  receiver.close()
  await rm(home, { recursive: true, force: true })
})

const post = (app: string, url: unknown, token?: string): Promise<Answer> =>
  host.request('POST', `/apps/${app}/log-drains`, { body: { url }, ...(token ? { token } : {}) })
const get = (path: string): Promise<Answer> => host.request('GET', path)
const at = (app: string, which: string) => `/apps/${app}/log-drains/${encodeURIComponent(which)}`

async function newApp(name: string): Promise<string> {
  return (await host.request('POST', '/apps', { body: { name } })).json.id
}

async function refused(asked: Promise<Answer>, status: number, words: RegExp): Promise<void> {
  const { status: got, json } = await asked
  assert.is(got, status, JSON.stringify(json))
  assert.match(json.message, words)
}

const say = (app: string, text: string) =>
  host.d.logs.write(app, { at: Date.now(), source: 'app', dyno: 'web.1', text })
const arrived = (text: string) => waitFor(`"${text}" to arrive`, () => received.includes(` - - ${text}\n`))

test('a drain is made, listed, shown and removed, by id, token or URL', async () => {
  const id = await newApp('drained')
  const made = await post('drained', receiverUrl)
  assert.is(made.status, 201)
  const { token, created_at, updated_at } = made.json
  assert.match(token, /^d\.[0-9a-f-]{36}$/)
  assert.equal(made.json, {
    ...{ id: made.json.id, addon: null, app: { id, name: 'drained' }, token, url: receiverUrl, created_at, updated_at },
  })
  assert.equal((await get('/apps/drained/log-drains')).json, [made.json])
  for (const which of [made.json.id, token, receiverUrl, `${receiverUrl}/`])
    assert.equal((await get(at('drained', which))).json, made.json)
  const [extended] = (await get('/apps/drained/log-drains?extended=true')).json
  assert.is(extended.extended.drain_id, made.json.id)
  say(id, 'first')
  await arrived('first')
  const removed = await host.request('DELETE', at('drained', receiverUrl))
  assert.equal([removed.status, removed.json], [200, made.json])
  assert.equal((await get('/apps/drained/log-drains')).json, [])
  await refused(host.request('DELETE', at('drained', token)), 404, /Couldn't find that log drain/)
})

test('a drain outlives the renaming of its app and ends with it', async () => {
  const id = await newApp('moving')
  await post('moving', receiverUrl)
  await host.request('PATCH', '/apps/moving', { body: { name: 'moved' } })
  say(id, 'after renaming')
  await arrived('after renaming')
  const [{ app }] = (await get('/apps/moved/log-drains')).json
  assert.is(app.name, 'moved')
  await host.request('DELETE', '/apps/moved')
  await host.settled()
  assert.is((await host.d.db.selectFrom('log_drains').selectAll().where('app_id', '=', id).execute()).length, 0)
})

test('what is no drain, is there already, or is one too many is refused', async () => {
  await newApp('full')
  await refused(post('full', 'blablabla'), 422, /^The URL is not valid: it must begin with syslog:/)
  await refused(post('full', undefined), 422, /`url`/)
  for (const host of ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4', '192.0.2.5'])
    assert.is((await post('full', `https://user:pass@${host}/`)).status, 201)
  await refused(post('full', 'https://user:pass@192.0.2.1:443'), 422, /Url has already been taken/)
  await refused(post('full', 'https://192.0.2.6'), 422, /An app may have 5 log drains\..*drains:remove/)
  const [first] = (await get('/apps/full/log-drains')).json
  assert.is(first.url, 'https://user:pass@192.0.2.1/')
})

test('the platform’s own addresses are refused, in every notation', async () => {
  await newApp('nosy')
  for (const url of [
    ...[
      'http://127.0.0.1:5000/',
      'syslog://localhost:514',
      'http://2130706433/',
      'http://0x7f.1/',
      'syslog://017700000001',
    ],
    ...[
      'http://[::1]/',
      'http://[::ffff:127.0.0.1]/',
      'http://169.254.169.254/latest/meta-data',
      'syslog://0.0.0.0:514',
    ],
    ...['http://[fe80::1]/', 'http://[fd00:ec2::254]/', 'http://10.213.0.2:3000/', 'syslog://224.0.0.1:514'],
  ])
    await refused(post('nosy', url), 422, /drains may not reach/)
})

test('collaborators have the same rights as on the rest of the app, and strangers see nothing', async () => {
  await newApp('shared')
  const friend = await host.invite('friend@example.com')
  const stranger = await host.invite('stranger@example.com')
  await host.request('POST', '/apps/shared/collaborators', { body: { user: 'friend@example.com' } })
  assert.is((await post('shared', 'https://a:b@192.0.2.1/', friend.token)).status, 201)
  await refused(post('shared', 'https://192.0.2.9/', stranger.token), 404, /Couldn't find that app/)
  const list = await host.request('GET', '/apps/shared/log-drains', { token: stranger.token })
  assert.is(list.status, 404)
})

test('URLs are sealed at rest and in no log, and a restart opens what is in the table', async () => {
  const id = await newApp('sealed')
  await post('sealed', 'https://someone:hunter2@192.0.2.7/secret-path')
  await post('sealed', receiverUrl)
  const rows = await host.d.db.selectFrom('log_drains').selectAll().execute()
  assert.not.match(JSON.stringify(rows), /hunter2|secret-path|192\.0\.2/)
  const stored = await readFile(join(host.d.config.data, 'sluice.db'), 'latin1')
  assert.not.match(stored, /hunter2|secret-path/)
  assert.not.match(host.logged.join(), /hunter2|secret-path/)
  const opened: string[] = []
  const drains = { ...host.d.drains, open: ({ app }: { app: string }) => void opened.push(app) }
  await openDrains({ ...host.d, drains })
  assert.is(opened.filter((app) => app === id).length, 2)
})

/** What the official CLI prints. */
function heroku(...args: string[]): Promise<string> {
  const env = { HEROKU_HOST: host.url, HEROKU_API_KEY: host.token, NO_COLOR: '1', HEROKU_SKIP_NEW_VERSION_CHECK: '1' }
  const child = spawn(join(packageRoot, 'node_modules', '.bin', 'heroku'), args, {
    env: { PATH: process.env.PATH, HOME: home, DISABLE_TELEMETRY: 'true', HEROKU_DISABLE_AUTOUPDATE: '1', ...env },
  })
  child.stdin.end()
  let out = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      out += chunk
    })
  return new Promise((resolve, reject) => child.once('error', reject).once('close', () => resolve(out)))
}

test('heroku drains:add, drains and drains:remove', async () => {
  await newApp('by-cli')
  const url = 'https://us%40er:p%2Fss@192.0.2.1:8443/a/b?c=d&e'
  assert.is(await heroku('drains:add', url, '-a', 'by-cli'), `Successfully added drain ${url}\n`)
  await heroku('drains:add', 'syslog+tls://192.0.2.2:6514', '-a', 'by-cli')
  const [{ token, id }] = JSON.parse(await heroku('drains', '--json', '-a', 'by-cli'))
  assert.match(
    await heroku('drains', '-a', 'by-cli'),
    `=== Drains\n\n${url} (${token})\nsyslog+tls://192.0.2.2:6514 (d.`,
  )
  assert.match(await heroku('drains', '--extended', '-a', 'by-cli'), `${url} (${token}) drain_id=${id}`)
  const again = (await heroku('drains:add', url, '-a', 'by-cli')).replace(/[\s›]+/g, ' ')
  assert.match(again, 'Url has already been taken. Error ID: invalid_params')
  assert.is(await heroku('drains:remove', url, '-a', 'by-cli'), `Successfully removed drain ${url}\n`)
  assert.match(await heroku('drains:remove', token, '-a', 'by-cli'), "Couldn't find that log drain.")
})

test.run()
