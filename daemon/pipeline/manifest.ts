import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { parseBuildpack } from '../app/buildpack-name.ts'
import { parseStack, type Stack } from '../app/stack.ts'
import { placeOf } from '../build/check.ts'
import { messageOf, UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { checkSize, checkVar } from '../release/config.ts'
import type { FormationUpdate } from '../run/formation.ts'
import { parseSize } from '../run/size.ts'

/** What an `app.json` says of an app (https://devcenter.heroku.com/articles/app-json-schema), as far as a set-up goes by it. */
export interface Manifest {
  env: Record<string, Var>
  /** Undefined: none are named. */
  buildpacks: string[] | undefined
  formation: FormationUpdate[]
  stack: Stack | undefined
  postdeploy: string | undefined
  /** A path of the app, or a URL. */
  successUrl: string | undefined
  /** What it asks for and does not get, in sentences. */
  warnings: string[]
}

interface Var {
  value: string | undefined
  required: boolean
  generator: 'secret' | undefined
}

/** An app.json that nothing can be made of; `errors` are sentences. */
export class ManifestError extends UserError {
  readonly errors: readonly string[]
  constructor(errors: readonly string[]) {
    super('invalid_params', `invalid app.json: ${errors.join('; ')}`)
    this.errors = errors
  }
}

const Text = z.string().max(10_000)
/** What may be a text that stands for its one part `key`. */
const short = <T extends z.ZodType>(key: string, whole: T) =>
  z.preprocess((value) => (typeof value === 'string' ? { [key]: value } : value), whole)
const TEXT_OR_OBJECT = { error: 'must be a text or an object' }
const Var = z.object(
  { description: Text, value: Text, required: z.boolean(), generator: z.literal('secret') },
  TEXT_OR_OBJECT,
)
const AddOn = z.object({ plan: Text, as: Text.optional(), options: z.unknown().optional() }, TEXT_OR_OBJECT)
const Process = z.object({ quantity: z.number().int().min(0).max(limits.dynosPerType), size: z.string() })
const Scripts = z.object({ postdeploy: Text, 'pr-predestroy': Text, test: Text, 'test-setup': Text })
const Part = z
  .object({
    env: z.record(z.string(), short('value', Var.partial())),
    buildpacks: z.array(z.object({ url: Text })),
    formation: z.record(z.string(), Process.partial()),
    scripts: Scripts.partial(),
    addons: z.array(short('plan', AddOn)),
    stack: z.string(),
  })
  .partial()
const Whole = Part.extend({
  ...{ success_url: Text.optional(), environments: z.object({ review: Part, test: Part }).partial().optional() },
  // For people and catalogues of apps.
  ...{ name: Text.optional(), description: z.string().optional(), keywords: z.array(Text).optional() },
  ...{ website: Text.optional(), repository: Text.optional(), logo: Text.optional(), image: Text.optional() },
})

/** Reads an app.json, with what it says of one environment on top. Throws ManifestError. */
export function parseManifest(text: string, environment: 'review' | null): Manifest {
  const { environments, success_url, ...base } = read(text)
  const { env, ...over } = (environment === null ? undefined : environments?.[environment]) ?? {}
  const all = { ...base, ...over, env: { ...base.env, ...env } }
  const errors: string[] = []
  const attempt = <T>(work: () => T): T | undefined => {
    try {
      return work()
    } catch (error) {
      errors.push(messageOf(error))
      return undefined
    }
  }
  for (const [name, { value = '' }] of Object.entries(all.env)) attempt(() => checkVar(name, value))
  const formation = Object.entries(all.formation ?? {}).map(([type, { quantity, size }]) => {
    if (size !== undefined && !parseSize(size)) errors.push(`There is no dyno size ${size.slice(0, 50)} (${type}).`)
    return { type, ...(quantity === undefined ? {} : { quantity }), ...(size === undefined ? {} : { size }) }
  })
  const buildpacks = all.buildpacks?.map(({ url }) => attempt(() => parseBuildpack(url)) ?? '')
  const stack = all.stack === undefined ? undefined : attempt(() => parseStack(String(all.stack)))
  if (errors.length > 0) throw new ManifestError(errors)
  return {
    env: Object.fromEntries(Object.entries(all.env).map(([name, one]) => [name, variable(one)])),
    buildpacks,
    formation,
    stack,
    postdeploy: all.scripts?.postdeploy || undefined,
    successUrl: success_url,
    warnings: [
      ...(all.addons ?? []).map(({ plan }) => noAddOn(plan)),
      ...(environment === 'review' && all.scripts?.['pr-predestroy'] ? [NO_PREDESTROY] : []),
    ],
  }
}

/**
 * The config vars that an app begins with: those given, and for the rest what the manifest has or generates. Throws ManifestError for
 * what is required and has no value.
 */
export function configFrom(manifest: Pick<Manifest, 'env'>, given: Record<string, string>): Record<string, string> {
  const config = { ...given }
  const errors: string[] = []
  for (const [name, { value, required, generator }] of Object.entries(manifest.env)) {
    if (Object.hasOwn(config, name)) continue
    if (value !== undefined) config[name] = value
    else if (generator === 'secret') config[name] = randomBytes(SECRET).toString('hex')
    else if (required) errors.push(`config var ${name} is required`)
  }
  if (errors.length > 0) throw new ManifestError(errors)
  checkSize(config)
  return config
}

/** As Heroku's: 64 hex digits. */
const SECRET = 32

function read(text: string): z.output<typeof Whole> {
  let json: unknown
  try {
    json = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    throw new ManifestError(['It is not valid JSON.'])
  }
  const { success, data, error } = Whole.safeParse(json, { error: inWords })
  if (success) return data
  throw new ManifestError(
    error.issues.slice(0, MOST_ERRORS).map(({ path, message }) => `${placeOf(path) || 'app.json'}: ${message}.`),
  )
}

const NAMES: Record<string, string> = {
  ...{ string: 'a text', boolean: 'true or false', int: 'a whole number', number: 'a whole number' },
  ...{ object: 'an object', record: 'an object', array: 'a list' },
}

/** What a value must be; who wrote it knows what it is. */
function inWords(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${NAMES[issue.expected] ?? issue.expected}`
    case 'invalid_value':
      return `must be ${issue.values.map((value) => `"${String(value)}"`).join(' or ')}`
    case 'too_small':
      return `must be at least ${issue.minimum}`
    case 'too_big':
      return issue.origin === 'string'
        ? `must have at most ${issue.maximum} characters`
        : `must be at most ${issue.maximum}`
    default:
      return 'is not what the schema allows (https://devcenter.heroku.com/articles/app-json-schema)'
  }
}

const MOST_ERRORS = 20

const variable = (one: {
  value?: string | undefined
  required?: boolean | undefined
  generator?: 'secret' | undefined
}): Var => ({
  value: one.value,
  required: one.required ?? true,
  generator: one.generator,
})

const NO_PREDESTROY = 'The script pr-predestroy of app.json is not run here: clean up before you destroy the app.'

const noAddOn = (plan: string): string =>
  `The add-on ${plan.slice(0, 100)} of app.json is not available here and was left out: set the config vars that it would bring.`
