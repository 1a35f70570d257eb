import { existsSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { type AcmeSettings, readAuthority } from './acme/setting.ts'
import { parseDestinations, type Reach } from './engine/reach.ts'
import { limits } from './limits.ts'
import { type Allowed, parseAllowed } from './logs/drain/target.ts'
import { type Names, parseNames } from './names.ts'
import { own, type Supervisor, supervisorIn } from './notify.ts'
import { type Budget, parseBudget } from './space.ts'

/** The daemon's settings, read once from the environment. The table in README.md is checked against `variables` by a test. */
export interface Config {
  /** Absolute path; everything durable is below it. */
  data: string
  api: { hosts: string[]; port: number }
  /** Names that lead to the API, git and images through the routers; undefined: there are none. */
  names: Names | undefined
  /** The router's public ports, for the URLs that users are shown. */
  router: { httpPort: number; tlsPort: number }
  /** Apps are served at `APP.<domain>`; no custom domain may lie below it. */
  domain: string
  /** How clients of one-off dynos are told to connect. */
  attach: 'rendezvous' | 'https'
  engineSocket: string
  /** Dyno networks are cut from this /16, one /26 an app. */
  networkPool: string
  /** Where dynos and builds get to; undefined: wherever the engine lets them. */
  reach: Reach | undefined
  /** The address whose port 80 ps:exec and its kin come in by; undefined: they do not. */
  execHost: string | undefined
  adminEmail: string
  /** Given by the operator, or made at first start. */
  adminToken: string | undefined
  /** Dynos that boot at once; undefined: by the cores of this machine. */
  boots: number | undefined
  /** Dynos of formations are replaced once a day. */
  cycle: boolean
  /** Requests that an account may make in an hour. */
  rateLimit: number
  /** Bytes that dynos and builds may have together by their sizes; undefined: no bound but what is free. */
  memory: number | undefined
  /** Builds at once; undefined: what fits the machine. */
  builds: number | undefined
  /** The npm registry that bundled buildpacks use; empty means npm's own default. */
  npmRegistry: string | undefined
  /** The package index of the bundled Python buildpack; its user and password, if any, are secret. */
  pipIndex: string | undefined
  /** The registry that names of buildpacks are looked up in; undefined: none. */
  buildpackRegistry: string | undefined
  /** The operator's own buildpacks, which come first. */
  buildpacks: { folder: string } | { mirror: string } | undefined
  /** PEM bundle of the host's certificate authorities, shown to builds and dynos, or undefined for the image's own. */
  caBundle: string | undefined
  /** The public authority that certificates of custom domains come from; undefined: none is asked. */
  acme: AcmeSettings | undefined
  /** Where pushed images are kept: a program that the daemon runs, or a registry that runs elsewhere; undefined: nowhere. */
  registry: { program: string } | { url: string } | undefined
  /** Where log drains and webhooks may go beside public and private networks. */
  drainAllow: Allowed
  /** Slugs of an app that are kept to roll back to. */
  slugs: number
  /** How much of a file system may be in use before more is collected than usual. */
  disk: Budget
  backups: {
    /** Absolute path. */
    folder: string
    /** ms from one to the next; undefined: only when somebody asks for one. */
    every: number | undefined
    keep: number
    /** Path of the file that they are encrypted with; undefined: they are not. */
    passphraseFile: string | undefined
  }
  /** Tests put here what is to strike the daemon, and where (failpoint.ts); undefined everywhere else. */
  failpoints: string | undefined
  /** systemd, when that has started us and wants to be told. */
  supervisor: Supervisor | undefined
  /** Where it has put secrets for us. */
  credentials: string | undefined
}

export const variables = {
  SLUICE_DATA: 'where everything durable lives (default: .sluice in the working directory)',
  SLUICE_HOST: 'addresses that the API listens on, comma-separated (default: 127.0.0.1,::1)',
  SLUICE_PORT: 'port of the API and of git, HTTP and TLS (default: 5000)',
  SLUICE_API_HOST: 'name by which routers lead to the API, such as api.example.com (default: none, only SLUICE_PORT)',
  SLUICE_GIT_HOST: 'name by which routers lead to git (default: SLUICE_API_HOST)',
  SLUICE_REGISTRY_HOST: 'name by which routers lead to the image registry (default: SLUICE_API_HOST)',
  SLUICE_HTTP_PORT: 'port of the router for HTTP (default: 8080)',
  SLUICE_TLS_PORT: 'port of the router for TLS (default: 8443)',
  SLUICE_DOMAIN: 'apps are served at APP.DOMAIN (default: localhost)',
  SLUICE_ATTACH:
    'how heroku run connects: rendezvous (clients must trust the authority) or https (they need ssh) (default: https with SLUICE_API_HOST, else rendezvous)',
  SLUICE_ENGINE: "the Docker engine's socket (default: /var/run/docker.sock)",
  SLUICE_NETWORK_POOL: 'a /16 from which each app gets a network (default: 10.213.0.0/16)',
  SLUICE_FIREWALL:
    'on or off: whether dynos and builds are kept from this machine, its cloud and other apps (default: on)',
  SLUICE_NETWORK_ALLOW: 'addresses, networks and ports that dynos and builds may reach all the same (default: none)',
  SLUICE_NETWORK_DENY: 'further ones that they may not reach (default: none)',
  SLUICE_EXEC_HOST: 'address whose port 80 ps:exec connects to (default: 127.0.0.2; none where the router has port 80)',
  SLUICE_ADMIN_EMAIL: 'the first account (default: admin@sluice.localhost, until one is named)',
  SLUICE_ADMIN_TOKEN: 'its API token (default: made at first start, kept in SLUICE_DATA/admin.token)',
  SLUICE_BOOTS: 'how many dynos boot at once (default: two for each core of this machine)',
  SLUICE_CYCLE: 'on or off: whether dynos are replaced once a day, as on Heroku (default: off)',
  SLUICE_RATE_LIMIT: 'requests to the API that an account may make in an hour (default: 4500)',
  SLUICE_MEMORY:
    'memory that dynos and builds may have together by their sizes, such as 64GB or 1536MB (default: none, what is free counts)',
  SLUICE_BUILDS: 'builds at once (default: as many as there are cores, and as half of the memory has 2 GB)',
  SLUICE_NPM_REGISTRY: 'npm registry for the bundled Node.js buildpack (default: what npm on the host uses)',
  SLUICE_PIP_INDEX: 'package index for the bundled Python buildpack (default: what pip on the host uses, else PyPI)',
  SLUICE_BUILDPACKS:
    "the operator's own buildpacks, which come first: a folder with NS/NAME/ or NS/NAME.tgz, or the URL of a mirror with NS/NAME.tgz (default: none)",
  SLUICE_BUILDPACK_REGISTRY:
    "URL of the registry that names of buildpacks are looked up in, or none (default: Heroku's, https://buildpack-registry.heroku.com)",
  SLUICE_CA_BUNDLE:
    'certificate authorities for builds, dynos, log drains, webhooks and the ACME authority (default: those of the host)',
  SLUICE_ACME_DIRECTORY:
    'authority that certificates come from: letsencrypt, letsencrypt-staging, or the URL of an ACME directory (default: none)',
  SLUICE_ACME_HOSTS: 'on or off: whether APP.DOMAIN gets a certificate as well, below a public domain (default: on)',
  SLUICE_ACME_EAB_KID: 'name of the key by which the authority knows its customer, where it wants one (default: none)',
  SLUICE_ACME_EAB_HMAC: 'that key, as the authority gives it: base64url (default: none)',
  SLUICE_ACME_CONTACT: 'mail address that the authority may write to (default: none)',
  SLUICE_REGISTRY:
    'the image registry: path of the program, URL of one that runs elsewhere, or none (default: docker-registry or registry on PATH)',
  SLUICE_DRAIN_ALLOW:
    'hosts and networks that log drains, webhooks and fetched sources and buildpacks may reach although they are local (default: none)',
  SLUICE_SLUGS:
    'how many slugs of an app are kept, newest first of those that were released and succeeded: as far can be rolled back (default: 10)',
  SLUICE_DISK:
    'how much of the file system may be in use, as 85% or 200GB, before caches and old slugs are removed early (default: 85%)',
  SLUICE_BACKUPS: 'folder for backups, of this platform alone (default: backups below SLUICE_DATA)',
  SLUICE_BACKUP_EVERY: 'how often a backup is made, as 24h, 90m or 7d (default: only when one is asked for)',
  SLUICE_BACKUP_KEEP: 'how many backups are kept, the newest (default: 7)',
  SLUICE_BACKUP_PASSPHRASE_FILE:
    'path of a file with a passphrase in its first line, which backups are encrypted with (default: they are not)',
  SLUICE_FAILPOINTS: 'for tests only: a folder that says where the daemon is to be struck (default: none)',
} as const

/** Where Debian and Fedora keep what the host trusts; behind an inspecting proxy builds get nowhere without it. */
/** The address of the first account before somebody names one. */
export const ADMIN = 'admin@sluice.localhost'

const HOST_BUNDLES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt']

type Environment = Partial<Record<keyof typeof variables | (typeof own)[number], string>>

export function readConfig(env: Environment = process.env as Environment): Config {
  const networkPool = pool(env.SLUICE_NETWORK_POOL || '10.213.0.0/16')
  const router = {
    httpPort: port('SLUICE_HTTP_PORT', env.SLUICE_HTTP_PORT, 8080),
    tlsPort: port('SLUICE_TLS_PORT', env.SLUICE_TLS_PORT, 8443),
  }
  const names = parseNames(env)
  return {
    data: resolve(env.SLUICE_DATA || '.sluice'),
    api: { hosts: (env.SLUICE_HOST || '127.0.0.1,::1').split(','), port: port('SLUICE_PORT', env.SLUICE_PORT, 5000) },
    names,
    router,
    domain: (env.SLUICE_DOMAIN || 'localhost').toLowerCase(),
    attach: either('SLUICE_ATTACH', env.SLUICE_ATTACH || (names ? 'https' : 'rendezvous'), ['rendezvous', 'https']),
    engineSocket: env.SLUICE_ENGINE || '/var/run/docker.sock',
    networkPool,
    reach:
      either('SLUICE_FIREWALL', env.SLUICE_FIREWALL || 'on', ['on', 'off']) === 'on'
        ? reach(env, networkPool, router)
        : undefined,
    // a router at port 80 has it of all addresses
    execHost: env.SLUICE_EXEC_HOST || (router.httpPort === 80 ? undefined : '127.0.0.2'),
    adminEmail: env.SLUICE_ADMIN_EMAIL || ADMIN,
    adminToken: env.SLUICE_ADMIN_TOKEN || undefined,
    boots: env.SLUICE_BOOTS ? count('SLUICE_BOOTS', env.SLUICE_BOOTS, 0) : undefined,
    cycle: either('SLUICE_CYCLE', env.SLUICE_CYCLE || 'off', ['on', 'off']) === 'on',
    rateLimit: count('SLUICE_RATE_LIMIT', env.SLUICE_RATE_LIMIT, 4500),
    memory: memory(env.SLUICE_MEMORY),
    builds: env.SLUICE_BUILDS ? count('SLUICE_BUILDS', env.SLUICE_BUILDS, 1) : undefined,
    npmRegistry: env.SLUICE_NPM_REGISTRY || undefined,
    pipIndex: packageIndex(env.SLUICE_PIP_INDEX),
    buildpackRegistry: registry(env.SLUICE_BUILDPACK_REGISTRY || 'https://buildpack-registry.heroku.com'),
    buildpacks: ownBuildpacks(env.SLUICE_BUILDPACKS),
    caBundle: env.SLUICE_CA_BUNDLE || HOST_BUNDLES.find((path) => existsSync(path)),
    acme: readAuthority(env, env.SLUICE_DOMAIN || 'localhost'),
    registry: imageRegistry(env.SLUICE_REGISTRY || ''),
    drainAllow: parseAllowed(env.SLUICE_DRAIN_ALLOW || ''),
    slugs: count('SLUICE_SLUGS', env.SLUICE_SLUGS, 10),
    disk: parseBudget('SLUICE_DISK', env.SLUICE_DISK || '85%'),
    backups: {
      folder: resolve(env.SLUICE_BACKUPS || join(env.SLUICE_DATA || '.sluice', 'backups')),
      every: every(env.SLUICE_BACKUP_EVERY),
      keep: count('SLUICE_BACKUP_KEEP', env.SLUICE_BACKUP_KEEP, 7),
      passphraseFile: passphraseFile(env.SLUICE_BACKUP_PASSPHRASE_FILE),
    },
    failpoints: env.SLUICE_FAILPOINTS || undefined,
    supervisor: supervisorIn(env),
    credentials: env.CREDENTIALS_DIRECTORY || undefined,
  }
}

function port(name: string, value: string | undefined, fallback: number): number {
  if (!value) return fallback
  const number = Number(value)
  if (!Number.isInteger(number) || number < 1 || number > 65535)
    throw new Error(`${name} is "${value}"; it must be a port number between 1 and 65535.`)
  return number
}

function count(name: string, value: string | undefined, fallback: number): number {
  if (!value) return fallback
  const number = Number(value)
  if (!Number.isInteger(number) || number < 1)
    throw new Error(`${name} is "${value}"; it must be a whole number above 0.`)
  return number
}

const PERIODS = { m: 60_000, h: 3_600_000, d: 86_400_000 }

function every(value: string | undefined): number | undefined {
  if (!value) return undefined
  const [, number, unit = ''] = /^(\d{1,5})([mhd])$/.exec(value) ?? []
  const time = Number(number) * PERIODS[unit as keyof typeof PERIODS]
  if (!(time >= limits.backupOften))
    throw new Error(`SLUICE_BACKUP_EVERY is "${value}"; it must be a time such as 24h, 90m or 7d, and at least 10m.`)
  return time
}

function passphraseFile(path: string | undefined): string | undefined {
  if (!path) return undefined
  if (!path.startsWith('/') || !existsSync(path))
    throw new Error(`SLUICE_BACKUP_PASSPHRASE_FILE is "${path}"; it must be the whole path of a file that is there.`)
  return path
}

const UNITS = { MB: 1024 ** 2, GB: 1024 ** 3 }

function memory(value: string | undefined): number | undefined {
  if (!value) return undefined
  const [, number, unit] = /^(\d{1,9})(MB|GB)$/i.exec(value) ?? []
  const bytes = Number(number) * UNITS[unit?.toUpperCase() as keyof typeof UNITS]
  if (!(bytes > 0)) throw new Error(`SLUICE_MEMORY is "${value}"; it must be a size such as 64GB or 1536MB.`)
  if (bytes < limits.buildLeast)
    throw new Error(`SLUICE_MEMORY is "${value}"; it must be at least 512MB, which one dyno or one build takes.`)
  return bytes
}

function packageIndex(url: string | undefined): string | undefined {
  if (!url) return undefined
  if (!isWebUrl(url)) throw new Error('SLUICE_PIP_INDEX must be an http or https URL, such as https://pypi.org/simple.')
  return url
}

function registry(value: string): string | undefined {
  if (value === 'none') return undefined
  if (!isWebUrl(value))
    throw new Error(`SLUICE_BUILDPACK_REGISTRY is "${value}"; it must be an http or https URL, or none.`)
  return value
}

function ownBuildpacks(value: string | undefined): Config['buildpacks'] {
  if (!value) return undefined
  if (isWebUrl(value)) return { mirror: value }
  if (!value.startsWith('/') || !existsSync(value))
    throw new Error(
      `SLUICE_BUILDPACKS is "${value}"; it must be the whole path of a folder that is there, or an http or https URL.`,
    )
  return { folder: value }
}

const isWebUrl = (value: string): boolean =>
  URL.canParse(value) && ['http:', 'https:'].includes(new URL(value).protocol)

const REGISTRY_PROGRAMS = ['docker-registry', 'registry']

function imageRegistry(value: string): Config['registry'] {
  if (value === 'none') return undefined
  if (/^https?:\/\//.test(value) && URL.canParse(value)) return { url: value }
  if (value.startsWith('/') && existsSync(value)) return { program: value }
  if (value !== '') throw new Error('SLUICE_REGISTRY must be the path of a program, an http or https URL, or none.')
  const folders = (process.env.PATH ?? '').split(delimiter)
  const found = REGISTRY_PROGRAMS.flatMap((name) => folders.map((folder) => join(folder, name)))
  const program = found.find((path) => existsSync(path))
  return program === undefined ? undefined : { program }
}

const reach = (env: Environment, pool: string, { httpPort, tlsPort }: Config['router']): Reach => ({
  pool,
  routerPorts: [httpPort, tlsPort],
  allow: parseDestinations('SLUICE_NETWORK_ALLOW', env.SLUICE_NETWORK_ALLOW || ''),
  deny: parseDestinations('SLUICE_NETWORK_DENY', env.SLUICE_NETWORK_DENY || ''),
})

function either<Word extends string>(name: string, value: string, [one, other]: readonly [Word, Word]): Word {
  if (value === one || value === other) return value as Word
  throw new Error(`${name} is "${value}"; it must be ${one} or ${other}.`)
}

function pool(value: string): string {
  const octets = /^(\d{1,3})\.(\d{1,3})\.0\.0\/16$/.exec(value)
  if (!octets || octets.slice(1).some((octet) => Number(octet) > 255))
    throw new Error(`SLUICE_NETWORK_POOL is "${value}"; it must be a /16 such as 10.213.0.0/16.`)
  return value
}

/** What programs of the host are started with: everything but Sluice's own settings, among which are secrets, and what systemd tells us alone. */
export const hostEnvironment = (env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(env).filter(([name]) => !name.startsWith('SLUICE_') && !(own as readonly string[]).includes(name)),
  )

/** The package's own folder, for the scripts and buildpacks that are shipped beside `dist`. */
export const packageRoot = resolve(import.meta.dirname, '..', '..')
