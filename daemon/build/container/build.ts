import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { BuilderError, buildRepository, type ImageBuild } from '../../engine/engine.ts'
import { invalid, UserError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { buildFolder } from '../build.ts'
import type { Deploy } from '../deploy.ts'
import { full, requireRoom, tooMuch } from '../disk.ts'
import { settle } from '../first-deploy.ts'
import type { Made } from '../kind.ts'
import { formatSize } from '../output.ts'
import { inTurn } from '../queue.ts'
import { tooSlow } from '../slug/compile.ts'
import { receiveSource } from '../source/source.ts'
import { fetchBases } from './base.ts'
import type { HerokuYml, Recipe } from './heroku-yml.ts'
import { imageSlug } from './image.ts'
import { cacheOf, renewCache } from './layer-cache.ts'
import { openContext, readChecks, readSource } from './source.ts'

/** The build kind `container`: an image of each Dockerfile, by the engine's own builder. */
export async function makeImages(deploy: Deploy): Promise<Made> {
  const { d, request, build, output } = deploy
  const { app, signal } = request
  output.write('=== Fetching app code\n\n')
  const source = join(buildFolder(d.config, build.id), 'source.tar')
  await requireRoom(d.config.data)
  await mkdir(buildFolder(d.config, build.id), { recursive: true })
  const { archive } = await request.open(signal)
  await receiveSource(archive, source, { signal })
  const plan = await readSource(source)
  const { web: check, warnings } = await readChecks(source)
  await settle(deploy, { configVars: plan.setup.config, addons: plan.setup.addons })
  try {
    const built = await inTurn(d, { signal, output }, () => buildAll(deploy, plan, source))
    const images = new Map(
      [...plan.processes].map(([type, { command, image }]) => [type, { id: built.get(image)?.id ?? '', command }]),
    )
    await renewCache(d, app.id, built)
    const description = request.blob?.description ?? null
    const slug = await imageSlug(d, { app, images, commit: request.version, commitDescription: description, check })
    for (const warning of warnings) output.problem(warning)
    if (check) output.write(`=== Health check of web: GET ${check.path}\n\n`)
    return { slug, buildpacks: [] }
  } finally {
    // What cannot be let go of now is swept at the next start.
    await d.engine.images.forget(buildRepository(build.id)).catch(() => {})
  }
}

/** By process type. The last of the stages is the image. */
type Built = Map<string, { id: string; stages: string[] }>

/** One after the other, within the bounds on time and disk. What is the same for two process types is built once. */
async function buildAll(deploy: Deploy, plan: HerokuYml, source: string): Promise<Built> {
  const { d, request, output } = deploy
  const time = new AbortController()
  const timer = setTimeout(() => time.abort(tooSlow()), limits.buildTime)
  const signal = AbortSignal.any([request.signal, time.signal])
  const cache = await cacheOf(d, request.app.id)
  const built: Built = new Map()
  const known = new Map<string, { id: string; stages: string[] }>()
  try {
    for (const [type, recipe] of plan.images) {
      const same = JSON.stringify(recipe)
      output.write(`=== Building ${type} (${recipe.dockerfile})\n\n`)
      const image = known.get(same) ?? (await buildOne(deploy, { type, recipe, plan, source, cache, signal }))
      if (known.has(same)) output.write(`Successfully built ${image.id.slice(7, 19)}\n`)
      output.blank()
      known.set(same, image)
      built.set(type, image)
    }
    return built
  } finally {
    clearTimeout(timer)
  }
}

interface One {
  type: string
  recipe: Recipe
  plan: HerokuYml
  source: string
  cache: string[]
  signal: AbortSignal
}

async function buildOne({ d, build, output }: Deploy, { type, recipe, plan, source, cache, signal }: One) {
  const context = await openContext(source, recipe.dockerfile)
  await fetchBases(d, { path: recipe.dockerfile, context, args: plan.args, output, signal })
  const disk = new AbortController()
  const open = context.open()
  try {
    const running = await d.engine.images.build(
      {
        ...{
          build: build.id,
          name: type,
          dockerfile: context.dockerfile,
          target: recipe.target,
          args: plan.args,
          cache,
        },
        ...{ memory: limits.buildMemory, pids: limits.buildPids, cpu: CORES },
      },
      open,
      AbortSignal.any([signal, disk.signal]),
    )
    const stop = watchDisk(running, disk)
    try {
      for await (const chunk of running.output) output.write(chunk)
      return await running.done
    } finally {
      stop()
    }
  } catch (error) {
    // What is wrong with the source is found while it is sent.
    if (open.errored instanceof UserError) throw open.errored
    throw error instanceof BuilderError ? refused(error) : error
  } finally {
    open.destroy()
  }
}

const KILLED = /returned a non-zero code: 137/
const BUILDKIT = /^the (--\S+) option requires BuildKit/

function refused({ message }: BuilderError): UserError {
  const [, option] = BUILDKIT.exec(message) ?? []
  if (option !== undefined)
    return invalid(`The Dockerfile uses ${option}, which only BuildKit knows. Builds here do not have it: take it out.`)
  const memory = KILLED.test(message)
    ? ` It was killed, most likely because it needed more than ${formatSize(limits.buildMemory)} of memory.`
    : ''
  return invalid(`${message}${memory}`)
}

/** As many as there are: a build is short, and dynos have their shares. */
const CORES = 1024

const LOOK_EVERY = 2000

/** Nothing bounds what a step writes, so it is looked at, and ended when it is too much. */
function watchDisk(running: ImageBuild, beyond: AbortController): () => void {
  let looking = false
  const look = async (): Promise<void> => {
    const { used, free } = await running.usage()
    if (used > limits.buildDisk) beyond.abort(tooMuch(`${formatSize(limits.buildDisk)} of disk`))
    if (free < limits.diskReserve) beyond.abort(full())
  }
  const timer = setInterval(() => {
    if (looking) return
    looking = true
    // What cannot be measured now is measured the next time; an engine that is gone is told of by the build.
    look()
      .catch(() => {})
      .finally(() => {
        looking = false
      })
  }, LOOK_EVERY)
  return () => clearInterval(timer)
}
