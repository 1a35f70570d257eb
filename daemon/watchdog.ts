import { request } from 'node:http'
import { CompiledQuery } from 'kysely'
import type { Config } from './config.ts'
import { limits } from './limits.ts'
import type { Log } from './log.ts'
import type { Notify } from './notify.ts'
import type { Db } from './store/database.ts'

/** What must answer for the daemon to be of use, by name. */
export type Vitals = Record<string, () => Promise<unknown>>

/**
 * Says that we live, three times as often as systemd wants to hear it, as long as everything vital answers. Silence is what ends us and has us
 * started anew; the log has what did not answer.
 */
export function keepWatchdog({
  every,
  vitals,
  notify,
  log,
}: {
  every: number
  vitals: Vitals
  notify: Notify
  log: Log
}): { close(): void } {
  if (every === 0) return { close() {} }
  let silent: Set<string> | undefined
  const look = async (): Promise<void> => {
    const asked = new Set(Object.keys(vitals))
    silent = asked
    const answers = Object.entries(vitals).map(([name, ask]) => ask().then(() => asked.delete(name)))
    const failed = (await Promise.allSettled(answers)).find(({ status }) => status === 'rejected')
    silent = undefined
    if (failed?.status === 'rejected') log.error('no sign of life', { of: [...asked], error: failed.reason })
    else await notify('WATCHDOG=1')
  }
  const timer = setInterval(() => {
    if (silent) log.error('no sign of life', { of: [...silent] })
    else void look()
  }, every / 3)
  return { close: () => clearInterval(timer) }
}

/** That the event loop turns is shown by asking. The writer is not asked: it is busy for long while the file is made smaller. */
export const vitalsOf = (db: Db, api: Config['api']): Vitals => ({
  database: () => db.executeQuery(CompiledQuery.raw('SELECT 1')),
  api: () => Promise.any(api.hosts.map((host) => answers(host, api.port))),
})

const EVERYWHERE: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/** Whatever it answers. A connection that is closed at once counts: so many are open that no more are taken, and that is no reason to end. */
const answers = (host: string, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const asked = request(
      { host: EVERYWHERE[host] ?? host, port, path: '/', agent: false, timeout: limits.vitalAnswer },
      (response) => {
        response.resume()
        resolve()
      },
    )
    asked.on('timeout', () => asked.destroy(new Error(`the API did not answer within ${limits.vitalAnswer / 1000} s`)))
    asked.on('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' ? resolve() : reject(error)))
    asked.end()
  })
