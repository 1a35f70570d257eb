import type { Daemon } from '../daemon.ts'
import { invalid } from '../errors.ts'
import { serializeApp } from './app.ts'
import { type Routes, withApp } from './context.ts'

/** Automated Certificate Management: there is none, so that it is always off. */
export function acmRoutes(routes: Routes, d: Daemon): void {
  const refuse = withApp(d, 'operate', () => {
    throw invalid(
      'Automated Certificate Management is not available here: this platform asks no public authority for certificates. ' +
        'Add your own with `heroku certs:add CRT KEY`.',
    )
  })
  routes.post('/apps/:app/acm', refuse)
  routes.patch('/apps/:app/acm', refuse)
  routes.delete(
    '/apps/:app/acm',
    withApp(d, 'operate', (app, ctx) => serializeApp(d, ctx, app)),
  )
}
