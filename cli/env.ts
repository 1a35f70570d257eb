import { lookup } from 'node:dns/promises'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import type { Program } from './program.ts'
import { adminToken, apiUrl, Failure, packageRoot, settings } from './settings.ts'

export function register(program: Program): void {
  program
    .command('env')
    .description('print shell exports for the heroku CLI and git')
    .option('--containers', 'the same, under which heroku container:* works too; says what /etc/hosts needs', false)
    .addHelpText('after', '\nExample:  eval "$(sluice env)" && heroku apps')
    .action(({ containers }) => env(containers))
}

/**
 * Prints shell exports after which the official CLI and git work against this platform as they are, and keep to it: every variable that
 * would have the CLI talk to another host points here (`eval "$(npm run -s env)"`, in bash or sh).
 */
async function env(containers: boolean): Promise<void> {
  const all = { ...(await exportsFor(process.env)), ...(containers ? await containerExports() : {}) }
  const lines = Object.entries(all).map(([name, value]) => `export ${name}=${quote(value)}`)
  process.stdout.write(`${lines.join('\n')}\n`)
}

export async function exportsFor(outer: NodeJS.ProcessEnv): Promise<Record<string, string>> {
  const authority = join(settings.data, 'tls', 'ca.pem')
  const bundle = await bundleOf(outer, authority)
  const tlsUrl = `https://localhost:${settings.apiPort}`
  const git = gitConfig(outer, {
    [`http.${tlsUrl}/.sslCAInfo`]: bundle,
    [`credential.${tlsUrl}.helper`]: CREDENTIAL_HELPER,
  })
  const bin = join(packageRoot, 'node_modules', '.bin')
  const path = outer.PATH ?? '/usr/local/bin:/usr/bin:/bin'
  return {
    HEROKU_HOST: apiUrl,
    HEROKU_API_KEY: await adminToken(),
    HEROKU_PARTICLEBOARD_URL: apiUrl,
    HEROKU_LOGIN_HOST: apiUrl,
    HEROKU_DATA_HOST: 'localhost',
    HEROKU_BUILDPACK_REGISTRY_URL: apiUrl,
    HEROKU_EXEC_URL: `${tlsUrl}/`,
    HEROKU_STATUS_HOST: apiUrl,
    DISABLE_TELEMETRY: 'true',
    HEROKU_DISABLE_AUTOUPDATE: '1',
    HEROKU_SKIP_NEW_VERSION_CHECK: '1',
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
async function bundleOf(outer: NodeJS.ProcessEnv, authority: string): Promise<string> {
  const bundle = join(settings.data, 'tls', 'bundle.pem')
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
