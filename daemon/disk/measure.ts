import { stat } from 'node:fs/promises'
import { run } from '../build/command.ts'
import type { Clock } from '../clock.ts'
import { limits } from '../limits.ts'

/**
 * How many bytes a folder takes on disk, 0 when it is not there, without walking over it each time somebody asks. `fixed`: its content
 * never changes, so it is measured once.
 */
export type Measure = (path: string, kind?: 'fixed' | 'changing') => Promise<number>

interface Known {
  bytes: number
  /** Tells a folder from another one that took its name. */
  inode: number
  at: number
}

export function createMeasure(clock: Pick<Clock, 'now'>): Measure {
  const known = new Map<string, Known>()
  return async (path, kind = 'changing') => {
    const found = await stat(path).catch(() => undefined)
    if (!found) {
      known.delete(path)
      return 0
    }
    const before = known.get(path)
    const age = before ? clock.now() - before.at : Number.POSITIVE_INFINITY
    if (before?.inode === found.ino && (kind === 'fixed' || age < limits.measured)) return before.bytes
    const bytes = await diskUse(path)
    known.set(path, { bytes, inode: found.ino, at: clock.now() })
    const [first] = known.keys()
    if (first !== undefined && known.size > limits.measuredPaths) known.delete(first)
    return bytes
  }
}

/** Files come and go meanwhile, which du complains about; the sum that it prints counts all the same. */
const diskUse = async (path: string): Promise<number> =>
  Number.parseInt(await run('nice', ['-n', '19', 'du', '-skx', path], { anyExit: true }), 10) * 1024 || 0
