import type { Domain as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import { tell } from '../account/activity.ts'
import type { App } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import { invalid } from '../errors.ts'
import { addDomain, type Domain, findDomain, listDomains, removeDomain } from '../route/domain.ts'
import { body } from './body.ts'
import { created, param, type Routes, withApp } from './context.ts'
import { page, rowKeys } from './page.ts'
import { time } from './wire.ts'

const endpoint = z.string().nullish()
const Create = z.object({ hostname: z.string(), sni_endpoint: endpoint })
const Update = z.object({ sni_endpoint: endpoint })

export function domainRoutes(routes: Routes, d: Daemon): void {
  routes.get(
    '/apps/:app/domains',
    withApp(d, 'view', async (app, ctx) =>
      page(ctx, await listDomains(d, app), { hostname: ({ hostname }) => hostname, ...rowKeys }).map((one) =>
        serialize(app, one),
      ),
    ),
  )
  routes.post(
    '/apps/:app/domains',
    withApp(d, 'operate', async (app, ctx) => {
      const { hostname, sni_endpoint } = await body(ctx, Create)
      refuseEndpoint(sni_endpoint)
      const domain = await addDomain(d, app, hostname)
      await tell(d, app, ctx.state.account, `Add domain ${domain.hostname}`)
      return created(ctx, serialize(app, domain))
    }),
  )
  routes.get(
    '/apps/:app/domains/:domain',
    withApp(d, 'view', async (app, ctx) => serialize(app, await findDomain(d, app, param(ctx, 'domain')))),
  )
  routes.patch(
    '/apps/:app/domains/:domain',
    withApp(d, 'operate', async (app, ctx) => {
      refuseEndpoint((await body(ctx, Update)).sni_endpoint)
      return serialize(app, await findDomain(d, app, param(ctx, 'domain')))
    }),
  )
  routes.delete(
    '/apps/:app/domains/:domain',
    withApp(d, 'operate', async (app, ctx) => {
      const domain = await removeDomain(d, app, param(ctx, 'domain'))
      await tell(d, app, ctx.state.account, `Remove domain ${domain.hostname}`)
      return serialize(app, domain)
    }),
  )
}

function refuseEndpoint(name: string | null | undefined): void {
  if (name) throw invalid(`This app has no SNI endpoint ${name.slice(0, 100)}.`)
}

const serialize = (app: App, domain: Domain) =>
  ({
    id: domain.id,
    app: { id: app.id, name: app.name },
    hostname: domain.hostname,
    cname: domain.cname,
    kind: domain.kind,
    status: domain.status,
    acm_status: null,
    acm_status_reason: null,
    sni_endpoint: null,
    created_at: time(domain.created_at),
    updated_at: time(domain.updated_at),
  }) satisfies Body
