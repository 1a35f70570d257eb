import { setTimeout as pause } from 'node:timers/promises'
import { appOf } from '../app.ts'
import { warn } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { appCommand } from './command.ts'
import { createProgress } from './progress.ts'
import { type Dyno, dynosOf } from './ps.ts'
import { releasesOf } from './release.ts'

/** Seconds; the official CLI takes no less than 10, because of its platform's rate limit. */
const SHORTEST = 1
const INTERVAL = 10

export function registerWait(program: Program): void {
  appCommand(program, 'ps:wait', 'wait until all dynos run the newest release')
    .option('-t, --type <type>', 'wait for one process type')
    .option('-w, --wait-interval <seconds>', 'how often to look', String(INTERVAL))
    .option('-R, --with-run', 'wait for one-off dynos too', false)
    .action(async (options) => {
      const seconds = Number(options.waitInterval)
      if (!Number.isInteger(seconds) || seconds < SHORTEST)
        throw new Failure(`wait-interval must be at least ${SHORTEST}`)
      await wait(await appOf(options), { type: options.type, oneOffs: options.withRun, ms: seconds * 1000 })
    })
}

interface Wanted {
  type: string | undefined
  oneOffs: boolean
  ms: number
}

async function wait(app: string, { type, oneOffs, ms }: Wanted): Promise<void> {
  const [latest] = await releasesOf(app, 1)
  if (!latest) return warn(`App ${app} has no releases`)
  const awaited = (dyno: Dyno): boolean =>
    dyno.type !== 'release' && (oneOffs || dyno.type !== 'run') && (type === undefined || dyno.type === type)
  const progress = createProgress(`Waiting for every dyno to be running v${latest.version}`)
  for (let first = true; ; first = false) {
    const dynos = (await dynosOf(app)).filter(awaited)
    const there = dynos.filter(({ state, release }) => state === 'up' && release.version >= latest.version)
    const fraction = `${there.length} / ${dynos.length}`
    if (there.length === dynos.length) {
      if (!first) progress.end(`${fraction}, done`)
      return
    }
    progress.tell(fraction)
    await pause(ms)
  }
}
