import type { RequestHead } from './head.ts'
import type { Page } from './page.ts'
import type { Challenge } from './protocol.ts'

/** By what a certificate authority sees that a name is ours: HTTP-01 (https://www.rfc-editor.org/rfc/rfc8555#section-8.3). Pure. */

const FOLDER = '/.well-known/acme-challenge/'

/** By the host and the path that it is asked for with. */
export type Challenges = ReadonlyMap<string, string>

export const compileChallenges = (challenges: readonly Challenge[]): Challenges =>
  new Map(challenges.map(({ host, token, authorization }) => [host + FOLDER + token, authorization]))

/** A path that redirects leave alone: an app may have an ACME client of its own. */
export const isChallenge = (target: string): boolean => target.startsWith(FOLDER)

/** What an authority is answered, whoever has the host; undefined for every other request, tokens that are not ours among them. */
export function challengeAnswer(challenges: Challenges, { method, hostname, target }: RequestHead): Page | undefined {
  if (challenges.size === 0 || !isChallenge(target) || (method !== 'GET' && method !== 'HEAD')) return undefined
  const body = challenges.get(hostname + target)
  if (body === undefined) return undefined
  const fields = [
    'content-type',
    'Content-Type',
    'application/octet-stream',
    'cache-control',
    'Cache-Control',
    'no-store',
  ]
  return { status: 200, reason: 'OK', fields, body }
}
