import type { Daemon } from '../daemon.ts'
import { type Routes, withApp } from './context.ts'

/** There are none yet; `domains:add` looks for one to bind the domain to. */
export function sniEndpointRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/apps/:app/sni-endpoints',
    withApp(d, 'view', () => []),
  )
}
