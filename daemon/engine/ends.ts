/** Why containers ended, as far as their exit code does not say. */
export interface Ends {
  /** To be called before the engine is told to kill it. */
  killing(id: string): void
  /** With cgroup v1 the engine never says so; then a SIGKILL that was not ours is taken for the kernel's. */
  outOfMemory(id: string, exitCode: number, told?: boolean): boolean
}

const REMEMBERED = 10_000
const SIGKILLED = 137

export function createEnds(): Ends {
  const killed = new Set<string>()
  return {
    killing(id) {
      killed.add(id)
      for (const old of killed) {
        if (killed.size <= REMEMBERED) break
        killed.delete(old)
      }
    },
    outOfMemory: (id, exitCode, told = false) => told || (exitCode === SIGKILLED && !killed.has(id)),
  }
}
