import { chown, cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { packageRoot } from '../config.ts'
import type { Daemon } from '../daemon.ts'
import { DYNO_UID } from '../engine/engine.ts'
import { messageOf, UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { buildFolder } from './build.ts'
import type { Selection } from './buildpack.ts'
import { commitCache, restoreCache } from './cache.ts'
import { run } from './command.ts'
import { boundDisk, requireRoom } from './disk.ts'
import type { Output } from './output.ts'
import { plainFolder, type Result, readFailure, readResult } from './result.ts'
import { receiveSource } from './source.ts'

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
  signal: AbortSignal
}

/** A finished compile: still in the build's folder, to be moved out of it. */
export interface Compiled extends Result {
  tree: string
  archive: string
}

/**
 * The folder of one build. What the container writes is in mounts of its own (`out`, `tmp`), so that it cannot put a symbolic link
 * where the daemon looks next; `tmp` is one mount because buildpacks hard-link from cache to slug.
 */
const layout = (folder: string, build: string) => ({
  folder,
  in: join(folder, 'in'),
  out: join(folder, 'out'),
  tmp: join(folder, 'tmp'),
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
  await lay(d, job, place)
  const ended = await runScript(d, job, place)
  if (ended.exitCode !== 0) throw await readFailure(place.out, ended, job)
  const tree = await plainFolder(place.tmp, [place.tree])
  const cache = await plainFolder(place.tmp, place.cache)
  const result = await readResult(place.out, job.selection)
  await commitCache(d.config, job.app.id, { from: cache, aside: join(place.folder, 'old-cache') })
  return { ...result, tree, archive: join(place.out, 'archive.tar.zst') }
}

async function lay(d: Daemon, job: Job, place: Layout): Promise<void> {
  const packs = join(place.in, 'packs')
  const env = join(place.tmp, 'env')
  for (const folder of [packs, place.out, env]) await mkdir(folder, { recursive: true, mode: 0o755 })
  await receiveSource(job.archive, join(place.in, 'source.tar'), { signal: job.signal })
  for (const [n, buildpack] of job.selection.buildpacks.entries()) await buildpack.place(packs, n)
  await writeFile(join(place.in, 'names'), job.selection.buildpacks.map(({ name }) => `${oneLine(name)}\n`).join(''))
  for (const [name, value] of Object.entries(job.config)) {
    await writeFile(join(env, name), value, { mode: 0o600 })
    await chown(join(env, name), DYNO_UID, DYNO_UID)
  }
  await cp(scripts, join(place.in, 'bin'), { recursive: true })
  // Whatever the modes of the daemon's own files are, the build's user reads these.
  await run('chown', ['-Rh', `${DYNO_UID}:${DYNO_UID}`, place.in], { signal: job.signal })
  await restoreCache(d.config, job.app.id, join(place.tmp, ...place.cache), job.signal)
  for (const folder of [place.tmp, env, join(place.tmp, 'codon'), join(place.tmp, 'codon', 'tmp'), place.out])
    await chown(folder, DYNO_UID, DYNO_UID)
  await chown(join(place.tmp, ...place.cache), DYNO_UID, DYNO_UID)
}

const oneLine = (text: string): string => text.replace(/\p{Cc}/gu, ' ')

/** Exactly what `compile.sh` has in its mounts, within every bound; resolves when the container is gone. */
async function runScript(d: Daemon, job: Job, place: Layout): Promise<{ exitCode: number; outOfMemory: boolean }> {
  const disk = boundDisk(d.config.data, { most: limits.buildDisk, watched: place.folder })
  const time = new AbortController()
  const timer = setTimeout(() => time.abort(tooSlow()), limits.buildTime)
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
          { host: place.in, path: '/sluice/in', readOnly: true },
        ],
        memory: limits.buildMemory,
        pids: limits.buildPids,
        cpu: CORES,
      },
      AbortSignal.any([job.signal, disk.signal, time.signal]),
    )
    const exit = container.exit
    exit.catch(() => {})
    await show(container.output, job.output)
    return await exit
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
    output.write(chunk)
    turn += chunk.length
    if (turn < TURN) continue
    turn = 0
    await new Promise((resolve) => setImmediate(resolve))
  }
}

export const scripts = join(packageRoot, 'buildpacks', 'compile')

/** As many as there are: a build is short, and dynos have their shares. */
const CORES = 1024

const tooSlow = () =>
  new UserError('invalid_params', `The build took longer than ${limits.buildTime / 60_000} minutes, so it was stopped.`)

/** Removes a build's folder without anybody waiting; what a crash leaves is removed at the next start. */
export function discard(d: Daemon, build: string): void {
  rm(buildFolder(d.config, build), { recursive: true, force: true }).catch((error) =>
    d.log.warn('the folder of a build could not be removed', { build, reason: messageOf(error) }),
  )
}
