import { PassThrough } from 'node:stream'
import type Docker from 'dockerode'
import { type Connection, explain, unlessMissing } from './connection.ts'
import type { BuildProcess, BuildSpec } from './engine.ts'
import { ensureNetwork } from './network.ts'
import { buildOptions, LABEL, type Surroundings } from './spec.ts'

const KILLED = 137

/** Runs one build to its end. The container is gone when `exit` settles, whichever way. */
export async function runBuild(
  engine: Connection,
  around: Surroundings,
  spec: BuildSpec,
  signal: AbortSignal,
): Promise<BuildProcess> {
  signal.throwIfAborted()
  const network = `sluice-build-${around.installation.slice(0, 8)}`
  const labels = { [LABEL.installation]: around.installation, [LABEL.kind]: 'build' }
  await ensureNetwork(engine, { name: network, subnet: undefined, open: false, labels })
  const container = await engine.ask('make a build container', (docker) =>
    docker.createContainer(buildOptions(spec, around, network)),
  )
  try {
    const output = await attach(engine, container)
    const waiting = engine.docker.getContainer(container.id).wait({ condition: 'next-exit' })
    waiting.catch(() => {})
    await engine.ask('start a build container', () => container.start())
    return { output, exit: ended(engine, container, waiting, { output, signal }) }
  } catch (error) {
    await remove(engine, container)
    throw explain(engine.socket, 'run a build', error)
  }
}

async function attach(engine: Connection, container: Docker.Container): Promise<PassThrough> {
  const raw = await engine.ask('attach to a build container', () =>
    container.attach({ stream: true, stdout: true, stderr: true }),
  )
  const output = new PassThrough()
  engine.docker.modem.demuxStream(raw, output, output)
  raw.on('end', () => output.end())
  raw.on('close', () => output.end())
  raw.on('error', () => output.end())
  return output
}

async function ended(
  engine: Connection,
  container: Docker.Container,
  waiting: Promise<{ StatusCode: number }>,
  { output, signal }: { output: PassThrough; signal: AbortSignal },
): Promise<{ exitCode: number; outOfMemory: boolean }> {
  const aborted = new Promise<never>((_, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
  })
  aborted.catch(() => {})
  try {
    const { StatusCode } = await Promise.race([waiting, aborted])
    const state = await unlessMissing(
      engine.ask('look at a build container', () => container.inspect()),
      undefined,
    )
    // cgroup v1 engines never say that memory ran out; a kill that was not ours has hardly another cause
    return { exitCode: StatusCode, outOfMemory: state?.State.OOMKilled === true || StatusCode === KILLED }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw explain(engine.socket, 'run a build', error)
  } finally {
    await remove(engine, container)
    output.end()
  }
}

/** Kills a container and removes it; a missing one is success. */
export const remove = (engine: Connection, container: { id: string }): Promise<unknown> =>
  unlessMissing(
    engine.ask('remove a container', (docker) => docker.getContainer(container.id).remove({ force: true, v: true })),
    undefined,
  ).catch((error: Error) => {
    if (!/already in progress/.test(error.message)) throw error
  })
