import type { Daemon } from '../daemon.ts'
import { notFound } from '../errors.ts'
import { type Routes, withApp } from './context.ts'

/** No app is in a pipeline yet. */
export function pipelineCouplingRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/apps/:app/pipeline-couplings',
    withApp(d, 'view', () => {
      throw notFound('pipeline coupling', 'pipeline_coupling')
    }),
  )
}
