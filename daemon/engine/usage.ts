import type { Connection } from './connection.ts'

/** Of a container's counters, as far as they are used: https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerStats */
interface Stats {
  /** Absent of a container that begins or ends just now. */
  memory_stats?: { usage?: number; stats?: { total_inactive_file?: number; inactive_file?: number } }
}

/** Somebody waits for it to decide something, and can do without. */
const ANSWER = 2000

/**
 * Bytes that a container uses, less what the kernel would take back first, as `docker stats` shows it. Null when it does not run, or the engine
 * does not say in time.
 */
export async function memoryUsed(engine: Connection, name: string): Promise<number | null> {
  const ask = engine.ask(
    'measure a dyno',
    (docker): Promise<unknown> => docker.getContainer(name).stats({ stream: false, 'one-shot': true }),
    ANSWER,
  )
  const { usage, stats } = ((await ask.catch(() => null)) as Stats | null)?.memory_stats ?? {}
  if (usage === undefined) return null
  return Math.max(0, usage - (stats?.total_inactive_file ?? stats?.inactive_file ?? 0))
}
