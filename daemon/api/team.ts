import { notFound } from '../errors.ts'
import { type Routes, reply } from './context.ts'

/** There are no teams or private spaces. */
export function teamRoutes(routes: Routes): void {
  for (const path of ['/teams', '/spaces'])
    routes.get(
      path,
      reply(() => []),
    )
  routes.get(
    '/teams/:team',
    reply(() => {
      throw notFound('team', 'team')
    }),
  )
}
