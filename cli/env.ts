import { lookup } from 'node:dns/promises'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { authorityFile, gitAuthorities } from './credentials.ts'
import { writeWhole } from './logins.ts'
import { type Platform, platform } from './platform.ts'
import type { Program } from './program.ts'
import { adminToken, apiUrl, Failure, packageRoot, settings } from './settings.ts'
import { examples } from './usage.ts'

export function register(program: Program): void {
  program
    .command('env')
    .description('print shell exports for the heroku CLI and git')
    .option('--containers', 'the same, under which heroku container:* works too; says what /etc/hosts needs', false)
    .addHelpText(...examples('$ eval "$(sluice env)" && heroku apps'))
    .action(({ containers }) => env(containers))
}

/**
 * Prints shell exports after which the official CLI and git work against this platform as they are, and keep to it: every variable that
 * would have the CLI talk to another host points here (`eval "$(npm run -s env)"`, in bash or sh).
 */
async function env(containers: boolean): Promise<void> {
  const at = await platform()
  const exports = at.here
    ? { ...(await exportsFor(process.env)), ...(containers ? await containerExports() : {}) }
    : { ...(await remoteExports(process.env, at)), ...(containers ? registryExports(at) : {}) }
  const lines = Object.entries(exports).map(([name, value]) => `export ${name}=${quote(value)}`)
  process.stdout.write(`${lines.join('\n')}\n`)
}

/** The variables that would have the CLI talk to another host than the API's at `url`. */
const hosts = (url: string) => ({
  HEROKU_HOST: url,
  HEROKU_PARTICLEBOARD_URL: url,
  HEROKU_LOGIN_HOST: url,
  HEROKU_DATA_HOST: new URL(url).hostname,
  HEROKU_BUILDPACK_REGISTRY_URL: url,
  HEROKU_STATUS_HOST: url,
  DISABLE_TELEMETRY: 'true',
  HEROKU_DISABLE_AUTOUPDATE: '1',
  HEROKU_SKIP_NEW_VERSION_CHECK: '1',
})

/** For a platform elsewhere: to hosts that are neither Heroku's nor this one the CLI sends a token only as a header. */
async function remoteExports(
  outer: NodeJS.ProcessEnv,
  { url, token, git, ca }: Platform,
): Promise<Record<string, string>> {
  const bundle = ca === undefined ? undefined : await remoteBundle(outer, url, ca)
  const isLocal = ['localhost', '127.0.0.1'].includes(new URL(url).hostname)
  return {
    ...hosts(url),
    HEROKU_API_KEY: token,
    HEROKU_GIT_HOST: git,
    HEROKU_EXEC_URL: `https://${git}/`,
    ...(isLocal ? {} : { HEROKU_HEADERS: JSON.stringify({ authorization: `Bearer ${token}` }) }),
    ...(bundle === undefined ? {} : { NODE_EXTRA_CA_CERTS: bundle }),
    ...(bundle === undefined || !outer.GIT_SSL_CAINFO ? {} : { GIT_SSL_CAINFO: bundle }),
    ...gitConfig(outer, {
      ...(ca === undefined ? {} : { [`http.https://${git}/.sslCAInfo`]: await gitAuthorities(url, ca) }),
      [`credential.https://${git}.helper`]: CREDENTIAL_HELPER,
    }),
  }
}

async function remoteBundle(outer: NodeJS.ProcessEnv, url: string, ca: string): Promise<string> {
  const authority = authorityFile(url)
  await mkdir(dirname(authority), { recursive: true, mode: 0o700 })
  await writeWhole(authority, ca)
  return bundleOf(outer, authority, authority.replace(/pem$/, 'bundle.pem'))
}

/** The CLI puts `api.` and `registry.` before HEROKU_HOST by itself, when that is no URL. */
function registryExports({ url, token }: Platform): Record<string, string> {
  const [, host] = /^https:\/\/api\.(.+)$/.exec(url) ?? []
  if (host === undefined)
    throw new Failure(
      `heroku container:* wants an API at https://api.NAME and a registry at registry.NAME, and this one is at ${url}.`,
    )
  return { HEROKU_HOST: host, HEROKU_HEADERS: JSON.stringify({ authorization: `Bearer ${token}` }) }
}

