import * as assert from 'uvu/assert'
import type { Failpoint } from '../../daemon/failpoint.ts'
import type { Failpoints } from './failpoint.ts'
import { type Operation, refused, type Told } from './operation.ts'
import type { Performed } from './operation-each.ts'
import type { Place } from './platform.ts'
import { waitFor } from './wait.ts'
import { faultsIn, whole } from './whole.ts'

/** What an operation is performed on. */
export interface Stage {
  platform: Place
  points: Failpoints
  /** Faults of a platform at rest that are not its own. */
  except?: RegExp
  /** It may be refused, in these words. */
  words?: RegExp
}

/** What is done to the rest of the world while the daemon stands at a step; it goes on there when `goOn` is called. */
export type StrikeAtStep = (step: Failpoint, goOn: () => Promise<void>) => Promise<void>

interface Strike {
  /** What is done at each step. */
  at: StrikeAtStep
  /** How many are struck in one performance, far from one another, so that no client waits for longer than its patience lasts. */
  atOnce: number
}

/**
 * Has something done at each step that an operation takes, whatever steps those are, and performs it as often as that wants. After each performance the
 * platform is whole, what was acknowledged is in effect, and what was refused says why.
 */
export function eachStep(stage: Stage): (performed: Performed, strike: Strike) => Promise<void> {
  const known = new Map<string, Failpoint[]>()
  return async (performed, { at, atOnce }) => {
    const { name, operation, goesOnAs = '' } = performed
    const steps = known.get(name) ?? (await stepsOf(stage, performed))
    known.set(name, steps)
    const own = steps.filter((step) => !known.get(goesOnAs)?.includes(step))
    let left = own
    for (let n = 0; left.length > 0; n++) {
      assert.ok(n < own.length, `it does not come to ${left} again`)
      const struck = await perform(stage, operation, apart(left, atOnce), at)
      left = left.filter((step) => !struck.has(step))
    }
  }
}

/** Those that the daemon takes for it, in order, from when it is asked for until all is at rest. */
async function stepsOf(
  { platform, points, except }: Stage,
  { operation, step, opposite }: Performed,
): Promise<Failpoint[]> {
  const steps = new Set<string>()
  for (let way = 0; way < (opposite ? 2 : 1); way++) {
    await operation.ready?.()
    await whole(platform, except)
    await points.passed()
    const { done, words } = await operation.perform()
    assert.ok(done, words)
    await whole(platform, except)
    for (const step of await points.passed()) steps.add(step)
  }
  // slugs that releases left which failed before go beside whatever comes next, and once only
  steps.delete('slugs.deleted')
  assert.ok(steps.has(step), `it never comes to ${step}: ${[...steps]}`)
  return [...steps] as Failpoint[]
}

const apart = (steps: Failpoint[], atOnce: number): Failpoint[] => {
  const distance = Math.ceil(steps.length / atOnce)
  return steps.filter((_, n) => n % distance === 0)
}

const REST = 'rest'
/** Once. Resolves with those of the steps that it came to. */
async function perform(
  { platform, points, except, words }: Stage,
  operation: Operation,
  steps: Failpoint[],
  strike: StrikeAtStep,
): Promise<Set<Failpoint>> {
  if (operation.ready) {
    await operation.ready()
    await whole(platform, except)
  }
  for (const step of steps) await points.arm(step, 'pause')
  const struck = new Set<Failpoint>()
  let told: Told | undefined
  void operation.perform().then(
    (its) => {
      told = its
    },
    (error) => {
      told = refused(String(error))
    },
  )
  const next = async () => {
    const step = steps.find(points.stands)
    if (step || !told) return step
    const faults = await faultsIn(platform, except)
    if (faults.length > 0) throw new Error(faults.join('; '))
    return REST
  }
  try {
    for (;;) {
      const seen = await waitFor(`${steps.filter((step) => !struck.has(step))}, or rest`, next, {
        within: 100_000,
        every: 100,
      })
      if (seen === REST) break
      await strike(seen, () => points.release(seen))
      struck.add(seen)
    }
  } finally {
    for (const step of steps) await points.release(step)
  }
  const at = `struck at ${[...struck]}`
  const inEffect = await operation.inEffect()
  if (told?.done) assert.ok(inEffect, `${at}: it was acknowledged and is not in effect`)
  else assert.ok(words?.test(told?.words ?? ''), `${at}: it was refused: ${told?.words}`)
  return struck
}
