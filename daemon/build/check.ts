import { z } from 'zod'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'

/** How a router finds out that a web dyno can take requests: by asking for a path, in place of a connection only. */
export interface Check {
  path: string
  /** For one answer, ms. */
  timeout: number
  /** Must be somewhere in the body of the answer. */
  content?: string
}

export interface Checks {
  web: Check | undefined
  /** What was asked for and is not done, in sentences. */
  warnings: string[]
}

const SECOND = 1000
const STANDARD = 5
const bad = (error: string) => ({ error })
const unread = z.unknown().optional()
const path = z
  .string(bad('must be a text'))
  .max(limits.checkPath, `must have at most ${limits.checkPath} characters`)
  .regex(/^\/[\x21-\x7e]*$/, 'must begin with "/" and have neither spaces nor other characters that a URL cannot have')
const timeout = z
  .number(bad('must be a number of seconds'))
  .min(1, 'must be at least 1 second')
  .max(limits.boot / SECOND, `must be at most ${limits.boot / SECOND} seconds`)
const content = z
  .string(bad('must be a text'))
  .min(1, 'must not be empty')
  .max(limits.checkContent, `must have at most ${limits.checkContent} characters`)
const One = z.strictObject(
  {
    ...{ type: z.enum(['startup', 'readiness', 'liveness'], bad('must be startup, readiness or liveness')).optional() },
    ...{ name: unread, path: path.optional(), timeout: timeout.optional(), content: content.optional() },
    ...{ attempts: unread, wait: unread, initialDelay: unread, warn: unread, onFailure: unread },
    ...{ command: unread, listening: unread, uptime: unread },
    ...{ port: unread, scheme: unread, httpHeaders: unread },
  },
  {
    error: ({ code, keys }) =>
      code === 'unrecognized_keys' ? `has ${keys?.join(', ')}, which is no part of a check` : 'must be an object',
  },
)
const All = z.record(
  z.string(),
  z.array(One, bad('must be a list of checks')),
  bad('must be an object of process types'),
)

/** These are not what makes it one by HTTP. */
const OTHER_KINDS = ['command', 'listening', 'uptime'] as const
const UNUSED = ['attempts', 'wait', 'initialDelay', 'warn', 'onFailure', 'port', 'scheme', 'httpHeaders'] as const

/**
 * `healthchecks` of an app.json, in Dokku's shape (https://dokku.com/docs/deployment/zero-downtime-deploys/): what of it is done here is
 * one check of `web` by HTTP before a dyno gets requests. Throws UserError, with the place of each fault, for what is no check.
 */
export function parseChecks(text: string): Checks {
  const app = parse(text)
  if (app === undefined)
    return { web: undefined, warnings: ['app.json is not valid JSON, so no health check of it counts.'] }
  const { success, data, error } = All.optional().safeParse(app.healthchecks)
  if (!success)
    throw new UserError(
      'invalid_params',
      error.issues
        .slice(0, MOST_ERRORS)
        .map(({ path, message }) => `app.json: ${placeOf(['healthchecks', ...path])} ${message}.`)
        .join('\n'),
    )
  const { web = [], ...others } = data ?? {}
  const warnings = Object.keys(others).map(
    (type) => `app.json: healthchecks.${type.slice(0, 63)} is left out: only web dynos are checked.`,
  )
  let chosen: z.output<typeof One> | undefined
  for (const [n, one] of web.entries()) {
    const why = leftOut(one) ?? (chosen === undefined ? undefined : 'one check of a dyno is made')
    if (why === undefined) chosen = one
    else warnings.push(`app.json: healthchecks.web[${n}] is left out: ${why}.`)
    const unused = why === undefined ? UNUSED.filter((key) => one[key] !== undefined) : []
    if (unused.length > 0)
      warnings.push(
        `app.json: ${unused.join(', ')} of healthchecks.web[${n}] ${unused.length > 1 ? 'do' : 'does'} not count: a dyno is asked on its port until it passes, for ${limits.boot / SECOND} seconds at most.`,
      )
  }
  return { web: chosen && checkOf(chosen), warnings }
}

/** As a slug's row has it. */
export const columnOf = (web: Check | undefined): string | null => (web ? JSON.stringify({ web }) : null)
export const checkIn = (column: string | null): Check | undefined => JSON.parse(column ?? '{}').web

const MOST_ERRORS = 20

const checkOf = ({ path = '/', timeout = STANDARD, content }: z.output<typeof One>): Check => ({
  path,
  timeout: timeout * SECOND,
  ...(content === undefined ? {} : { content }),
})

function leftOut(one: z.output<typeof One>): string | undefined {
  const kind = OTHER_KINDS.find((key) => one[key] !== undefined)
  if (kind !== undefined) return `a dyno is checked by HTTP, not by ${kind}`
  return one.type === 'liveness' ? 'a dyno is checked before it gets requests, not afterwards' : undefined
}

/** Undefined when it is no JSON; on Heroku nobody looks at it in a push. */
function parse(text: string): { healthchecks?: unknown } | undefined {
  try {
    const json: unknown = JSON.parse(text.replace(/^\uFEFF/, ''))
    return typeof json === 'object' && json !== null ? json : {}
  } catch {
    return undefined
  }
}

/** Where in a file: `buildpacks[0].url`. */
export const placeOf = (path: readonly PropertyKey[]): string =>
  path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '')
