import { randomBytes, randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import { type Actor, enact } from '../account/activity.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound, type UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { type DrainUrl, parseDrainUrl } from '../logs/drain/url.ts'
import type { DbOrTx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import { isOpen } from './delivery.ts'
import { entities, silentEntities } from './event.ts'

type Row = Selectable<Schema['webhooks']>

/** Who is told what happens to an app (https://devcenter.heroku.com/articles/app-webhooks). Its secrets are not in it. */
export interface Webhook {
  id: string
  /** As it was typed, with its password: for those who operate the app. */
  url: string
  include: string[]
  level: 'notify' | 'sync'
  created_at: number
  updated_at: number
}

/** As clients ask for it; what is left out of a change stays. */
export interface Wish {
  url: string
  include: readonly string[]
  level: string
  /** What deliveries are signed with; one is made when there is none. */
  secret?: string | null | undefined
  /** Value of the header that deliveries carry. */
  authorization?: string | null | undefined
}

type Change = { [Key in keyof Wish]?: Wish[Key] | undefined }
type App = { id: string }
type Parts = Pick<Daemon, 'db' | 'seal' | 'clock' | 'webhooks'>

/** What happens from now on is told. The secret is told here and never again. Throws UserError. */
export async function addWebhook(
  d: Daemon,
  app: App,
  by: Actor,
  wish: Wish,
): Promise<{ webhook: Webhook; secret: string }> {
  const id = randomUUID()
  const now = d.clock.now()
  const secret = wish.secret ? parseHeader('Secret', wish.secret) : randomBytes(30).toString('hex')
  const row: Row = {
    id,
    app_id: app.id,
    url: d.seal.seal(await checkUrl(d, wish.url), id),
    include: JSON.stringify(parseInclude(wish.include)),
    level: parseLevel(wish.level),
    secret: d.seal.seal(secret, id),
    authorization: wish.authorization ? d.seal.seal(parseHeader('Authorization', wish.authorization), id) : null,
    created_at: now,
    updated_at: now,
  }
  await enact(d, { app, by, text: `Add webhook ${id}` }, async (tx) => {
    const there = await tx.selectFrom('webhooks').select('id').where('app_id', '=', app.id).execute()
    if (there.length >= limits.webhooksPerApp)
      throw invalid(`An app may have ${limits.webhooksPerApp} webhooks. Remove one with webhooks:remove first.`)
    await tx.insertInto('webhooks').values(row).execute()
  })
  d.webhooks.wake()
  return { webhook: viewOf(d, row), secret }
}

/** The oldest first. */
export async function listWebhooks(d: Parts, app: App): Promise<Webhook[]> {
  const rows = await rowsOf(d.db, app)
  return rows.map((row) => viewOf(d, row))
}

export async function findWebhook(d: Parts, app: App, id: string): Promise<Webhook> {
  return viewOf(d, await rowOf(d.db, app, id))
}

/** Events that happened before go by the new settings, too, as far as they are not delivered yet. */
export async function updateWebhook(
  d: Daemon,
  app: App,
  by: Actor,
  { id, ...wish }: Change & { id: string },
): Promise<Webhook> {
  const url = wish.url === undefined ? undefined : await checkUrl(d, wish.url)
  return enact(d, { app, by, text: ({ id }: Webhook) => `Update webhook ${id}` }, async (tx) => {
    const row = await rowOf(tx, app, id)
    const change: Partial<Row> = { updated_at: d.clock.now() }
    if (url !== undefined) change.url = d.seal.seal(url, row.id)
    if (wish.include !== undefined) change.include = JSON.stringify(parseInclude(wish.include))
    if (wish.level !== undefined) change.level = parseLevel(wish.level)
    if (wish.secret) change.secret = d.seal.seal(parseHeader('Secret', wish.secret), row.id)
    if (wish.authorization === null) change.authorization = null
    else if (wish.authorization !== undefined)
      change.authorization = d.seal.seal(parseHeader('Authorization', wish.authorization), row.id)
    await tx.updateTable('webhooks').set(change).where('id', '=', row.id).execute()
    return viewOf(d, { ...row, ...change })
  })
}

/** Nothing more is sent; its deliveries are forgotten. */
export async function removeWebhook(d: Daemon, app: App, by: Actor, id: string): Promise<Webhook> {
  return enact(d, { app, by, text: ({ id }: Webhook) => `Remove webhook ${id}` }, async (tx) => {
    const webhook = await findWebhook({ ...d, db: tx }, app, id)
    await tx.deleteFrom('webhooks').where('id', '=', webhook.id).execute()
    return webhook
  })
}

/** Those of apps that are gone, once the last of their deliveries is settled. */
export const pruneWebhooks = (db: DbOrTx): Promise<unknown> =>
  db
    .deleteFrom('webhooks')
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('apps').select('apps.id').whereRef('apps.id', '=', 'webhooks.app_id'))),
    )
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('webhook_deliveries')
            .select('webhook_deliveries.id')
            .whereRef('webhook_deliveries.webhook_id', '=', 'webhooks.id')
            .where(isOpen()),
        ),
      ),
    )
    .execute()

