import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../config.ts'
import { type Routes, reply } from './context.ts'
import { apiUrl } from './link.ts'

interface Definition {
  links?: { method: string; href: string }[]
}

interface Schema {
  definitions: Record<string, Definition>
}

/**
 * Heroku's own description of its API, of which the links stay that there are
 * (https://devcenter.heroku.com/articles/json-schema-for-platform-api). Read when it is first asked for.
 */
export function schemaRoutes(open: Routes, closed: Routes): void {
  let described: Schema | undefined
  const isThere = ({ method, href }: { method: string; href: string }): boolean => {
    const path = href.replace(/\{[^}]*\}/g, '~')
    return [open, closed].some((routes) => routes.match(path, method).route)
  }
  open.get(
    '/schema',
    reply((ctx) => {
      described ??= only(isThere, readSchema())
      const index = { href: apiUrl(ctx), rel: 'self', title: 'Index' }
      return { ...described, links: [index, { href: '/schema', method: 'GET', rel: 'self', title: 'Schema' }] }
    }),
  )
}

const readSchema = (): Schema =>
  JSON.parse(readFileSync(join(packageRoot, 'daemon', 'api', 'heroku-schema.json'), 'utf8'))

function only(isThere: (link: { method: string; href: string }) => boolean, { definitions, ...rest }: Schema): Schema {
  const kept = Object.entries(definitions).map(([name, { links = [], ...definition }]) => [
    name,
    { ...definition, links: links.filter(isThere) },
  ])
  return { ...rest, definitions: Object.fromEntries(kept) }
}
