/**
 * Where the time of a deploy goes, for one line of the daemon's log at its end, which `npm run bench -- builds` reads too. A stage lasts
 * until the next one begins. Those of the compile script come from the container, so they may say anything, and nothing depends on them.
 */
export const stages = [
  'lay', // source, buildpacks, config and cache are put where the container looks
  'wait', // for its turn, after that
  'start', // the engine makes and starts the container
  'unpack',
  'detect',
  'compile',
  'pack',
  'end', // the container is removed and its result read
  'keep', // archive and tree become the slug's, on disk
  'release', // one transaction
  'boot', // release command, new dynos, until routers reach them
  'cutover', // every router follows the new table
] as const

export type Stage = (typeof stages)[number]

export interface Stopwatch {
  /** `at`: epoch, ms. */
  enter(stage: Stage, at: number): void
  /** ms by stage, those that there were. */
  end(at: number): Partial<Record<Stage, number>>
}

export function createStopwatch(): Stopwatch {
  const begun: { stage: Stage; at: number }[] = []
  return {
    enter: (stage, at) => void begun.push({ stage, at }),
    end(at) {
      const ms: Partial<Record<Stage, number>> = {}
      const order = [...begun].sort((a, b) => a.at - b.at)
      for (const [n, { stage, at: from }] of order.entries())
        ms[stage] = (ms[stage] ?? 0) + Math.round((order[n + 1]?.at ?? at) - from)
      return ms
    },
  }
}

/** What the compile script noted: a line `1700000000.123456 compile` for each stage that it began. */
export function readStages(text: string): { stage: Stage; at: number }[] {
  const lines = [...text.matchAll(/^(\d{10})[.,](\d{3})\d* (\w+)$/gm)].slice(0, stages.length * 10)
  return lines.flatMap(([, seconds, milliseconds, name]) => {
    const stage = stages.find((one) => one === name)
    return stage ? [{ stage, at: Number(seconds) * 1000 + Number(milliseconds) }] : []
  })
}
