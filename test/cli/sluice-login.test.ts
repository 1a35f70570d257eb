import { readFile, stat } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { accountNamed } from '../../daemon/account/account.ts'
import { inviteAccount } from '../../daemon/account/invitation.ts'
import { createApi } from '../../daemon/api/api.ts'
import { ensureCertificates } from '../../daemon/route/certificate.ts'
import { startHost } from '../api/host.ts'
import { openTerminal } from '../e2e/terminal.ts'
import { waitFor } from '../e2e/wait.ts'
import { execute, main, startPerson } from './sluice.ts'

/** A platform on a network: by TLS, with a certificate from its own authority, which nobody knows yet. */
const host = await startHost()
const { key, cert } = await ensureCertificates(host.d.config)
const server = createServer({ key, cert }, createApi(host.d))
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const url = `https://localhost:${(server.address() as AddressInfo).port}`
const authority = join(host.d.config.data, 'tls', 'ca.pem')

const person = await startPerson({ NO_COLOR: '1', GIT_TERMINAL_PROMPT: '0' })
const terminal = await openTerminal(person.env, { cli: main, cwd: person.home, columns: 160 })
await terminal.enter('sluice() { heroku "$@"; }')
test.after(async () => {
  await terminal.close()
  await person.close()
  server.closeAllConnections()
  server.close()
  await host.close()
})
const { sluice } = person
const logins = join(person.env.XDG_CONFIG_HOME ?? '', 'sluice', 'logins.json')
const sessions = () => host.d.db.selectFrom('sessions').selectAll().execute()
const fill = (of = url) =>
  execute(['git', 'credential', 'fill'], {
    ...{ env: person.env, cwd: person.home, input: `protocol=https\nhost=${new URL(of).host}\n\n` },
  })

const email = 'ann@example.com'
const password = 'correct horse battery'

test('before anybody is logged in, commands say how', async () => {
  assert.equal((await sluice(['whoami'])).code, 100)
  assert.match((await sluice(['login'])).err, /Which platform\? .* sluice login https:/)
  assert.match(
    (await sluice(['routers'], { env: { SLUICE_API_URL: url } })).err,
    /not logged in to .*Run: sluice login/,
  )
  assert.match((await sluice(['login', 'http://api.example.com'])).err, /do not go over a network unencrypted/)
  assert.match((await sluice(['login', 'https://a:b@c'])).err, /without a name and a password/)
})

test('a token does not go over a network unencrypted, whoever says so', async () => {
  const env = { SLUICE_API_URL: 'http://192.0.2.1:5000', SLUICE_API_KEY: host.token }
  assert.match((await sluice(['apps'], { env })).err, /do not go over a network unencrypted/)
})

test('an authority that nobody knows is trusted only when somebody says so, or brings it', async () => {
  const untold = await sluice(['login', url, '--token'], { input: host.token })
  assert.is(untold.code, 1)
  assert.match(untold.err, /fingerprint is\n › {5}(\w\w:){31}\w\w\n[\s\S]*Give the authority as a file: --ca FILE/)
  assert.is(await stat(logins).catch(() => undefined), undefined)
  const other = join(person.home, 'other.pem')
  await execute(
    [
      'openssl',
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/CN=other',
      '-out',
      other,
      '-keyout',
      `${other}.key`,
    ],
    { env: person.env, cwd: person.home },
  )
  assert.match(
    (await sluice(['login', url, '--token', '--ca', other], { input: host.token })).err,
    /not from the authority in/,
  )
  assert.match(
    (await sluice(['login', url, '--token', '--ca', authority], { input: host.token })).out,
    /Logged in as admin@/,
  )
})

