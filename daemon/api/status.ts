import type { Daemon } from '../daemon.ts'
import { type Routes, reply } from './context.ts'

/**
 * What `heroku status` asks (https://devcenter.heroku.com/articles/heroku-status), for those who point HEROKU_STATUS_HOST here: apps are
 * reachable while a router is connected, and the tools are what answers.
 */
export function statusRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/api/v4/current-status',
    reply(() => ({
      status: [
        { system: 'Apps', status: d.routers.connected > 0 ? 'green' : 'red' },
        { system: 'Tools', status: 'green' },
      ],
      incidents: [],
      scheduled: [],
    })),
  )
}
