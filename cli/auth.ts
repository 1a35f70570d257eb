import { hostname } from 'node:os'
import { text } from 'node:stream/consumers'
import { InvalidArgumentError } from '@commander-js/extra-typings'
import { ask, Refused, read } from './api.ts'
import { browse } from './browser.ts'
import { configureGit, forgetGit } from './credentials.ts'
import { meet } from './introduction.ts'
import { changeLogins, readLogins } from './logins.ts'
import { action, json, say, styled, warn } from './output.ts'
import { authority, forgetPlatform, platform, urlOf } from './platform.ts'
import type { Program } from './program.ts'
import { attended, question } from './prompt.ts'
import { request } from './request.ts'
import { Failure, NOT_LOGGED_IN } from './settings.ts'
import { examples } from './usage.ts'

/*
 *   (nobody) -- login: the platform is met, who you are is shown, a session begins --> (logged in) -- logout: the session ends --> (nobody)
 *
 * A login's token is in logins.json only, readable for its owner; git gets it by `sluice git:credentials`. It ends by itself after 30 days. A token that somebody
 * brought, such as the administrator's, is forgotten at the logout and stays good: the login has not made it.
 */

const SESSION = 30 * 24 * 60 * 60

interface Choice {
  browser?: string | boolean
  ca?: string
  expiresIn: number
  token?: boolean
}

export function register(program: Program): void {
  program
    .command('auth:login')
    .alias('login')
    .description('log in to a platform; it is the one that commands are for from then on')
    .argument('[url]', 'of the platform, such as https://api.example.com; default: the one of the last login')
    .option('--browser [browser]', 'log in on a page of the platform, in this browser or the usual one')
    .option('--ca <file>', "the platform's own authority, PEM; what others show is not trusted then")
    .option('-e, --expires-in <seconds>', 'duration of the login in seconds (default 30 days)', seconds, SESSION)
    .option('-i, --interactive', 'log in with mail and password, as without --browser')
    .option('--token', 'read a token from the standard input in place of mail and password')
    .addHelpText(
      ...examples(
        '$ sluice login https://api.example.com',
        '$ sluice login --browser',
        '$ sluice login --token < token',
      ),
    )
    .action(login)
  program.command('auth:logout').alias('logout').description('end the session, and forget its token').action(logout)
  program
    .command('auth:whoami')
    .alias('whoami')
    .description('display the current logged in user')
    .option('--json', 'output in json format')
    .action(whoami)
  program
    .command('auth:2fa')
    .aliases(['2fa', 'twofactor'])
    .description('whether there is a second factor to your password')
    .option('--json', 'output in json format')
    .action(secondFactor)
  program.command('auth:token').description('output the current authentication token').action(token)
}

function seconds(text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new InvalidArgumentError(`Expected an integer but received: ${text}`)
  return Number(text)
}

async function login(given: string | undefined, choice: Choice): Promise<void> {
  const { current, platforms } = await readLogins()
  // `--browser URL`: what follows it is no browser's name
  const behind = /^https?:/.test(String(choice.browser)) ? String(choice.browser) : undefined
  const url = given ?? behind ?? process.env.SLUICE_API_URL ?? current
  if (url === undefined) throw new Failure('Which platform? Its operator tells: sluice login https://api.example.com')
  const at = urlOf(url)
  const before = platforms[at]
  const file = choice.ca === undefined ? undefined : await authority(choice.ca)
  const { git, ca } = await meet(at, { file, known: before?.ca, git: before?.git })
  const place = { url: at, ca }
  const token = await (choice.token
    ? fromInput()
    : choice.browser
      ? byBrowser(place, behind === undefined ? choice.browser : true)
      : byPassword(place, choice))
  const { email } = await accountOf(place, token)
  await changeLogins((logins) => {
    logins.current = at
    logins.platforms[at] = {
      ...{ token, git },
      ...(choice.token ? { brought: true } : {}),
      ...(ca === undefined ? {} : { ca }),
    }
  })
  forgetPlatform()
  if (before?.token && before.token !== token && !before.brought) await end(place, before.token).catch(() => undefined)
  await configureGit({ url: at, git, ca })
  const { url: used } = await platform()
  if (used !== at)
    warn(`Commands go to ${used} here, as the environment says. For this one: export SLUICE_API_URL=${at}`)
  say(`Logged in as ${styled('green', email)}`)
}

interface Place {
  url: string
  ca: string | undefined
}

/** On the standard input, so that it is in no list of processes and no history. */
async function fromInput(): Promise<string> {
  if (attended()) process.stderr.write('Paste the token, then press Enter and Ctrl-D:\n')
  const token = (await text(process.stdin)).trim()
  if (!/^[\w.~+/=-]{8,1000}$/.test(token)) throw new Failure('The standard input holds no token.')
  return token
}

