import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { parseBuildpack } from '../app/buildpack.ts'
import { parseStack, type Stack } from '../app/stack.ts'
import { messageOf, UserError } from '../errors.ts'
import { limits, parseSize } from '../limits.ts'
import { checkSize, checkVar } from '../release/config.ts'
import type { FormationUpdate } from '../run/formation.ts'

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
const Part = z.object({
  env: z
    .record(
      z.string(),
      z.union([
        Text.transform((value) => ({ value })),
        z.object({
          value: Text.optional(),
          required: z.boolean().optional(),
          generator: z.literal('secret').optional(),
        }),
      ]),
    )
    .optional(),
  buildpacks: z.array(z.object({ url: Text })).optional(),
  formation: z
    .record(
      z.string(),
      z.object({ quantity: z.number().int().min(0).max(limits.dynosPerType).optional(), size: z.string().optional() }),
    )
    .optional(),
  scripts: z.object({ postdeploy: Text.optional() }).optional(),
  addons: z.array(z.union([Text, z.object({ plan: Text })])).optional(),
  stack: z.string().optional(),
})
const Whole = Part.extend({
  success_url: Text.optional(),
  environments: z.object({ review: Part.optional(), test: Part.optional() }).optional(),
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
    warnings: (all.addons ?? []).map((one) => noAddOn(typeof one === 'string' ? one : one.plan)),
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
    json = JSON.parse(text)
  } catch {
    throw new ManifestError(['It is not valid JSON.'])
  }
  const { success, data, error } = Whole.safeParse(json)
  if (success) return data
  throw new ManifestError(
    error.issues
      .slice(0, MOST_ERRORS)
      .map(({ path, message }) => `${path.map(String).join('.') || 'app.json'}: ${message}`),
  )
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

const noAddOn = (plan: string): string =>
  `The add-on ${plan.slice(0, 100)} of app.json is not available here and was left out: set the config vars that it would bring.`
