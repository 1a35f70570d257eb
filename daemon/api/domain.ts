import type { Domain as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import type { App } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import { covers, describe } from '../route/chain.ts'
import { addDomain, bindDomain, type Domain, findDomain, listDomains, removeDomain } from '../route/domain.ts'
import { findSniEndpoint } from '../route/sni-endpoint.ts'
import { body } from './body.ts'
import { type Context, created, param, type Routes, withApp } from './context.ts'
import { page, rowKeys } from './page.ts'
import { time } from './wire.ts'

const endpoint = z.string().max(200).nullish()
const Create = z.object({ hostname: z.string(), sni_endpoint: endpoint })
const Update = z.object({ sni_endpoint: z.string().max(200).nullable() })

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
      const { account } = ctx.state
      const domain = await addDomain(d, app, account, { hostname, endpoint: sni_endpoint ?? null })
      await warn(d, app, ctx, domain)
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
      const { sni_endpoint } = await body(ctx, Update)
      const { account } = ctx.state
      const wanted = { hostname: param(ctx, 'domain'), endpoint: sni_endpoint }
      const domain = await bindDomain(d, app, account, wanted)
      await warn(d, app, ctx, domain)
      return serialize(app, domain)
    }),
  )
  routes.delete(
    '/apps/:app/domains/:domain',
    withApp(d, 'operate', async (app, ctx) => {
      const { account } = ctx.state
      const domain = await removeDomain(d, app, account, param(ctx, 'domain'))
      return serialize(app, domain)
    }),
  )
}

/** A certificate for other names is served all the same, because it may be replaced next; clients show this header. */
async function warn(d: Daemon, app: App, ctx: Context, { hostname, sni_endpoint }: Domain): Promise<void> {
  if (!sni_endpoint) return
  const { certificate_chain, name } = await findSniEndpoint(d.db, app, sni_endpoint.id)
  const { cert_domains } = describe(certificate_chain)
  if (!covers({ cert_domains }, hostname))
    ctx.set('X-Heroku-Warning', `The certificate ${name} is not for ${hostname}, so browsers will not trust it there.`)
}

export const serialize = (app: Pick<App, 'id' | 'name'>, domain: Domain) =>
  ({
    id: domain.id,
    app: { id: app.id, name: app.name },
    hostname: domain.hostname,
    cname: domain.cname,
    kind: domain.kind,
    status: domain.status,
    acm_status: domain.acm?.status ?? null,
    acm_status_reason: domain.acm?.reason ?? null,
    sni_endpoint: domain.sni_endpoint,
    created_at: time(domain.created_at),
    updated_at: time(domain.updated_at),
  }) satisfies Body
