import type { AppRoute } from '../../router/protocol.ts'
import type { Daemon } from '../daemon.ts'
import { hostsOf, type Names } from '../names.ts'

/** In the route table, beside the apps' ids, which are UUIDs. */
export const PLATFORM = 'platform'

/** A restart of the daemon is a pause for its clients, ms. */
const HOLD = 30_000

interface Place {
  names: Names | undefined
  api: { hosts: string[]; port: number }
}

/**
 * The way to this daemon by the routers of its machine. It serves always, so that routers that have their table from disk show it before
 * the daemon is there. `proof`: by what the daemon knows them (`forwarded.ts`).
 */
export function platformRoute({ names, api }: Place, proof: string): AppRoute[] {
  if (names === undefined) return []
  const [host = ''] = api.hosts
  const address = ANY.get(host) ?? host
  return [
    {
      id: PLATFORM,
      // no app has such a name
      name: '(platform)',
      hosts: hostsOf(names),
      certificates: [],
      maintenance: false,
      redirect: true,
      hold: HOLD,
      platform: proof,
      empty: 'starting',
      backends: [{ id: PLATFORM, dyno: 'daemon', address, port: api.port, mode: 'serve' }],
    },
  ]
}

/** What a listener on all addresses is reached by. */
const ANY = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
])

/** To be asked at start: a setting may have come that takes an app's name. Throws a sentence. */
export async function requireOwnNames({ db, config }: Pick<Daemon, 'db' | 'config'>): Promise<void> {
  const hosts = hostsOf(config.names)
  if (hosts.length === 0) return
  const below = hosts.flatMap((host) => appBelow(host, config.domain) ?? [])
  const app = await db
    .selectFrom('apps')
    .select('name')
    .where('name', 'in', below)
    .where('destroyed_at', 'is', null)
    .executeTakeFirst()
  const domain = await db
    .selectFrom('domains')
    .innerJoin('apps', 'apps.id', 'domains.app_id')
    .select(['domains.hostname', 'apps.name'])
    .where('domains.hostname', 'in', hosts)
    .executeTakeFirst()
  const taken = domain ?? (app && { hostname: `${app.name}.${config.domain}`, name: app.name })
  if (taken)
    throw new Error(
      `${taken.hostname} is to be a name of the platform, and the app ${taken.name} has it. Start without SLUICE_API_HOST, SLUICE_GIT_HOST and SLUICE_REGISTRY_HOST, take it from the app (heroku domains:remove or apps:rename), and set them again.`,
    )
}

/** The name that an app would have to have for this host to be its own. */
const appBelow = (host: string, domain: string): string | undefined =>
  host.endsWith(`.${domain}`) ? host.slice(0, -domain.length - 1) : undefined
