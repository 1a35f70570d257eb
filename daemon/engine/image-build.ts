/**
 * One image by the engine's own builder:
 *
 *   sent -- a step begins --> running -- it is committed --> held -- next step --> running ... --> built
 *     |                          |                             |
 *     +--------------------------+------- fails, aborted ------+--> nothing is left
 *
 * held: the newest layer of each stage has a name, so that all of it can be taken away again, after a crash of the daemon too. BuildKit
 * is not asked: it (20.10) heeds no bound on memory, processes or network of a step.
 */
import type { Readable } from 'node:stream'
import type Docker from 'dockerode'
import { messageOf } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { type Connection, explain, reasonOf, statusOf, unlessMissing } from './connection.ts'
import { inspectContainer, removeContainer } from './container.ts'
import {
  BuilderError,
  buildRepository,
  EngineError,
  type ImageBuild,
  type ImageBuildSpec,
  type Images,
} from './engine.ts'
import { type Message, messages, removeName, spaceOfImages, statusIn } from './image.ts'
import type { ImageParts } from './images.ts'
import { imageBuildQuery, imageNameOf } from './spec.ts'

interface Parts extends ImageParts {
  images: Images
}

interface Wanted {
  spec: ImageBuildSpec
  context: Readable
  signal: AbortSignal
}

/** What is known of a build from what it printed. Ids are short. */
interface Progress {
  /** Its own; nothing of anybody else is on it. */
  network: string
  stages: string[]
  layer: string | undefined
  container: string | undefined
  /** Nothing more comes. */
  over: boolean
}

export async function buildImage(parts: Parts, { spec, context, signal }: Wanted): Promise<ImageBuild> {
  signal.throwIfAborted()
  const { engine, networks } = parts
  const own = `${spec.build}-${spec.name}`
  const cut = new AbortController()
  const begun = async () => {
    const network = await networks.ofImageBuild(own)
    const query = imageBuildQuery(await parts.site(), spec, network)
    return { network, stream: await send(engine, { query, context, signal, cut }) }
  }
  const { network, stream } = await begun().catch(async (error: unknown) => {
    await networks.removeOfImageBuild(own).catch(() => {})
    throw error
  })
  const progress: Progress = {
    network,
    stages: [],
    layer: undefined,
    container: undefined,
    over: false,
  }
  const abort = () => void end(parts, progress, cut)
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  let settle: (built: { id: string; stages: string[] }) => void = () => {}
  let fail: (error: unknown) => void = () => {}
  const done = new Promise<{ id: string; stages: string[] }>((resolve, reject) => {
    settle = resolve
    fail = reject
  })
  done.catch(() => {})

  async function* output(): AsyncGenerator<Buffer> {
    let fault: unknown
    try {
      for await (const message of messages(stream)) {
        await follow(parts, spec, progress, message).catch((error: unknown) => {
          // The builder is seen to its end, so that nothing of it comes after it was cleared away.
          if (fault === undefined) abort()
          fault ??= error
        })
        if (fault !== undefined) continue
        const text = message.stream ?? lineOf(statusIn(message))
        if (text) yield Buffer.from(text)
      }
      signal.throwIfAborted()
      if (fault !== undefined) throw fault
      const id = progress.stages.at(-1)
      if (id === undefined) throw new EngineError('The Docker engine ended the build without an image.')
      settle({ id, stages: progress.stages })
    } catch (error) {
      await clear(parts, spec, progress)
      fail(signal.aborted ? signal.reason : wordsOf(engine.socket, fault ?? error))
    } finally {
      progress.over = true
      signal.removeEventListener('abort', abort)
      // Unless a container stays for long: then the next start does.
      await networks.removeOfImageBuild(own).catch(() => {})
    }
  }
  return { output: output(), done, usage: () => usageOf(engine, progress) }
}

interface Sent {
  query: Docker.ImageBuildOptions
  context: Readable
  signal: AbortSignal
  /** Breaks the connection. */
  cut: AbortController
}

