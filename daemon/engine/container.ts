import type Docker from 'dockerode'
import { type Connection, explain, statusOf, unlessMissing } from './connection.ts'
import { EngineError } from './engine.ts'

/** From SIGKILL until the engine must have seen the end. */
const KILLED = 20_000
const REMOVED = 60_000
const LOOK_AGAIN = 100

/** SIGTERM, then SIGKILL after `grace` ms; resolves when it has ended. `killing` is called before the SIGKILL. */
export async function terminate(engine: Connection, name: string, grace: number, killing: () => void): Promise<void> {
  const container = engine.docker.getContainer(name)
  const ended = container.wait().then(
    () => true,
    (error: unknown) => {
      if (isOver(error)) return true
      throw explain(engine.socket, 'wait for the end of a container', error)
    },
  )
  ended.catch(() => {})
  await signalled(engine, container, 'SIGTERM')
  if (await atMost(grace, ended)) return
  killing()
  await signalled(engine, container, 'SIGKILL')
  if (await atMost(KILLED, ended)) return
  throw new EngineError(`The Docker engine did not end the container ${name} although it was killed.`)
}

/** Kills and removes; resolves when it is gone. A missing one is success, as is one that is being removed already. */
export async function removeContainer(engine: Connection, name: string): Promise<void> {
  for (const deadline = Date.now() + REMOVED; ; ) {
    try {
      await engine.ask(`remove the container ${name}`, (docker) => docker.getContainer(name).remove({ force: true }))
      return
    } catch (error) {
      if (statusOf(error) === 404) return
      // 409: somebody else removes it; 500: a mount is still held by a process that is just ending.
      if ((statusOf(error) !== 409 && statusOf(error) !== 500) || Date.now() > deadline) throw error
      await pause(LOOK_AGAIN)
    }
  }
}

export const inspectContainer = (engine: Connection, name: string): Promise<Docker.ContainerInspectInfo | null> =>
  unlessMissing(
    engine.ask('look up a container', (docker) => docker.getContainer(name).inspect()),
    null,
  )

/** Gone, or not running. */
const isOver = (error: unknown): boolean => statusOf(error) === 404 || statusOf(error) === 409

async function signalled(engine: Connection, container: Docker.Container, signal: string): Promise<void> {
  try {
    await engine.ask('signal a container', () => container.kill({ signal }))
  } catch (error) {
    if (!isOver(error)) throw error
  }
}

async function atMost(limit: number, ended: Promise<boolean>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limit)
  })
  try {
    return await Promise.race([ended, late])
  } finally {
    clearTimeout(timer)
  }
}

const pause = (delay: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delay))