async function byPassword(place: Place, { expiresIn }: Choice): Promise<string> {
  if (!attended())
    throw new Failure(
      'There is no terminal to ask for mail and password on. Give a token: sluice login URL --token < FILE',
    )
  process.stderr.write(`sluice: Enter your login credentials for ${place.url}\n`)
  const email = (await question('Email: ')).trim()
  const password = await question('Password: ', { hidden: true })
  const authorization = await exchange<{ access_token: { token: string } }>(place, 'POST', '/oauth/authorizations', {
    authorization: `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`,
    body: { scope: ['global'], description: description(), expires_in: expiresIn },
  })
  return authorization.access_token.token
}

/** A person says yes on a page of the platform; nothing secret is in the page's address. */
async function byBrowser(place: Place, browser: string | boolean): Promise<string> {
  const begun = await exchange<{ browser_url: string; cli_url: string; token: string }>(place, 'POST', '/auth', {
    body: { description: description() },
  })
  const page = new URL(begun.browser_url, place.url).toString()
  const opened = await browse(page, browser === true ? undefined : String(browser))
  process.stderr.write(opened ? `Opening browser to ${page}\n` : `Open this page in a browser:\n  ${page}\n`)
  const answer = await action('Waiting for login', () =>
    exchange<{ access_token?: string; error?: string }>(place, 'GET', begun.cli_url, {
      authorization: `Bearer ${begun.token}`,
    }),
  )
  if (!answer.access_token) throw new Failure(answer.error ?? 'The login was not finished.')
  return answer.access_token
}

const description = (): string => `sluice login from ${hostname()}`.slice(0, 200)

/** The API, as somebody who is not logged in yet. */
async function exchange<Answer>(
  { url, ca }: Place,
  method: string,
  path: string,
  { authorization, body }: { authorization?: string; body?: object } = {},
): Promise<Answer> {
  const headers = {
    accept: 'application/vnd.heroku+json; version=3',
    ...(authorization === undefined ? {} : { authorization }),
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  }
  const sent = body === undefined ? {} : { body: JSON.stringify(body) }
  return read<Answer>(url, await request(new URL(path, url).toString(), { method, headers, ca, ...sent }))
}

const accountOf = (place: Place, token: string): Promise<{ email: string }> =>
  exchange(place, 'GET', '/account', { authorization: `Bearer ${token}` })

const end = (place: Place, token: string): Promise<unknown> =>
  exchange(place, 'DELETE', '/oauth/authorizations/~', { authorization: `Bearer ${token}` })

async function logout(): Promise<void> {
  const { current, platforms } = await readLogins()
  const url = process.env.SLUICE_API_URL ? urlOf(process.env.SLUICE_API_URL) : current
  const known = url === undefined ? undefined : platforms[url]
  if (url === undefined || !known?.token) throw new Failure('not logged in', NOT_LOGGED_IN)
  const { token, brought, ...rest } = known
  await action('Logging out', async () => {
    // what the platform has ended already, or cannot be told, is forgotten here all the same
    const told = brought ? undefined : await end({ url, ca: known.ca }, token).catch((error: Error) => error)
    await changeLogins((logins) => {
      logins.platforms[url] = rest
    })
    await forgetGit({ url, ...rest })
    if (told instanceof Error && !(told instanceof Refused && told.status === 401))
      warn(`The platform could not be told: ${told.message}\nThe token stays good there until it ends.`)
  })
  if (brought) warn('The token was not made by this login, and stays good. To end it: sluice authorizations:revoke ID')
}

async function whoami(choice: { json?: true }): Promise<void> {
  const { url } = await loggedIn()
  const account = await ask<{ email: string }>('GET', '/account').catch((error: unknown) => {
    if (error instanceof Refused && error.status === 401) throw notLoggedIn()
    throw error
  })
  if (choice.json) json({ ...account, platform: url })
  else say(account.email)
}

async function secondFactor(choice: { json?: true }): Promise<void> {
  const { two_factor_authentication: enabled } = await ask<{ two_factor_authentication: boolean }>('GET', '/account')
  if (choice.json) json({ two_factor_authentication: enabled })
  else say(`Two-factor authentication is ${enabled ? styled('green', 'enabled') : styled('red', 'not enabled')}`)
}

async function token(): Promise<void> {
  say((await loggedIn()).token)
}

const loggedIn = () =>
  platform().catch(() => {
    throw notLoggedIn()
  })

const notLoggedIn = (): Failure => new Failure('not logged in', NOT_LOGGED_IN)
