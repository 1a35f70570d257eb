import type { Daemon } from '../daemon.ts'
import { limits } from '../limits.ts'
import { slugOf } from './desired.ts'
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
    await sentence(stage, why, dyno),
    ...(lines.length > 0 ? ['Its last lines:', ...lines.map((line) => `  ${line}`)] : []),
    code ? `v${serving.version} still serves.` : 'Nothing serves yet.',
  ].join('\n')
}

async function sentence(
  { d, placements }: Stage,
  why: (Step & { do: 'fail' })['why'],
  dyno: Dyno | undefined,
): Promise<string> {
  if (why === 'release command timeout')
    return `The release command did not end within ${limits.releaseCommand / 60_000} minutes.`
  const failure = dyno && placements.failure(dyno.id)
  if (failure) return `${nameOf(dyno)} could not be started: ${failure}`
  if (why === 'release command') return `The release command exited with status ${dyno?.exit_code ?? 'unknown'}.`
  if (!dyno) return 'A dyno did not come up.'
  const trouble = await troubleOf(d, dyno)
  if (trouble !== undefined)
    return dyno.exit_code === null
      ? `${nameOf(dyno)} did not pass its health check within ${limits.boot / 1000} seconds (R10): ${trouble}. The check is in app.json.`
      : `${nameOf(dyno)} exited with status ${dyno.exit_code} before it passed its health check: ${trouble}.`
  if (dyno.exit_code !== null)
    return `${nameOf(dyno)} exited with status ${dyno.exit_code} before it accepted connections on $PORT.`
  return `${nameOf(dyno)} did not accept connections on $PORT within ${limits.boot / 1000} seconds (R10). It must listen on 0.0.0.0 and on the port in the PORT environment variable.`
}

/** What its health check has found wrong: `GET /healthz, it answered 500`. */
export async function troubleOf(d: Daemon, dyno: Dyno): Promise<string | undefined> {
  const trouble = d.routers.troubleOf(dyno.id)
  if (trouble === undefined) return undefined
  const checks = JSON.parse((await slugOf(d.db, dyno.release_id))?.checks ?? '{}')
  return `GET ${checks.web?.path ?? '/'}, ${trouble}`
}

const hasCode = async ({ d }: Stage, release: string): Promise<boolean> =>
  (await d.db.selectFrom('releases').select('slug_id').where('id', '=', release).executeTakeFirst())?.slug_id != null
