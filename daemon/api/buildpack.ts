import { type Bundled, bundled } from '../../buildpacks/bundled.ts'
import { isName, urnOf } from '../app/buildpack-name.ts'
import { listFolder, ofOperator } from '../build/buildpack/named.ts'
import { askRegistry, pathOf, type Word, withUrn } from '../build/buildpack/registry.ts'
import type { Daemon } from '../daemon.ts'
import { notFound, STATUS, UserError } from '../errors.ts'
import { type Context, param, type Routes, reply } from './context.ts'
import { page } from './page.ts'
import { idOf, time } from './wire.ts'

const LICENSE = 'MIT'

type Listed = Pick<Bundled, 'name' | 'description'> & { source: 'bundled' | 'operator' }

/**
 * The registry of named buildpacks, which clients ask without a token. It knows the operator's own, what the registry of this platform's
 * settings knows, and those that come with Sluice, in this order, as builds do.
 */
export function buildpackRoutes(routes: Routes, d: Daemon): void {
  const of = (suffix: string, ours: (one: Listed) => object) =>
    routes.get(
      `/buildpacks/:buildpack${suffix}`,
      reply((ctx) => answer(d, ctx, suffix, ours)),
    )
  routes.get(
    '/buildpacks',
    reply(async (ctx) => {
      const listed = [...(await listFolder(d.config)).map(operators), ...(await search(d, ctx)), ...bundled.map(ours)]
      const shown = new Map<string, Shown>()
      for (const one of listed.filter(matching(ctx))) {
        const key = `${one.namespace}/${one.name}`
        if (!shown.has(key)) shown.set(key, one)
      }
      return page(ctx, [...shown.values()], { id: ({ id }) => id, name: ({ name }) => name })
    }),
  )
  of('', serialize)
  of('/revisions', () => [{ release: 1, created_at: time(0), status: 'published', license: LICENSE }])
  of('/readme', ({ description }) => ({
    content: Buffer.from(`${description}\n`).toString('base64'),
    encoding: 'base64',
  }))
}

async function answer(d: Daemon, ctx: Context, suffix: string, tell: (one: Listed) => object): Promise<object> {
  const name = param(ctx, 'buildpack')
  if (!isName(name)) throw notFound('buildpack', 'buildpack')
  const { signal } = new AbortController()
  if (await ofOperator(d, name, signal)) return tell({ name, ...OPERATORS })
  const word = await askRegistry(d, `${pathOf(name)}${suffix}`, signal)
  if (word.kind === 'known') return suffix === '' ? withUrn(word.body, name) : (word.body as object)
  const found = bundled.find((one) => one.name === name)
  return found ? tell({ ...found, source: 'bundled' }) : missing(ctx, name, word)
}

/**
 * The official CLI does not look at the status of this answer, only for where the buildpack is. With that it sends the name on to the app,
 * where it is refused by its name, or taken when it is only not known whether there is such a buildpack.
 */
function missing(ctx: Context, name: string, word: Word): object {
  const error =
    word.kind === 'unreachable'
      ? new UserError('maintenance', 'The buildpack registry cannot be reached. Try again later.')
      : notFound('buildpack', 'buildpack')
  ctx.status = STATUS[error.id]
  const { id, message, resource } = error
  return { id, message, ...(resource === undefined ? {} : { resource }), blob_url: urnOf(name) }
}

const OPERATORS = { description: "From this platform's own buildpacks", source: 'operator' } as const
const operators = (name: string): Shown => serialize({ name, ...OPERATORS })
const ours = (one: Bundled): Shown => serialize({ ...one, source: 'bundled' })

/** What the registry finds, as far as it is what a registry says. */
async function search(d: Daemon, ctx: Context): Promise<Shown[]> {
  const word = await askRegistry(d, `/buildpacks${ctx.URL.search}`, new AbortController().signal)
  const list: unknown[] = word.kind === 'known' && Array.isArray(word.body) ? word.body : []
  return list.flatMap((one) => {
    const { name = '', namespace = '' } = (one ?? {}) as Partial<Shown>
    const whole = `${namespace}/${name}`
    return isName(whole)
      ? { ...serialize({ name: whole, ...OPERATORS }), ...withUrn(one, whole), id: idOf('buildpack', whole) }
      : []
  })
}

/** `in[namespace][]=`, `in[name][]=` and `like[description]=`. */
const matching =
  (ctx: Context) =>
  ({ namespace, name, description }: Shown): boolean => {
    const query = ctx.URL.searchParams
    const among = (key: string, value: string) => !query.has(key) || query.getAll(key).includes(value)
    const text = query.get('like[description]') ?? ''
    return (
      among('in[namespace][]', namespace) &&
      among('in[name][]', name) &&
      String(description).toLowerCase().includes(text.toLowerCase())
    )
  }

type Shown = ReturnType<typeof serialize>

function serialize({ name, description, source }: Listed) {
  const [namespace = '', short = ''] = name.split('/')
  return {
    id: idOf('buildpack', name),
    name: short,
    namespace,
    description,
    category: 'languages',
    license: LICENSE,
    blob_url: urnOf(name),
    support: { method: 'unsupported', address: '' },
    source: { type: source as string, owner: namespace, repo: short },
    two_factor_authentication: false,
  }
}
