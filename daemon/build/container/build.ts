import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { BuilderError, buildRepository, type ImageBuild } from '../../engine/engine.ts'
import { invalid, UserError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { buildFolder } from '../build.ts'
import { shown } from '../check.ts'
import type { Deploy } from '../deploy.ts'
import { full, requireRoom, tooMuch } from '../disk.ts'
import { settle } from '../first-deploy.ts'
import type { Made } from '../kind.ts'
import { formatSize } from '../output.ts'
import { inTurn } from '../queue.ts'
import { tooSlow } from '../slug/compile.ts'
import { receiveSource } from '../source/source.ts'
import { fetchBases } from './base.ts'
import { useBases } from './base-image.ts'
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
  const { web: checks, warnings } = await readChecks(source)
  await settle(deploy, { configVars: plan.setup.config, addons: plan.setup.addons })
  try {
    const built = await inTurn(d, { signal, output }, (memory) => buildAll(deploy, { plan, source, memory }))
    const images = new Map(
      [...plan.processes].map(([type, { command, image }]) => [type, { id: built.get(image)?.id ?? '', command }]),
    )
    await renewCache(d, app.id, built)
    await useBases(
      d,
      app.id,
      [...built.values()].flatMap(({ bases }) => bases),
    )
    const description = request.blob?.description ?? null
    const slug = await imageSlug(d, { app, images, commit: request.version, commitDescription: description, checks })
    for (const warning of warnings) output.problem(warning)
    if (checks) output.write(`=== Health check of web: ${shown(checks)}\n\n`)
    return { slug, buildpacks: [] }
  } finally {
    // What cannot be let go of now is swept at the next start.
    await d.engine.images.forget(buildRepository(build.id)).catch(() => {})
  }
}

interface Image {
  id: string
  /** The last of them is the image. */
  stages: string[]
  /** What it was built on. */
  bases: string[]
}

/** By process type. */
type Built = Map<string, Image>

interface Work {
  plan: HerokuYml
  source: string
  /** Of each step, bytes. */
  memory: number
}

/** One after the other, within the bounds on time and disk. What is the same for two process types is built once. */
async function buildAll(deploy: Deploy, { plan, source, memory }: Work): Promise<Built> {
  const { d, request, output } = deploy
  const time = new AbortController()
  const timer = setTimeout(() => time.abort(tooSlow()), limits.buildTime)
  const signal = AbortSignal.any([request.signal, time.signal])
  const cache = await cacheOf(d, request.app.id)
  const built: Built = new Map()
  const known = new Map<string, Image>()
  try {
    for (const [type, recipe] of plan.images) {
      const same = JSON.stringify(recipe)
      output.write(`=== Building ${type} (${recipe.dockerfile})\n\n`)
      const image = known.get(same) ?? (await buildOne(deploy, { type, recipe, plan, source, memory, cache, signal }))
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

interface One extends Work {
  type: string
  recipe: Recipe
  cache: string[]
  signal: AbortSignal
}

async function buildOne(
  { d, build, output }: Deploy,
  { type, recipe, plan, source, memory, cache, signal }: One,
): Promise<Image> {
  const context = await openContext(source, recipe.dockerfile)
  const bases = await fetchBases(d, { path: recipe.dockerfile, context, args: plan.args, output, signal })
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
        ...{ memory, pids: limits.buildPids, cpu: CORES },
      },
      open,
      AbortSignal.any([signal, disk.signal]),
    )
    const stop = watchDisk(running, disk)
    try {
      for await (const chunk of running.output) output.write(chunk)
      return { ...(await running.done), bases }
    } finally {
      stop()
    }
  } catch (error) {
    // What is wrong with the source is found while it is sent.
    if (open.errored instanceof UserError) throw open.errored
    throw error instanceof BuilderError ? refused(error, memory) : error
  } finally {
    open.destroy()
  }
}

const KILLED = /returned a non-zero code: 137/
const BUILDKIT = /^the (--\S+) option requires BuildKit/

function refused({ message }: BuilderError, bound: number): UserError {
  const [, option] = BUILDKIT.exec(message) ?? []
  if (option !== undefined)
    return invalid(`The Dockerfile uses ${option}, which only BuildKit knows. Builds here do not have it: take it out.`)
  const memory = KILLED.test(message)
    ? ` It was killed, most likely because it needed more than ${formatSize(bound)} of memory.`
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
