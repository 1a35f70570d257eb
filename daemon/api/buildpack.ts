import { type Bundled, bundled } from '../../buildpacks/bundled.ts'
import { notFound } from '../errors.ts'
import { type Context, param, type Routes, reply } from './context.ts'
import { page } from './page.ts'
import { idOf, time } from './wire.ts'

const LICENSE = 'MIT'

/** The registry of named buildpacks, which clients ask without a token. It knows those that come with Sluice. */
export function buildpackRoutes(routes: Routes): void {
  routes.get(
    '/buildpacks',
    reply((ctx) =>
      page(ctx, bundled.filter(matching(ctx)).map(serialize), { id: ({ id }) => id, name: ({ name }) => name }),
    ),
  )
  routes.get(
    '/buildpacks/:buildpack',
    reply((ctx) => serialize(find(param(ctx, 'buildpack')))),
  )
  routes.get(
    '/buildpacks/:buildpack/revisions',
    reply((ctx) => {
      find(param(ctx, 'buildpack'))
      return [{ release: 1, created_at: time(0), status: 'published', license: LICENSE }]
    }),
  )
  routes.get(
    '/buildpacks/:buildpack/readme',
    reply((ctx) => {
      const { description } = find(param(ctx, 'buildpack'))
      return { content: Buffer.from(`${description}\n`).toString('base64'), encoding: 'base64' }
    }),
  )
}

function find(wanted: string): Bundled {
  const buildpack = bundled.find(({ name }) => name === wanted)
  if (!buildpack) throw notFound('buildpack', 'buildpack')
  return buildpack
}

/** `in[namespace][]=`, `in[name][]=` and `like[description]=`. */
const matching =
  (ctx: Context) =>
  ({ name, description }: Bundled): boolean => {
    const query = ctx.URL.searchParams
    const [namespace = '', short = ''] = name.split('/')
    const among = (key: string, value: string) => !query.has(key) || query.getAll(key).includes(value)
    const text = query.get('like[description]') ?? ''
    return (
      among('in[namespace][]', namespace) &&
      among('in[name][]', short) &&
      description.toLowerCase().includes(text.toLowerCase())
    )
  }

function serialize({ name, description }: Bundled) {
  const [namespace = '', short = ''] = name.split('/')
  return {
    id: idOf('buildpack', name),
    name: short,
    namespace,
    description,
    category: 'languages',
    license: LICENSE,
    blob_url: `urn:buildpack:${name}`,
    support: { method: 'unsupported', address: '' },
    source: { type: 'bundled', owner: namespace, repo: short },
    two_factor_authentication: false,
  }
}
