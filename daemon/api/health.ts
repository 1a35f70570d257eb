import type { Daemon } from '../daemon.ts'
import type { Routes } from './context.ts'

/** Sluice's own, for load balancers and supervisors: 200 when the daemon can work, else 503 and what fails, in a word each. */
export function healthRoutes(open: Routes, d: Daemon): void {
  open.get('/sluice/health', async (ctx) => {
    const { failing } = await d.watch.health()
    ctx.set('Cache-Control', 'no-store')
    ctx.status = failing.length === 0 ? 200 : 503
    ctx.body = failing.length === 0 ? { status: 'ok' } : { status: 'failing', failing }
  })
}
