import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type Docker from 'dockerode'
import { limits } from '../limits.ts'
import { unlessOver } from './attach.ts'
import { type Connection, hijack, statusOf, unlessMissing } from './connection.ts'
import { escalate, inspectContainer, stepsOf } from './container.ts'
import { type Code, EngineError, type ExecSpec, type Process, type Terminal } from './engine.ts'
import { markOf } from './mark.ts'
import { createProcess } from './process.ts'
import { dynoExec, execSignal, LABEL, nameOf, type Site } from './spec.ts'

interface Parts {
  engine: Connection
  site(): Promise<Site>
}

const LOOK_AGAIN = { first: 5, longest: 200 }

/** The exit code of a process that was killed, as all are when their dyno ends. */
const SIGKILLED = 137

/** Runs a further process in a dyno. */
export async function runExec({ engine, site }: Parts, spec: ExecSpec, signal?: AbortSignal): Promise<Process> {
  signal?.throwIfAborted()
  const name = nameOf((await site()).installation, spec.id)
  const mark = markOf(randomUUID())
  const code = await codeIn(engine, name)
  const exec = await create(engine, name, dynoExec(spec, mark, code))
  signal?.throwIfAborted()
  // SIGNAL wakes what was stopped.
  const steps = stepsOf(limits.stopGrace, { hangup: limits.hangup, tty: false })
  const signalled = (ended: Promise<unknown>) =>
    escalate(steps, (one) => send(engine, name, execSignal(one, mark, code)), ended)
  const socket = await start(engine, exec, spec.terminal).catch((error: unknown) => {
    // The engine may have started it all the same, and nobody would ever end it.
    signalled(exitOf(engine, exec)).catch(() => {})
    throw error
  })
  let exit: Promise<number> | undefined
  const ended = (): Promise<number> => {
    exit ??= exitOf(engine, exec)
    return exit
  }
  const process = createProcess(spec.terminal, {
    socket,
    mark,
    ended,
    resize: (columns, rows) =>
      unlessOver(
        engine.ask('resize the terminal', (docker) => docker.getExec(exec.id).resize({ w: columns, h: rows })),
      ),
    async hangup() {
      if (await signalled(ended())) return
      throw new EngineError(`The Docker engine did not end a command in the container ${name} although it was killed.`)
    },
  })
  if (signal?.aborted) {
    process.hangup().catch(() => {})
    throw signal.reason
  }
  return process
}

/** An image may have no shell; the engine would say so in the place of output. */
async function codeIn(engine: Connection, name: string): Promise<Code['kind']> {
  const found = await inspectContainer(engine, name)
  if (found?.Config.Labels[LABEL.code] !== 'image') return 'slug'
  const look = engine.ask('look into the dyno', (docker) => docker.getContainer(name).infoArchive({ path: '/bin/sh' }))
  const shell: NodeJS.ReadableStream | null = await unlessMissing(look, null)
  // An answer without content, but nobody has closed it.
  shell?.resume()
  if (!shell) throw new EngineError('The image of this dyno has no /bin/sh, so no command can run in it.')
  return 'image'
}

async function create(engine: Connection, name: string, options: Docker.ExecCreateOptions): Promise<Docker.Exec> {
  try {
    return await engine.ask('run a command in the dyno', (docker) => docker.getContainer(name).exec(options))
  } catch (error) {
    if (statusOf(error) !== 404 && statusOf(error) !== 409) throw error
    throw new EngineError('The dyno does not run, so no command can run in it. See which do with heroku ps.', {
      cause: error,
    })
  }
}

const start = (engine: Connection, { id }: Docker.Exec, { kind }: Terminal): Promise<Duplex> =>
  hijack(engine, 'run a command in the dyno', `/exec/${id}/start?`, { Tty: kind === 'tty' })

/** The engine tells the end of such a process only to those who ask. */
async function exitOf(engine: Connection, { id }: Docker.Exec): Promise<number> {
  for (let pause: number = LOOK_AGAIN.first; ; pause = Math.min(pause * 2, LOOK_AGAIN.longest)) {
    const now = await unlessMissing(
      engine.ask('look up a command', (docker) => docker.getExec(id).inspect()),
      null,
    )
    if (!now) return SIGKILLED
    if (!now.Running) return now.ExitCode ?? SIGKILLED
    await new Promise((resolve) => setTimeout(resolve, pause))
  }
}

/** The engine cannot signal such a process: another one does. In a dyno that has ended there is nothing to signal. */
async function send(engine: Connection, name: string, options: Docker.ExecCreateOptions): Promise<'sent'> {
  await unlessOver(
    engine.ask('signal a command', async (docker) => {
      const exec = await docker.getContainer(name).exec(options)
      const output = await exec.start({})
      for await (const _ of output);
    }),
  )
  return 'sent'
}
