import { sql } from 'kysely'
import type { AppRoute } from '../../router/protocol.ts'
import type { Db } from '../store/database.ts'
import { turnOfRollout } from './candidate.ts'
import type { SettingsOf } from './release-setting.ts'
import type { Settings } from './setting.ts'
import { type Routed, routeOf, type Wishes } from './table.ts'

/**
 * The routes of all apps, or of those with these ids, from the rows: seven queries whatever the number of apps, none of which reads
 * releases that were superseded, because this runs at every change. `settings` opens the config vars of releases that are new to it.
 */
export async function allRoutes(
  db: Db,
  domain: string,
  only?: readonly string[],
  settings?: SettingsOf,
): Promise<AppRoute[]> {
  const live = db.selectFrom('apps').select(['id', 'name', 'maintenance']).where('destroyed_at', 'is', null)
  const apps = await (only ? live.where('id', 'in', only) : live).execute()
  const domains = groupBy(await domainsOf(db, only))
  const dynos = groupBy(await webDynos(db, only))
  const serving = new Map((await servingWithCode(db, only)).map((row) => [row.app_id, row]))
  const unsettled = groupBy(await unsettledWithCode(db, only))
  const web = new Map((await webQuantities(db, only)).map(({ app_id, quantity }) => [app_id, quantity]))
  const features = groupBy(await enabledFeatures(db, only))
  const releases = new Map(
    apps.flatMap(({ id }) => {
      const [candidate] = unsettled.get(id) ?? []
      const release = candidate?.state === 'cutover' ? candidate : serving.get(id)
      return release ? [[id, release] as const] : []
    }),
  )
  const concerned = [...releases.values()].map(({ release_id }) => release_id)
  const ofDynos = [...dynos.values()].flatMap((some) => some.map(({ release }) => release))
  const asked = await settings?.([...new Set([...concerned, ...ofDynos])])
  const asks = (id: string): Settings => asked?.get(id) ?? {}
  return apps.map((app) => {
    const [candidate = null] = unsettled.get(app.id) ?? []
    const release = releases.get(app.id)
    const routed: Routed = {
      id: app.id,
      name: app.name,
      maintenance: app.maintenance === 1,
      wishes: { ...wishesOf(features.get(app.id) ?? []), ...(release && asks(release.release_id).route) },
      domains: domains.get(app.id) ?? [],
      release: release?.release_id ?? null,
      candidate: candidate?.release_id ?? null,
      web: release?.web ? (web.get(app.id) ?? 0) : 0,
      dynos: (dynos.get(app.id) ?? []).map(({ checks, ...dyno }) => ({
        ...dyno,
        checks: checks === null ? (asks(dyno.release).checks ?? null) : JSON.parse(checks),
      })),
    }
    return routeOf(routed, domain)
  })
}

/** Of each app the release that serves, the newest that succeeded: found by its number, however many came before it. */
export const servingReleases = (db: Db) =>
  db
    .selectFrom('apps')
    .innerJoin('releases', (join) =>
      join.onRef('releases.app_id', '=', 'apps.id').on('releases.version', '=', (newest) =>
        newest
          .selectFrom('rollouts as newest')
          .select((select) => select.fn.max('newest.version').as('version'))
          .whereRef('newest.app_id', '=', 'apps.id')
          .where('newest.state', '=', 'succeeded'),
      ),
    )
    .innerJoin('slugs', 'slugs.id', 'releases.slug_id')
    .where('apps.destroyed_at', 'is', null)

type Only = readonly string[] | undefined

const domainsOf = (db: Db, only: Only) => {
  const domains = db
    .selectFrom('domains')
    .leftJoin('sni_endpoints', 'sni_endpoints.id', 'domains.sni_endpoint_id')
    .select(['domains.app_id', 'domains.hostname', 'sni_endpoints.certificate_id as certificate'])
    .orderBy('hostname')
  return (only ? domains.where('domains.app_id', 'in', only) : domains).execute()
}

/** The features that routers follow, and what they are called in the table. */
const FEATURES = {
  'http-session-affinity': 'affinity',
  'https-redirect': 'redirect',
  'http-disable-keepalive-to-dyno': 'fresh',
  'http-end-to-end-continue': 'passContinue',
} as const

const enabledFeatures = (db: Db, only: Only) => {
  const rows = db
    .selectFrom('app_features')
    .select(['app_id', 'name'])
    .where('name', 'in', Object.keys(FEATURES))
    .where('enabled', '=', 1)
    .orderBy('name')
  return (only ? rows.where('app_id', 'in', only) : rows).execute()
}

const wishesOf = (rows: readonly { name: string }[]): Wishes =>
  Object.fromEntries(rows.map(({ name }) => [FEATURES[name as keyof typeof FEATURES], true]))

const webDynos = (db: Db, only: Only) => {
  const dynos = db
    .selectFrom('dynos')
    .innerJoin('releases', 'releases.id', 'dynos.release_id')
    .leftJoin('slugs', 'slugs.id', 'releases.slug_id')
    .select(['dynos.app_id', 'dynos.id', 'dynos.ordinal', 'dynos.release_id as release', 'dynos.state'])
    .select(['dynos.crashes', 'dynos.address', 'dynos.port', webChecks.as('checks')])
    .where('dynos.type', '=', 'web')
    .where('dynos.one_off', 'is', null)
    .orderBy('dynos.ordinal')
  return (only ? dynos.where('dynos.app_id', 'in', only) : dynos).execute()
}

const servingWithCode = (db: Db, only: Only) => {
  const releases = servingReleases(db).select(['releases.app_id', 'releases.id as release_id', hasWeb.as('web')])
  return (only ? releases.where('apps.id', 'in', only) : releases).execute()
}

/** Those on their way, of an app the one whose turn it is first. */
const unsettledWithCode = (db: Db, only: Only) => {
  const releases = db
    .selectFrom('rollouts')
    .innerJoin('releases', 'releases.id', 'rollouts.release_id')
    .innerJoin('slugs', 'slugs.id', 'releases.slug_id')
    .select(['rollouts.app_id', 'rollouts.release_id', 'rollouts.state', hasWeb.as('web')])
    .where('rollouts.state', 'in', ['waiting', 'phase', 'booting', 'cutover'])
    .orderBy(turnOfRollout, 'desc')
  return (only ? releases.where('rollouts.app_id', 'in', only) : releases).execute()
}

const webChecks = sql<string | null>`json_extract(slugs.checks, '$.web')`
const hasWeb = sql<0 | 1>`json_type(slugs.process_types, '$.web') is not null`

/** How many web dynos each app is to have. */
const webQuantities = (db: Db, only: Only) => {
  const formation = db.selectFrom('formation').select(['app_id', 'quantity']).where('type', '=', 'web')
  return (only ? formation.where('app_id', 'in', only) : formation).execute()
}

function groupBy<T extends { app_id: string }>(rows: T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const row of rows) {
    const group = groups.get(row.app_id)
    if (group) group.push(row)
    else groups.set(row.app_id, [row])
  }
  return groups
}
