import { type Engine, EngineError } from '../../daemon/engine/engine.ts'

/**
 * Where a fault strikes: `create` before anything was done, `start` after the dyno runs (the answer is lost), `stop` before the stop,
 * `stopped` after it.
 */
export type Fault = 'create' | 'start' | 'stop' | 'stopped'

export interface FaultyEngine extends Engine {
  /** How often each fault has struck. */
  readonly struck: Record<Fault, number>
  /** From now on nothing fails. */
  heal(): void
}

/** An engine whose starts and stops fail with this probability, in an order that the seed decides. */
export function createFaultyEngine(
  inner: Engine,
  { seed, probability, faults = ['create', 'stop'] }: { seed: number; probability: number; faults?: Fault[] },
): FaultyEngine {
  const random = createRandom(seed)
  const struck: Record<Fault, number> = { create: 0, start: 0, stop: 0, stopped: 0 }
  let healed = false
  const strike = (fault: Fault): void => {
    if (healed || !faults.includes(fault) || random() >= probability) return
    struck[fault]++
    throw new EngineError(`The Docker engine failed on purpose (${fault}).`)
  }
  return {
    ...inner,
    struck,
    heal() {
      healed = true
    },
    async start(spec, signal) {
      strike('create')
      const placed = await inner.start(spec, signal)
      strike('start')
      return placed
    },
    async stop(id, grace, hangup) {
      strike('stop')
      await inner.stop(id, grace, hangup)
      strike('stopped')
    },
  }
}

/** mulberry32: numbers in [0, 1) that are the same for the same seed. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
