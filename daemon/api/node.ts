import { availableParallelism, hostname, totalmem, uptime } from 'node:os'
import { requireAdministrator } from '../account/account.ts'
import type { Daemon } from '../daemon.ts'
import { availableMemory } from '../run/capacity.ts'
import { type Routes, reply } from './context.ts'
import { time } from './wire.ts'

/** Sluice's own, for administrators: the machines that dynos run on. There is one. */
export function nodeRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/sluice/nodes',
    reply(async (ctx) => {
      await requireAdministrator(d.db, ctx.state.account)
      const { dynos } = await d.db
        .selectFrom('dynos')
        .select(({ fn }) => fn.countAll<number>().as('dynos'))
        .executeTakeFirstOrThrow()
      return [
        {
          host: hostname(),
          engine_version: await d.engine.version().catch(() => null),
          cores: availableParallelism(),
          memory: totalmem(),
          memory_available: availableMemory(),
          dynos,
          up_since: time(d.clock.now() - Math.round(uptime()) * 1000),
        },
      ]
    }),
  )
}
