import { make } from '../integration/chains.ts'
import type { Walk } from './walk.ts'

export async function walkApp({ get, all, invite }: Walk): Promise<void> {
  const friend = await invite('friend@example.com')
  const { id } = await get('GET', '/apps/walk')
  const { id: drain } = await get('POST', '/apps/walk/log-drains', { url: 'syslog://logs.example.com:514' })
  await all([
    ['GET', '/apps'],
    ['GET', '/users/~/apps'],
    ['POST', '/filters/apps', { in: { id: [id] } }],
    ['PATCH', '/apps/walk', { maintenance: false }],
    ['POST', '/apps/walk/acm', {}],
    ['PATCH', '/apps/walk/acm', { acm_refresh: true }],
    ['DELETE', '/apps/walk/acm'],
    ['GET', '/apps/walk/available-dyno-sizes'],
    ['GET', '/apps/walk/available-stacks'],
    ['GET', '/apps/walk/features'],
    ['GET', '/apps/walk/features/preboot'],
    ['PATCH', '/apps/walk/features/preboot', { enabled: true }],
    ['PUT', '/apps/walk/buildpack-installations', { updates: [{ buildpack: 'heroku/nodejs' }] }],
    ['GET', '/apps/walk/buildpack-installations'],
    ['POST', '/apps/walk/collaborators', { user: 'friend@example.com' }],
    ['GET', '/apps/walk/collaborators'],
    ['GET', '/apps/walk/collaborators/friend@example.com'],
    ['DELETE', '/apps/walk/collaborators/friend@example.com'],
    ['PATCH', '/apps/walk/config-vars', { A: 'b' }],
    ['GET', '/apps/walk/config-vars'],
    ['GET', '/apps/walk/releases/2/config-vars'],
    ['GET', '/apps/walk/log-drains'],
    ['GET', `/apps/walk/log-drains/${drain}`],
    ['DELETE', `/apps/walk/log-drains/${drain}`],
    ['POST', '/apps/walk/log-sessions', {}],
  ])
  await walkTransfers({ get, all }, friend)
}

async function walkTransfers({ get, all }: Pick<Walk, 'get' | 'all'>, friend: string): Promise<void> {
  const transfers = '/account/app-transfers'
  const { name } = await get('POST', '/apps', {})
  const offer = { app: name, recipient: 'friend@example.com' }
  await all([
    ['DELETE', `${transfers}/${(await get('POST', transfers, offer)).id}`],
    ['POST', transfers, offer],
    ['GET', transfers],
    ['GET', `${transfers}/${name}`, undefined, friend],
    ['PATCH', `${transfers}/${name}`, { state: 'accepted' }, friend],
  ])
}

export async function walkDomains({ get, all }: Walk): Promise<void> {
  const { cert, key } = await make({ names: ['www.example.com'] })
  const pair = { certificate_chain: cert, private_key: key }
  const { name } = await get('POST', '/apps/walk/sni-endpoints', pair)
  const endpoint = `/apps/walk/sni-endpoints/${name}`
  await all([
    ['POST', '/apps/walk/domains', { hostname: 'www.example.com', sni_endpoint: null }],
    ['PATCH', '/apps/walk/domains/www.example.com', { sni_endpoint: name }],
    ['GET', '/apps/walk/domains'],
    ['GET', '/apps/walk/domains/www.example.com'],
    ['GET', '/apps/walk/sni-endpoints'],
    ['GET', endpoint],
    ['PATCH', endpoint, pair],
    ['DELETE', endpoint],
    ['DELETE', '/apps/walk/domains/www.example.com'],
  ])
}

export async function walkRuns({ all }: Walk): Promise<void> {
  await all([
    ['GET', '/apps/walk/formation'],
    ['GET', '/apps/walk/formation/web'],
    ['PATCH', '/apps/walk/formation', { updates: [{ type: 'web', quantity: 2 }] }],
    ['PATCH', '/apps/walk/formation/web', { quantity: 1 }],
    ['GET', '/apps/walk/dynos'],
    ['GET', '/apps/walk/dynos/web.1'],
    ['POST', '/apps/walk/dynos', { command: 'true' }],
    ['POST', '/apps/walk/dynos/web.1/actions/stop'],
    ['POST', '/apps/walk/formations/web/actions/stop'],
    ['DELETE', '/apps/walk/dynos/web.1'],
    ['DELETE', '/apps/walk/formations/web'],
    ['DELETE', '/apps/walk/dynos'],
  ])
}
