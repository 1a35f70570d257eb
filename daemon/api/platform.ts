import { requireAdministrator } from '../account/account.ts'
import type { Daemon } from '../daemon.ts'
import { limits } from '../limits.ts'
import type { Stock } from '../watch/stock.ts'
import { type Context, type Routes, reply } from './context.ts'
import { time, timeOrNull } from './wire.ts'

/** Sluice's own, for administrators: how the platform does, and what is wrong with it. */
export function platformRoutes(routes: Routes, d: Daemon): void {
  const administrator = (ctx: Context) => requireAdministrator(d.db, ctx.state.account)
  routes.get(
    '/sluice/status',
    reply(async (ctx) => {
      await administrator(ctx)
      const [stock, { failing }] = await Promise.all([d.watch.stock(), d.watch.health()])
      return { failing, ...serialize(stock, d) }
    }),
  )
  routes.get(
    '/sluice/doctor',
    reply(async (ctx) => {
      await administrator(ctx)
      return { findings: await d.watch.doctor(), host: hostOf(d), at: time(d.clock.now()) }
    }),
  )
}

/** Sizes are bytes. */
function serialize(stock: Stock, { clock, config }: Daemon) {
  const { version, node, host, process, apps, builds, boots, webhooks, drains, passes, routers, memory } = stock
  return {
    ...{ version, node, host, domain: config.domain },
    started_at: time(process.startedAt),
    uptime: Math.round((clock.now() - process.startedAt) / 1000),
    ...{ apps, dynos: stock.dynos, releases_underway: stock.rollouts, routers },
    builds,
    queues: {
      ...{ boots: boots.waiting, builds: builds.waiting, webhook_deliveries: webhooks, drain_lines: drains.waiting },
      failing_apps: passes.failing.length,
    },
    memory: { ...memory, daemon: process.resident },
    ...{ file_systems: stock.fileSystems, database: stock.database },
    backup: {
      newest_at: timeOrNull(stock.backup.at),
      ...{ size: stock.backup.bytes, count: stock.backup.count, failure: stock.backup.failure },
    },
    certificates: {
      count: stock.certificates.length,
      ending: stock.certificates
        .filter(({ expiresAt }) => expiresAt - clock.now() < limits.certificateNear)
        .map(({ name, expiresAt }) => ({ name, expires_at: time(expiresAt) })),
    },
  }
}

/** What who looks from the outside, on this host, has to know of the settings. */
const hostOf = ({ config }: Daemon) => ({
  ...{ data: config.data, engine: config.engineSocket, api_port: config.api.port },
  ...{ http_port: config.router.httpPort, tls_port: config.router.tlsPort, exec_host: config.execHost },
})
