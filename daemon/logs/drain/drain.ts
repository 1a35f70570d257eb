import { randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import type { Daemon } from '../../daemon.ts'
import { invalid, messageOf, notFound, UserError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { type DbOrTx, decide } from '../../store/database.ts'
import type { Schema } from '../../store/schema.ts'
import { type DrainUrl, parseDrainUrl, sameUrl } from './url.ts'

/** A receiver of an app's log lines (https://devcenter.heroku.com/articles/log-drains). The row is the drain; `deliveries.ts` runs it. */
export interface Drain {
  id: string
  /** As it was typed: with its password, for those who may see the app. */
  url: string
  token: string
  created_at: number
  updated_at: number
}

type App = Pick<Selectable<Schema['apps']>, 'id'>
type Parts = Pick<Daemon, 'db' | 'seal' | 'clock' | 'drains' | 'log'>

/** Has the app's lines sent to `url` from the next one on. Throws UserError for a URL that is wrong, not allowed or there already. */
export async function addDrain(d: Parts, app: App, typed: string): Promise<Drain> {
  const text = typed.trim()
  const url = parseDrainUrl(text)
  if (await d.drains.refuses(url.host)) throw notAllowed()
  const id = randomUUID()
  const now = d.clock.now()
  const drain: Drain = { id, url: text, token: `d.${randomUUID()}`, created_at: now, updated_at: now }
  await decide(d.db, async (tx) => {
    const there = await read(d, tx, app)
    if (there.some((other) => sameUrl(parseDrainUrl(other.url), url))) throw invalid('Url has already been taken.')
    if (there.length >= limits.drainsPerApp)
      throw invalid(
        `An app may have ${limits.drainsPerApp} log drains. Remove one with \`heroku drains:remove\` first.`,
      )
    await requireRoom(tx)
    await tx
      .insertInto('log_drains')
      .values({ ...drain, app_id: app.id, url: d.seal.seal(text, id) })
      .execute()
  })
  d.drains.open({ id, app: app.id, token: drain.token, url })
  return drain
}

/** The oldest first. */
export const listDrains = (d: Parts, app: App): Promise<Drain[]> => read(d, d.db, app)

/** By id, token or URL. */
export async function findDrain(d: Parts, app: App, which: string): Promise<Drain> {
  const wanted = urlOrNothing(which.trim())
  const found = (await listDrains(d, app)).find(
    ({ id, token, url }) => [id, token, url].includes(which.trim()) || (wanted && sameUrl(parseDrainUrl(url), wanted)),
  )
  if (!found) throw notFound('log drain', 'log_drain')
  return found
}

/** Nothing is sent to it any more when this resolves. */
export async function removeDrain(d: Parts, app: App, which: string): Promise<Drain> {
  const drain = await findDrain(d, app, which)
  await d.db.deleteFrom('log_drains').where('id', '=', drain.id).execute()
  d.drains.end(drain.id)
  return drain
}

/** Starts all drains there are, when the daemon starts: before any new line is written, so that they miss none. */
export async function openDrains(d: Parts): Promise<void> {
  const rows = await d.db.selectFrom('log_drains').selectAll().execute()
  for (const { id, app_id, token, url } of rows)
    try {
      d.drains.open({ id, app: app_id, token, url: parseDrainUrl(d.seal.open(url, id)) })
    } catch (error) {
      d.log.error('a drain cannot be opened', { drain: id, app: app_id, error: messageOf(error) })
    }
}

async function read({ seal }: Parts, db: DbOrTx, app: App): Promise<Drain[]> {
  const rows = await db
    .selectFrom('log_drains')
    .selectAll()
    .where('app_id', '=', app.id)
    .orderBy('created_at')
    .orderBy('id')
    .execute()
  return rows.map(({ app_id: _, ...row }) => ({ ...row, url: seal.open(row.url, row.id) }))
}

async function requireRoom(db: DbOrTx): Promise<void> {
  const { count } = await db
    .selectFrom('log_drains')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  if (count >= limits.drains)
    throw invalid(`This host has its ${limits.drains} log drains. Remove one that is no longer needed first.`)
}

const notAllowed = (): UserError =>
  invalid(
    "The drain's host is an address that drains may not reach: this machine's loopback, its local link, or another app. " +
      'Use another host, or have the operator allow it with SLUICE_DRAIN_ALLOW.',
  )

function urlOrNothing(text: string): DrainUrl | undefined {
  try {
    return parseDrainUrl(text)
  } catch (error) {
    if (error instanceof UserError) return undefined
    throw error
  }
}
