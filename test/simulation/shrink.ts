import type { Event, History } from './history.ts'

/**
 * A smaller history that breaks the same rule: leaves out events in ever smaller runs (delta debugging), then makes figures and choices
 * simpler, until neither goes any further. `breaks` plays one; `most` bounds how often.
 */
export async function shrink(
  history: History,
  breaks: (history: History) => boolean | Promise<boolean>,
  most = 2000,
): Promise<History> {
  let best = history
  let left = most
  const better = async (candidate: History): Promise<boolean> => {
    if (left-- <= 0 || !(await breaks(candidate))) return false
    best = candidate
    return true
  }
  for (let before = ''; before !== JSON.stringify(best) && left > 0; ) {
    before = JSON.stringify(best)
    if (best.serial) await better({ ...best, serial: false })
    while (best.routers > 1 && (await better({ ...best, routers: best.routers - 1 })));
    for (let size = best.events.length >> 1; size >= 1; size >>= 1)
      for (let from = best.events.length - size; from >= 0; from -= size)
        if (!(await better(without(best, from, size, false)))) await better(without(best, from, size, true))
    for (let index = 0; index < best.events.length; index++) {
      for (let again = true; again; ) {
        again = false
        for (const simpler of simplerThan(best.events[index] as Event))
          if (await better({ ...best, events: best.events.with(index, simpler) })) {
            again = true
            break
          }
      }
    }
  }
  return best
}

/** Leaves out some events; `timed`: what comes after them happens when it did. */
function without(history: History, from: number, size: number, timed: boolean): History {
  const left = history.events.slice(0, from)
  const right = history.events.slice(from + size)
  const gap = history.events.slice(from, from + size).reduce((sum, { after }) => sum + after, 0)
  const [next = { after: 0, what: 'wait' }, ...others] = right
  return {
    ...history,
    events: timed ? [...left, { ...next, after: next.after + gap }, ...others] : [...left, ...right],
  }
}

/** The event with one of its values simpler: a number nearer to 0, a flag off, the first of several words. */
function* simplerThan(event: Event): Iterable<Event> {
  for (const [name, value] of Object.entries(event)) {
    if (name === 'what') continue
    if (typeof value === 'object' && value !== null) {
      for (const [part, inner] of Object.entries(value))
        for (const simple of simplerValues(part, inner))
          yield { ...event, [name]: { ...value, [part]: simple } } as Event
    } else for (const simple of simplerValues(name, value)) yield { ...event, [name]: simple } as Event
  }
}

/** The plainest word of each choice. */
const plain: Record<string, string> = { command: 'none', boot: 'well', type: 'web', fate: 'late' }
const usual: Record<string, boolean> = { web: true, attended: false }

function simplerValues(name: string, value: unknown): unknown[] {
  if (typeof value === 'number') {
    const digit = 10 ** Math.floor(Math.log10(Math.abs(value) || 1))
    const steps = [
      0,
      1,
      value / 10,
      value / 2,
      value - (value % digit),
      Math.abs(value) <= 10 ? value - Math.sign(value) : value,
    ]
    return [...new Set(steps.map(Math.trunc))].filter((one) => Math.abs(one) < Math.abs(value))
  }
  if (typeof value === 'boolean') return value === (usual[name] ?? false) ? [] : [usual[name] ?? false]
  const simplest = plain[name]
  return typeof value === 'string' && simplest !== undefined && value !== simplest ? [simplest] : []
}
