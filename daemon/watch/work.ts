import type { Daemon } from '../daemon.ts'
import { isOpen } from '../webhook/delivery.ts'
import { type Finding, type Look, named } from './finding.ts'

/** What the platform does for its apps, and does not get done. */
export const workLooks = (d: Daemon): Look[] => [
  { check: 'apps', look: () => failing(d) },
  { check: 'dynos', look: () => crashed(d) },
  { check: 'webhooks', look: () => undelivered(d) },
]

async function failing(d: Daemon): Promise<Finding> {
  const ids = d.runner.state().failing
  if (ids.length === 0) return { check: 'apps', state: 'ok', text: 'What is wanted of them gets done.' }
  const rows = await d.db.selectFrom('apps').select('name').where('id', 'in', ids).execute()
  const names = named(rows.map(({ name }) => name))
  const remedy = 'The daemon log says why: journalctl -u sluiced | grep "pass failed"'
  return { check: 'apps', state: 'fail', text: `Nothing gets done for ${names}; it is tried again and again.`, remedy }
}

async function crashed({ db }: Daemon): Promise<Finding> {
  const rows = await db
    .selectFrom('dynos')
    .innerJoin('apps', 'apps.id', 'dynos.app_id')
    .select(['apps.name', 'dynos.type', 'dynos.ordinal'])
    .where('dynos.state', '=', 'crashed')
    .orderBy('dynos.updated_at', 'desc')
    .execute()
  if (rows.length === 0) return { check: 'dynos', state: 'ok', text: 'None has crashed.' }
  const names = rows.map(({ name, type, ordinal }) => `${type}.${ordinal} of ${name}`)
  const remedy = `See why: heroku logs --app ${rows[0]?.name}`
  return { check: 'dynos', state: 'warn', text: `${named(names)} crashed, and will be started again.`, remedy }
}

/** So many that wait are more than one receiver that is away for a moment. */
const MANY = 100

async function undelivered({ db }: Daemon): Promise<Finding> {
  const { waiting } = await db
    .selectFrom('webhook_deliveries')
    .select(({ fn }) => fn.countAll<number>().as('waiting'))
    .where(isOpen())
    .executeTakeFirstOrThrow()
  const text = `${waiting} deliver${waiting === 1 ? 'y waits' : 'ies wait'}.`
  if (waiting < MANY) return { check: 'webhooks', state: 'ok', text }
  const remedy = 'Look at what the receivers answer: heroku webhooks:deliveries --status retrying --app APP'
  return { check: 'webhooks', state: 'warn', text, remedy }
}
