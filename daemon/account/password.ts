import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto'
import { invalid, UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { DbOrTx, Tx } from '../store/database.ts'

/** A tenth of a second and 32 MiB each; stored with every hash, so that they can grow. */
const COST = { N: 2 ** 15, r: 8, p: 1 }
const SALT = 16
const LENGTH = 32

/** A password's hash, as it is stored: `scrypt$N$r$p$SALT$HASH`. */
export type PasswordHash = string

/** Hashes a new password. Throws UserError when it is too short or too long. */
export async function hashPassword(password: string): Promise<PasswordHash> {
  const { least, most } = limits.password
  if ([...password].length < least) throw invalid(`A password has at least ${least} characters. Choose a longer one.`)
  if (password.length > most) throw invalid(`A password has at most ${most} characters.`)
  const salt = randomBytes(SALT)
  return encode(salt, await derive(password, salt, COST))
}

/** Whether it is the account's password. It takes as long when there is no such account, or no password. */
export async function isPassword(db: DbOrTx, account: { id: string } | undefined, password: string): Promise<boolean> {
  const row = await passwordOf(db, account ?? { id: '' })
  const { salt, hash, cost } = decode(row?.hash ?? NOBODY)
  const given = await derive(password.slice(0, limits.password.most), salt, cost)
  return timingSafeEqual(given, hash) && row !== undefined && password.length <= limits.password.most
}

export const passwordOf = (
  db: DbOrTx,
  account: { id: string },
): Promise<{ hash: PasswordHash; updated_at: number } | undefined> =>
  db.selectFrom('passwords').select(['hash', 'updated_at']).where('account_id', '=', account.id).executeTakeFirst()

/** Part of a larger decision, which also says what becomes of the account's sessions. */
export const setPassword = (tx: Tx, account: { id: string }, hash: PasswordHash, now: number): Promise<unknown> =>
  tx
    .insertInto('passwords')
    .values({ account_id: account.id, hash, updated_at: now })
    .onConflict((on) => on.column('account_id').doUpdateSet({ hash, updated_at: now }))
    .execute()

export const forgetPassword = (tx: Tx, account: { id: string }): Promise<unknown> =>
  tx.deleteFrom('passwords').where('account_id', '=', account.id).execute()

const encode = (salt: Buffer, hash: Buffer): PasswordHash =>
  ['scrypt', COST.N, COST.r, COST.p, salt.toString('base64url'), hash.toString('base64url')].join('$')

function decode(stored: PasswordHash) {
  const [, N, r, p, salt = '', hash = ''] = stored.split('$')
  const cost = { N: Number(N), r: Number(r), p: Number(p) }
  return { cost, salt: Buffer.from(salt, 'base64url'), hash: Buffer.from(hash, 'base64url') }
}

/** What a password is compared with when there is none. */
const NOBODY = encode(randomBytes(SALT), randomBytes(LENGTH))

let running = 0
const waiting: (() => void)[] = []

/** Few at once, so that logins leave threads and cores to everything else. */
async function derive(password: string, salt: Buffer, cost: typeof COST): Promise<Buffer> {
  if (running >= limits.passwordChecks) {
    if (waiting.length >= limits.passwordQueue)
      throw new UserError('rate_limit', 'Too many people log in at the moment. Try again in 5 s.', { retryAfter: 5 })
    await new Promise<void>((resolve) => waiting.push(resolve))
  } else running++
  try {
    return await hashed(password.normalize('NFKC'), salt, { ...cost, maxmem: 256 * cost.N * cost.r })
  } finally {
    const next = waiting.shift()
    if (next) next()
    else running--
  }
}

const hashed = (password: string, salt: Buffer, options: ScryptOptions): Promise<Buffer> =>
  new Promise((resolve, reject) =>
    scrypt(password, salt, LENGTH, options, (error, key) => (error ? reject(error) : resolve(key))),
  )
