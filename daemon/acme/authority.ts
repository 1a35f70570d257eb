import { z } from 'zod'
import { type AccountKey, bind } from './key.ts'
import { Problem, retryAfter } from './problem.ts'
import { Directory, notUnderstood, parse, succeeded, url } from './reply.ts'
import type { Ask, Reply } from './transport.ts'

const Order = z.object({
  status: z.enum(['pending', 'ready', 'processing', 'valid', 'invalid']),
  authorizations: z.array(url).max(10),
  finalize: url,
  certificate: url.optional(),
  error: z.unknown().optional(),
})

const Authorization = z.object({
  status: z.enum(['pending', 'valid', 'invalid', 'deactivated', 'expired', 'revoked']),
  identifier: z.object({ type: z.string(), value: z.string() }),
  challenges: z.array(
    z.object({ type: z.string(), url, token: z.string().max(200).optional(), error: z.unknown().optional() }),
  ),
})

export type Order = z.infer<typeof Order> & { url: string }
export type Authorization = z.infer<typeof Authorization>

export interface Account {
  /** URL of the authority's directory. */
  directory: string
  /** Where the authority may write to. */
  contact: string | undefined
  /** By what it knows its customer, where it wants to. */
  binding?: { kid: string; hmac: string } | undefined
  key: AccountKey
}

/** A nonce may be refused although we have not used it; then the answer brings a fresh one. */
const MOST_NONCES = 10

/**
 * An authority that speaks ACME (RFC 8555), for as long as one order takes: what it says of itself is asked anew each time, and so is the
 * account, which it makes for a key that it does not know. Its own words are taken apart strictly. Everything rejects with Problem.
 */
export class Authority {
  private readonly ask: Ask
  private readonly account: Account
  private readonly signal: AbortSignal
  private directory: z.infer<typeof Directory> = { newNonce: '', newAccount: '', newOrder: '' }
  private id: string | undefined
  private nonce: string | undefined

  private constructor(ask: Ask, account: Account, signal: AbortSignal) {
    this.ask = ask
    this.account = account
    this.signal = signal
  }

  static async open(ask: Ask, account: Account, signal: AbortSignal): Promise<Authority> {
    const authority = new Authority(ask, account, signal)
    authority.directory = parse(Directory, succeeded(await ask(account.directory, signal)))
    const contact = account.contact === undefined ? {} : { contact: [`mailto:${account.contact}`] }
    const { newAccount } = authority.directory
    const binding = account.binding && { externalAccountBinding: bind(account.binding, newAccount, account.key) }
    const reply = await authority.post(newAccount, { termsOfServiceAgreed: true, ...contact, ...binding })
    authority.id = locationOf(reply)
    return authority
  }

  /** `replaces`: PEM of the certificate that this one is to follow, so that it counts as its renewal (RFC 9773 5). */
  async order(hostname: string, replaces?: string): Promise<Order> {
    const order = { identifiers: [{ type: 'dns', value: hostname }] }
    const id = replaces !== undefined && this.directory.renewalInfo !== undefined ? await idOf(replaces) : undefined
    const reply = await this.post(this.directory.newOrder, { ...order, replaces: id }).catch((error: unknown) => {
      // It may not know that one any more, or have replaced it already. One that did not answer may have made the order.
      if (id === undefined || !(error instanceof Problem) || ['', 'rateLimited'].includes(error.type)) throw error
      return this.post(this.directory.newOrder, order)
    })
    return { ...parse(Order, reply), url: locationOf(reply) }
  }

  async authorization(url: string): Promise<Authorization> {
    return parse(Authorization, await this.post(url, ''))
  }

  /** Has it look at a challenge, which must be answered by now. */
  async challenge(url: string): Promise<void> {
    await this.post(url, {})
  }

  /** `csr`: DER. */
  async finalize({ finalize }: Order, csr: Buffer): Promise<void> {
    await this.post(finalize, { csr: csr.toString('base64url') })
  }

  /** Asks again, at the pace that the authority wishes, until `done`. */
  async settledAuthorization(url: string): Promise<Authorization> {
    return this.until(url, Authorization, ({ status }) => status !== 'pending')
  }

  async settledOrder({ url }: Order): Promise<z.infer<typeof Order>> {
    return this.until(url, Order, ({ status }) => status === 'valid' || status === 'invalid')
  }

  /** PEM, the site's own first. */
  async certificate(url: string): Promise<string> {
    return (await this.post(url, '')).body
  }

  private async until<T>(url: string, shape: z.ZodType<T>, done: (value: T) => boolean): Promise<T> {
    for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      const reply = await this.post(url, '')
      const value = parse(shape, reply)
      if (done(value)) return value
      const wished = retryAfter(reply.header('retry-after'), Date.now()) ?? 0
      await paused(Math.min(Math.max(pause, wished), LONGEST_PAUSE), this.signal)
    }
  }

  private async post(url: string, payload: object | ''): Promise<Reply> {
    const { ask, account, signal } = this
    for (let attempt = 1; ; attempt++) {
      const nonce = this.nonce ?? nonceOf(succeeded(await ask(this.directory.newNonce, signal)))
      const who = this.id === undefined ? { jwk: account.key.jwk } : { kid: this.id }
      const reply = await ask(url, signal, account.key.sign({ nonce, url, ...who }, payload))
      this.nonce = reply.header('replay-nonce')
      try {
        return succeeded(reply)
      } catch (error) {
        const stale = error instanceof Problem && error.type === 'badNonce'
        if (!stale || attempt === MOST_NONCES) throw error
      }
    }
  }
}

const idOf = async (pem: string): Promise<string | undefined> =>
  (await import('./certificate-id.ts')).certificateId(pem)

const FIRST_PAUSE = 250
const LONGEST_PAUSE = 10_000

const paused = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const stop = () => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal.addEventListener('abort', stop, { once: true })
  })

const nonceOf = (reply: Reply): string => {
  const nonce = reply.header('replay-nonce')
  if (nonce === undefined) throw notUnderstood()
  return nonce
}

function locationOf(reply: Reply): string {
  const parsed = url.safeParse(reply.header('location'))
  if (!parsed.success) throw notUnderstood()
  return parsed.data
}
