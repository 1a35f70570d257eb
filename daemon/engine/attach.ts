import type { Readable } from 'node:stream'
import { json } from 'node:stream/consumers'
import { limits } from '../limits.ts'
import { type Connection, explain, hijack, statusOf } from './connection.ts'
import { stepsOf, terminate } from './container.ts'
import type { Ends } from './ends.ts'
import type { Process, Terminal } from './engine.ts'
import { markOf } from './mark.ts'
import { createProcess } from './process.ts'

/**
 * Bytes that leave the stream when they are typed in a row; the first is held back until the next comes. The engine's own choice begins
 * with ^P, which shells use; this one is in no UTF-8 text.
 */
const NO_DETACH = Array.from({ length: 32 }, () => '%FF').join(',')

/** Takes the end of a dyno that was created and does not run yet: what it prints from its first byte on. */
export async function openEnd(
  engine: Connection,
  { id, name, terminal }: { id: string; name: string; terminal: Terminal },
  ends: Ends,
): Promise<Process> {
  const path = `/containers/${name}/attach?stream=1&stdin=1&stdout=1&stderr=1&detachKeys=${NO_DETACH}`
  const socket = await hijack(engine, 'attach to the dyno', path, {})
  const { ended } = await nextExit(engine, name)
  const tty = terminal.kind === 'tty'
  return createProcess(terminal, {
    socket,
    mark: markOf(id),
    ended: () => ended,
    resize: (columns, rows) =>
      unlessOver(
        engine.ask('resize the terminal', (docker) => docker.getContainer(name).resize({ w: columns, h: rows })),
      ),
    async hangup() {
      const steps = stepsOf(limits.stopGrace, { hangup: limits.hangup, tty })
      await terminate(engine, name, steps, () => ends.killing(id))
    },
  })
}

/**
 * The exit code of what is started after this: it may have ended, and be removed, a moment later. The engine gives the head of its answer
 * once it waits, and the rest at the end.
 */
async function nextExit(engine: Connection, name: string): Promise<{ ended: Promise<number> }> {
  const what = 'wait for the end of the dyno'
  const options = {
    path: `/containers/${name}/wait?condition=next-exit&`,
    method: 'POST',
    isStream: true,
    statusCodes: { 200: true },
  }
  const answer = await engine.ask(
    what,
    ({ modem }) =>
      new Promise<Readable>((resolve, reject) =>
        modem.dial(options, (error: unknown, stream: unknown) => (error ? reject(error) : resolve(stream as Readable))),
      ),
  )
  const ended = json(answer).then(
    (told) => (told as { StatusCode: number }).StatusCode,
    (error: unknown) => {
      throw explain(engine.socket, what, error)
    },
  )
  ended.catch(() => {})
  return { ended }
}

/** A process that has ended has no size. */
export async function unlessOver(call: Promise<unknown>): Promise<void> {
  try {
    await call
  } catch (error) {
    if (statusOf(error) !== 404 && statusOf(error) !== 409) throw error
  }
}
