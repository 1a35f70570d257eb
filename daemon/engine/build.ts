import type { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { failpoint } from '../failpoint.ts'
import { limits } from '../limits.ts'
import { type Connection, explain, isSilence } from './connection.ts'
import { exitOf, inspectContainer, removeContainer } from './container.ts'
import { containers } from './dyno.ts'
import { type Ends, SIGKILLED } from './ends.ts'
import type { BuildProcess, BuildSpec } from './engine.ts'
import { frames } from './frames.ts'
import type { Networks } from './network.ts'
import { buildContainer, labelFilter, nameOf, type Site } from './spec.ts'

interface Parts {
  engine: Connection
  site(): Promise<Site>
  networks: Networks
  ends: Ends
}

/** Starts a build container; from then on `exit` owns it and has it removed whatever happens. */
export async function runBuild(parts: Parts, spec: BuildSpec, signal: AbortSignal): Promise<BuildProcess> {
  signal.throwIfAborted()
  const { engine } = parts
  const site = await parts.site()
  const name = nameOf(site.installation, `build-${spec.id}`)
  try {
    await parts.networks.ofBuilds()
    const image = await engine.ask('find the image of the build', (docker) => docker.getImage(spec.image).inspect())
    const options = buildContainer(site, spec, image.Config?.Env ?? [])
    await engine.ask('create the build', (docker) => docker.createContainer(options))
    await failpoint('build.created')
    const attached = await engine.ask('attach to the build', (docker) =>
      docker.getContainer(name).attach({ stream: true, stdout: true, stderr: true }),
    )
    signal.throwIfAborted()
    await engine.ask('start the build', (docker) => docker.getContainer(name).start())
    const exit = ended(parts, { id: spec.id, name }, signal)
    exit.catch(() => {})
    return { output: outputOf(engine, attached as unknown as Readable, signal), exit }
  } catch (error) {
    await clearAway(engine, name)
    // An engine that was only late makes it after that; one that is later still leaves it to the sweeps.
    if (isSilence(error)) setTimeout(() => void clearAway(engine, name), limits.engineAnswer).unref()
    throw error
  }
}

const TRIES = 10

/** A container that cannot be removed now is tried again later; after that the sweeps find it (disk/stray.ts). Never rejects. */
const clearAway = (engine: Connection, name: string, tries = TRIES): Promise<void> =>
  removeContainer(engine, name).catch(() => {
    if (tries > 1) setTimeout(() => void clearAway(engine, name, tries - 1), limits.engineAnswer).unref()
  })

/** Removes every build container of this installation, and their network. */
export async function removeBuilds({ engine, site, networks }: Parts): Promise<void> {
  const left = await containers(engine, labelFilter((await site()).installation, { kind: 'build' }))
  for (const { Id } of left) await removeContainer(engine, Id)
  await networks.removeOfBuilds()
}

async function* outputOf(engine: Connection, attached: Readable, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    for await (const { data } of frames(attached)) yield data
  } catch (error) {
    if (!signal.aborted) throw explain(engine.socket, 'read the output of the build', error)
  }
}

/** From the end of a container until the engine must have heard that the kernel had killed it: that comes by another way. ms */
const HEARD = 1000
const LOOK_AGAIN = 50

/** Whether the kernel has killed a process of it for its memory. A build goes on after that or does not, but hardly ever as it should. */
async function isStarved(engine: Connection, name: string, exitCode: number): Promise<boolean> {
  for (const deadline = Date.now() + HEARD; ; await pause(LOOK_AGAIN)) {
    const found = await inspectContainer(engine, name)
    if (found?.State.OOMKilled) return true
    if (!found || exitCode !== SIGKILLED || Date.now() > deadline) return false
  }
}

async function ended(
  { engine, ends }: Parts,
  build: { id: string; name: string },
  signal: AbortSignal,
): Promise<{ exitCode: number; outOfMemory: boolean }> {
  const removal = () => void clearAway(engine, build.name)
  signal.addEventListener('abort', removal)
  try {
    if (signal.aborted) removal()
    const exitCode = await exitOf(engine, build.name)
    const starved = await isStarved(engine, build.name, exitCode)
    await failpoint('build.ended')
    signal.throwIfAborted()
    return { exitCode, outOfMemory: starved || ends.outOfMemory(build.id, { exitCode, at: Date.now() }) }
  } catch (error) {
    signal.throwIfAborted()
    throw explain(engine.socket, 'wait for the build', error)
  } finally {
    signal.removeEventListener('abort', removal)
    // What has ended has ended: an engine that only cannot remove it makes no build fail.
    await clearAway(engine, build.name)
  }
}
