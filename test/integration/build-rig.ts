import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { PassThrough } from 'node:stream'
import { resolveStacks } from '../../buildpacks/stack.ts'
import { type Account, accountNamed, ensureAdmin } from '../../daemon/account/account.ts'
import { type App, createApp } from '../../daemon/app/app.ts'
import { replaceInstallations } from '../../daemon/app/buildpack.ts'
import { deploy } from '../../daemon/build/deploy.ts'
import { createQueue } from '../../daemon/build/queue.ts'
import { endCopies } from '../../daemon/build/slug/cache.ts'
import { systemClock } from '../../daemon/clock.ts'
import { hostEnvironment, readConfig } from '../../daemon/config.ts'
import type { Daemon } from '../../daemon/daemon.ts'
import { createDockerEngine } from '../../daemon/engine/docker.ts'
import { createLog } from '../../daemon/log.ts'
import { createLogs } from '../../daemon/logs/logs.ts'
import { createTranscripts, type Transcripts } from '../../daemon/logs/transcript.ts'
import type { Release } from '../../daemon/release/release.ts'
import { removeTree } from '../../daemon/remove.ts'
import { createCapacity } from '../../daemon/run/capacity.ts'
import { advanceRollout, candidateRollout, createSettlements, failRollout } from '../../daemon/run/rollout.ts'
import { createRunner } from '../../daemon/runner.ts'
import { type Db, decide, openDatabase } from '../../daemon/store/database.ts'
import { createSeal } from '../../daemon/store/seal.ts'
import { newInstallation } from '../e2e/installation.ts'
import { noAcm } from '../unit/no-acm.ts'
import { noDisk } from '../unit/no-disk.ts'

/** Builds against the real engine, stack image and registry; only what runs dynos is replaced, by rollouts that succeed at once. */
export interface Rig {
  d: Daemon
  /** The label of everything of it in the engine. */
  installation: string
  app(buildpacks?: string[], stack?: string): Promise<App>
  /** Pushes files (a folder below test/apps, or path to content) and returns what the user reads. */
  push(app: App, source: Source, options?: PushOptions): Promise<Pushed>
  /** What is in the tree of a release's slug, by path. */
  files(release: Release): Promise<string[]>
  tree(release: Release): string
  close(): Promise<void>
}

export type Source = string | Record<string, string>

interface PushOptions {
  signal?: AbortSignal
  key?: string
  /** The commit. */
  version?: string
  onOutput?: (output: string) => void
  /** Takes the output in place of the answer. */
  sink?: (chunk: string | Buffer) => void
}

export interface Pushed {
  release: Release | undefined
  output: string
}

export const appsFolder = resolve(import.meta.dirname, '..', '..', '..', 'test', 'apps')

export async function startRig(): Promise<Rig> {
  const data = await mkdtemp(join(tmpdir(), 'sluice-build-'))
  const installation = newInstallation()
  const d = await assemble(data, installation)
  await ensureAdmin(d)
  const account = await accountNamed(d.db, d.config.adminEmail)
  if (!account) throw new Error('there is no administrator')
  const tree = ({ slug_id }: Release) => join(data, 'slugs', String(slug_id), 'tree')
  return {
    d,
    installation,
    async app(buildpacks = [], stack = 'heroku-24') {
      const app = await createApp(d, account, { stack })
      if (buildpacks.length > 0) await replaceInstallations(d, app, account, buildpacks)
      return app
    },
    push: (app, source, options) => push(d, account, app, source, options),
    tree,
    files: async (release) => (await readdir(tree(release), { recursive: true })).sort(),
    async close() {
      await d.runner.stop()
      await endCopies()
      await d.engine.sweepBuilds()
      for (const name of await d.engine.images.kept()) await d.engine.images.forget(name)
      await d.logs.close()
      await d.db.destroy()
      await removeTree(data)
    },
  }
}

