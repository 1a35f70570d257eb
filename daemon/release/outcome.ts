import type { Daemon } from '../daemon.ts'
import type { RolloutState } from '../store/schema.ts'
import { failRelease } from './failure.ts'

export interface Outcome {
  succeeded: boolean
  /** Why it failed, for the user. */
  reason: string | null
  /** The version that serves with its code in its place. */
  by: number | null
}

/**
 * Waits until a release serves or has failed. One that was superseded has succeeded when its code serves all the same. Rejects with the
 * signal's reason when aborted; the release is not touched by that.
 */
export async function outcome(d: Daemon, release: string, signal: AbortSignal): Promise<Outcome> {
  const row = await reached(d, release, ['succeeded', 'failed'], signal)
  const by = await heir(d, release)
  return { succeeded: row.state === 'succeeded' || by !== null, reason: row.reason, by }
}

/** The version that has superseded a release, if it has its code. */
async function heir(d: Daemon, release: string): Promise<number | null> {
  const later = await d.db
    .selectFrom('rollouts')
    .innerJoin('releases', 'releases.id', 'rollouts.release_id')
    .innerJoin('releases as later', (join) =>
      join
        .onRef('later.app_id', '=', 'rollouts.app_id')
        .onRef('later.version', '=', 'rollouts.superseded_by')
        .onRef('later.slug_id', '=', 'releases.slug_id'),
    )
    .select('later.version')
    .where('rollouts.release_id', '=', release)
    .executeTakeFirst()
  return later?.version ?? null
}

/** Waits until a release's rollout is in one of these states or settled. */
export async function reached(
  d: Daemon,
  release: string,
  states: RolloutState[],
  signal: AbortSignal,
): Promise<{ state: RolloutState; reason: string | null }> {
  let wake = () => {}
  const unsubscribe = d.settlements.subscribe(release, () => wake())
  const onAbort = () => wake()
  signal.addEventListener('abort', onAbort)
  try {
    while (true) {
      signal.throwIfAborted()
      const changed = new Promise<void>((resolve) => {
        wake = resolve
      })
      const row = await rolloutOf(d, release)
      if (!row) return { state: 'failed', reason: 'The app was destroyed.' }
      if (states.includes(row.state) || row.state === 'succeeded' || row.state === 'failed') return row
      d.runner.poke(row.app_id)
      await changed
    }
  } finally {
    unsubscribe()
    signal.removeEventListener('abort', onAbort)
  }
}

/**
 * Opens the transcript of a release command before it runs, so that those who follow it do not find its end before its beginning.
 * For a release that somebody has been told of and nobody waits for; it is there, so nothing of this fails it.
 */
export async function expectOutput(d: Daemon, release: string): Promise<void> {
  const lost = (error: unknown) => d.log.warn('the output of a release command is not kept', { release, error })
  const transcript = await d.transcripts.open(`release-${release}`).catch(lost)
  if (!transcript) return
  reached(d, release, ['booting', 'cutover'], new AbortController().signal)
    .catch(lost)
    .finally(() => transcript.end())
}

const rolloutOf = (d: Daemon, release: string) =>
  d.db.selectFrom('rollouts').select(['state', 'reason', 'app_id']).where('release_id', '=', release).executeTakeFirst()

/** Fails a release that nobody waits for any more, unless it, or one that has its code, has come as far as its cutover. Returns whether it did. */
export async function abandon(d: Daemon, release: string, reason: string): Promise<boolean> {
  const failed = await failRelease(d, release, reason, { before: 'cutover' })
  const row = await d.db.selectFrom('releases').select('app_id').where('id', '=', release).executeTakeFirst()
  if (row) d.runner.poke(row.app_id)
  return failed
}
