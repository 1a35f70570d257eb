/** Why containers ended, as far as their exit code does not say. */
export interface Ends {
  /** To be called before the engine is told to kill it. */
  killing(id: string): void
  /** The kernel has killed a process of it for its memory; when, ms by the engine's clock. */
  starved(id: string, at: number): void
  /** Whether it ended for its memory. */
  outOfMemory(id: string, end: End): boolean
}

export interface End {
  exitCode: number
  /** ms by the engine's clock. */
  at: number
  /** The engine knows that the kernel has killed a process of it, at whatever time. */
  starved?: boolean
}

const REMEMBERED = 10_000
/** Exit code. */
export const SIGKILLED = 137
/** From the end of the process that the kernel has killed to that of the container, whose own process may fail for it with any status. */
const AFTERMATH = 5000

/** `tells`: whether the engine tells of such kills. One that cannot leaves only the guess that a SIGKILL which was not ours was the kernel's. */
export function createEnds(tells: () => boolean): Ends {
  const killed = new Map<string, true>()
  const starved = new Map<string, number>()
  return {
    killing: (id) => remember(killed, id, true),
    starved: (id, at) => remember(starved, id, at),
    outOfMemory(id, end) {
      if (killed.has(id)) return false
      const at = starved.get(id)
      if (at !== undefined) return end.at - at <= AFTERMATH
      return end.exitCode === SIGKILLED && (end.starved === true || !tells())
    },
  }
}

function remember<Value>(known: Map<string, Value>, id: string, value: Value): void {
  known.delete(id)
  known.set(id, value)
  const [oldest] = known.keys()
  if (known.size > REMEMBERED && oldest !== undefined) known.delete(oldest)
}
