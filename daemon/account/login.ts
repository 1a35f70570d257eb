import type { Daemon } from '../daemon.ts'
import { UserError } from '../errors.ts'
import { decide, type Tx } from '../store/database.ts'
import { type Account, accountNamed, changeAccount } from './account.ts'
import { record } from './activity.ts'
import { type Authorization, createAuthorization } from './authorization.ts'
import { hashPassword, isPassword, passwordOf, setPassword } from './password.ts'
import type { Scope } from './scope.ts'
import { beginSession, endSessions } from './session.ts'

export interface Credentials {
  email: string
  password: string
  from: string | undefined
}

/**
 * The account whose email and password these are. Throws 401, saying the same and taking as long for a wrong password as for an email
 * that nobody has, and 429 after too many failures. What failed is on record.
 */
export async function checkCredentials(d: Daemon, { email, password, from }: Credentials): Promise<Account> {
  const attempt = d.attempts.begin({ email, from })
  const named = await accountNamed(d.db, email)
  const account = named?.email.toLowerCase() === email.toLowerCase() ? named : undefined
  const right = await isPassword(d.db, account, password).catch((error: unknown) => {
    attempt.takeBack()
    throw error
  })
  if (right && account) {
    attempt.takeBack()
    return { ...account, from }
  }
  const { id, email: known } = account ?? { id: '', email: 'somebody unknown' }
  await record(d.db, { id, email: known, from }, { app: null, text: 'A login was refused', now: d.clock.now() })
  throw new UserError('unauthorized', 'Invalid credentials provided.')
}

export interface Wish {
  description: string
  scope: Scope[]
  /** Seconds, or null for never. */
  expiresIn: number | null
  /** When the password was shown: one that was changed since begins nothing. */
  provenAt: number
}

/** Begins a session, with the authorization that goes with it; its token is returned here and never again. */
export const logIn = (
  d: Daemon,
  account: Account,
  wish: Wish,
): Promise<{ authorization: Authorization; token: string }> =>
  decide(d.db, async (tx) => {
    const now = d.clock.now()
    const { description, expiresIn, provenAt } = wish
    const password = await passwordOf(tx, account)
    if (!password || password.updated_at > provenAt || !(await accountNamed(tx, account.id)))
      throw new UserError('unauthorized', 'Invalid credentials provided.')
    const expiresAt = expiresIn === null ? null : now + expiresIn * 1000
    const session = await beginSession(tx, account, { description, expiresAt, now })
    const made = await createAuthorization(tx, account, { ...wish, session: session.id, now })
    await changeAccount(tx, account, { last_login: now, now })
    await record(tx, account, { app: null, text: `Logged in: ${description}`, now })
    return made
  })

/** Changes the password, and ends all sessions but `session`. The old one is needed, unless there is none yet. */
export async function changePassword(
  d: Daemon,
  account: Account,
  { password, next, session }: { password: string | undefined; next: string; session: string | null },
): Promise<void> {
  const before = await passwordOf(d.db, account)
  if (before) await checkCredentials(d, { email: account.email, password: password ?? '', from: account.from })
  const hash = await hashPassword(next)
  await decide(d.db, async (tx) => {
    await requireUnchanged(tx, account, before?.hash)
    const now = d.clock.now()
    await setPassword(tx, account, hash, now)
    await endSessions(tx, account, session)
    await record(tx, account, { app: null, text: 'Changed the password', now })
  })
}

/** Somebody may have changed it while this one was checked. */
async function requireUnchanged(tx: Tx, account: Account, hash: string | undefined): Promise<void> {
  if ((await passwordOf(tx, account))?.hash !== hash)
    throw new UserError('conflict', 'The password was changed by another request. Try again with the new one.')
}