/** Until the engine answers, which it does when it has all of the context, an abort just breaks the connection. */
async function send(engine: Connection, { query, context, signal, cut }: Sent): Promise<NodeJS.ReadableStream> {
  const abort = () => cut.abort()
  signal.addEventListener('abort', abort)
  try {
    return await engine.docker.buildImage(context, { ...query, abortSignal: cut.signal })
  } catch (error) {
    signal.throwIfAborted()
    if (statusOf(error) !== undefined) throw new BuilderError(reasonOf(error), { cause: error })
    throw explain(engine.socket, 'build the image', error)
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/**
 * Takes away the container of the step that runs, and of any that follows, so that the build fails, and says to the last line what it
 * made. What does not run in a container, as the fetching of an image, is waited for a while; then the engine is left alone.
 */
async function end(parts: Parts, progress: Progress, cut: AbortController): Promise<void> {
  for (const deadline = Date.now() + ENDED; !progress.over && Date.now() < deadline; await pause(LOOK_AGAIN))
    if (progress.container) await removeContainer(parts.engine, progress.container).catch(() => {})
  if (!progress.over) cut.abort()
}

/** What builds of a daemon that crashed have left, or one that could not be cleared then. */
export async function sweepImageBuilds({ engine, site, networks, images }: Sweeping, build = ''): Promise<void> {
  const network = await networks.ofImageBuilds(build)
  const left =
    network.length === 0
      ? []
      : await engine.ask('list containers', (docker) => docker.listContainers({ all: true, filters: { network } }))
  for (const { Id } of left) await removeContainer(engine, Id)
  for (const name of network) await networks.remove(name)
  const { installation } = await site()
  const builds = new Set((await images.kept()).filter((name) => name.startsWith(buildRepository(build))))
  for (const name of builds) {
    // The builder may have gone a step further than the daemon that died.
    await removeAbove({ engine }, imageNameOf(installation, name))
    await images.forget(name)
  }
}

type Sweeping = Pick<Parts, 'engine' | 'site' | 'networks' | 'images'>

const LAYER = /^ ---> ([0-9a-f]{12})\n$/
const RUNNING = /^ ---> Running in ([0-9a-f]{12})\n$/

/** A step may print such lines itself; so what is named must be on the build's own network. */
async function follow(parts: Parts, spec: ImageBuildSpec, progress: Progress, message: Message): Promise<void> {
  const container = RUNNING.exec(message.stream ?? '')?.[1]
  if (container && (await boundProcesses(parts, progress, container, spec.pids))) progress.container = container
  const layer = LAYER.exec(message.stream ?? '')?.[1]
  if (layer) {
    progress.layer = layer
    const name = `${buildRepository(spec.build)}:${spec.name}-${progress.stages.length}`
    await unlessMissing(parts.images.keep(layer, name), undefined)
    await failpoint('image.layer')
  }
  if (message.aux?.ID) progress.stages.push(message.aux.ID)
}

/** The builder has no such option, but the engine can be told later. False when there is no such build. */
async function boundProcesses({ engine }: Parts, { network }: Progress, id: string, pids: number): Promise<boolean> {
  const found = await inspectContainer(engine, id)
  if (found?.HostConfig.NetworkMode !== network) return false
  for (const deadline = Date.now() + BOUNDED; ; await pause(LOOK_AGAIN))
    try {
      await engine.ask('bound a build', (docker) => docker.getContainer(id).update({ PidsLimit: pids }))
      return true
    } catch (error) {
      if (!(await inspectContainer(engine, id))?.State.Running) return true
      // A short step may have ended, and the engine, which has just been refused by its runtime, not know of it yet.
      if (statusOf(error) === undefined || Date.now() > deadline) throw error
    }
}

/** A container may be there for a moment. What cannot be taken away now is swept at the next start. */
async function clear(parts: Parts, spec: ImageBuildSpec, progress: Progress): Promise<void> {
  for (const deadline = Date.now() + CLEARED; Date.now() < deadline; await pause(LOOK_AGAIN)) {
    try {
      if (progress.container) await removeContainer(parts.engine, progress.container)
      const above = progress.layer ? await removeAbove(parts, progress.layer) : true
      if (above && (await parts.images.forget(buildRepository(spec.build)))) return
    } catch (error) {
      if (statusOf(error) === undefined) return
    }
  }
}

const ENDED = 10_000
const CLEARED = 20_000
const BOUNDED = 10_000
const LOOK_AGAIN = 100
const pause = (delay: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delay))

/**
 * What a build that was left alone has made on top of a layer since that was held. The layer may be an image that others build on too, and
 * what they made before is theirs. False when something of it cannot be removed yet.
 */
async function removeAbove({ engine }: Pick<Parts, 'engine'>, layer: string): Promise<boolean> {
  const last = await inspected(engine, layer)
  if (!last) return true
  const held = Date.parse(last.Metadata.LastTagTime)
  const filters = JSON.stringify({ dangling: ['true'] })
  const dangling = await engine.ask('list images', (docker) => docker.listImages({ filters }))
  for (const { Id } of dangling) {
    const below: { Id: string }[] = await unlessMissing(
      engine.ask('look into an image', (docker) => docker.getImage(Id).history()),
      [],
    )
    if (!below.some((one) => one.Id === last.Id)) continue
    const above = await inspected(engine, Id)
    if (above && Date.parse(above.Created) >= held && !(await removeName(engine, Id))) return false
  }
  return true
}

/** As the engine has it; when it got a name last is not in the types. */
interface Inspected {
  Id: string
  Created: string
  Metadata: { LastTagTime: string }
}

const inspected = (engine: Connection, image: string): Promise<Inspected | null> =>
  unlessMissing(
    engine.ask('look up an image', async (docker) => (await docker.getImage(image).inspect()) as unknown as Inspected),
    null,
  )

async function usageOf(engine: Connection, { container, layer }: Progress): Promise<{ used: number; free: number }> {
  const size = async (what: Promise<unknown>): Promise<number> => {
    const found = (await unlessMissing(what, null)) as { SizeRw?: number; Size?: number } | null
    return found?.SizeRw ?? found?.Size ?? 0
  }
  const written = container
    ? await size(engine.ask('measure a build', (docker) => docker.getContainer(container).inspect(SIZE)))
    : 0
  const committed = layer ? await size(engine.ask('measure a build', (docker) => docker.getImage(layer).inspect())) : 0
  return { used: written + committed, free: (await spaceOfImages(engine)).free }
}

/** The types do not know it. */
const SIZE = { size: true } as Docker.ContainerInspectOptions

const lineOf = (text: string | undefined): string => (text === undefined ? '' : `${text}\n`)

/** A message of the builder's has no code; what went wrong on the way to the engine has. */
function wordsOf(socket: string, error: unknown): EngineError {
  if (error instanceof EngineError) return error
  if ((error as { code?: unknown }).code !== undefined) return explain(socket, 'build the image', error)
  return new BuilderError(messageOf(error), { cause: error })
}
