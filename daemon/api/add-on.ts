import { findAccount } from '../account/account.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import { param, type Routes, reply, withApp } from './context.ts'

const noAddOn = () => {
  throw notFound('add-on', 'add_on')
}
const noAttachment = () => {
  throw notFound('add-on attachment', 'add_on attachment')
}
const noService = () => {
  throw notFound('add-on service', 'add_on_service')
}

/** There are no add-ons yet: the lists that other commands look at are empty, and whoever asks for one reads that it is not there. */
export function addOnRoutes(routes: Routes, d: Daemon): void {
  for (const path of ['/addons', '/addon-attachments', '/addon-services'])
    routes.get(
      path,
      reply(() => []),
    )
  routes.get(
    '/users/:account/addons',
    reply(async (ctx) => {
      await findAccount(d.db, ctx.state.account, param(ctx, 'account'))
      return []
    }),
  )
  for (const path of ['/apps/:app/addons', '/apps/:app/addon-attachments'])
    routes.get(
      path,
      withApp(d, 'view', () => []),
    )
  for (const path of ['/addons/:addon', '/addons/:addon/addon-attachments']) routes.get(path, reply(noAddOn))
  for (const path of ['/addon-services/:service', '/addon-services/:service/plans']) routes.get(path, reply(noService))
  routes.get('/addon-attachments/:attachment', reply(noAttachment))
  routes.get('/apps/:app/addons/:addon', withApp(d, 'view', noAddOn))
  routes.get('/apps/:app/addon-attachments/:attachment', withApp(d, 'view', noAttachment))
  routes.post(
    '/apps/:app/addons',
    withApp(d, 'operate', () => {
      throw invalid('Add-ons are not supported yet: set the address of the service as a config var.')
    }),
  )
  routes.post('/actions/addons/resolve', reply(noAddOn))
  routes.post('/actions/addon-attachments/resolve', reply(noAttachment))
}
