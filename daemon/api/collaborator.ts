import type { Collaborator as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import type { App } from '../app/app.ts'
import {
  addCollaborator,
  type Collaborator,
  findCollaborator,
  listCollaborators,
  removeCollaborator,
} from '../app/collaborator.ts'
import type { Daemon } from '../daemon.ts'
import { body } from './body.ts'
import { created, param, type Routes, withApp } from './context.ts'
import { page, rowKeys } from './page.ts'
import { time } from './wire.ts'

const Create = z.object({
  user: z.union([z.string(), z.object({ email: z.string() }).transform(({ email }) => email)]),
  silent: z.boolean().nullish(),
})

export function collaboratorRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/apps/:app/collaborators',
    withApp(d, 'view', async (app, ctx) =>
      page(ctx, await listCollaborators(d.db, app), rowKeys).map((one) => serialize(app, one)),
    ),
  )
  routes.post(
    '/apps/:app/collaborators',
    withApp(d, 'manage', async (app, ctx) => {
      const { user } = await body(ctx, Create)
      return created(ctx, serialize(app, await addCollaborator(d, app, ctx.state.account, user)))
    }),
  )
  routes.get(
    '/apps/:app/collaborators/:collaborator',
    withApp(d, 'view', async (app, ctx) =>
      serialize(app, await findCollaborator(d.db, app, param(ctx, 'collaborator'))),
    ),
  )
  routes.delete(
    '/apps/:app/collaborators/:collaborator',
    withApp(d, 'view', async (app, ctx) =>
      serialize(app, await removeCollaborator(d, app, ctx.state.account, param(ctx, 'collaborator'))),
    ),
  )
}

const serialize = (app: App, { id, role, user, created_at, updated_at }: Collaborator) =>
  ({
    id,
    app: { id: app.id, name: app.name },
    user: { ...user, federated: false },
    role,
    permissions: [],
    created_at: time(created_at),
    updated_at: time(updated_at),
  }) satisfies Body
