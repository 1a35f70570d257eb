import type { Receipt } from '../../router/protocol.ts'
import { limits } from '../limits.ts'

/**
 * What an app's log says of its dynos, in the words and the order of Heroku's: clients match them, and so do people who have read them
 * for years (https://devcenter.heroku.com/articles/error-codes, https://devcenter.heroku.com/articles/dyno-shutdown-behavior). Pure.
 * A name such as `web.1` is one story in the log although a successor starts beside the dyno that serves:
 *
 *   Starting process with command `…`                          Restarting                          (a successor takes the name)
 *   State changed from starting to up                          State changed from up to starting
 *   Process exited with status 1                               Starting process with command `…`
 *   State changed from up to crashed                           State changed from starting to up
 *   State changed from crashed to starting                     Stopping all processes with SIGTERM  (the predecessor)
 *   …                                                          Process exited with status 143
 */
export type Shown = 'starting' | 'up' | 'crashed' | 'down' | 'complete'

export const changed = (from: Shown, to: Shown): string => `State changed from ${from} to ${to}`

export const startingProcess = (command: string): string => {
  const { commandShown: most } = limits
  return `Starting process with command \`${command.length > most ? `${command.slice(0, most)}…` : command}\``
}

export const AWAITING_CLIENT = 'Awaiting client'
export const STOPPING = 'Stopping all processes with SIGTERM'
export const HANGUP = 'Client connection closed. Sending SIGHUP to all processes'
/** A dyno has lived as long as it may. */
export const CYCLING = 'Cycling'
/** No client came for a one-off dyno that waits for one. */
export const ATTACH_ERROR = 'Error R13 (Attach error) -> Failed to attach to process'
/**
 * A web process had so many ms. Heroku asks nobody for health, and looks at no ports: the words for the health check that failed (`trouble`) and
 * for where it listens instead (`deaf`) are ours.
 */
export const bootTimeout = (
  time: number,
  { trouble, deaf }: { trouble?: string | undefined; deaf?: string | undefined },
) => [
  trouble === undefined
    ? `Error R10 (Boot timeout) -> Web process failed to bind to $PORT within ${time / 1000} seconds of launch`
    : `Error R10 (Boot timeout) -> Web process did not pass its health check within ${time / 1000} seconds of launch: ${trouble}`,
  ...(deaf === undefined ? [] : [`Web process ${deaf}`]),
  'Stopping process with SIGKILL',
]
export const LOST = 'Process is gone: its container was removed or the host restarted'

/** A dyno takes a name; `predecessor` is the state of the one that had it, if there is one, and `cycling` whether that goes for its age. */
export function taking(predecessor: string | undefined, cycling = false): string[] {
  if (predecessor === 'up' || predecessor === 'draining') return restarting(cycling)
  return predecessor === 'crashed' ? [changed('crashed', 'starting')] : []
}

const restarting = (cycling: boolean): string[] => [cycling ? CYCLING : 'Restarting', changed('up', 'starting')]

/**
 * A dyno in this state is wanted no more. Its name ends with it, is taken by another already, which has told so itself, or is free for one
 * that follows. A web dyno drains first, and its successor may take the name meanwhile. A one-off dyno and a release command (`passing`)
 * are complete, whoever ends them.
 */
export function leaving(
  dyno: { type: string; state: string; passing: boolean; cycling?: boolean },
  name: 'ends' | 'taken' | 'free',
): string[] {
  const { type, state, passing, cycling = false } = dyno
  if (passing) return state === 'up' ? [changed('up', 'complete')] : []
  if (name === 'free') return state === (type === 'web' ? 'draining' : 'up') ? restarting(cycling) : []
  const isThere = state === 'up' || state === 'starting' || state === 'crashed'
  return name === 'ends' && isThere ? [changed(state, 'down')] : []
}

/** Ours. It starts as soon as somebody has given memory back. Bytes. */
export const awaitingMemory = (needs: number, left: number): string =>
  `Waiting for memory: it takes ${megabytes(needs)}, and this machine has ${megabytes(Math.max(0, left))} left`

/** Lines of `app[api]`. */
export const releaseCreated = (version: number, email: string): string => `Release v${version} created by user ${email}`
export const runningCommands = (version: number, email: string): string =>
  `Running release v${version} commands by user ${email}`
export const commandFailed = (version: number, email: string): string =>
  `Release v${version} command failed by user ${email}`
/** A one-off dyno was asked for. */
export const runBy = (command: string, email: string): string => `${startingProcess(command)} by user ${email}`

interface Sized {
  type: string
  quantity: number
  size: string
}
export const sizes = (formation: Sized[]): string =>
  formation.map(({ type, quantity, size }) => `${type}@${quantity}:${size}`).join(' ')
export const scaledTo = (formation: Sized[], email: string): string => `Scaled to ${sizes(formation)} by user ${email}`

/** Heroku has no word for a release that does not boot, so this is ours. `reason`: why, and what serves now, as the push was told. */
export function releaseFailed(version: number, reason: string): string {
  const lines = reason.split('\n')
  return `Release v${version} failed: ${[lines[0], ...lines.slice(1).slice(-1)].join(' ')}`
}

export const releaseSuperseded = (version: number, reason: string): string =>
  `Release v${version} superseded: ${reason}`

/** How the requests that the replaced release had when it was replaced have ended; ours too. */
export const tookOver = (version: number, replaced: number, receipt: Receipt): string =>
  `Release v${version} took over from v${replaced}: ${received(receipt)}`

export const received = ({ inFlight, finished, cut, failed, took }: Receipt): string =>
  `${inFlight} ${inFlight === 1 ? 'request' : 'requests'} in flight, ${finished} drained, ${cut} cut, ${failed} failed, ${(took / 1000).toFixed(1)} s`

export interface End {
  /** Null when nobody saw it. */
  exitCode: number | null
  outOfMemory: boolean
  /** It was still there when the time from SIGTERM to SIGKILL was over. */
  overdue: boolean
  /** Bytes that it may use; null when its size is not known any more. */
  memory: number | null
}

/**
 * Without swap there is nothing between enough memory and none: at the quota the kernel kills a process. When the dyno lives on, that is
 * R14, and Heroku's line before it tells what it had; when it ends, R15.
 */
export const exceeded = (memory: number | null): string[] => [...running(memory), 'Error R14 (Memory quota exceeded)']

const running = (memory: number | null): string[] =>
  memory === null ? [] : [`Process running mem=${memory / MiB}M(100.0%)`]

/** A process has ended. */
export function ended({ exitCode, outOfMemory, overdue, memory }: End): string[] {
  const exit = exitCode === null ? 'Process exited' : `Process exited with status ${exitCode}`
  if (overdue)
    return [
      `Error R12 (Exit timeout) -> At least one process failed to exit within ${limits.stopGrace / 1000} seconds of SIGTERM`,
      'Stopping remaining processes with SIGKILL',
      exit,
    ]
  if (!outOfMemory) return [exit]
  return [...running(memory), 'Error R15 (Memory quota vastly exceeded)', 'Stopping process with SIGKILL', exit]
}

const MiB = 1024 * 1024

export const megabytes = (bytes: number): string => `${Math.floor(bytes / MiB)} MB`
