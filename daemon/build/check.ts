import { z } from 'zod'
import type { Check, Watch } from '../../router/protocol.ts'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { checkPath, checkTimes } from '../route/health.ts'
import type { DynoChecks } from '../route/table.ts'

/** What is read of an app.json. */
export interface Found {
  web: DynoChecks | undefined
  /** What was asked for and is not done, in sentences. */
  warnings: string[]
}

const SECOND = 1000
const bad = (error: string) => ({ error })
const unread = z.unknown().optional()
const path = z
  .string(bad('must be a text'))
  .max(limits.checkPath, `must have at most ${limits.checkPath} characters`)
  .regex(checkPath, 'must begin with "/" and have neither spaces nor other characters that a URL cannot have')
const timeout = z
  .number(bad('must be a number of seconds'))
  .min(1, 'must be at least 1 second')
  .max(limits.boot / SECOND, `must be at most ${limits.boot / SECOND} seconds`)
const interval = z
  .number(bad('must be a number of seconds'))
  .min(1, 'must be at least 1 second')
  .max(limits.checkInterval / SECOND, `must be at most ${limits.checkInterval / SECOND} seconds`)
const attempts = z
  .int(bad('must be a whole number'))
  .min(1, 'must be at least 1')
  .max(limits.checkAttempts, `must be at most ${limits.checkAttempts}`)
const content = z
  .string(bad('must be a text'))
  .min(1, 'must not be empty')
  .max(limits.checkContent, `must have at most ${limits.checkContent} characters`)
const One = z.strictObject(
  {
    ...{ type: z.enum(['startup', 'readiness', 'liveness'], bad('must be startup, readiness or liveness')).optional() },
    ...{ name: unread, path: path.optional(), timeout: timeout.optional(), content: content.optional() },
    ...{ interval: interval.optional(), wait: interval.optional(), attempts: attempts.optional() },
    ...{ initialDelay: unread, warn: unread, onFailure: unread },
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

type One = z.output<typeof One>
type Type = NonNullable<One['type']>

/** These are not what makes it one by HTTP. */
const OTHER_KINDS = ['command', 'listening', 'uptime'] as const
const UNUSED = ['initialDelay', 'warn', 'onFailure', 'port', 'scheme', 'httpHeaders'] as const
/** A dyno that starts is asked until it passes. */
const UNUSED_AT_START = ['interval', 'wait', 'attempts', ...UNUSED] as const

/**
 * `healthchecks` of an app.json, in Dokku's shape (https://dokku.com/docs/deployment/zero-downtime-deploys/): what of it is done here is
 * one check of `web` by HTTP of each type. `wait` is Dokku's word for `interval`. Throws UserError, with the place of each fault, for
 * what is no check.
 */
export function parseChecks(text: string): Found {
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
  const chosen = new Map<Type, One>()
  for (const [n, one] of web.entries()) {
    const type = one.type ?? 'readiness'
    const kind = OTHER_KINDS.find((key) => one[key] !== undefined)
    const place = `healthchecks.web[${n}]`
    if (kind !== undefined) warnings.push(`app.json: ${place} is left out: a dyno is checked by HTTP, not by ${kind}.`)
    else if (chosen.has(type)) warnings.push(`app.json: ${place} is left out: one ${type} check of a dyno is made.`)
    else {
      chosen.set(type, one)
      warnings.push(...unusedOf(one, type, place))
    }
  }
  return { web: chosen.size > 0 ? checksOf(chosen) : undefined, warnings }
}

/** As a slug's row has it. */
export const columnOf = (web: DynoChecks | undefined): string | null => (web ? JSON.stringify({ web }) : null)
export const checksIn = (column: string | null): DynoChecks | undefined => JSON.parse(column ?? '{}').web

/** For whoever builds: `GET /up at its start, GET /ready, GET /live`. */
export const shown = ({ startup, readiness, liveness }: DynoChecks): string =>
  [
    ...(startup ? [`GET ${startup.path} at its start`] : []),
    ...(readiness ? [`GET ${readiness.path}`] : []),
    ...(liveness ? [`GET ${liveness.path} to stay alive`] : []),
  ].join(', ')

const MOST_ERRORS = 20

function unusedOf(one: One, type: Type, place: string): string[] {
  const unused = (type === 'startup' ? UNUSED_AT_START : UNUSED).filter((key) => one[key] !== undefined)
  if (unused.length === 0) return []
  const why = 'a dyno that starts is asked on its port until it passes or has had its time to boot'
  return [`app.json: ${unused.join(', ')} of ${place} ${unused.length > 1 ? 'do' : 'does'} not count: ${why}.`]
}

function checksOf(chosen: ReadonlyMap<Type, One>): DynoChecks {
  const [startup, readiness, liveness] = [chosen.get('startup'), chosen.get('readiness'), chosen.get('liveness')]
  return {
    ...(startup && { startup: checkOf(startup) }),
    ...(readiness && { readiness: watchOf(readiness) }),
    ...(liveness && { liveness: watchOf(liveness) }),
  }
}

const checkOf = ({ path = '/', timeout, content }: One): Check => ({
  path,
  timeout: ms(timeout) ?? checkTimes.timeout,
  ...(content === undefined ? {} : { content }),
})

const watchOf = (one: One): Watch => ({
  ...checkOf(one),
  interval: ms(one.interval ?? one.wait) ?? checkTimes.interval,
  attempts: one.attempts ?? checkTimes.attempts,
})

const ms = (seconds: number | undefined): number | undefined => seconds && Math.round(seconds * SECOND)

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
