import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Failpoint, Strike } from '../../daemon/failpoint.ts'
import type { limits } from '../../daemon/limits.ts'
import { waitFor } from './wait.ts'

/** Strikes the daemon of a platform at named steps (daemon/failpoint.ts). */
export interface Failpoints {
  /** For `startPlatform`. */
  settings: { SLUICE_FAILPOINTS: string }
  /** The next time that the daemon comes there, once. */
  arm(name: Failpoint, strike: Strike): Promise<void>
  /** Resolves when it has struck. */
  struck(name: Failpoint): Promise<void>
  /** Whether it has struck, and the daemon stands there, if it was to pause. */
  stands(name: Failpoint): boolean
  /** Lets a daemon that was paused there go on; takes back what has not struck. */
  release(name: Failpoint): Promise<void>
  /** The steps that were passed since the last call. */
  passed(): Promise<Set<string>>
  close(): Promise<void>
}

/** `shorter` are bounds (daemon/limits.ts) that the test cannot wait for; `place` is where the daemon sees what is below it. */
export async function openFailpoints(
  shorter: Partial<Record<keyof typeof limits, number>> = {},
  place = tmpdir(),
): Promise<Failpoints> {
  const folder = join(place, `sluice-failpoints-${randomUUID()}`)
  await mkdir(folder)
  await writeFile(join(folder, 'limits.json'), JSON.stringify(shorter))
  /** The file only grows: what is written while it is read must be there the next time. */
  let read = 0
  const reached = (name: Failpoint) => join(folder, `${name}.reached`)
  return {
    settings: { SLUICE_FAILPOINTS: folder },
    async arm(name, strike) {
      await rm(reached(name), { force: true })
      const whole = join(folder, `${name}.new`)
      await writeFile(whole, strike)
      await rename(whole, join(folder, name))
    },
    struck: async (name) =>
      void (await waitFor(`the daemon to come to ${name}`, () => existsSync(reached(name)), {
        within: 100_000,
        every: 5,
      })),
    stands: (name) => existsSync(reached(name)),
    async release(name) {
      await rm(join(folder, name), { force: true })
      await rm(reached(name), { force: true })
    },
    async passed() {
      const text = (await readFile(join(folder, 'passed'), 'utf8').catch(() => '')).slice(read)
      read += text.length
      return new Set(text.split('\n').filter(Boolean))
    },
    close: () => rm(folder, { recursive: true, force: true }),
  }
}
