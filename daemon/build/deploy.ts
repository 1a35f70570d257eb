import type { Readable } from 'node:stream'
import type { Account } from '../account/account.ts'
import type { App } from '../app/app.ts'
import { keepDetected } from '../app/buildpack.ts'
import type { Daemon } from '../daemon.ts'
import { figures } from '../figures.ts'
import { announceRelease, createRelease, deployed, type Release } from '../release/release.ts'
import { rowsOf } from '../run/formation.ts'
import { scaledTo } from '../run/notice.ts'
import { decide, type Tx } from '../store/database.ts'
import { type Attempt, type Build, endBuild, failBuild, startBuild, succeedBuild } from './build.ts'
import { type Made, makerOf } from './kind.ts'
import { awaitLaunch } from './launch.ts'
import { requireMemory } from './memory.ts'
import { type Output, openOutput } from './output.ts'
import { asUserError, interruption } from './refusal.ts'
import { spareCache } from './slug/cache.ts'
import { discard } from './slug/compile.ts'
import { wasTold } from './slug/result.ts'
import { insertSlug, removeSlug } from './slug/slug.ts'
import type { Source } from './source/blob.ts'
import { createStopwatch, type Stopwatch } from './stage.ts'

export interface DeployRequest {
  app: App
  account: Account
  /** The commit, or what the client calls its source. */
  version: string
  /** Equal for equal sources: the id of the git tree, or a hash of the archive. */
  sourceKey: string
  /** A tar. */
  archive: Readable
  output(chunk: string | Buffer): void
  signal: AbortSignal
}

/** A deploy whose source is asked for only when its build has begun. */
export interface BuildRequest extends Attempt {
  app: App
  account: Account
  /** Called once; what it throws fails the build. */
  open(signal: AbortSignal): Promise<Pick<Source, 'archive' | 'key'>>
  /** In place of the app's own. */
  buildpacks?: string[] | undefined
  output(chunk: string | Buffer): void
  signal: AbortSignal
  /** Nobody waits for it who would be told that it failed should the daemon die: its release goes on at the next start. */
  unattended?: boolean
}

/** What a deploy works with from its first line to its last. */
export interface Deploy {
  d: Daemon
  request: BuildRequest
  build: Build
  output: Output
  stopwatch: Stopwatch
}

/**
 * From a source to a release that serves. Resolves when it serves; throws when it does not, after the output has said why (UserError),
 * with the old release serving on. An aborted signal undoes what is not live yet.
 */
export async function deploy(d: Daemon, { archive, sourceKey, ...request }: DeployRequest): Promise<Release> {
  const { done } = await startDeploy(d, { ...request, open: async () => ({ archive, key: sourceKey }) })
  return done
}

/** The same in two parts: the build is on record, and `done` is what `deploy` promises. Throws when there can be no build now. */
export async function startDeploy(d: Daemon, request: BuildRequest): Promise<{ build: Build; done: Promise<Release> }> {
  const begun = await begin(d, request)
  return { build: begun.build, done: finish(begun) }
}

async function finish(begun: Deploy): Promise<Release> {
  const { d, request, build, stopwatch } = begun
  let served = false
  try {
    await requireMemory(d, request.app)
    const made = await makerOf(request.app)(begun)
    const release = await makeRelease(begun, made)
    await awaitLaunch(begun, made.slug, release)
    served = true
    return release
  } catch (error) {
    throw await refuse(begun, error)
  } finally {
    // Before the next build can begin, which then waits for it.
    spareCache(d, request.app)
    endBuild(build.id)
    discard(d, build.id)
    await begun.output.end()
    d.log.info('deploy ended', { app: request.app.id, build: build.id, served, ms: stopwatch.end(d.clock.now()) })
  }
}

async function begin(d: Daemon, request: BuildRequest): Promise<Deploy> {
  const { app, account } = request
  try {
    await d.disk.makeRoom()
    const { build, canceled } = await startBuild(d, request)
    const output = await openOutput(d, build, request.output).catch(async (error: unknown) => {
      endBuild(build.id)
      await failBuild(d, build.id, 'Something went wrong on the platform.')
      throw error
    })
    tell(d, app, `Build started by user ${account.email}`)
    const signal = AbortSignal.any([request.signal, canceled])
    return { d, request: { ...request, signal }, build, output, stopwatch: createStopwatch() }
  } catch (error) {
    const refusal = asUserError(error)
    if (refusal !== error) d.log.error('deploy failed', { app: app.id, error })
    request.output(` !     ${refusal.message}\n`)
    throw refusal
  }
}

async function makeRelease(deploy: Deploy, made: Made): Promise<Release> {
  const { d, request, build, stopwatch } = deploy
  const { app, account, version } = request
  stopwatch.enter('release', d.clock.now())
  const { release, formed } = await commitRelease(deploy, made).catch(async (error: unknown) => {
    await removeSlug(d, made.slug)
    throw error
  })
  figures.builds.observe({ result: 'succeeded' }, lasted(d, build))
  announceRelease(d, release, account, deployed(version))
  if (formed.length > 0) tell(d, app, scaledTo(formed, account.email))
  tell(d, app, 'Build succeeded')
  return release
}

/** Slug, release and build are one decision: there is no slug row without its release, and no build that half succeeded. */
async function commitRelease({ d, request, build }: Deploy, { slug, buildpacks, detected }: Made) {
  const { app, account, version, signal } = request
  signal.throwIfAborted()
  return decide(d.db, async (tx) => {
    await insertSlug(tx, slug)
    if (detected !== undefined) await keepDetected(tx, app.id, detected)
    const before = await rowsOf(tx, app.id)
    const made = {
      app: app.id,
      account,
      description: deployed(version),
      slugId: slug.id,
      attended: !request.unattended,
    }
    const release = await createRelease(d, tx, made)
    await succeedBuild(d, tx, build.id, { slug_id: slug.id, release_id: release.id, buildpacks })
    return { release, formed: before.size === 0 ? await scalable(tx, app.id) : [] }
  })
}

const scalable = async (tx: Tx, app: string) =>
  [...(await rowsOf(tx, app)).values()].filter(({ type }) => type !== 'release')

/** Says why, unless that was said, and makes sure that the build's row has ended. */
async function refuse({ d, request, build, output }: Deploy, error: unknown): Promise<unknown> {
  const interrupted = request.signal.aborted
  const refusal = asUserError(error)
  const why = interrupted ? interruption(request.signal) : refusal.message
  if (refusal !== error && !interrupted) d.log.error('deploy failed', { app: request.app.id, build: build.id, error })
  const failed = await failBuild(d, build.id, why).catch((error: unknown) => {
    d.log.error('the end of a build could not be written', { build: build.id, error })
  })
  if (failed) figures.builds.observe({ result: interrupted ? 'canceled' : 'failed' }, lasted(d, build))
  if (!wasTold(error)) output.problem(why)
  output.blank()
  output.problem('Push failed')
  if (failed) tell(d, request.app, 'Build failed -- check your build output: heroku logs --dyno build')
  return refusal
}

/** Seconds. */
const lasted = (d: Daemon, { created_at }: Build): number => (d.clock.now() - created_at) / 1000

const tell = (d: Daemon, app: App, text: string): void =>
  d.logs.write(app.id, { at: d.clock.now(), source: 'app', dyno: 'api', text })
