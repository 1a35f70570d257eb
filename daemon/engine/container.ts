import type Docker from 'dockerode'
import { type Connection, isSilence, statusOf, unlessMissing } from './connection.ts'
import { EngineError } from './engine.ts'
import { endGhosts } from './ghost.ts'

/** From SIGKILL until the engine must have seen the end. */
const KILLED = 20_000
const REMOVED = 60_000
const LOOK_AGAIN = 100

/** Signals, and how long their effect is waited for. */
export type Step = { signals: string[]; within: number }

/**
 * The way to the end: SIGHUP first when the client has gone, then SIGTERM, then SIGKILL. What was stopped from a terminal (^Z) hears only
 * SIGCONT; that comes before the others, because the engine (20.10) forgets the exit code of what it signals while it is ending.
 */
export const stepsOf = (grace: number, { hangup, tty }: { hangup?: number | undefined; tty: boolean }): Step[] => {
  const wake = tty ? ['SIGCONT'] : []
  return [
    ...(hangup === undefined ? [] : [{ signals: [...wake, 'SIGHUP'], within: hangup }]),
    ...(grace > 0 ? [{ signals: [...wake, 'SIGTERM'], within: grace }] : []),
    { signals: ['SIGKILL'], within: KILLED },
  ]
}

/** Sends the signals of one step after the other until `ended`, or there is nothing to send them to; false when it did not end. */
export async function escalate(
  steps: Step[],
  send: (signal: string) => Promise<'sent' | 'over'>,
  ended: Promise<unknown>,
): Promise<boolean> {
  for (const { signals, within } of steps) {
    for (const signal of signals) if ((await send(signal)) === 'over') return true
    if (await atMost(within, ended)) return true
  }
  return false
}

/** Resolves when it has ended. `killing` is called before a SIGKILL. */
export async function terminate(engine: Connection, name: string, steps: Step[], killing: () => void): Promise<void> {
  const ended = exitOf(engine, name).catch((error: unknown) => {
    if (!isOver(error)) throw error
  })
  ended.catch(() => {})
  const send = async (signal: string) => {
    if (signal === 'SIGKILL') killing()
    return signalled(engine, name, signal)
  }
  if (await escalate(steps, send, ended)) return
  throw new EngineError(`The Docker engine did not end the container ${name} although it was killed.`)
}

/**
 * The exit code, when it has ended. An engine that hangs may forget that somebody waits, so it is asked again now and then; of one that
 * has ended it says so at once.
 */
export async function exitOf(engine: Connection, name: string): Promise<number> {
  for (;;)
    try {
      const wait = (docker: Docker): Promise<{ StatusCode: number }> => docker.getContainer(name).wait()
      return (await engine.ask('wait for the end of a container', wait)).StatusCode
    } catch (error) {
      if (!isSilence(error)) throw error
    }
}

/**
 * Kills and removes, with the volumes that its image asks for; resolves when it is gone. A missing one is success, as is one that is being removed
 * already. One that the engine holds for never started may run all the same (ghost.ts).
 */
export async function removeContainer(engine: Connection, name: string): Promise<void> {
  const found = await inspectContainer(engine, name)
  if (found?.State.Status === 'created') await endGhosts(found.Id)
  const remove = (docker: Docker) => docker.getContainer(name).remove({ force: true, v: true })
  await removed(
    () => engine.ask(`remove the container ${name}`, remove),
    // 409: somebody else removes it; 500: a mount is still held by a process that is just ending.
    { busy: (error) => statusOf(error) === 409 || statusOf(error) === 500, within: REMOVED },
  )
}

/** Asks again for the removal of something that is `busy`, for so many ms. A missing one is success. */
export async function removed(
  remove: () => Promise<unknown>,
  { busy, within }: { busy: (error: unknown) => boolean; within: number },
): Promise<void> {
  for (const deadline = Date.now() + within; ; await pause(LOOK_AGAIN))
    try {
      await remove()
      return
    } catch (error) {
      if (statusOf(error) === 404) return
      if (!busy(error) || Date.now() > deadline) throw error
    }
}

export const inspectContainer = (engine: Connection, name: string): Promise<Docker.ContainerInspectInfo | null> =>
  unlessMissing(
    engine.ask('look up a container', (docker) => docker.getContainer(name).inspect()),
    null,
  )

/** Gone, or not running. */
const isOver = (error: unknown): boolean => statusOf(error) === 404 || statusOf(error) === 409

async function signalled(engine: Connection, name: string, signal: string): Promise<'sent' | 'over'> {
  try {
    await engine.ask('signal a container', (docker) => docker.getContainer(name).kill({ signal }))
  } catch (error) {
    if (!isOver(error)) throw error
    return 'over'
  }
  return 'sent'
}

async function atMost(limit: number, ended: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limit)
  })
  try {
    return await Promise.race([ended.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}

const pause = (delay: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delay))
