import { integer, object, short, string } from './shape.ts'

/** A question to a dyno: it passes when a GET of this path is answered with a status below 400 in `timeout` ms. */
export interface Check {
  path: string
  timeout: number
  /** Must be in the first 64 KB of the answer. */
  content?: string
}

/** A check that goes on while a dyno serves: it fails after so many failures in a row. */
export interface Watch extends Check {
  /** From one question to the next, ms. */
  interval: number
  attempts: number
}

/** What a dyno is asked: all of them before it gets requests; `readiness` and `liveness` also while it serves. */
export interface Checks {
  /** Of the app, for the question's `Host`. */
  host: string
  startup?: Check
  readiness?: Watch
  liveness?: Watch
}

/** A check that goes on, and fails. */
export interface Failing {
  /** Dyno id. */
  backend: string
  check: WatchKind
  /** The question and what became of it, in words. */
  reason: string
}

export type WatchKind = 'readiness' | 'liveness'
export const WATCHES: readonly WatchKind[] = ['readiness', 'liveness']

/** Throws a TypeError that says what is wrong with it. */
export function parseChecks(value: unknown): void {
  const checks = object(value, 'checks')
  short(checks.host, 'checks.host')
  if (checks.startup !== undefined) parseCheck(checks.startup)
  for (const kind of WATCHES) if (checks[kind] !== undefined) parseWatch(checks[kind])
}

function parseCheck(value: unknown): Record<string, unknown> {
  const check = object(value, 'check')
  // It becomes a line of a request.
  if (!/^\/[\x21-\x7e]*$/.test(string(check.path, 'check.path'))) throw new TypeError('check.path is no path')
  integer(check.timeout, 'check.timeout')
  if (check.content !== undefined) string(check.content, 'check.content')
  return check
}

/** Nobody is asked without a pause. */
function parseWatch(value: unknown): void {
  const watch = parseCheck(value)
  for (const name of ['interval', 'attempts'] as const)
    if (integer(watch[name], `check.${name}`) < 1) throw new TypeError(`check.${name} is not above 0`)
}
