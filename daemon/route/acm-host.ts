import type { AppRoute } from '../../router/protocol.ts'
import type { Daemon } from '../daemon.ts'
import { hostsOf } from '../names.ts'
import type { Db, DbOrTx } from '../store/database.ts'
import { cutOff, type Managed, type Progress } from './acm.ts'
import type { Pair } from './chain.ts'
import { PLATFORM } from './platform.ts'
import { servingReleases } from './routes.ts'
import { openPairs, PARAMETERS, sealPair } from './sealed-pair.ts'

/** A host that is nobody's custom domain: a name of the platform, or an app's own below a public domain. */
export interface AcmHost extends Managed {
  of: 'host'
  /** The same as its name. */
  id: string
}

type Place = Pick<Daemon, 'config'> & { db: Db }

/** Those that are to have a certificate. An app's own host is, once something serves there: names are asked for that are used. */
export async function managedHosts({ db, config }: Place): Promise<AcmHost[]> {
  const rows = await db.selectFrom('acm_hosts').selectAll().execute()
  const known = new Map(rows.map((row) => [row.hostname, row]))
  const ours = hostsOf(config.names).map((hostname) => ({ hostname, app_id: PLATFORM, created_at: 0 }))
  return [...ours, ...(await appHosts(db, config))].map((host) => {
    const row = known.get(host.hostname)
    return {
      ...{ of: 'host', id: host.hostname, ...host },
      bound: row?.certificate_id ? 'automatic' : 'platform',
      progress: row ? progressOf(row) : null,
    }
  })
}

async function appHosts(db: Db, { acme, domain }: Daemon['config']) {
  if (!acme?.hosts) return []
  const apps = await servingReleases(db).select(['apps.id', 'apps.name', 'apps.created_at']).execute()
  return apps.map(({ id, name, created_at }) => ({ hostname: `${name}.${domain}`, app_id: id, created_at }))
}

const progressOf = ({ state, reason, failures, next_at, directory, updated_at }: Progress): Progress => ({
  ...{ state, reason, failures, next_at, directory, updated_at },
})

/** A host whose app is gone is passed over. */
export async function progressedHost(
  db: DbOrTx,
  { id, app_id, progress }: AcmHost,
  change: Partial<Progress>,
  now: number,
): Promise<void> {
  const app = app_id === PLATFORM ? null : app_id
  if (app !== null && !(await db.selectFrom('apps').select('id').where('id', '=', app).executeTakeFirst())) return
  const before = progress ?? { state: 'pending', reason: null, failures: 0, next_at: now, directory: '' }
  const first = { hostname: id, certificate_id: null, certificate_chain: null, private_key: null }
  const row = { ...before, ...change, app_id: app, updated_at: now }
  await db
    .insertInto('acm_hosts')
    .values({ ...first, ...row })
    .onConflict((conflict) => conflict.column('hostname').doUpdateSet({ ...change, app_id: app, updated_at: now }))
    .execute()
}

/** Serves it from now on, under an id that no other has had. Part of a decision that has the row. */
export async function keepHost(d: Pick<Daemon, 'seal'>, tx: DbOrTx, { id }: AcmHost, pair: Pair): Promise<void> {
  await tx.updateTable('acm_hosts').set(sealPair(d, pair)).where('hostname', '=', id).execute()
}

/** Certificates of names that are no longer wanted go; true when there were any. */
export async function forgetOtherHosts(db: Db, wanted: readonly AcmHost[]): Promise<boolean> {
  const names = new Set(wanted.map(({ hostname }) => hostname))
  const rows = await db.selectFrom('acm_hosts').select('hostname').execute()
  const others = rows.filter(({ hostname }) => !names.has(hostname))
  for (const { hostname } of others) await db.deleteFrom('acm_hosts').where('hostname', '=', hostname).execute()
  return others.length > 0
}

/** After a stop or a crash what was on its way has its turn again; so has what is from another authority than this. */
export async function restartHosts(db: Db, directory: string, now: number): Promise<void> {
  await db
    .updateTable('acm_hosts')
    .set({ state: 'pending', next_at: now, updated_at: now })
    .where(cutOff(directory))
    .execute()
}

/** The routes with their hosts bound to what is kept for them. */
export async function bindHosts(db: Db, routes: AppRoute[]): Promise<AppRoute[]> {
  const hosts = routes.flatMap((route) => route.hosts)
  const rows = await db
    .selectFrom('acm_hosts')
    .select(['hostname', 'certificate_id as id'])
    .where('certificate_id', 'is not', null)
    .$if(hosts.length <= PARAMETERS, (some) => some.where('hostname', 'in', hosts))
    .execute()
  const ids = new Map(rows.flatMap(({ hostname, id }) => (id === null ? [] : [[hostname, id] as const])))
  return routes.map((route) => {
    const bound = route.hosts.flatMap((host) => {
      const id = ids.get(host)
      return id === undefined ? [] : [{ id, hosts: [host] }]
    })
    return bound.length === 0 ? route : { ...route, certificates: [...bound, ...route.certificates] }
  })
}

/** Of these certificates those that are of such hosts. */
export const hostPairs = (
  d: Pick<Daemon, 'db' | 'seal' | 'log'>,
  certificates: readonly string[],
): Promise<Map<string, Pair>> =>
  openPairs(d, certificates, (some) =>
    d.db
      .selectFrom('acm_hosts')
      .select(['certificate_id', 'certificate_chain', 'private_key'])
      .where('certificate_id', 'in', some)
      .execute(),
  )
