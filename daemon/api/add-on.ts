import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import { type Routes, reply, withApp } from './context.ts'

/** There are no add-ons yet; the lists that other commands look at are empty. */
export function addOnRoutes(routes: Routes, d: Daemon): void {
  for (const path of ['/addons', '/addon-attachments', '/addon-services'])
    routes.get(
      path,
      reply(() => []),
    )
  for (const path of ['/apps/:app/addons', '/apps/:app/addon-attachments'])
    routes.get(
      path,
      withApp(d, 'view', () => []),
    )
  routes.post(
    '/apps/:app/addons',
    withApp(d, 'operate', () => {
      throw invalid('Add-ons are not supported yet: set the address of the service as a config var.')
    }),
  )
  routes.post(
    '/actions/addons/resolve',
    reply(() => {
      throw notFound('add-on', 'add_on')
    }),
  )
  routes.post(
    '/actions/addon-attachments/resolve',
    reply(() => {
      throw notFound('add-on attachment', 'add_on attachment')
    }),
  )
}
