import { limits } from '../limits.ts'
import { OR_SERIAL } from './capacity.ts'
import { type Dyno, nameOf } from './dyno.ts'
import { megabytes } from './notice.ts'
import type { Placements } from './placement.ts'
import type { Step } from './plan.ts'
import { servingRollout } from './rollout.ts'
import type { Stage } from './steps.ts'

/** Why a release failed, for the user: what happened, the dyno's own last lines, and what serves now. */
export async function reasonOf(stage: Stage, failed: Step & { do: 'fail' }, dyno: Dyno | undefined): Promise<string> {
  const serving = await servingRollout(stage.d.db, stage.app.id)
  const lines = dyno && dyno.type !== 'release' ? stage.d.collector.tail(dyno.id) : []
  const code = serving && (await hasCode(stage, serving.release_id))
  return [
    await sentence(stage, failed, dyno),
    ...(lines.length > 0 ? ['Its last lines:', ...lines.map((line) => `  ${line}`)] : []),
    code ? `v${serving.version} still serves.` : 'Nothing serves yet.',
  ].join('\n')
}

async function sentence(
  { d, placements }: Stage,
  failed: Step & { do: 'fail' },
  dyno: Dyno | undefined,
): Promise<string> {
  const { why } = failed
  if (why === 'room') return noRoomBeside(failed.needs)
  if (why === 'release command timeout')
    return `The release command did not end within ${limits.releaseCommand / 60_000} minutes.`
  if (why === 'release command stopped') return 'The release command was stopped.'
  const failure = dyno && placements.failure(dyno.id)
  if (failure) return `${nameOf(dyno)} could not be started: ${failure}`
  if (why === 'release command') return `The release command exited with status ${dyno?.exit_code ?? 'unknown'}.`
  if (!dyno) return 'A dyno did not come up.'
  const trouble = d.routers.troubleOf(dyno.id)
  if (trouble !== undefined)
    return dyno.exit_code === null
      ? `${nameOf(dyno)} did not pass its health check within ${dyno.boot_time / 1000} seconds (R10): ${trouble}. It is asked for in app.json or SLUICE_HEALTH_PATH.`
      : `${nameOf(dyno)} exited with status ${dyno.exit_code} before it passed its health check: ${trouble}.`
  if (dyno.exit_code !== null)
    return `${nameOf(dyno)} exited with status ${dyno.exit_code} before it accepted connections on $PORT.`
  const deaf = await deafness(placements, dyno)
  const instead = deaf === undefined ? '' : ` It ${deaf}.`
  return `${nameOf(dyno)} did not accept connections on $PORT within ${dyno.boot_time / 1000} seconds (R10).${instead} It must listen on 0.0.0.0 and on the port in the PORT environment variable.`
}

/** Where a web dyno that is not reached listens instead: `listens on port 3000, and not on $PORT`. Undefined when it listens nowhere. */
export async function deafness(placements: Placements, { id, port }: Dyno): Promise<string | undefined> {
  const listeners = await placements.listens(id)
  if (listeners.some((one) => one.port === port)) return 'listens on $PORT of localhost, where nobody else reaches it'
  const ports = [...new Set(listeners.map((one) => one.port))].slice(0, PORTS_SHOWN)
  if (ports.length === 0) return undefined
  return `listens on ${ports.length > 1 ? 'the ports' : 'port'} ${ports.join(', ')}, and not on $PORT`
}

const PORTS_SHOWN = 5

const noRoomBeside = (needs: number): string =>
  `This machine has no memory left for it: it takes ${megabytes(needs)} beside what serves. ${OR_SERIAL}`

const hasCode = async ({ d }: Stage, release: string): Promise<boolean> =>
  (await d.db.selectFrom('releases').select('slug_id').where('id', '=', release).executeTakeFirst())?.slug_id != null
