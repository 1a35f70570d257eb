import { createHash, createPublicKey, randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import ssh2, { type ParsedKey } from 'ssh2'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import { limits } from '../limits.ts'
import { type DbOrTx, decide, type Tx } from '../store/database.ts'
import type { Schema } from '../store/schema.ts'
import type { Account } from './account.ts'
import { record } from './activity.ts'

/** A public key for SSH. Clients list them; nothing here is opened by one, as pushes come by HTTPS. */
export type Key = Selectable<Schema['keys']>

export const listKeys = (db: DbOrTx, account: { id: string }): Promise<Key[]> =>
  db.selectFrom('keys').selectAll().where('account_id', '=', account.id).orderBy('created_at').execute()

/** By id or fingerprint. */
export async function findKey(db: DbOrTx, account: { id: string }, which: string): Promise<Key> {
  const key = (await listKeys(db, account)).find(({ id, fingerprint }) => id === which || fingerprint === which)
  if (!key) throw notFound('key', 'key')
  return key
}

/** Adds a key in the form of a `.pub` file. Throws UserError for anything else, and when somebody has it already. */
export async function addKey(d: Daemon, account: Account, text: string): Promise<Key> {
  const { line, comment, fingerprint } = parsePublicKey(text)
  const now = d.clock.now()
  const times = { created_at: now, updated_at: now }
  const key: Key = { id: randomUUID(), account_id: account.id, public_key: line, comment, fingerprint, ...times }
  return decide(d.db, async (tx) => {
    const same = await tx
      .selectFrom('keys')
      .select('account_id')
      .where('fingerprint', '=', fingerprint)
      .executeTakeFirst()
    if (same?.account_id === account.id) throw invalid(`Key is already added to this account: ${fingerprint}`)
    if (same) throw invalid('This key is already in use by another account. Each account must have a unique key.')
    if ((await listKeys(tx, account)).length >= limits.keysPerAccount)
      throw invalid(`An account has at most ${limits.keysPerAccount} keys. Remove one that is no longer needed first.`)
    await tx.insertInto('keys').values(key).execute()
    await record(tx, account, { app: null, text: `Added the key ${fingerprint}`, now })
    return key
  })
}

export const removeKey = (d: Daemon, account: Account, which: string): Promise<Key> =>
  decide(d.db, async (tx) => {
    const key = await findKey(tx, account, which)
    await tx.deleteFrom('keys').where('id', '=', key.id).execute()
    await record(tx, account, { app: null, text: `Removed the key ${key.fingerprint}`, now: d.clock.now() })
    return key
  })

/** Part of the departure of an account. */
export const forgetKeys = (tx: Tx, account: { id: string }): Promise<unknown> =>
  tx.deleteFrom('keys').where('account_id', '=', account.id).execute()

const TYPES = ['ssh-rsa', 'ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521']
const LEAST_BITS = 2048

/** Pure: one line of a `.pub` file, its comment, and its MD5 fingerprint as Heroku writes it. */
export function parsePublicKey(text: string): { line: string; comment: string; fingerprint: string } {
  const key = parse(text.trim())
  if (!TYPES.includes(key.type)) throw invalid(`Keys of type ${key.type} are not supported; use ed25519, ecdsa or rsa.`)
  if (bitsOf(key) < LEAST_BITS) throw invalid(`This RSA key is too short: make one with at least ${LEAST_BITS} bits.`)
  const bytes = key.getPublicSSH()
  const comment = (key.comment ?? '').replace(/\s+/g, ' ').trim().slice(0, limits.keyComment)
  const fingerprint = createHash('md5').update(bytes).digest('hex').match(/../g)?.join(':') ?? ''
  return { line: `${key.type} ${bytes.toString('base64')} ${comment}`.trim(), comment, fingerprint }
}

function parse(text: string): ParsedKey {
  if (/PRIVATE KEY/.test(text))
    throw invalid(
      'This is a private key, which nobody else may see. Send the public one, from the file that ends in .pub.',
    )
  const key =
    text.length > limits.keySize || /[\r\n]/.test(text) ? new Error('not one line') : ssh2.utils.parseKey(text)
  if (key instanceof Error || Array.isArray(key))
    throw invalid('Key is invalid. Send the one line of a public key file: `ssh-ed25519 AAAA... you@host`.')
  return key
}

/** Infinite for keys whose type has one length only. */
const bitsOf = (key: ParsedKey): number =>
  key.type === 'ssh-rsa'
    ? (createPublicKey(key.getPublicPEM()).asymmetricKeyDetails?.modulusLength ?? 0)
    : Number.POSITIVE_INFINITY
