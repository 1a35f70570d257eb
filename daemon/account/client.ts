import { createHash, randomUUID, timingSafeEqual } from 'node:crypto'
import type { Selectable } from 'kysely'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import { limits } from '../limits.ts'
import { type DbOrTx, decide, type Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import type { Account } from './account.ts'
import { record } from './activity.ts'

/** A program of a third party that asks people for authorizations. Its secret is told when it is made or rotated, and never again. */
export type Client = Selectable<Schema['clients']>

export const listClients = (db: DbOrTx, account: { id: string }): Promise<Client[]> =>
  db.selectFrom('clients').selectAll().where('account_id', '=', account.id).orderBy('created_at').execute()

export async function findClient(db: DbOrTx, account: { id: string }, id: string): Promise<Client> {
  const client = (await listClients(db, account)).find((one) => one.id === id)
  if (!client) throw notFound('client', 'client')
  return client
}

/** Whoever's it is: what a person is asked about. */
export const clientNamed = (db: DbOrTx, id: string): Promise<Client | undefined> =>
  db.selectFrom('clients').selectAll().where('id', '=', id).executeTakeFirst()

/** Secrets are random, so that finding one by its hash tells nothing by its timing. */
export const clientOfSecret = (db: DbOrTx, secret: string): Promise<Client | undefined> =>
  db.selectFrom('clients').selectAll().where('secret_hash', '=', hashOf(secret)).executeTakeFirst()

export const isSecretOf = (client: Client, secret: string): boolean =>
  timingSafeEqual(Buffer.from(client.secret_hash), Buffer.from(hashOf(secret)))

export interface Wish {
  name: string
  redirect_uri: string
}

export async function createClient(
  d: Daemon,
  account: Account,
  { name, redirect_uri }: Wish,
): Promise<{ client: Client; secret: string }> {
  requireCallback(redirect_uri)
  const now = d.clock.now()
  const secret = randomUUID()
  const times = { created_at: now, updated_at: now }
  const client: Client = { id: randomUUID(), account_id: account.id, name, redirect_uri, ...kept(secret), ...times }
  await decide(d.db, async (tx) => {
    if ((await listClients(tx, account)).length >= limits.clientsPerAccount)
      throw invalid(`An account has at most ${limits.clientsPerAccount} clients. Destroy one that is not used first.`)
    await tx.insertInto('clients').values(client).execute()
    await record(tx, account, { app: null, text: `Made the OAuth client ${name}`, now })
  })
  return { client, secret }
}

export async function updateClient(d: Daemon, account: Account, id: string, wish: Partial<Wish>): Promise<Client> {
  if (wish.redirect_uri !== undefined) requireCallback(wish.redirect_uri)
  return change(d, account, id, { text: 'Changed', fields: wish })
}

/** A new secret; the old one is refused from now on. */
export async function rotateSecret(
  d: Daemon,
  account: Account,
  id: string,
): Promise<{ client: Client; secret: string }> {
  const secret = randomUUID()
  return { client: await change(d, account, id, { text: 'Rotated the secret of', fields: kept(secret) }), secret }
}

/** All authorizations that it has got go with it. */
export const destroyClient = (d: Daemon, account: Account, id: string): Promise<Client> =>
  decide(d.db, async (tx) => {
    const client = await findClient(tx, account, id)
    await tx.deleteFrom('clients').where('id', '=', client.id).execute()
    await record(tx, account, { app: null, text: `Destroyed the OAuth client ${client.name}`, now: d.clock.now() })
    return client
  })

/** Part of the departure of an account. */
export const forgetClients = (tx: Tx, account: { id: string }): Promise<unknown> =>
  tx.deleteFrom('clients').where('account_id', '=', account.id).execute()

const change = (
  d: Daemon,
  account: Account,
  id: string,
  { text, fields }: { text: string; fields: Partial<Client> },
): Promise<Client> =>
  decide(d.db, async (tx) => {
    const now = d.clock.now()
    const client = { ...(await findClient(tx, account, id)), ...fields, updated_at: now }
    await tx
      .updateTable('clients')
      .set({ ...fields, updated_at: now })
      .where('id', '=', id)
      .execute()
    await record(tx, account, { app: null, text: `${text} the OAuth client ${client.name}`, now })
    return client
  })

const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex')

const kept = (secret: string) => ({
  secret_hash: hashOf(secret),
  secret_hint: `${secret.slice(0, 4)}**********${secret.slice(-4)}`,
})

const LOCAL = /^(localhost|.+\.local|(10|127|192)\.\d{1,3}\.\d{1,3}\.\d{1,3})$/

/** As Heroku has it: HTTPS, but for clients on one's own machine or network. No fragment (RFC 6749, 3.1.2), no credentials. */
function requireCallback(uri: string): void {
  const url = URL.canParse(uri) ? new URL(uri) : undefined
  if (!url || url.hash || url.username || url.password || !/^https?:$/.test(url.protocol))
    throw invalid('Redirect URI is invalid: it must be an http or https URL without a fragment.')
  // it becomes part of a page's Content-Security-Policy
  if (!/^[a-z0-9._-]+$|^\[[0-9a-f:.]+\]$/.test(url.hostname))
    throw invalid('Redirect URI is invalid: its host is neither a name nor an address.')
  if (url.protocol === 'http:' && !LOCAL.test(url.hostname))
    throw invalid('Unsupported callback URL. Clients have to use HTTPS for non-local addresses.')
}