async function assemble(data: string, installation: string): Promise<Daemon> {
  const ca = '/etc/ssl/certs/ca-certificates.crt'
  const config = readConfig({
    SLUICE_NETWORK_POOL: '10.104.0.0/16',
    SLUICE_BUILDPACK_REGISTRY: 'none',
    SLUICE_DRAIN_ALLOW: '127.0.0.1',
    ...(existsSync(ca) ? { SLUICE_CA_BUNDLE: ca } : {}),
    ...settings(),
    SLUICE_DATA: data,
  })
  const log = createLog(() => {})
  const db = await openDatabase(join(data, 'sluice.db'))
  const stacks = await resolveStacks(config.engineSocket)
  const settlements = createSettlements()
  const transcripts = createTranscripts(config, log)
  const runner = createRunner(
    async (app) => {
      const rollout = await candidateRollout(db, app)
      if (!rollout) return null
      const failure = await releaseCommand(db, transcripts, rollout.release_id)
      if (failure) await decide(db, (tx) => failRollout(tx, rollout.release_id, failure, { now: Date.now() }))
      else await advanceRollout(db, rollout.release_id, 'succeeded', Date.now())
      settlements.announce(rollout.release_id)
      return null
    },
    systemClock,
    log,
  )
  const engine = createDockerEngine({
    socket: config.engineSocket,
    installation,
    data,
    caBundle: config.caBundle,
    log,
  })
  return {
    config,
    clock: systemClock,
    log,
    db,
    seal: createSeal(Buffer.alloc(32, 7)),
    engine,
    capacity: createCapacity({ db, engine, clock: systemClock, bound: undefined, poke() {}, available: () => 2 ** 50 }),
    disk: noDisk,
    acm: noAcm,
    queue: createQueue(1),
    runner,
    settlements,
    logs: createLogs(config, log),
    transcripts,
    stack(name: string) {
      const images = stacks.get(name)
      if (!images) throw new Error(`no image of ${name}; run the set-up first`)
      return images
    },
  } as unknown as Daemon
}

/** Says its command in place of running it, as a dyno's output would; one with `false` in it fails. */
async function releaseCommand(db: Db, transcripts: Transcripts, release: string): Promise<string | undefined> {
  const slug = await db
    .selectFrom('releases')
    .innerJoin('slugs', 'slugs.id', 'releases.slug_id')
    .select('process_types')
    .where('releases.id', '=', release)
    .executeTakeFirst()
  const command: string | undefined = JSON.parse(slug?.process_types ?? '{}').release
  if (command === undefined) return undefined
  const transcript = await transcripts.open(`release-${release}`)
  transcript.write(`ran ${command}\n`)
  await transcript.end()
  return command.includes('false') ? 'The release command exited with status 1.\nv1 still serves.' : undefined
}

const settings = (): Record<string, string> =>
  process.env.SLUICE_NPM_REGISTRY ? { SLUICE_NPM_REGISTRY: process.env.SLUICE_NPM_REGISTRY } : {}

const COMMIT = '0123456789abcdef0123456789abcdef01234567'

async function push(
  d: Daemon,
  account: Account,
  app: App,
  source: Source,
  { signal = new AbortController().signal, key, version = COMMIT, onOutput, sink }: PushOptions = {},
): Promise<Pushed> {
  const folder = typeof source === 'string' ? join(appsFolder, source) : await layOut(source)
  const tar = spawn('tar', ['-C', folder, '--sort=name', '--mtime=@0', '-cf', '-', '.'], { env: hostEnvironment() })
  // A child's output that nobody reads is dropped when it ends.
  const archive = tar.stdout.pipe(new PassThrough())
  let output = ''
  try {
    const release = await deploy(d, {
      app,
      account,
      version,
      sourceKey: key ?? createHash('sha256').update(JSON.stringify(source)).digest('hex'),
      archive,
      output: (chunk) => {
        if (sink) return sink(chunk)
        output += chunk.toString()
        onOutput?.(output)
      },
      signal,
    })
    return { release, output }
  } catch (error) {
    return { release: undefined, output: `${output}\n[${error}]` }
  } finally {
    tar.kill()
    if (typeof source !== 'string') await rm(folder, { recursive: true, force: true })
  }
}

/** Scripts (first line `#!`) become executable. */
async function layOut(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-source-'))
  await chmod(folder, 0o755)
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), content, { mode: content.startsWith('#!') ? 0o755 : 0o644 })
  }
  return folder
}