/** What a delivery needs to know. */
export interface Receiver {
  level: Webhook['level']
  url: DrainUrl
  secret: string
  authorization: string | undefined
}

/** Undefined when it was removed. */
export async function receiverOf({ db, seal }: Pick<Parts, 'db' | 'seal'>, id: string): Promise<Receiver | undefined> {
  const row = await db.selectFrom('webhooks').selectAll().where('id', '=', id).executeTakeFirst()
  if (!row) return undefined
  const url = parseDrainUrl(seal.open(row.url, id))
  const authorization = row.authorization === null ? url.authorization : seal.open(row.authorization, id)
  return { level: row.level, url, secret: seal.open(row.secret, id), authorization }
}

const rowsOf = (db: DbOrTx, app: App): Promise<Row[]> =>
  db.selectFrom('webhooks').selectAll().where('app_id', '=', app.id).orderBy('created_at').orderBy('id').execute()

async function rowOf(db: DbOrTx, app: App, id: string): Promise<Row> {
  const row = (await rowsOf(db, app)).find((one) => one.id === id)
  if (!row) throw notFound('webhook', 'webhook')
  return row
}

const viewOf = ({ seal }: Pick<Parts, 'seal'>, { id, url, include, level, created_at, updated_at }: Row): Webhook => ({
  id,
  url: seal.open(url, id),
  include: JSON.parse(include),
  level,
  created_at,
  updated_at,
})

async function checkUrl(d: Pick<Parts, 'webhooks'>, typed: string): Promise<string> {
  const text = typed.trim()
  if (text.length > limits.webhookUrl) throw invalid(`Url may have ${limits.webhookUrl} characters.`)
  if (!/^https?:/i.test(text)) throw invalid('Url must begin with https:// or http://.')
  if (await d.webhooks.refuses(parseDrainUrl(text).host)) throw notAllowed()
  return text
}

const notAllowed = (): UserError =>
  invalid(
    "The url's host is an address that webhooks may not reach: this machine's loopback, its local link, or another app. " +
      'Use another host, or have the operator allow it with SLUICE_DRAIN_ALLOW.',
  )

function parseInclude(include: readonly string[]): string[] {
  const known: readonly string[] = [...entities, ...silentEntities]
  const unknown = include.find((entity) => !known.includes(entity))
  if (unknown !== undefined)
    throw invalid(`Include has "${unknown.slice(0, 100)}", which is none of ${known.join(', ')}.`)
  if (include.length === 0) throw invalid(`Include at least one of ${known.join(', ')}.`)
  return [...new Set(include)]
}

function parseLevel(level: string): Webhook['level'] {
  if (level !== 'notify' && level !== 'sync') throw invalid('Level must be notify or sync.')
  return level
}

/** The secret is one, too: in the answer that shows it. */
function parseHeader(what: string, value: string): string {
  if (!/^[\x20-\x7e]+$/.test(value)) throw invalid(`${what} must be the value of a header: printable ASCII.`)
  return value
}
