import { historyOf } from './draw.ts'
import { type History, story } from './history.ts'
import type { Planner } from './model.ts'
import { shrink } from './shrink.ts'
import { Broken } from './witness.ts'
import { World } from './world.ts'

/** How a history went: the rule that it breaks, or null. */
export interface Verdict {
  world: World
  broken: Broken | null
}

export function play(history: History, planner?: Planner): Verdict {
  const world = new World(history, planner)
  try {
    world.play(history)
    return { world, broken: null }
  } catch (broken) {
    if (broken instanceof Broken) return { world, broken }
    throw broken
  }
}

/** The first of these seeds whose history breaks a rule, or one of certain rules. */
export function search(
  seeds: { first: number; count: number },
  planner?: Planner,
  rules?: string[],
): { seed: number; rule: string } | null {
  for (let seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
    const { broken } = play(historyOf(seed), planner)
    if (broken && (rules?.includes(broken.rule) ?? true)) return { seed, rule: broken.rule }
  }
  return null
}

/** The smallest history that can be found which breaks the same rule. */
export const smallest = (seed: number, rule: string, planner?: Planner): Promise<History> =>
  shrink(historyOf(seed), (history) => play(history, planner).broken?.rule === rule)

/** For the person who is to understand it: the history, what broke, what the daemon did, and what there is. */
export function report(seed: number, history: History): string {
  const { broken, world } = play(history)
  return `seed ${seed}: ${broken?.message}\n\n${story(history)}\n\n${world.log()}\n\n${world.state()}\n\n${JSON.stringify(history)}`
}
