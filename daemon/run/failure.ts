import { limits } from '../limits.ts'
import { type Dyno, nameOf } from './dyno.ts'
import type { Step } from './plan.ts'
import { servingRollout } from './rollout.ts'
import type { Stage } from './steps.ts'

/** Why a release failed, for the user: what happened, the dyno's own last lines, and what serves now. */
export async function reasonOf(
  stage: Stage,
  why: (Step & { do: 'fail' })['why'],
  dyno: Dyno | undefined,
): Promise<string> {
  const serving = await servingRollout(stage.d.db, stage.app.id)
  const lines = dyno && dyno.type !== 'release' ? stage.d.collector.tail(dyno.id) : []
  const code = serving && (await hasCode(stage, serving.release_id))
  return [
    sentence(stage, why, dyno),
    ...(lines.length > 0 ? ['Its last lines:', ...lines.map((line) => `  ${line}`)] : []),
    code ? `v${serving.version} still serves.` : 'Nothing serves yet.',
  ].join('\n')
}

function sentence({ placements }: Stage, why: (Step & { do: 'fail' })['why'], dyno: Dyno | undefined): string {
  if (why === 'release command timeout')
    return `The release command did not end within ${limits.releaseCommand / 60_000} minutes.`
  const failure = dyno && placements.failure(dyno.id)
  if (failure) return `${nameOf(dyno)} could not be started: ${failure}`
  if (why === 'release command') return `The release command exited with status ${dyno?.exit_code ?? 'unknown'}.`
  if (!dyno) return 'A dyno did not come up.'
  if (dyno.exit_code !== null)
    return `${nameOf(dyno)} exited with status ${dyno.exit_code} before it accepted connections on $PORT.`
  return `${nameOf(dyno)} did not accept connections on $PORT within ${limits.boot / 1000} seconds (R10). It must listen on 0.0.0.0 and on the port in the PORT environment variable.`
}

const hasCode = async ({ d }: Stage, release: string): Promise<boolean> =>
  (await d.db.selectFrom('releases').select('slug_id').where('id', '=', release).executeTakeFirst())?.slug_id != null
