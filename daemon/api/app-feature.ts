import type { AppFeature as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import type { App } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import { invalid, notFound } from '../errors.ts'
import { body } from './body.ts'
import { param, type Routes, withApp } from './context.ts'
import { idOf, time } from './wire.ts'

const Update = z.object({ enabled: z.boolean() })

/** What Heroku makes optional and Sluice always does. */
const features = [
  {
    name: 'preboot',
    display_name: 'Preboot',
    description: 'New dynos serve before old ones stop. Every release does this here.',
  },
  {
    name: 'runtime-heroku-exec',
    display_name: 'Heroku Exec',
    description:
      'Sessions in running dynos: ps:exec, ps:copy, ps:forward, ps:socks. Nothing in a dyno is needed for them here.',
  },
] as const

export function appFeatureRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/apps/:app/features',
    withApp(d, 'view', (app) => features.map((feature) => serialize(app, feature))),
  )
  routes.get(
    '/apps/:app/features/:feature',
    withApp(d, 'view', (app, ctx) => serialize(app, find(param(ctx, 'feature')))),
  )
  routes.patch(
    '/apps/:app/features/:feature',
    withApp(d, 'operate', async (app, ctx) => {
      const feature = find(param(ctx, 'feature'))
      const { enabled } = await body(ctx, Update)
      if (!enabled) throw invalid(`${feature.display_name} is always on here and cannot be disabled.`)
      return serialize(app, feature)
    }),
  )
}

type Feature = (typeof features)[number]

function find(nameOrId: string): Feature {
  const feature = features.find(({ name }) => name === nameOrId || idOf('feature', name) === nameOrId)
  if (!feature) throw notFound('feature', 'app_feature')
  return feature
}

const serialize = (app: App, { name, display_name, description }: Feature) =>
  ({
    id: idOf('feature', name),
    name,
    display_name,
    description,
    doc_url: '',
    enabled: true,
    state: 'general',
    feedback_email: '',
    created_at: time(app.created_at),
    updated_at: time(app.created_at),
  }) satisfies Body
