import type { Daemon } from '../daemon.ts'
import { type Routes, withApp } from './context.ts'

/** There are no drains yet. */
export function logDrainRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/apps/:app/log-drains',
    withApp(d, () => []),
  )
}
