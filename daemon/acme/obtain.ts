import type { Authority } from './authority.ts'
import type { AccountKey } from './key.ts'
import { Problem, problemOf } from './problem.ts'

export interface Steps {
  key: AccountKey
  /** PEM of the certificate that is renewed by this. */
  replaces: string | undefined
  /** Has all that may be asked answer this; resolves when they do. */
  answer(challenge: { token: string; authorization: string }): Promise<void>
  /** The authority believes that the name is ours. */
  verified(): Promise<void>
}

/** PEM texts: the chain as the authority sends it, and a key that is made for it. */
export interface Obtained {
  chain: string
  key: string
}

/** One certificate for one name: order, challenge, request, certificate. Rejects with Problem. */
export async function obtain(authority: Authority, hostname: string, steps: Steps): Promise<Obtained> {
  const order = await authority.order(hostname, steps.replaces)
  for (const url of order.authorizations) await authorize(authority, url, { hostname, steps })
  await steps.verified()
  const { request } = await import('./request.ts')
  const { csr, key } = await request(hostname)
  await authority.finalize(order, csr)
  const { certificate, error } = await authority.settledOrder(order)
  if (certificate === undefined) throw problemOf(error, 'The authority gave no certificate, and did not say why.')
  return { chain: await authority.certificate(certificate), key }
}

const TOKEN = /^[A-Za-z0-9_-]+$/

/** It may know the name from another order; then it asks nothing. */
async function authorize(
  authority: Authority,
  url: string,
  { hostname, steps }: { hostname: string; steps: Steps },
): Promise<void> {
  const { status, identifier, challenges } = await authority.authorization(url)
  if (identifier.value !== hostname) throw new Problem('authority', 'The authority asks about another name.')
  if (status === 'valid') return
  const challenge = challenges.find(({ type }) => type === 'http-01')
  if (challenge?.token === undefined || !TOKEN.test(challenge.token))
    throw new Problem('name', 'The authority has no way to look at this name over HTTP.')
  await steps.answer({ token: challenge.token, authorization: steps.key.authorize(challenge.token) })
  await authority.challenge(challenge.url)
  const settled = await authority.settledAuthorization(url)
  if (settled.status === 'valid') return
  const { error } = settled.challenges.find(({ type }) => type === 'http-01') ?? {}
  const { message, type } = problemOf(error, 'The authority did not find the challenge at this name.')
  throw new Problem('name', message, { type })
}
