import { join } from 'node:path'
import { CompiledQuery } from 'kysely'
import { type Db, openDatabase } from '../../daemon/store/database.ts'

/** What the database of a platform has, as far as something in the engine or on disk belongs to it. */
export type Rows = Awaited<ReturnType<typeof readRows>>

export async function readRows(data: string) {
  const db = await openDatabase(join(data, 'sluice.db'))
  try {
    return {
      problems: [...(await pragma(db, 'integrity_check')), ...(await pragma(db, 'foreign_key_check'))],
      apps: await db.selectFrom('apps').selectAll().execute(),
      releases: await db
        .selectFrom('releases')
        .innerJoin('rollouts', 'rollouts.release_id', 'releases.id')
        .select(['releases.id', 'releases.app_id', 'releases.version', 'releases.slug_id', 'rollouts.state'])
        .execute(),
      slugs: await db.selectFrom('slugs').selectAll().execute(),
      builds: await db.selectFrom('builds').selectAll().execute(),
      formation: await db.selectFrom('formation').selectAll().execute(),
      dynos: await db.selectFrom('dynos').selectAll().execute(),
      receipts: await db.selectFrom('receipts').selectAll().execute(),
      domains: await db.selectFrom('domains').selectAll().execute(),
      sources: await db.selectFrom('sources').selectAll().execute(),
      targets: await db.selectFrom('pipeline_promotion_targets').selectAll().execute(),
      setups: await db.selectFrom('app_setups').selectAll().execute(),
    }
  } finally {
    await db.destroy()
  }
}

/** What is wrong, one text each. */
async function pragma(db: Db, name: 'integrity_check' | 'foreign_key_check'): Promise<string[]> {
  const { rows } = await db.executeQuery(CompiledQuery.raw(`PRAGMA ${name}`))
  return rows.map((row) => Object.values(row as object).join(' ')).filter((text) => text !== 'ok')
}

/** The newest release that succeeded. */
export const servingOf = ({ releases }: Pick<Rows, 'releases'>, app: { id: string }) =>
  releases
    .filter(({ app_id, state }) => app_id === app.id && state === 'succeeded')
    .reduce<Rows['releases'][number] | undefined>(
      (best, one) => (best && best.version > one.version ? best : one),
      undefined,
    )

const FINAL = ['succeeded', 'failed']

export function faultsInRows(rows: Rows): string[] {
  const nameOf = (id: string) => rows.apps.find((app) => app.id === id)?.name ?? id
  return [
    ...rows.problems,
    ...rows.apps.filter((app) => app.destroyed_at !== null).map(({ name }) => `${name} is being destroyed`),
    ...rows.releases
      .filter(({ state }) => !FINAL.includes(state))
      .map(({ app_id, version, state }) => `v${version} of ${nameOf(app_id)} is ${state}`),
    ...rows.builds
      .filter(({ status }) => !FINAL.includes(status))
      .map(({ id, app_id }) => `the build ${id} of ${nameOf(app_id)} is pending`),
    ...rows.targets.filter(({ status }) => !FINAL.includes(status)).map(({ id }) => `the promotion ${id} is pending`),
    ...rows.setups
      .filter(({ state }) => !FINAL.includes(state))
      .map(({ id, state }) => `the set-up ${id} is in ${state}`),
    ...rows.apps.flatMap((app) => faultsInFormation(rows, app)),
    ...rows.dynos
      .filter(({ one_off, state }) => one_off !== null && state !== 'up')
      .map(({ app_id, type, ordinal, state }) => `${type}.${ordinal} of ${nameOf(app_id)} is ${state}`),
    ...rows.dynos
      .filter((dyno) => dyno.replace === 1)
      .map(({ app_id, type, ordinal }) => `${type}.${ordinal} of ${nameOf(app_id)} is to be replaced`),
    ...faultsInReceipts(rows),
  ]
}

/** The dynos of the release that serves, and no others. */
function faultsInFormation(rows: Rows, app: { id: string; name: string }): string[] {
  const serving = servingOf(rows, app)
  const slug = rows.slugs.find(({ id }) => id === serving?.slug_id)
  const types = Object.keys(JSON.parse(slug?.process_types ?? '{}')).filter((type) => type !== 'release')
  const wanted = rows.formation
    .filter(({ app_id, type }) => app_id === app.id && types.includes(type))
    .flatMap(({ type, quantity }) =>
      Array.from({ length: quantity }, (_, n) => `${type}.${n + 1} up v${serving?.version}`),
    )
  const versionOf = (release: string) => rows.releases.find(({ id }) => id === release)?.version
  const there = rows.dynos
    .filter(({ app_id, one_off }) => app_id === app.id && one_off === null)
    .map(({ type, ordinal, state, release_id }) => `${type}.${ordinal} ${state} v${versionOf(release_id)}`)
  const same = wanted.sort().join(', ') === there.sort().join(', ')
  return same
    ? []
    : [`${app.name} has the dynos ${there.join(', ') || 'none'} and is to have ${wanted.join(', ') || 'none'}`]
}

/** One that is not settled waits for a dyno of the release before. */
const faultsInReceipts = ({ receipts, releases, dynos }: Rows): string[] =>
  receipts
    .filter(({ settled_at }) => settled_at === null)
    .filter(({ release_id, replaced }) => {
      const app = releases.find(({ id }) => id === release_id)?.app_id
      const before = releases.find((one) => one.app_id === app && one.version === replaced)
      return !dynos.some((dyno) => dyno.release_id === before?.id)
    })
    .map(
      ({ release_id }) => `the receipt of the release ${release_id} is not settled, and no dyno is left to be counted`,
    )
