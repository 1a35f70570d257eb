import { chown, cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { packageRoot } from '../../config.ts'
import type { Daemon } from '../../daemon.ts'
import { DYNO_UID } from '../../engine/engine.ts'
import { messageOf, UserError } from '../../errors.ts'
import { failpoint } from '../../failpoint.ts'
import { limits } from '../../limits.ts'
import { removeTree } from '../../remove.ts'
import { buildFolder } from '../build.ts'
import type { Selection } from '../buildpack/buildpack.ts'
import { run } from '../command.ts'
import { boundDisk, requireRoom } from '../disk.ts'
import { formatSize, type Output } from '../output.ts'
import { inTurn } from '../queue.ts'
import { receiveSource } from '../source/source.ts'
import type { Stopwatch } from '../stage.ts'
import { commitCache, setAside, sizeOf, takeCache } from './cache.ts'
import { showTypes } from './discovery.ts'
import { createGate } from './gate.ts'
import {
  describe,
  type Measured,
  measure,
  plainFolder,
  type Result,
  readFailure,
  readResult,
  stagesOf,
} from './result.ts'

/** What a compile works on. */
export interface Job {
  build: string
  app: { id: string; stack: string }
  version: string
  archive: Readable
  selection: Selection
  /** Shown to buildpacks as the files of ENV_DIR. */
  config: Record<string, string>
  output: Output
  stopwatch: Stopwatch
  signal: AbortSignal
}

/** A finished compile: still in the build's folder, to be moved out of it. */
export interface Compiled extends Result, Measured {
  tree: string
  archive: string
}

/**
 * The folder of one build. What the container writes is in mounts of its own (`out`, `tmp`), so that it cannot put a symbolic link
 * where the daemon looks next, and counts as the build's use of the disk; `tmp` is one mount because buildpacks hard-link from cache to slug.
 */
const layout = (folder: string, build: string) => ({
  folder,
  in: join(folder, 'in'),
  out: join(folder, 'out'),
  tmp: join(folder, 'tmp'),
  app: join(folder, 'app'),
  scratch: join(folder, 'scratch'),
  cache: ['codon', 'tmp', 'cache'],
  tree: `build_${build.split('-')[0]}`,
})

type Layout = ReturnType<typeof layout>

/**
 * Compiles a source in a throwaway container and keeps its cache. Throws UserError, after the output has said the same, for
 * whatever is the app's affair. The build's folder is the caller's to remove.
 */
export async function compile(d: Daemon, job: Job): Promise<Compiled> {
  const place = layout(buildFolder(d.config, job.build), job.build)
  await requireRoom(d.config.data)
  const ended = await layAndRun(d, job, place)
  for (const { stage, at } of await stagesOf(place.out)) job.stopwatch.enter(stage, at)
  if (ended.exitCode !== 0) throw await readFailure(place.out, ended, job)
  const tree = await plainFolder(place.tmp, [place.tree])
  const cache = await plainFolder(place.tmp, place.cache)
  job.output.step('Discovering process types')
  const result = await readResult(place.out, job.selection)
  showTypes(job.output, result)
  job.output.step('Compressing...')
  const archive = join(place.out, 'archive.tar.zst')
  const [measured, cached] = await Promise.all([measure(archive), sizeOf(cache)])
  await failpoint('build.compiled')
  await keepCache(d, job, { cache, cached, aside: join(place.folder, 'old-cache') })
  return { ...result, ...measured, tree, archive }
}

async function keepCache(
  d: Daemon,
  { app, output }: Job,
  { cache, cached, aside }: { cache: string; cached: number; aside: string },
): Promise<void> {
  if (cached <= limits.buildCache) return commitCache(d.config, app, { from: cache, aside })
  output.problem(
    `The build cache is ${formatSize(cached)}, more than the ${formatSize(limits.buildCache)} that are kept: the next build starts without one.`,
  )
  await setAside(d.config, app.id, aside)
}

/** The engine starts the container while it is laid out what its script works on; the script, which is there before, waits at the gate. */
async function layAndRun(d: Daemon, job: Job, place: Layout): Promise<Ended> {
  for (const folder of [place.in, place.out, place.tmp, place.app, place.scratch])
    await mkdir(folder, { recursive: true, mode: 0o755 })
  await cp(scripts, join(place.in, 'bin'), { recursive: true })
  await ownIn(job, place)
  const gate = await createGate(join(place.in, 'gate'))
  const stop = new AbortController()
  const signal = AbortSignal.any([job.signal, stop.signal])
  let laid = false
  let begun = false
  const ended = inTurn(d, { ...job, signal }, (memory) => {
    begun = true
    if (laid) job.stopwatch.enter('start', d.clock.now())
    return runScript(d, { ...job, signal, memory }, place)
  })
  ended.catch((error: unknown) => stop.abort(error))
  try {
    await lay(d, { ...job, signal }, place)
    laid = true
    job.stopwatch.enter(begun ? 'start' : 'wait', d.clock.now())
    await gate.open()
    return await ended
  } catch (error) {
    // What stopped the laying out is the cause, and not what a stream says that was cut off by it.
    const cause = stop.signal.aborted ? stop.signal.reason : error
    stop.abort(error)
    await ended.catch(() => {})
    throw cause
  } finally {
    await gate.close()
  }
}

async function lay(d: Daemon, job: Job, place: Layout): Promise<void> {
  const packs = join(place.in, 'packs')
  const env = join(place.tmp, 'env')
  for (const folder of [packs, env]) await mkdir(folder, { recursive: true, mode: 0o755 })
  await receiveSource(job.archive, join(place.in, 'source.tar'), { signal: job.signal })
  for (const [n, buildpack] of job.selection.buildpacks.entries()) await buildpack.place(packs, n)
  await writeFile(join(place.in, 'names'), job.selection.buildpacks.map(({ name }) => `${oneLine(name)}\n`).join(''))
  for (const [name, value] of Object.entries(job.config)) {
    await writeFile(join(env, name), value, { mode: 0o600 })
    await chown(join(env, name), DYNO_UID, DYNO_UID)
  }
  await ownIn(job, place)
  const { otherStack, lost } = await takeCache(d.config, job.app, join(place.tmp, ...place.cache), job.signal)
  if (otherStack !== undefined)
    job.output.step(`Stack changed from ${otherStack} to ${job.app.stack}: building without the cache`)
  await failpoint('build.laid')
  if (lost) job.output.problem('The build cache cannot be copied, so this build begins without one.')
  const codon = join(place.tmp, 'codon')
  for (const folder of [place.tmp, env, codon, join(codon, 'tmp'), place.out, place.app, place.scratch])
    await chown(folder, DYNO_UID, DYNO_UID)
  await chown(join(place.tmp, ...place.cache), DYNO_UID, DYNO_UID)
}

/** Whatever the modes of the daemon's own files are, the build's user reads these. */
const ownIn = (job: Job, place: Layout) =>
  run('chown', ['-Rh', `${DYNO_UID}:${DYNO_UID}`, place.in], { signal: job.signal })

const oneLine = (text: string): string => text.replace(/\p{Cc}/gu, ' ')

interface Ended {
  exitCode: number
  outOfMemory: boolean
  /** What it had, bytes. */
  memory: number
}

/** Exactly what `compile.sh` has in its mounts, within every bound; resolves when the container is gone. */
async function runScript(d: Daemon, job: Job & { memory: number }, place: Layout): Promise<Ended> {
  const disk = boundDisk(d.config.data, {
    most: limits.buildDisk,
    watched: place.folder,
    makeRoom: d.disk.makeRoom,
  })
  const time = new AbortController()
  const late = tooSlow()
  const timer = setTimeout(() => time.abort(late), limits.buildTime)
  try {
    const container = await d.engine.build(
      {
        id: job.build,
        app: job.app.id,
        image: d.stack(job.app.stack).build,
        command: ['/bin/bash', '/sluice/in/bin/compile.sh', job.selection.mode, job.build, job.app.stack, job.version],
        env: [],
        mounts: [
          { host: place.tmp, path: '/tmp', readOnly: false },
          { host: place.out, path: '/sluice/out', readOnly: false },
          { host: place.app, path: '/app', readOnly: false },
          { host: place.scratch, path: '/var/tmp', readOnly: false },
          { host: place.in, path: '/sluice/in', readOnly: true },
        ],
        memory: job.memory,
        pids: limits.buildPids,
        cpu: CORES,
      },
      AbortSignal.any([job.signal, disk.signal, time.signal]),
    )
    const exit = container.exit
    exit.catch(() => {})
    await show(container.output, job.output)
    return { ...(await exit), memory: job.memory }
  } catch (error) {
    if (error === late) job.output.step(`Timed out running buildpack ${await describe(place.out)}`.trimEnd())
    throw error
  } finally {
    clearTimeout(timer)
    disk.stop()
  }
}

/** After so many bytes of one build the rest of the daemon has its turn. */
const TURN = 64 * 1024

async function show(chunks: AsyncIterable<Buffer>, output: Output): Promise<void> {
  let turn = 0
  for await (const chunk of chunks) {
    showLines(chunk, output)
    turn += chunk.length
    if (turn < TURN) continue
    turn = 0
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** What compile.sh prints before each line of its own, because a buildpack's output may have ended within a line. */
const FRESH = 0x1e

function showLines(chunk: Buffer, output: Output): void {
  let from = 0
  for (let mark = chunk.indexOf(FRESH); mark !== -1; mark = chunk.indexOf(FRESH, from)) {
    output.write(chunk.subarray(from, mark))
    output.fresh()
    from = mark + 1
  }
  output.write(chunk.subarray(from))
}

export const scripts = join(packageRoot, 'buildpacks', 'compile')

/** As many as there are: a build is short, and dynos have their shares. */
const CORES = 1024

export const tooSlow = () =>
  new UserError(
    'invalid_params',
    `The build took longer than ${limits.buildTime / 60_000} minutes, so it was stopped.\nSee https://devcenter.heroku.com/articles/slug-compiler#time-limit`,
  )

/** Removes a build's folder without anybody waiting; what a crash leaves is removed at the next start. */
export function discard(d: Daemon, build: string): void {
  removeTree(buildFolder(d.config, build)).catch((error) =>
    d.log.warn('the folder of a build could not be removed', { build, reason: messageOf(error) }),
  )
}
