import type { SniEndpoint as Body } from '@heroku-cli/schema'
import { z } from 'zod'
import type { App } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import { limits } from '../limits.ts'
import { describe } from '../route/chain.ts'
import {
  addSniEndpoint,
  findSniEndpoint,
  listSniEndpoints,
  removeSniEndpoint,
  type SniEndpoint,
  updateSniEndpoint,
} from '../route/sni-endpoint.ts'
import { body } from './body.ts'
import { type Context, created, param, type Routes, withApp } from './context.ts'
import { page, rowKeys } from './page.ts'
import { time } from './wire.ts'

const Given = z
  .object({
    certificate_chain: z.string().max(limits.certificateChain),
    private_key: z.string().max(limits.privateKey),
  })
  .transform(({ certificate_chain, private_key }) => ({ chain: certificate_chain, key: private_key }))

export function sniEndpointRoutes(routes: Routes, d: Daemon): void {
  const which = (ctx: Context) => param(ctx, 'endpoint')
  routes.get(
    '/apps/:app/sni-endpoints',
    withApp(d, 'view', async (app, ctx) =>
      page(ctx, await listSniEndpoints(d.db, app), { name: ({ name }) => name, ...rowKeys }).map((one) =>
        serialize(app, one),
      ),
    ),
  )
  routes.post(
    '/apps/:app/sni-endpoints',
    withApp(d, 'operate', async (app, ctx) => {
      const endpoint = await addSniEndpoint(d, app, ctx.state.account, await body(ctx, Given))
      return created(ctx, serialize(app, endpoint))
    }),
  )
  routes.get(
    '/apps/:app/sni-endpoints/:endpoint',
    withApp(d, 'view', async (app, ctx) => serialize(app, await findSniEndpoint(d.db, app, which(ctx)))),
  )
  routes.patch(
    '/apps/:app/sni-endpoints/:endpoint',
    withApp(d, 'operate', async (app, ctx) => {
      const wanted = { nameOrId: which(ctx), given: await body(ctx, Given) }
      const endpoint = await updateSniEndpoint(d, app, ctx.state.account, wanted)
      return serialize(app, endpoint)
    }),
  )
  routes.delete(
    '/apps/:app/sni-endpoints/:endpoint',
    withApp(d, 'operate', async (app, ctx) => {
      const endpoint = await removeSniEndpoint(d, app, ctx.state.account, which(ctx))
      return serialize(app, endpoint)
    }),
  )
}

/** The private key is nobody's but the routers'. */
export function serialize(app: Pick<App, 'id' | 'name'>, endpoint: SniEndpoint) {
  const { starts_at, expires_at, ...details } = describe(endpoint.certificate_chain)
  return {
    id: endpoint.id,
    app: { id: app.id, name: app.name },
    name: endpoint.name,
    display_name: null,
    certificate_chain: endpoint.certificate_chain,
    domains: endpoint.domains,
    ssl_cert: {
      ...details,
      id: endpoint.certificate_id,
      acm: endpoint.acm === 1,
      starts_at: time(starts_at),
      expires_at: time(expires_at),
    },
    created_at: time(endpoint.created_at),
    updated_at: time(endpoint.updated_at),
  } satisfies Omit<Body, 'display_name' | 'ssl_cert'> & { display_name: null; ssl_cert: object }
}
