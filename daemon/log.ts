import { EngineError } from './engine/engine.ts'
import { messageOf } from './errors.ts'

/** The daemon's own log: one JSON line an event on stderr, for journald. Never pass a config var, a token or a request body. */
export interface Log {
  info(event: string, fields?: Fields): void
  warn(event: string, fields?: Fields): void
  error(event: string, fields?: Fields): void
}

type Fields = Record<string, unknown>

/** syslog priorities; journald strips the prefix (https://www.freedesktop.org/software/systemd/man/latest/sd-daemon.html). */
const PRIORITY = { info: 6, warn: 4, error: 3 } as const

export function createLog(write: (line: string) => void = (line) => process.stderr.write(line)): Log {
  const at =
    (level: keyof typeof PRIORITY) =>
    (event: string, fields: Fields = {}) =>
      write(`<${PRIORITY[level]}>${JSON.stringify({ at: new Date().toISOString(), level, event, ...plain(fields) })}\n`)
  return { info: at('info'), warn: at('warn'), error: at('error') }
}

/** Errors do not survive JSON by themselves. */
const plain = (fields: Fields): Fields =>
  Object.fromEntries(Object.entries(fields).map(([k, v]) => [k, v instanceof Error ? textOf(v) : v]))

const LONGEST = 1000

/**
 * With what lies behind an error of the engine, which its message may only paraphrase. Not of others: that of a body that cannot be read quotes it.
 * Registries put signatures into the queries of addresses, and the engine quotes those.
 */
function textOf(error: Error): string {
  const text = error.stack ?? error.message
  if (!(error instanceof EngineError) || error.cause === undefined) return text
  const words = messageOf(error.cause).trim().slice(0, LONGEST)
  return `${text}\n  caused by: ${words}`.replace(QUERY, '$1?…')
}

/** Up to what ends an address in a sentence. */
const QUERY = /(https?:\/\/[^\s"'?]*)\?[^\s"']*/g
