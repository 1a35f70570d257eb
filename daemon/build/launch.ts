import { UserError } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { limits } from '../limits.ts'
import { appUrl } from '../names.ts'
import { abandon, outcome, reached } from '../release/outcome.ts'
import type { Release } from '../release/release.ts'
import { received } from '../run/notice.ts'
import { receiptInTime } from '../run/takeover.ts'
import type { Deploy } from './deploy.ts'
import { asUserError, interruption } from './refusal.ts'
import type { Slug } from './slug/slug.ts'

/**
 * Waits until the release serves, showing its release command's output. Throws UserError, with the reason, when it does not come to
 * that. Aborted, or when the platform itself fails, it gives the release up unless its cutover has begun, which is then waited for: what
 * it says is what has become of the release.
 */
export async function awaitLaunch(
  { d, request, output, stopwatch }: Deploy,
  slug: Slug,
  release: Release,
): Promise<void> {
  const { app, signal } = request
  stopwatch.enter('boot', d.clock.now())
  const command = Object.hasOwn(JSON.parse(slug.process_types), 'release')
  output.step('Launching...')
  if (slug.images === null && slug.size > limits.slugSoft) output.problem(largeSlug(slug.size))
  if (command)
    output.problem('Release command declared: this new release will not be available until the command succeeds.')
  output.detail(`Released v${release.version}`)
  output.detail(`${appUrl(d.config, app.name)} deployed to Sluice`)
  output.blank()
  try {
    await failpoint('release.made')
    if (command) await showPhase({ d, output }, release, signal)
    await reached(d, release.id, ['cutover'], signal)
    stopwatch.enter('cutover', d.clock.now())
    await settled({ d, output }, release, signal)
  } catch (error) {
    const why = signal.aborted ? interruption(signal) : asUserError(error).message
    if (await abandon(d, release.id, why)) throw error
    await settled({ d, output }, release, new AbortController().signal)
  }
}

const megabytes = (bytes: number): string => `${Math.floor(bytes / 1024 ** 2)} MB`

const largeSlug = (size: number): string =>
  `Warning: Your slug size (${megabytes(size)}) exceeds our soft limit (${megabytes(limits.slugSoft)}) which may affect boot time.`

type Shown = Pick<Deploy, 'd' | 'output'>

async function settled({ d, output }: Shown, release: Release, signal: AbortSignal): Promise<void> {
  const { succeeded, reason, by } = await outcome(d, release.id, signal)
  if (!succeeded) throw new UserError('invalid_params', reason ?? `v${release.version} failed.`)
  if (by !== null)
    output.detail(`v${by}, which was made meanwhile, has this code and serves in place of v${release.version}`)
  const receipt = await receiptInTime(d, release).catch(() => null)
  if (receipt !== null && receipt.inFlight > 0) output.detail(`Took over: ${received(receipt)}`)
  output.write('Verifying deploy... done.\n')
}

/** The transcript is opened before the command runs, so that following it does not end before it began. */
async function showPhase({ d, output }: Shown, release: Release, signal: AbortSignal): Promise<void> {
  output.write('Running release command...\n\n')
  const transcript = await d.transcripts.open(`release-${release.id}`)
  const showing = (async () => {
    for await (const chunk of d.transcripts.follow(`release-${release.id}`, signal)) output.relay(chunk)
  })()
  showing.catch(() => {})
  try {
    await reached(d, release.id, ['booting', 'cutover'], signal)
  } finally {
    await transcript.end()
  }
  await showing
  output.blank()
}
