import { randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'
import type { Account } from '../account/account.ts'
import type { App } from '../app/app.ts'
import type { Daemon } from '../daemon.ts'
import { currentConfig } from '../release/config.ts'
import { announceRelease, createRelease, deployed, type Release } from '../release/release.ts'
import { rowsOf } from '../run/formation.ts'
import { scaledTo } from '../run/notice.ts'
import { decide, type Tx } from '../store/database.ts'
import type { Source } from './blob.ts'
import { type Attempt, type Build, endBuild, failBuild, startBuild, succeedBuild } from './build.ts'
import { selectBuildpacks } from './buildpack.ts'
import { compile, discard } from './compile.ts'
import { keyOf } from './key.ts'
import { awaitLaunch } from './launch.ts'
import { formatSize, type Output, openOutput } from './output.ts'
import { asUserError, interruption } from './refusal.ts'
import { type Result, wasTold } from './result.ts'
import { insertSlug, keepSlug, releaseOf, type Slug, slugWithKey } from './slug.ts'

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
  open(signal: AbortSignal): Promise<Source>
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
}

/** A slug that is to be released, and whether its row is there already. */
interface Made {
  slug: Slug
  buildpacks: Result['buildpacks']
  fresh: boolean
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
  const { d } = begun
  try {
    const made = await makeSlug(begun)
    const release = await makeRelease(begun, made)
    await awaitLaunch(begun, made.slug, release)
    return release
  } catch (error) {
    throw await refuse(begun, error)
  } finally {
    endBuild(begun.build.id)
    discard(d, begun.build.id)
    await begun.output.end()
  }
}

async function begin(d: Daemon, request: BuildRequest): Promise<Deploy> {
  const { app, account } = request
  try {
    const { build, canceled } = await startBuild(d, request)
    const output = await openOutput(d, build, request.output).catch(async (error: unknown) => {
      endBuild(build.id)
      await failBuild(d, build.id, 'Something went wrong on the platform.')
      throw error
    })
    tell(d, app, `Build started by user ${account.email}`)
    return { d, request: { ...request, signal: AbortSignal.any([request.signal, canceled]) }, build, output }
  } catch (error) {
    const refusal = asUserError(error)
    if (refusal !== error) d.log.error('deploy failed', { app: app.id, error })
    request.output(` !     ${refusal.message}\n`)
    throw refusal
  }
}

async function makeSlug({ d, request, build, output }: Deploy): Promise<Made> {
  const { app, signal } = request
  const stack = d.stack(app.stack)
  output.step(`Building on the ${app.stack.replace(/^h/, 'H')} stack`)
  if (stack.origin === 'debian') output.detail('(its image is made from Debian packages on this host)')
  const { archive, key: source } = await request.open(signal)
  const selection = await selectBuildpacks(d, app.id, signal, request.buildpacks)
  const config = await currentConfig(d, app.id)
  const key = await keyOf({ source, stack: stack.build, selection, config })
  const known = await slugWithKey(d, app.id, key)
  if (known) {
    archive.resume()
    return reuse({ d, output }, known)
  }
  const job = {
    build: build.id,
    app,
    version: request.version ?? '',
    archive,
    selection,
    config,
    output,
    signal,
  }
  const result = await compile(d, job)
  showTypes(output, result)
  output.step('Compressing...')
  const slug = slugOf(d, { app, request, key, result })
  await keepSlug(d, slug.id, result)
  output.detail(`Done: ${formatSize(slug.size)}`)
  output.detail(slug.checksum)
  return { slug, buildpacks: result.buildpacks, fresh: true }
}

async function reuse({ d, output }: Pick<Deploy, 'd' | 'output'>, slug: Slug): Promise<Made> {
  const version = await releaseOf(d.db, slug.id)
  output.step(
    `Reusing slug${version === undefined ? '' : ` of v${version}`} (source, buildpacks, config and stack are the same)`,
  )
  const before = await d.db
    .selectFrom('builds')
    .select('buildpacks')
    .where('slug_id', '=', slug.id)
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirst()
  return { slug, buildpacks: before ? JSON.parse(before.buildpacks) : [], fresh: false }
}

const slugOf = (
  d: Daemon,
  { app, request, key, result }: { app: App; request: BuildRequest; key: string; result: Result },
): Slug => ({
  id: randomUUID(),
  app_id: app.id,
  key,
  commit: request.version,
  commit_description: request.blob?.description ?? null,
  archive: 'ready',
  checksum: result.checksum,
  size: result.size,
  process_types: JSON.stringify(Object.fromEntries(result.processTypes)),
  buildpack_description: result.description,
  stack: app.stack,
  created_at: d.clock.now(),
})

function showTypes(output: Output, { declared, defaults, description, buildpacks, warnings }: Result): void {
  const left = 'Procfile declares types'
  const right = buildpacks.length === 1 ? `Default types for ${description}` : 'Default types for buildpack'
  const width = Math.max(left.length, right.length)
  const shown = (types: string[]) => [...types].sort().join(', ') || '(none)'
  output.step('Discovering process types')
  for (const warning of warnings) output.problem(warning)
  output.detail(`${left.padEnd(width)} -> ${shown(declared)}`)
  if (defaults.length > 0) output.detail(`${right.padEnd(width)} -> ${shown(defaults)}`)
  output.blank()
}

/** Slug, release and build are one decision: there is no slug row without its release, and no build that half succeeded. */
async function makeRelease({ d, request, build }: Deploy, { slug, buildpacks, fresh }: Made): Promise<Release> {
  const { app, account, version, signal } = request
  const description = deployed(version)
  signal.throwIfAborted()
  const { release, formed } = await decide(d.db, async (tx) => {
    if (fresh) await insertSlug(tx, slug)
    const before = await rowsOf(tx, app.id)
    const made = { app: app.id, account, description, slugId: slug.id, attended: !request.unattended }
    const release = await createRelease(d, tx, made)
    await succeedBuild(d, tx, build.id, { slug_id: slug.id, release_id: release.id, buildpacks })
    return { release, formed: before.size === 0 ? await scalable(tx, app.id) : [] }
  })
  announceRelease(d, release, account, description)
  if (formed.length > 0) tell(d, app, scaledTo(formed, account.email))
  tell(d, app, 'Build succeeded')
  return release
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
  if (!wasTold(error)) output.problem(why)
  output.blank()
  output.problem('Push failed')
  if (failed) tell(d, request.app, 'Build failed -- check your build output: heroku logs --dyno build')
  return refusal
}

const tell = (d: Daemon, app: App, text: string): void =>
  d.logs.write(app.id, { at: d.clock.now(), source: 'app', dyno: 'api', text })