test('a login is kept for its owner only, and git learns the token from it and from nobody else', async () => {
  assert.is((await stat(logins)).mode & 0o777, 0o600)
  assert.is((await stat(join(logins, '..'))).mode & 0o777, 0o700)
  assert.is((await sluice(['whoami'])).out, 'admin@example.com\n')
  assert.equal(JSON.parse((await sluice(['auth:whoami', '--json'])).out).platform, url)
  assert.match((await fill()).out, `password=${host.token}\n`)
  const config = await readFile(join(person.home, '.gitconfig'), 'utf8')
  assert.not.match(config, host.token)
  assert.match(config, /helper = *\n\thelper = "?!/)
  const [, file = ''] = /sslCAInfo = (.*authorities.*)/.exec(config) ?? []
  const pem = await readFile(file, 'utf8')
  assert.ok(pem.includes((await readFile(authority, 'utf8')).trim()))
  assert.ok(pem.includes(rootCertificates[0] ?? '-'), 'its certificate may come from a public authority one day')
  assert.not.match((await fill('https://elsewhere.example.com')).out, 'password')
})

test('exports for the official CLI lead to that platform, with its authority, also on a host that is not this one', async () => {
  const { out } = await sluice(['env'])
  assert.match(out, `export HEROKU_HOST='${url}'`)
  assert.match(out, `export HEROKU_API_KEY='${host.token}'`)
  assert.match(out, `export HEROKU_GIT_HOST='${new URL(url).host}'`)
  const [, bundle = ''] = /NODE_EXTRA_CA_CERTS='(.*)'/.exec(out) ?? []
  assert.is(await readFile(bundle, 'utf8'), await readFile(authority, 'utf8'))
  const env = { SLUICE_API_URL: 'https://api.example.com', SLUICE_API_KEY: 'k' }
  const remote = (await sluice(['env'], { env })).out
  assert.match(remote, `export HEROKU_HEADERS='{"authorization":"Bearer k"}'`)
  assert.not.match(remote, 'NODE_EXTRA_CA_CERTS')
  assert.match((await sluice(['env', '--containers'], { env })).out, "export HEROKU_HOST='example.com'")
})

test('an invited person logs in with mail and password, and a wrong one logs nobody in', async () => {
  const admin = await accountNamed(host.d.db, 'admin@example.com')
  if (!admin) throw new Error('there is no administrator')
  const { token } = await inviteAccount(host.d, admin, { email, role: 'member' })
  await host.request('POST', `/invitations/${token}`, {
    token: null,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ name: 'Ann', password, again: password }).toString(),
  })
  for (const [word, shows] of [
    ['wrong horse battery', 'Invalid credentials provided.'],
    [password, /^Logged in as ann@example\.com$/m],
  ] as const) {
    await terminal.clear()
    await terminal.enter('sluice login')
    await terminal.shows('Email:')
    await terminal.enter(email)
    await terminal.shows('Password:')
    await terminal.enter(word)
    assert.not.match(await terminal.shows(shows), word)
  }
  assert.is((await host.request('GET', '/account')).status, 200, 'the token that was brought stays good')
  assert.is((await sluice(['whoami'])).out, `${email}\n`)
  assert.match((await sessions())[0]?.description ?? '', /^sluice login from /)
})

test('a login in a browser, for which a page is shown where there is none', async () => {
  let said = ''
  const done = sluice(['login', '--browser'], {
    hear(text) {
      said = text
    },
  })
  const page = await waitFor('the page to be shown', async () => /\/auth\/browser\/\S+(?=\n)/.exec(said)?.[0])
  await host.request('POST', page, {
    token: null,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ email, password }).toString(),
  })
  const { out, err } = await done
  assert.match(err, new RegExp(`Open this page in a browser:\n {2}${url}/auth/browser/`))
  assert.is(out, `Logged in as ${email}\n`)
})

test('a question that is left with Ctrl-C ends with 130, and the terminal is as before', async () => {
  await terminal.clear()
  await terminal.enter('sluice login; echo "code $?"')
  await terminal.shows('Email:')
  await terminal.press('C-c')
  await terminal.shows('code 130')
  await terminal.enter('stty | grep -c -- "-echo"; echo over')
  assert.match(await terminal.shows(/^over$/m), /^0$/m)
})

test('what was probably meant is offered at a terminal, and run', async () => {
  await terminal.clear()
  await terminal.enter('sluice whoamy')
  await terminal.shows('Did you mean whoami? (Y/n)')
  await terminal.press('Enter')
  await terminal.shows(/^ann@example\.com$/m)
})

test('apps to transfer are chosen from a list at a terminal', async () => {
  for (const name of ['bulk-a', 'bulk-b', 'bulk-c']) assert.is((await sluice(['create', name, '-n'])).code, 0)
  await terminal.clear()
  await terminal.enter('sluice apps:transfer sluice --bulk')
  await terminal.shows('2) bulk-b (ann@example.com)')
  await terminal.shows('Select applications you would like to transfer')
  await terminal.enter('1,3')
  await terminal.shows(/Transferring bulk-a\.\.\. done\s+Transferring bulk-c\.\.\. done/)
  assert.match((await sluice(['apps', '-t', 'sluice'])).out, /bulk-a\nbulk-c\n/)
  assert.match((await sluice(['apps'])).out, /bulk-b/)
})

test('a logout ends the session there and here', async () => {
  const token = (await sluice(['auth:token'])).out.trim()
  assert.is((await host.request('GET', '/account', { token })).status, 200)
  assert.match((await sluice(['logout'])).err, /^Logging out\.\.\. done\n$/)
  assert.is((await host.request('GET', '/account', { token })).status, 401)
  assert.is((await sluice(['whoami'])).code, 100)
  assert.not.match((await fill()).out, 'password')
  assert.is((await sluice(['logout'])).code, 100)
})

test('a token that somebody brought is forgotten by a logout, and stays good for its other users', async () => {
  await sluice(['login', url, '--token'], { input: host.token })
  assert.match((await sluice(['logout'])).err, /stays good\. To end it: sluice authorizations:revoke/)
  assert.is((await sluice(['whoami'])).code, 100)
  assert.is((await host.request('GET', '/account')).status, 200)
})

test('a damaged file of logins is told, and kept', async () => {
  await execute(['sh', '-c', `echo '{' > '${logins}'`], { env: person.env, cwd: person.home })
  assert.match((await sluice(['routers'])).err, /logins\.json is damaged\. Remove it, and log in again/)
  assert.is(await readFile(logins, 'utf8'), '{\n')
})

test.run()
