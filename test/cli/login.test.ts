import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { accountNamed } from '../../daemon/account/account.ts'
import { inviteAccount } from '../../daemon/account/invitation.ts'
import { packageRoot } from '../../daemon/config.ts'
import { openTerminal } from '../e2e/terminal.ts'
import { waitFor } from '../e2e/wait.ts'
import { type Rig, startRig } from './rig.ts'

/** A person who was invited, and a terminal in which no token is set. */
const rig: Rig = await startRig()
const { host, home } = rig
const env = {
  PATH: process.env.PATH,
  HOME: home,
  HEROKU_HOST: host.url,
  HEROKU_LOGIN_HOST: host.url,
  HEROKU_PARTICLEBOARD_URL: host.url,
  HEROKU_NETRC_WRITE: 'true',
  DISABLE_TELEMETRY: 'true',
  HEROKU_DISABLE_AUTOUPDATE: '1',
  HEROKU_SKIP_NEW_VERSION_CHECK: '1',
  NO_COLOR: '1',
}
const cli = join(packageRoot, 'node_modules', 'heroku', 'bin', 'run.js')
const terminal = await openTerminal(env, { cli, cwd: home, columns: 160 })
test.after(async () => {
  await terminal.close()
  await rig.close()
})
/** As typed in the terminal; the screen once it shows what is waited for. */
const heroku = async (line: string, shows: string | RegExp) => {
  await terminal.clear()
  await terminal.enter(`heroku ${line}`)
  return terminal.shows(shows)
}

/** In place of a browser: writes down what it was opened with. */
const [browser, opened] = [join(home, 'browser'), join(home, 'opened')]
await writeFile(browser, `#!/bin/sh\nprintf %s "$1" > '${opened}'\n`, { mode: 0o755 })

const email = 'ann@example.com'
const password = 'correct horse battery'
const form = (path: string, fields: Record<string, string>) =>
  host.request('POST', path, {
    token: null,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  })
/** The path of the page that the browser was opened with. */
async function openedPage(): Promise<string> {
  const url = await waitFor('the browser to be opened', async () => {
    const text = await readFile(opened, 'utf8').catch(() => '')
    return text === '' ? undefined : text
  })
  return url.slice(host.url.length)
}
const sessions = () => host.d.db.selectFrom('sessions').selectAll().execute()
const netrc = () => readFile(join(home, '.netrc'), 'utf8')

test('an invited person chooses a password and logs in with heroku login -i', async () => {
  const admin = await accountNamed(host.d.db, 'admin@example.com')
  if (!admin) throw new Error('there is no administrator')
  const { token } = await inviteAccount(host.d, admin, { email, role: 'member' })
  assert.is((await form(`/invitations/${token}`, { name: 'Ann', password, again: password })).status, 200)
  await heroku('login -i', 'Email')
  await terminal.enter(email)
  await terminal.shows('Password')
  await terminal.enter('wrong horse battery')
  await terminal.shows('Invalid credentials provided.')
  await heroku('login -i', 'Email')
  await terminal.enter(email)
  await terminal.shows('Password')
  await terminal.enter(password)
  await terminal.shows('Logged in as ann@example.com')
  assert.match(await netrc(), email)
  await heroku('auth:whoami', /^ann@example\.com$/m)
})

test('heroku sessions lists the login, sessions:destroy ends it', async () => {
  const [session] = await sessions()
  await heroku('sessions', new RegExp(`Heroku CLI login from .* ${session?.id}`))
  await heroku(`sessions:destroy ${session?.id}`, `Destroying ${session?.id}... done`)
  await heroku('auth:whoami', 'Invalid credentials provided.')
})

test('heroku auth:login opens a browser, in which the person says yes; auth:logout ends the session', async () => {
  await heroku(`auth:login --browser ${browser}`, 'Press any key')
  await terminal.press('Enter')
  const path = await openedPage()
  assert.match((await host.request('GET', path, { token: null })).text, 'Heroku CLI login from')
  assert.match((await form(path, { email, password })).text, 'Go back to your terminal')
  await terminal.shows('Logged in as ann@example.com')
  const [, token = ''] = /password (\S+)/.exec(await netrc()) ?? []
  assert.is((await host.request('GET', '/account', { token })).json.email, email)
  await heroku('auth:logout', /Logging out\.\.\. done/)
  assert.equal(await sessions(), [])
  assert.is((await host.request('GET', '/account', { token })).status, 401)
})

test('heroku auth:login that is refused in the browser logs nobody in', async () => {
  await writeFile(opened, '')
  await heroku(`auth:login --browser ${browser}`, 'Press any key')
  await terminal.press('Enter')
  await form(await openedPage(), { decision: 'deny' })
  await terminal.shows('The login was refused in the browser.')
  assert.equal(await sessions(), [])
})

test.run()
