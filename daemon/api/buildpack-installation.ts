import type { BuildpackInstallations as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import { type Installation, listInstallations, replaceInstallations } from '../app/buildpack.ts'
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
    withApp(d, 'view', async (app) => (await listInstallations(d.db, app.id)).map(serialize)),
  )
  routes.put(
    '/apps/:app/buildpack-installations',
    withApp(d, 'deploy', async (app, ctx) => {
      const { updates } = await body(ctx, Update)
      const names = updates.map(({ buildpack }) => buildpack ?? refuse())
      return (await replaceInstallations(d, app, ctx.state.account, names)).map(serialize)
    }),
  )
}

/** The official CLI sends an empty update for a name that the registry does not know. */
function refuse(): never {
  throw invalid('There is no buildpack of that name here: give the URL of its git repository or archive.')
}

/** A name is sent as a URN, which clients show as the name. */
const serialize = ({ ordinal, url }: Installation): Body => ({
  ordinal,
  buildpack: URL.canParse(url) ? { url, name: url } : { url: `urn:buildpack:${url}`, name: url },
})
