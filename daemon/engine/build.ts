import type { Readable } from 'node:stream'
import { type Connection, explain } from './connection.ts'
import { inspectContainer, removeContainer } from './container.ts'
import { containers } from './dyno.ts'
import type { Ends } from './ends.ts'
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

/** Starts a build container; from then on `exit` owns it and removes it whatever happens. */
export async function runBuild(parts: Parts, spec: BuildSpec, signal: AbortSignal): Promise<BuildProcess> {
  signal.throwIfAborted()
  const { engine } = parts
  const site = await parts.site()
  const name = nameOf(site.installation, `build-${spec.id}`)
  try {
    await parts.networks.ofBuilds()
    const image = await engine.ask('find the image of the build', (docker) => docker.getImage(spec.image).inspect())
    const options = buildContainer(site, spec, image.Config?.Env ?? [])
    const container = await engine.ask('create the build', (docker) => docker.createContainer(options))
    const attached = await engine.ask('attach to the build', () =>
      container.attach({ stream: true, stdout: true, stderr: true }),
    )
    signal.throwIfAborted()
    await engine.ask('start the build', () => container.start())
    const exit = ended(parts, { id: spec.id, name }, signal)
    exit.catch(() => {})
    return { output: outputOf(engine, attached as unknown as Readable, signal), exit }
  } catch (error) {
    await removeContainer(engine, name).catch(() => {})
    throw error
  }
}

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

async function ended(
  { engine, ends }: Parts,
  build: { id: string; name: string },
  signal: AbortSignal,
): Promise<{ exitCode: number; outOfMemory: boolean }> {
  const removal = () => void removeContainer(engine, build.name).catch(() => {})
  signal.addEventListener('abort', removal)
  try {
    if (signal.aborted) removal()
    const waited: { StatusCode: number } = await engine.docker.getContainer(build.name).wait()
    const exited = await inspectContainer(engine, build.name)
    signal.throwIfAborted()
    const exitCode = waited.StatusCode
    return { exitCode, outOfMemory: ends.outOfMemory(build.id, exitCode, exited?.State.OOMKilled) }
  } catch (error) {
    signal.throwIfAborted()
    throw explain(engine.socket, 'wait for the build', error)
  } finally {
    signal.removeEventListener('abort', removal)
    await removeContainer(engine, build.name)
  }
}
