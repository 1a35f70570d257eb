import { Agent } from 'node:http'
import type { Duplex } from 'node:stream'
import Docker from 'dockerode'
import { messageOf } from '../errors.ts'
import { figures } from '../figures.ts'
import { limits } from '../limits.ts'
import { EngineError, EngineGone } from './engine.ts'

/** A Docker engine behind a unix socket. */
export interface Connection {
  readonly socket: string
  /** For streams, which may be silent for long; everything else goes through `ask`. */
  readonly docker: Docker
  /**
   * One bounded call. `what` completes "The Docker engine could not …". Rejects with EngineError. A call that is given up loses its
   * connection, so an engine that hangs for days does not use up our descriptors, and a stream that comes too late is held by nobody.
   */
  ask<T>(what: string, call: (docker: Docker) => Promise<T>, timeout?: number): Promise<T>
}

export function connect(socket: string): Connection {
  // `host: undefined` keeps a DOCKER_HOST in the environment from winning over the socket.
  const through = (agent?: Agent) =>
    new Docker({ socketPath: socket, protocol: 'http', host: undefined, agent } as Docker.DockerOptions)
  return {
    socket,
    docker: through(),
    async ask(what, call, timeout = limits.engineAnswer) {
      const agent = new Agent()
      const ended = timed(what)
      try {
        const answer = await within(timeout, call(through(agent)))
        ended('ok')
        return answer
      } catch (error) {
        ended(isAnswer(error) ? 'refused' : 'silent')
        if (error instanceof NoAnswer) agent.destroy()
        throw explain(socket, what, error)
      }
    },
  }
}

/** Counts a call by its verb, the first word of `what`. */
function timed(what: string): (result: 'ok' | 'refused' | 'silent') => void {
  const [call = ''] = what.split(' ', 1)
  const began = performance.now()
  return (result) => figures.engineCalls.observe({ call, result }, (performance.now() - began) / 1000)
}

/** One bounded call that the engine answers by turning the connection into a stream both ways. `path` has a query. */
export function hijack(engine: Connection, what: string, path: string, body: object): Promise<Duplex> {
  const options = {
    path: `${path}&`,
    method: 'POST',
    options: { _query: {}, _body: body },
    isStream: true,
    hijack: true,
    statusCodes: { 101: true },
  }
  return engine.ask(
    what,
    ({ modem }) =>
      new Promise((resolve, reject) =>
        modem.dial(options, (error: unknown, socket: unknown) => (error ? reject(error) : resolve(socket as Duplex))),
      ),
  )
}

/** The HTTP status that the engine answered with, if it was the engine that refused. */
export function statusOf(error: unknown): number | undefined {
  const status = (error as { statusCode?: unknown } | null)?.statusCode
  if (typeof status === 'number') return status
  return error instanceof EngineError && error.cause !== undefined ? statusOf(error.cause) : undefined
}

const isAnswer = (error: unknown): boolean => statusOf(error) !== undefined

/** Takes an answer of "there is no such thing" as `otherwise`. */
export const unlessMissing = async <T, U>(call: Promise<T>, otherwise: U): Promise<T | U> => {
  try {
    return await call
  } catch (error) {
    if (statusOf(error) === 404) return otherwise
    throw error
  }
}

/** An EngineError for anything that went wrong while talking to the engine. */
export function explain(socket: string, what: string, error: unknown): EngineError {
  if (error instanceof EngineError) return error
  const code = (error as { code?: unknown } | null)?.code
  if (code === 'EACCES')
    return new EngineError(
      `No permission to use the Docker engine at ${socket}. Run Sluice as root or as a member of the group docker.`,
      { cause: error },
    )
  if (error instanceof NoAnswer || (typeof code === 'string' && GONE.has(code)))
    return new EngineGone(
      `The Docker engine at ${socket} does not answer. Start it (systemctl start docker) or set SLUICE_ENGINE.`,
      { cause: error },
    )
  return new EngineError(`The Docker engine could not ${what}: ${reasonOf(error)}`, { cause: error })
}

const GONE = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOTSOCK'])

/** The engine's own words, without the HTTP around them. */
export function reasonOf(error: unknown): string {
  const body = (error as { json?: { message?: unknown } } | null)?.json
  return (typeof body?.message === 'string' ? body.message : messageOf(error).replace(/^\(HTTP code.*? - /, '')).trim()
}

class NoAnswer extends Error {}

/** The engine did not refuse; it said nothing, for as long as it is waited for. */
export const isSilence = (error: unknown): boolean => error instanceof EngineError && error.cause instanceof NoAnswer

async function within<T>(timeout: number, call: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NoAnswer(`no answer in ${timeout} ms`)), timeout)
  })
  try {
    return await Promise.race([call, late])
  } finally {
    clearTimeout(timer)
  }
}
