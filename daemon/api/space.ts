import { notFound } from '../errors.ts'
import { type Routes, reply } from './context.ts'

/** There are no private spaces and no enterprise accounts; clients look in passing. */
export function spaceRoutes(routes: Routes): void {
  for (const [path, what] of [
    ['/spaces', 'space'],
    ['/enterprise-accounts', 'enterprise account'],
  ] as const) {
    routes.get(
      path,
      reply(() => []),
    )
    routes.get(
      `${path}/:id`,
      reply(() => {
        throw notFound(what, what.replace(' ', '_'))
      }),
    )
  }
}
