import type { Engine, ExecSpec, Process } from '../engine/engine.ts'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'

/** Runs a further process in a dyno. Rejects with UserError when the dyno has as many as it may, and with EngineError. */
export type Exec = (
  dyno: { id: string; name: string },
  wanted: Omit<ExecSpec, 'id'>,
  signal?: AbortSignal,
) => Promise<Process>

/** Counts what is open in each dyno: a further process costs the engine more than the dyno's own bounds show. */
export function createExec(engine: Pick<Engine, 'exec'>): Exec {
  const open = new Map<string, number>()
  const count = (id: string, change: number) => {
    const now = (open.get(id) ?? 0) + change
    if (now === 0) open.delete(id)
    else open.set(id, now)
  }
  return async ({ id, name }, wanted, signal) => {
    if ((open.get(id) ?? 0) >= limits.execsPerDyno)
      throw new UserError('rate_limit', `${name} has ${limits.execsPerDyno} sessions open. End one, then try again.`)
    count(id, 1)
    const ended = () => count(id, -1)
    try {
      const process = await engine.exec({ id, ...wanted }, signal)
      process.exit.then(ended, ended)
      return process
    } catch (error) {
      ended()
      throw error
    }
  }
}
