import { createRandom } from '../engine/faulty.ts'
import type { Code, Event, Fate, Happening, History } from './history.ts'

/** Chance as choices, all from one seed. */
class Dice {
  private readonly random: () => number

  constructor(seed: number) {
    this.random = createRandom(seed)
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.random() < probability
  }

  /** 0 to `below` - 1. */
  number(below: number): number {
    return Math.floor(this.random() * below)
  }

  of<T>(list: readonly [T, ...T[]]): T {
    return list[this.number(list.length)] as T
  }

  /** ms, every order of magnitude up to `most` as often as any other. */
  span(most: number): number {
    return Math.round(most ** this.random())
  }
}

const MINUTE = 60_000
const types = ['web', 'web', 'worker'] as const
const fates = ['late', 'refused', 'unheard'] as const satisfies Fate[]
const boots = ['well', 'slow', 'crashes', 'deaf', 'one crashes'] as const satisfies Code['boot'][]

const draws: { [what in Happening['what']]: (dice: Dice) => Happening & { what: what } } = {
  push: (dice) => ({ what: 'push', code: code(dice), attended: dice.chance(0.5) }),
  abandon: () => ({ what: 'abandon' }),
  config: () => ({ what: 'config' }),
  rollback: (dice) => ({ what: 'rollback', pick: dice.number(8) }),
  scale: (dice) => ({ what: 'scale', type: dice.of(types), to: dice.number(4) }),
  resize: (dice) => ({ what: 'resize', type: dice.of(types), large: dice.chance(0.5) }),
  restart: (dice) => ({ what: 'restart', pick: dice.chance(0.5) ? null : dice.number(8) }),
  stop: (dice) => ({ what: 'stop', pick: dice.number(8) }),
  run: (dice) => ({
    what: 'run',
    client: dice.chance(0.4),
    lasts: dice.span(10 * MINUTE),
    limit: dice.span(10 * MINUTE),
  }),
  meet: (dice) => ({ what: 'meet', pick: dice.number(4) }),
  leave: (dice) => ({ what: 'leave', pick: dice.number(4) }),
  maintenance: (dice) => ({ what: 'maintenance', on: dice.chance(0.5) }),
  destroy: () => ({ what: 'destroy' }),
  wait: () => ({ what: 'wait' }),
  exit: (dice) => ({ what: 'exit', pick: dice.number(8), unseen: dice.chance(0.3) }),
  lose: (dice) => ({ what: 'lose', pick: dice.number(8) }),
  reboot: (dice) => ({ what: 'reboot', gone: dice.chance(0.5), ms: dice.span(2 * MINUTE) }),
  start: (dice) => ({ what: 'start', fate: dice.of(fates), ms: dice.span(2 * MINUTE) }),
  end: (dice) => ({ what: 'end', fate: dice.of(fates), ms: dice.span(MINUTE) }),
  kill: (dice) => ({ what: 'kill', steps: dice.number(6), ms: dice.span(MINUTE) }),
  cut: (dice) => ({ what: 'cut', router: dice.number(3), ms: dice.span(2 * MINUTE) }),
  lag: (dice) => ({ what: 'lag', router: dice.number(3), ms: dice.span(20_000) }),
  silence: (dice) => ({ what: 'silence', router: dice.number(3), ms: dice.span(2 * MINUTE) }),
  bounce: (dice) => ({ what: 'bounce', router: dice.number(3), ms: dice.span(MINUTE) }),
  request: (dice) => ({ what: 'request', router: dice.number(3), pick: dice.number(8), ms: dice.span(2 * MINUTE) }),
  room: (dice) => ({ what: 'room', places: dice.number(8) }),
  jump: (dice) => ({ what: 'jump', ms: dice.span(10 * MINUTE) * (dice.chance(0.5) ? 1 : -1) }),
}

function code(dice: Dice): Code {
  return {
    web: dice.chance(0.9),
    worker: dice.chance(0.5),
    command: dice.chance(0.7) ? 'none' : dice.of(['passes', 'passes', 'fails', 'hangs']),
    boot: dice.chance(0.6) ? 'well' : dice.of(boots),
  }
}

/**
 * The history of a seed. Swarm testing: each has its own set of things that happen at all, each of these its own weight, and its own
 * pace, because a fault that needs ten restarts in a row, or nothing but slow routers, is never met where everything happens equally often.
 */
export function historyOf(seed: number, most = 40): History {
  const dice = new Dice(seed)
  const kinds = Object.keys(draws) as Happening['what'][]
  const rare: Partial<Record<Happening['what'], number>> = { destroy: 0.05, reboot: 0.5 }
  const weights = kinds.map((what) => (dice.chance(0.4) ? (dice.number(10) + 1) * (rare[what] ?? 1) : 0))
  weights[0] = Math.max(weights[0] ?? 0, 2)
  const pace = dice.of([20, 1000, 10_000, 60_000])
  const first: Event = { after: 0, what: 'push', code: { ...code(dice), web: true, boot: 'well' }, attended: false }
  const events: Event[] = [first]
  const count = 1 + dice.number(most)
  while (events.length <= count) {
    const draw: (dice: Dice) => Happening = draws[weighted(kinds, weights, dice)]
    events.push({ after: dice.span(pace), ...draw(dice) })
  }
  return { routers: 1 + dice.number(3), serial: dice.chance(0.2), events }
}

function weighted<T>(list: T[], weights: number[], dice: Dice): T {
  let at = dice.number(1_000_000) * 1e-6 * weights.reduce((sum, weight) => sum + weight, 0)
  for (const [index, weight] of weights.entries()) {
    at -= weight
    if (at < 0) return list[index] as T
  }
  return list[0] as T
}
