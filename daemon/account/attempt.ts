import type { Clock } from '../clock.ts'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { createBuckets } from './bucket.ts'

/** Holds up those who guess passwords. In memory, so a restart forgives. */
export interface Attempts {
  /**
   * Counts an attempt; `takeBack` is for those that did not fail. Throws 429 when the address, or everybody together, has
   * failed too often at this account. One address is let in more seldom than the account is, so it cannot keep others out.
   */
  begin(login: { email: string; from: string | undefined }): { takeBack(): void }
}

export function createAttempts(clock: Clock): Attempts {
  const byAddress = createBuckets(clock, limits.loginsPerAddress)
  const byAccount = createBuckets(clock, limits.loginsPerAccount)
  return {
    begin({ email, from }) {
      const address = networkOf(from ?? '')
      const account = email.toLowerCase().slice(0, 254)
      refuseFor(byAddress.take(address))
      const wait = byAccount.take(account)
      if (wait > 0) byAddress.give(address)
      refuseFor(wait)
      return {
        takeBack() {
          byAddress.give(address)
          byAccount.give(account)
        },
      }
    },
  }
}

function refuseFor(wait: number): void {
  if (wait === 0) return
  const seconds = Math.ceil(wait / 1000)
  const message = `There were too many failed logins. Try again in ${seconds} s.`
  throw new UserError('rate_limit', message, { retryAfter: seconds })
}

/** Whoever has one IPv6 address has the /64 that it is in. */
export function networkOf(address: string): string {
  if (!address.includes(':') || address.startsWith('::ffff:')) return address
  const [start = ''] = address.split('::')
  return start
    .split(':')
    .slice(0, 4)
    .join(':')
    .replace(/(:0)+$/, '')
}
