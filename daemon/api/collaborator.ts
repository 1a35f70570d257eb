import type { TeamAppCollaborator as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import type { App } from '../app/app.ts'
import {
  addCollaborator,
  type Collaborator,
  findCollaborator,
  listCollaborators,
  removeCollaborator,
  setPermissions,
} from '../app/collaborator.ts'
import { permissions } from '../app/permission.ts'
import type { Daemon } from '../daemon.ts'
import { body } from './body.ts'
import { created, param, type Routes, withApp } from './context.ts'
import { Somebody } from './identity.ts'
import { page, rowKeys } from './page.ts'
import { serializePermission } from './team.ts'
import { time } from './wire.ts'

const Permissions = z.array(z.enum(permissions)).max(permissions.length)

/** `silent`: there is no mail that could be kept back. */
const Create = z.object({ user: Somebody, permissions: Permissions.optional(), silent: z.boolean().nullish() })
const Update = z.object({ permissions: Permissions })

/** Of any app, and by the paths that clients use for team apps. */
export function collaboratorRoutes(routes: Routes, d: Daemon): void {
  for (const collaborators of ['/apps/:app/collaborators', '/teams/apps/:app/collaborators']) {
    routes.get(
      collaborators,
      withApp(d, 'view', async (app, ctx) =>
        page(ctx, await listCollaborators(d.db, app), rowKeys).map((one) => serialize(app, one)),
      ),
    )
    routes.post(
      collaborators,
      withApp(d, 'view', async (app, ctx) =>
        created(ctx, serialize(app, await addCollaborator(d, app, ctx.state.account, await body(ctx, Create)))),
      ),
    )
    routes.get(
      `${collaborators}/:collaborator`,
      withApp(d, 'view', async (app, ctx) =>
        serialize(app, await findCollaborator(d.db, app, param(ctx, 'collaborator'))),
      ),
    )
    routes.delete(
      `${collaborators}/:collaborator`,
      withApp(d, 'view', async (app, ctx) =>
        serialize(app, await removeCollaborator(d, app, ctx.state.account, param(ctx, 'collaborator'))),
      ),
    )
  }
  routes.patch(
    '/teams/apps/:app/collaborators/:collaborator',
    withApp(d, 'manage', async (app, ctx) => {
      const wanted = { which: param(ctx, 'collaborator'), ...(await body(ctx, Update)) }
      return serialize(app, await setPermissions(d, app, ctx.state.account, wanted))
    }),
  )
}

export const serialize = (app: App, { id, role, permissions, user, created_at, updated_at }: Collaborator) =>
  ({
    id,
    app: { id: app.id, name: app.name },
    user: { ...user, federated: false },
    role,
    permissions: permissions.map(serializePermission),
    created_at: time(created_at),
    updated_at: time(updated_at),
  }) satisfies Body
