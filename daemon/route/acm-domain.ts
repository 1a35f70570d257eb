import type { DbOrTx } from '../store/database.ts'
import { cutOff, type Managed, type Progress, refreshed } from './acm.ts'

/** A custom domain of an app with Automated Certificate Management. */
export interface AcmDomain extends Managed {
  of: 'domain'
  id: string
  /** Id of the certificate that is served for it. */
  endpoint: string | null
}

/** Of all apps that have it on. */
export const managedDomains = async (db: DbOrTx): Promise<AcmDomain[]> => (await rowsOf(db).execute()).map(managed)

/** Undefined when there is nothing to manage any more. */
export async function managedDomain(db: DbOrTx, id: string): Promise<AcmDomain | undefined> {
  const row = await rowsOf(db).where('domains.id', '=', id).executeTakeFirst()
  return row && managed(row)
}

/** By domain. */
export async function managedOf(db: DbOrTx, app: { id: string }): Promise<Map<string, AcmDomain>> {
  const rows = await rowsOf(db).where('domains.app_id', '=', app.id).execute()
  return new Map(rows.map((row) => [row.id, managed(row)]))
}

/** A domain that is gone, or not managed any more, is passed over. */
export async function progressed(
  db: DbOrTx,
  { id, now }: { id: string; now: number },
  change: Partial<Progress>,
): Promise<void> {
  const domain = await managedDomain(db, id)
  if (!domain) return
  const before = domain.progress ?? { state: 'pending', reason: null, failures: 0, next_at: now, directory: '' }
  const row = { ...before, ...change, updated_at: now }
  await db
    .insertInto('acm_domains')
    .values({ domain_id: id, ...row })
    .onConflict((conflict) => conflict.column('domain_id').doUpdateSet(row))
    .execute()
}

/** After a stop or a crash what was on its way has its turn again; so has what is from another authority than this. */
export const restartInterrupted = (db: DbOrTx, directory: string, now: number): Promise<unknown> =>
  db
    .updateTable('acm_domains')
    .set({ state: 'pending', next_at: now, updated_at: now })
    .where(cutOff(directory))
    .execute()

/** Has those that failed tried again soon. */
export async function refreshFailed(db: DbOrTx, app: { id: string }, now: number): Promise<void> {
  for (const { id, progress } of (await managedOf(db, app)).values())
    if (progress?.state === 'failing' || progress?.state === 'failed')
      await db
        .updateTable('acm_domains')
        .set({ next_at: refreshed(progress, now) })
        .where('domain_id', '=', id)
        .execute()
}

export const forgetProgress = (db: DbOrTx, app: { id: string }): Promise<unknown> =>
  db
    .deleteFrom('acm_domains')
    .where('domain_id', 'in', db.selectFrom('domains').select('id').where('app_id', '=', app.id))
    .execute()

const rowsOf = (db: DbOrTx) =>
  db
    .selectFrom('domains')
    .innerJoin('apps', 'apps.id', 'domains.app_id')
    .leftJoin('sni_endpoints', 'sni_endpoints.id', 'domains.sni_endpoint_id')
    .leftJoin('acm_domains', 'acm_domains.domain_id', 'domains.id')
    .select(['domains.id', 'domains.app_id', 'domains.hostname', 'domains.created_at'])
    .select(['sni_endpoints.id as endpoint', 'sni_endpoints.acm as automatic'])
    .select(['acm_domains.state', 'acm_domains.reason', 'acm_domains.failures', 'acm_domains.next_at'])
    .select(['acm_domains.directory', 'acm_domains.updated_at'])
    .where('apps.acm', '=', 1)
    .where('apps.destroyed_at', 'is', null)
    .orderBy('domains.hostname')

type Row = Awaited<ReturnType<ReturnType<typeof rowsOf>['execute']>>[number]

function managed({ automatic, state, reason, failures, next_at, directory, updated_at, ...domain }: Row): AcmDomain {
  const known = state !== null && failures !== null && next_at !== null && directory !== null && updated_at !== null
  return {
    of: 'domain',
    ...domain,
    bound: automatic === null ? 'platform' : automatic === 1 ? 'automatic' : 'manual',
    progress: known ? { state, reason, failures, next_at, directory, updated_at } : null,
  }
}
