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
  Object.fromEntries(Object.entries(fields).map(([k, v]) => [k, v instanceof Error ? (v.stack ?? v.message) : v]))
