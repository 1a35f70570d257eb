import { Problem } from '../acme/problem.ts'
import type { Daemon } from '../daemon.ts'
import { UserError } from '../errors.ts'
import { decide } from '../store/database.ts'
import { issued, type Progress } from './acm.ts'
import { type AcmDomain, managedDomain, managedDomains, progressed, restartInterrupted } from './acm-domain.ts'
import { type AcmHost, forgetOtherHosts, keepHost, managedHosts, progressedHost, restartHosts } from './acm-host.ts'
import type { Asking } from './acme-budget.ts'
import { describe, type Pair } from './chain.ts'
import { bindAutomatic } from './domain.ts'
import { PLATFORM } from './platform.ts'
import { forgetAutomatic, keepAutomatic } from './sni-endpoint.ts'

/** What gets a certificate: apps' custom domains, the platform's names, and apps' own hosts. */
export type Subject = AcmDomain | AcmHost

type Parts = Pick<Daemon, 'config' | 'clock' | 'db' | 'seal'>

export async function subjectsOf(d: Parts & Pick<Daemon, 'routers'>): Promise<Subject[]> {
  const hosts = await managedHosts(d)
  if (await forgetOtherHosts(d.db, hosts)) await d.routers.publish()
  return [...hosts, ...(await managedDomains(d.db))]
}

/** After a stop or a crash what was on its way has its turn again; so has what is from another authority than this. */
export async function restartSubjects({ db, clock }: Parts, directory: string): Promise<void> {
  await restartInterrupted(db, directory, clock.now())
  await restartHosts(db, directory, clock.now())
}

export const progress = ({ db, clock }: Parts, subject: Subject, change: Partial<Progress>): Promise<void> =>
  subject.of === 'domain'
    ? progressed(db, { id: subject.id, now: clock.now() }, change)
    : progressedHost(db, subject, change, clock.now())

/** PEM of the certificate that it has, its own first; undefined: none. */
export async function chainOf({ db }: Pick<Daemon, 'db'>, subject: Subject): Promise<string | undefined> {
  const rows =
    subject.of === 'domain'
      ? db.selectFrom('sni_endpoints').where('id', '=', subject.endpoint).select('certificate_chain')
      : db.selectFrom('acm_hosts').where('hostname', '=', subject.id).select('certificate_chain')
  return (await rows.executeTakeFirst())?.certificate_chain ?? undefined
}

/** What an order for it is to an authority. */
export function askingFor({ of, app_id, hostname, bound, progress }: Subject, directory: string): Asking {
  const renewed = bound === 'automatic' && ['', directory].includes(progress?.directory ?? '')
  return { hostname, kind: renewed ? 'renewal' : of === 'host' && app_id !== PLATFORM ? 'host' : 'name' }
}

/** Serves it from now on; false when it is not to have it any more. Throws Problem. */
export async function keep(d: Parts, subject: Subject, { pair, directory }: { pair: Pair; directory: string }) {
  const now = d.clock.now()
  const done = { ...issued(describe(pair.chain), now), directory }
  if (subject.of === 'domain') return keepForDomain(d, subject, { pair, done })
  if (!(await managedHosts(d)).some(({ id, app_id }) => id === subject.id && app_id === subject.app_id)) return false
  return decide(d.db, async (tx) => {
    await progressedHost(tx, subject, done, now)
    await keepHost(d, tx, subject, pair)
    return true
  })
}

async function keepForDomain(
  d: Parts,
  { id }: AcmDomain,
  { pair, done }: { pair: Pair; done: Partial<Progress> },
): Promise<boolean> {
  const now = d.clock.now()
  try {
    return await decide(d.db, async (tx) => {
      const domain = await managedDomain(tx, id)
      if (!domain || domain.bound === 'manual') return false
      const { app_id: app, endpoint: instead } = domain
      const endpoint = await keepAutomatic(d, tx, { app, pair, instead, now })
      await bindAutomatic(tx, id, { endpoint, now })
      await forgetAutomatic(tx, { id: app }, { which: 'unbound', now })
      await progressed(tx, { id, now }, done)
      return true
    })
  } catch (error) {
    throw error instanceof UserError ? new Problem('name', error.message) : error
  }
}