export async function exportsFor(outer: NodeJS.ProcessEnv): Promise<Record<string, string>> {
  const authority = join(settings.data, 'tls', 'ca.pem')
  const bundle = await bundleOf(outer, authority, join(settings.data, 'tls', 'bundle.pem'))
  const tlsUrl = `https://localhost:${settings.apiPort}`
  const git = gitConfig(outer, {
    [`http.${tlsUrl}/.sslCAInfo`]: bundle,
    [`credential.${tlsUrl}.helper`]: CREDENTIAL_HELPER,
  })
  const bin = join(packageRoot, 'node_modules', '.bin')
  const path = outer.PATH ?? '/usr/local/bin:/usr/bin:/bin'
  return {
    ...hosts(apiUrl),
    HEROKU_API_KEY: await adminToken(),
    HEROKU_EXEC_URL: `${tlsUrl}/`,
    NODE_EXTRA_CA_CERTS: bundle,
    ...(outer.GIT_SSL_CAINFO ? { GIT_SSL_CAINFO: bundle } : {}),
    ...git,
    PATH: path.split(delimiter).includes(bin) ? path : `${path}${delimiter}${bin}`,
  }
}

/**
 * `heroku container:*` wants a registry at `registry.$HEROKU_HOST`, so that HEROKU_HOST can be no URL, and then the API is at `api.$HEROKU_HOST`.
 * To that the CLI sends no token by itself. One of its commands takes host and port together for a name, so there has to be such a name.
 */
async function containerExports(): Promise<Record<string, string>> {
  const host = settings.apiPort === HTTPS ? 'localhost' : `localhost:${settings.apiPort}`
  const names = [...new Set(['api.localhost', 'registry.localhost', `registry.${host}`])]
  const known = await Promise.all(names.map((name) => lookup(name).catch(() => undefined)))
  if (known.includes(undefined))
    throw new Failure(
      `The heroku CLI and Docker have to know the platform by further names. Add this line to /etc/hosts: 127.0.0.1 ${names.join(' ')}`,
    )
  return {
    HEROKU_HOST: host,
    HEROKU_GIT_HOST: `localhost:${settings.apiPort}`,
    HEROKU_HEADERS: JSON.stringify({ authorization: `Bearer ${await adminToken()}` }),
  }
}

const HTTPS = 443

/** Takes the token from the environment, so that it is in no command line and no file. */
const CREDENTIAL_HELPER = '!f() { test "$1" = get && echo username=heroku && echo "password=$HEROKU_API_KEY"; }; f'

/** The platform's authority, beside those that the caller's environment adds already. */
async function bundleOf(outer: NodeJS.ProcessEnv, authority: string, bundle: string): Promise<string> {
  const others = new Set([outer.NODE_EXTRA_CA_CERTS, outer.GIT_SSL_CAINFO].filter((path) => path && path !== bundle))
  const texts = await Promise.all([...others].map((path) => (path && existsSync(path) ? readFile(path, 'utf8') : '')))
  if (texts.length === 0 && outer.NODE_EXTRA_CA_CERTS !== bundle) return authority
  if (texts.length > 0) await writeFile(bundle, [await readFile(authority, 'utf8'), ...texts].join('\n'))
  return bundle
}

/** Settings for git by environment, behind those that are there; set again, they replace themselves. */
function gitConfig(outer: NodeJS.ProcessEnv, wanted: Record<string, string>): Record<string, string> {
  const pairs = new Map<string, string>()
  for (let i = 0; i < Number(outer.GIT_CONFIG_COUNT ?? 0); i++)
    pairs.set(outer[`GIT_CONFIG_KEY_${i}`] ?? '', outer[`GIT_CONFIG_VALUE_${i}`] ?? '')
  for (const [key, value] of Object.entries(wanted)) pairs.set(key, value)
  const entries = [...pairs].flatMap(([key, value], i) => [
    [`GIT_CONFIG_KEY_${i}`, key],
    [`GIT_CONFIG_VALUE_${i}`, value],
  ])
  return { GIT_CONFIG_COUNT: String(pairs.size), ...Object.fromEntries(entries) }
}

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
