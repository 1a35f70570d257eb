import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { notFound, UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Account } from './account.ts'
import { networkOf } from './attempt.ts'

/**
 * Logins that a client has begun and somebody finishes in a browser. In memory: a restart ends them, and the client begins again.
 *
 *     waiting --approve--> approved --collect--> gone
 *        \--refuse--> refused --collect--> gone        each ends after ten minutes
 */
export interface BrowserLogins {
  /** `id` names it in both links, `secret` is for the client alone. Throws UserError when too many wait. */
  begin(asked: Asked): { id: string; secret: string }
  /** What a browser is shown; only while nobody has decided. */
  waiting(id: string): Asked
  /** `provenAt`: when the account showed its password. */
  approve(id: string, account: Account, provenAt: number): void
  refuse(id: string): void
  /** Throws UserError at once for a wrong secret. Waits for the decision and takes it, unless whoever asked has `gone` by then. */
  collect(id: string, secret: string, gone: AbortSignal): Promise<Decision>
  /** Ends those that wait. */
  close(): void
}

/** Which machine asks, as it says and as it was seen. */
export interface Asked {
  description: string
  from: string
}

export type Decision = { account: Account; provenAt: number; asked: Asked } | 'refused' | 'expired'

interface Login {
  asked: Asked
  secret: Buffer
  decision: Promise<Decision>
  /** Undefined once somebody has decided. */
  decide: ((decision: Decision) => void) | undefined
  /** Forgets it, so that nobody collects. */
  end(): void
}

export function createBrowserLogins(clock: Clock): BrowserLogins {
  const logins = new Map<string, Login>()

  const decide = (id: string, decision: Decision): void => {
    const login = waiting(id)
    login.decide?.(decision)
    login.decide = undefined
  }
  const waiting = (id: string): Login => {
    const login = logins.get(id)
    if (!login?.decide) throw notFound('login', 'login')
    return login
  }
  return {
    begin(asked) {
      const network = networkOf(asked.from)
      const same = [...logins.values()].filter((login) => networkOf(login.asked.from) === network)
      if (logins.size >= limits.browserLogins || same.length >= limits.browserLoginsPerAddress)
        throw new UserError('rate_limit', 'Too many logins wait for a browser. Finish those, or try again later.')
      const id = randomUUID()
      const secret = randomBytes(24).toString('base64url')
      let resolve: (decision: Decision) => void = () => {}
      const decision = new Promise<Decision>((done) => {
        resolve = done
      })
      const end = (): void => {
        cancel()
        resolve('expired')
        logins.delete(id)
      }
      const cancel = clock.at(clock.now() + limits.browserLogin, end)
      logins.set(id, { asked, secret: digest(secret), decision, decide: resolve, end })
      return { id, secret }
    },
    waiting: (id) => waiting(id).asked,
    approve: (id, account, provenAt) => decide(id, { account, provenAt, asked: waiting(id).asked }),
    refuse: (id) => decide(id, 'refused'),
    collect(id, secret, gone) {
      const login = logins.get(id)
      if (!login || !timingSafeEqual(login.secret, digest(secret))) throw notFound('login', 'login')
      return login.decision.then((decision) => {
        if (gone.aborted || logins.get(id) !== login) return 'expired'
        login.end()
        return decision
      })
    },
    close() {
      for (const { end } of [...logins.values()]) end()
    },
  }
}

const digest = (secret: string): Buffer => createHash('sha256').update(secret).digest()
