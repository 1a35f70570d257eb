import type { AppRoute } from '../../router/protocol.ts'
import type { Db } from '../store/database.ts'
import { type Routed, routeOf } from './table.ts'

/** The routes of all apps from the rows: five small queries whatever the number of apps, because this runs at every change. */
export async function allRoutes(db: Db, domain: string): Promise<AppRoute[]> {
  const apps = await db
    .selectFrom('apps')
    .select(['id', 'name', 'maintenance'])
    .where('destroyed_at', 'is', null)
    .execute()
  const domains = groupBy(await db.selectFrom('domains').select(['app_id', 'hostname']).orderBy('hostname').execute())
  const dynos = groupBy(
    await db
      .selectFrom('dynos')
      .select(['app_id', 'id', 'ordinal', 'release_id as release', 'state', 'address', 'port'])
      .where('type', '=', 'web')
      .where('one_off', 'is', null)
      .orderBy('ordinal')
      .execute(),
  )
  const released = groupBy(await releasedWithCode(db))
  const web = new Map((await webProcesses(db)).map((row) => [row.release_id, row]))
  return apps.map((app) => {
    const { release, candidate } = releasesOf(released.get(app.id) ?? [])
    const routed: Routed = {
      id: app.id,
      name: app.name,
      maintenance: app.maintenance === 1,
      domains: (domains.get(app.id) ?? []).map(({ hostname }) => hostname),
      release,
      candidate,
      web: release === null ? 0 : (web.get(release)?.quantity ?? 0),
      dynos: dynos.get(app.id) ?? [],
    }
    return routeOf(routed, domain)
  })
}

/** Per app, the newest release that serves and those on their way, of releases with code. */
const releasedWithCode = (db: Db) =>
  db
    .selectFrom('rollouts')
    .innerJoin('releases', 'releases.id', 'rollouts.release_id')
    .select(['rollouts.app_id', 'rollouts.release_id', 'rollouts.state', 'rollouts.version'])
    .where('releases.slug_id', 'is not', null)
    .where((where) =>
      where.or([
        where('rollouts.state', 'in', ['waiting', 'phase', 'booting', 'cutover']),
        where(
          'rollouts.version',
          '=',
          where
            .selectFrom('rollouts as newest')
            .select((select) => select.fn.max('newest.version').as('version'))
            .whereRef('newest.app_id', '=', 'rollouts.app_id')
            .where('newest.state', '=', 'succeeded'),
        ),
      ]),
    )
    .orderBy('rollouts.version')
    .execute()

type Released = Awaited<ReturnType<typeof releasedWithCode>>[number]

function releasesOf(rollouts: Released[]): { release: string | null; candidate: string | null } {
  const serving = rollouts.find(({ state }) => state === 'succeeded')
  const candidate = rollouts.find(({ state }) => state !== 'succeeded')
  const release = candidate?.state === 'cutover' ? candidate : serving
  return { release: release?.release_id ?? null, candidate: candidate?.release_id ?? null }
}

/** How many web dynos a release is to have, for releases whose slug has a web process. */
const webProcesses = (db: Db) =>
  db
    .selectFrom('releases')
    .innerJoin('slugs', 'slugs.id', 'releases.slug_id')
    .innerJoin('formation', 'formation.app_id', 'releases.app_id')
    .innerJoin('rollouts', 'rollouts.release_id', 'releases.id')
    .select(['releases.id as release_id', 'formation.quantity'])
    .where('formation.type', '=', 'web')
    .where('rollouts.state', 'in', ['cutover', 'succeeded'])
    .where('slugs.process_types', 'like', '%"web":%')
    .execute()

function groupBy<T extends { app_id: string }>(rows: T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const row of rows) {
    const group = groups.get(row.app_id)
    if (group) group.push(row)
    else groups.set(row.app_id, [row])
  }
  return groups
}
