import type { BuildpackInstallations as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import { type Installation, listInstallations, replaceInstallations } from '../app/buildpack.ts'
import { isName, parseBuildpack, publicBuildpack, urnOf } from '../app/buildpack-name.ts'
import { permissionsOf } from '../app/permission.ts'
import { requireKnown } from '../build/buildpack/named.ts'
import type { Daemon } from '../daemon.ts'
import { invalid } from '../errors.ts'
import { body } from './body.ts'
import { type Routes, withApp } from './context.ts'

const Update = z.object({
  updates: z.array(z.object({ buildpack: z.string().optional(), url: z.string().optional() })).max(100),
})

export function buildpackInstallationRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/apps/:app/buildpack-installations',
    withApp(d, 'view', async (app, ctx) => {
      const installations = await listInstallations(d, app.id)
      // Whoever may change the list needs it whole: clients send it back with one more in it.
      const whole = (await permissionsOf(d, app, ctx.state.account)).includes('deploy')
      return installations.map(
        whole ? serialize : ({ ordinal, url }) => serialize({ ordinal, url: publicBuildpack(url) }),
      )
    }),
  )
  routes.put(
    '/apps/:app/buildpack-installations',
    withApp(d, 'deploy', async (app, ctx) => {
      const { updates } = await body(ctx, Update)
      const names = updates.map(({ buildpack }) => buildpack ?? refuse())
      const before = new Set((await listInstallations(d, app.id)).map(({ url }) => url))
      const fresh = names.map(parseBuildpack).filter((one) => isName(one) && !before.has(one))
      await requireKnown(d, fresh)
      return (await replaceInstallations(d, app, ctx.state.account, names)).map(serialize)
    }),
  )
}

/** What some clients send for a name that the registry does not know. */
function refuse(): never {
  throw invalid('There is no buildpack of that name here: give the URL of its git repository or archive.')
}

/** A name is sent as a URN, which clients show as the name. */
const serialize = ({ ordinal, url }: Installation): Body => ({
  ordinal,
  buildpack: isName(url) ? { url: urnOf(url), name: url } : { url, name: url },
})
