import type { Answer } from './host.ts'
import { makeSshKey } from './ssh-key.ts'
import type { Walk } from './walk.ts'

export async function walkAccounts({ ask, get, all, invite }: Walk): Promise<void> {
  const leaver = await invite('leaver@example.com')
  await invite('removed@example.com')
  await get('POST', '/account/keys', { public_key: makeSshKey().public })
  const [key] = await get('GET', '/account/keys')
  const chosen = { password: 'correct horse battery', password_confirmation: 'correct horse battery' }
  const reset = await ask('POST', '/password-resets', { email: 'admin@example.com' })
  const token = invitationOf(reset)
  await all([
    ['GET', '/account'],
    ['PATCH', '/account', { name: 'Walker' }],
    ['GET', '/account/features/dashboard-repositories-api'],
    ['GET', `/account/keys/${key.id}`],
    ['DELETE', `/account/keys/${key.id}`],
    ['GET', '/account/rate-limits'],
    ['POST', `/password-resets/${token}/actions/finalize`, chosen, null],
    ['GET', '/users/~'],
    ['GET', '/users/removed@example.com'],
    ['PATCH', '/users/~', { beta: true }],
    ['DELETE', '/users/removed@example.com'],
    ['DELETE', '/account', undefined, leaver],
    ['GET', '/regions'],
    ['GET', '/regions/us'],
    ['GET', '/stacks'],
    ['GET', '/stacks/heroku-24'],
    ['GET', '/dyno-sizes'],
    ['GET', '/dyno-sizes/basic'],
  ])
}

export async function walkOAuth({ get, all }: Walk): Promise<void> {
  const authorization = `/oauth/authorizations/${(await get('POST', '/oauth/authorizations', { description: 'walk' })).id}`
  const redirect_uri = 'https://client.example.com/callback'
  const { id } = await get('POST', '/oauth/clients', { name: 'Walker', redirect_uri })
  const { secret } = await get('POST', `/oauth/clients/${id}/actions/rotate-credentials`)
  const { grant } = await get('POST', '/oauth/authorizations', { client: id })
  const exchange = { client: { secret }, grant: { type: 'authorization_code', code: grant.code } }
  const tokens = await get('POST', '/oauth/tokens', exchange, null)
  await all([
    ['GET', '/oauth/authorizations'],
    ['GET', authorization],
    ['PATCH', authorization, { description: 'walked' }],
    ['POST', `${authorization}/actions/regenerate-tokens`],
    ['DELETE', authorization],
    ['DELETE', `/oauth/tokens/${tokens.id}`],
    ['GET', '/oauth/clients'],
    ['GET', `/oauth/clients/${id}`],
    ['PATCH', `/oauth/clients/${id}`, { name: 'Runner' }],
    ['DELETE', `/oauth/clients/${id}`],
  ])
}

/** The token in a link that was made, which is told in the warning only. */
export function invitationOf({ headers }: Answer): string {
  const [, token] = /\/invitations\/([\w-]+)$/.exec(headers.get('x-heroku-warning') ?? '') ?? []
  if (token === undefined) throw new Error('there is no link in the warning')
  return token
}
