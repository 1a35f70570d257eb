import type { Region as Body } from '@heroku-cli/schema'
import { notFound } from '../errors.ts'
import { param, type Routes, reply } from './context.ts'
import { named, time } from './wire.ts'

/** The only region: named so that clients do not show it beside every app. */
export const REGION = 'us'

const region: Omit<Body, 'provider'> = {
  ...named('region', REGION),
  country: 'Here',
  description: 'This installation',
  locale: 'local',
  private_capable: false,
  provider: { name: 'sluice', region: 'local' },
  created_at: time(0),
  updated_at: time(0),
}

export function regionRoutes(routes: Routes): void {
  routes.get(
    '/regions',
    reply(() => [region]),
  )
  routes.get(
    '/regions/:region',
    reply((ctx) => {
      if (![region.id, region.name].includes(param(ctx, 'region'))) throw notFound('region', 'region')
      return region
    }),
  )
}
