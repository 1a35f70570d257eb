import { notFound } from '../errors.ts'
import { type Routes, reply } from './context.ts'

/** Browser sessions and third-party clients: there are none yet, which logging out must be able to see. */
export function oauthRoutes(routes: Routes): void {
  routes.get(
    '/oauth/sessions',
    reply(() => []),
  )
  routes.delete(
    '/oauth/sessions/:session',
    reply(() => {
      throw notFound('session', 'session')
    }),
  )
  routes.get(
    '/oauth/clients',
    reply(() => []),
  )
}
