import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ErrorObject, ValidateFunction } from 'ajv'
import ajvDraft04 from 'ajv-draft-04'
import ajvFormats from 'ajv-formats'
import { packageRoot } from '../../daemon/config.ts'

/** One link of Heroku's hyper-schema: what may be asked, and what is answered. */
export interface Link {
  /** `GET /apps/{app}/domains/{domain}` */
  name: string
  method: string
  segments: string[]
  definition: string
  /** The answer is a list of it. */
  list: boolean
  /** The answer says nothing: `{}`, or no body. */
  empty: boolean
  /** Where the answer's schema is. */
  target: string
  /** The properties that an answer has. */
  properties: string[]
}

interface Written {
  method: string
  href: string
  rel?: string
  targetSchema?: Schema
}

interface Schema {
  $ref?: string
  type?: string | string[]
  enum?: unknown[]
  items?: Schema
  properties?: Record<string, Schema>
  patternProperties?: Record<string, Schema>
  anyOf?: Schema[]
  pattern?: string
  format?: string
  required?: string[]
  additionalProperties?: unknown
  links?: Written[]
  definitions?: Record<string, Schema>
}

const schema: Schema & { definitions: Record<string, Schema> } = JSON.parse(
  readFileSync(join(packageRoot, 'daemon', 'api', 'heroku-schema.json'), 'utf8'),
)

export const linksOf = (described: { definitions: Record<string, Schema> }): Link[] =>
  Object.entries(described.definitions).flatMap(([definition, { links = [] }]) =>
    links.map((link, index) => read(definition, link, index)),
  )

export const links: Link[] = linksOf(schema)

function read(definition: string, { method, href, rel, targetSchema }: Written, index: number): Link {
  const path = href.replace(/\{([^}]*)\}/g, (_, reference: string) => `{${parameter(reference)}}`)
  const list = targetSchema === undefined ? rel === 'instances' : targetSchema.items !== undefined
  const empty = rel === 'empty' && targetSchema === undefined
  const own = `#/definitions/${definition}`
  const target = targetSchema === undefined ? own : `${own}/links/${index}/targetSchema`
  return {
    ...{ name: `${method} ${path}`, method, segments: path.split('/'), definition, list, empty },
    // A list is sometimes described by one of its items.
    target: targetSchema?.items === undefined ? target : `${target}/items`,
    properties: Object.keys(resolved(targetSchema?.items ?? targetSchema ?? { $ref: own }).properties ?? {}),
  }
}

function parameter(reference: string): string {
  const [, definition = '', name = ''] =
    /definitions\/([^/]+)\/definitions\/([^/)]+)/.exec(decodeURIComponent(reference)) ?? []
  return name === 'identity' ? definition : `${definition}.${name}`
}

function resolved(part: Schema): Schema {
  if (part.$ref === undefined) return part
  const found = part.$ref
    .split('/')
    .slice(1)
    .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], schema)
  return resolved((found ?? {}) as Schema)
}

/** The link that a request is of: names of the path before its parameters. */
export const linkOf = (method: string, path: string): Link | undefined => {
  const asked = path.replace(/\?.*/, '').split('/')
  const fits = links.filter(
    (link) =>
      link.method === method &&
      link.segments.length === asked.length &&
      link.segments.every((segment, index) => segment.startsWith('{') || segment === asked[index]),
  )
  const literal = ({ segments }: Link) => segments.filter((segment) => !segment.startsWith('{')).length
  return fits.toSorted((a, b) => literal(b) - literal(a))[0]
}

/**
 * What Heroku does, but does not write down, or cannot be the same elsewhere:
 * - anything may be null: clients get null from Heroku where the schema has no null;
 * - patterns of heroku.com hosts and of names, and the list of Amazon's regions: URLs, names and the place are this host's;
 * - `uri` of `rendezvous:` addresses; `uuid` of things that Heroku gives other ids;
 * - keys that the schema does not have; clients ignore them, and the official CLI reads some.
 */
function lenient(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(lenient)
  if (typeof part !== 'object' || part === null) return part
  const { pattern: _pattern, additionalProperties: _extra, ...rest } = part as Schema
  const loose = Object.fromEntries(
    Object.entries(rest)
      .filter(([key]) => key !== 'example' && key !== 'strictProperties' && key !== 'description')
      .map(([key, value]) => [key, key === 'enum' ? value : lenient(value)]),
  ) as Schema
  if (typeof loose.type === 'string' || Array.isArray(loose.type))
    loose.type = [...new Set([loose.type, 'null'].flat())]
  if (loose.enum?.includes('us-east-1')) delete loose.enum
  if (Array.isArray(loose.enum)) loose.enum = [...new Set([...loose.enum, null])]
  if (loose.format === 'uri') delete loose.format
  return loose
}

let ajv: InstanceType<typeof ajvDraft04.default> | undefined

function validatorOf({ target }: Link): ValidateFunction {
  if (!ajv) {
    // Heroku's patterns escape what the u flag does not let them.
    ajv = new ajvDraft04.default({ strict: false, allErrors: true, unicodeRegExp: false })
    ajvFormats.default(ajv)
    ajv.addSchema({ definitions: lenient(schema.definitions) as object }, 'heroku')
  }
  const validate = ajv.getSchema(`heroku${target}`)
  if (!validate) throw new Error(`the schema has no ${target}`)
  return validate
}

/** Where an answer is not what the schema says, in words; nothing for what is in no schema. */
export function differences(method: string, path: string, answer: unknown): string[] {
  const link = linkOf(method, path)
  if (!link) return []
  if (link.list !== Array.isArray(answer)) return [`${link.name}: must ${link.list ? '' : 'not '}be a list`]
  if (link.empty) return Object.keys(answer ?? {}).length === 0 ? [] : [`${link.name}: must be empty`]
  const validate = validatorOf(link)
  const found = new Set<string>()
  for (const item of Array.isArray(answer) ? answer : [answer]) {
    if (!validate(item)) for (const error of validate.errors ?? []) found.add(`${link.name}: ${words(error)}`)
    for (const key of missing(link, item)) found.add(`${link.name}: has no ${key}`)
  }
  return [...found].slice(0, 20)
}

const words = ({ instancePath, message, params }: ErrorObject): string =>
  `${instancePath || '(all of it)'} ${message} ${JSON.stringify(params)}`

const missing = ({ properties }: Link, item: unknown): string[] =>
  typeof item === 'object' && item !== null && Object.keys(item).length > 0
    ? properties.filter((key) => !(key in item))
    : []
