import { appendFileSync, existsSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

/**
 * The steps of the control plane between which it may be killed, as `what it is about.what has just been done`, each with what a crash
 * right there leaves. A step that makes something durable, or tells an engine or a router something, has one; every one of them is
 * struck by test/e2e (z-failpoint*.test.ts), which fails when one is named here that no test reaches.
 */
export const failpoints = {
  'release.made': 'a release is committed that nobody has acted on',
  'rollout.cutover': 'a release is to be served, and no router knows',
  'dyno.inserted': 'the row of a dyno without a container',
} as const

export type Failpoint = keyof typeof failpoints

/**
 * What happens there, for tests. `kill`: SIGKILL to this process, so nothing is finished or flushed. `error`: the step throws. `full`: it throws
 * what a full disk makes a write throw. `pause`: it waits until the test lets it go on, which meanwhile does what it likes to the rest of the world.
 */
export type Strike = 'kill' | 'error' | 'full' | 'pause'

let folder: string | undefined

/** Has strikes read from a folder: one in the file `NAME` strikes once; `NAME.reached` is there while it waits; `passed` lists all. */
export const armFailpoints = (from: string | undefined): void => {
  folder = from
}

/** Costs nothing unless a test has armed it. */
export async function failpoint(name: Failpoint): Promise<void> {
  if (folder !== undefined) await reach(folder, name)
}

const LOOK = 10

async function reach(folder: string, name: Failpoint): Promise<void> {
  appendFileSync(join(folder, 'passed'), `${name}\n`)
  const [armed, reached] = [join(folder, name), join(folder, `${name}.reached`)]
  if (!existsSync(armed)) return
  const strike = readFileSync(armed, 'utf8') as Strike
  renameSync(armed, reached)
  switch (strike) {
    case 'kill':
      process.kill(process.pid, 'SIGKILL')
      // The signal is delivered before anything else of this process runs.
      return
    case 'error':
      throw new Error(`Struck at ${name}.`)
    case 'full':
      throw Object.assign(new Error(`ENOSPC: no space left on device, at ${name}`), { code: 'ENOSPC' })
    case 'pause':
      while (existsSync(reached)) await setTimeout(LOOK)
      return
    default:
      strike satisfies never
  }
}
