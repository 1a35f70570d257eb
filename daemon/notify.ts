import { execFile } from 'node:child_process'
import { writeSync } from 'node:fs'
import { limits } from './limits.ts'

/** What systemd has told us of itself: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3). */
export interface Supervisor {
  /** A socket that leads to it, opened for us (`OpenFile=` of the unit, since systemd 253). */
  fd: number | undefined
  /** How often it wants to hear that we live, ms; 0: never. */
  watchdog: number
}

type Environment = { [name: string]: string | undefined }

const FIRST = 3

/** Undefined when nobody wants to be told; what is meant for another process is not ours. */
export function supervisorIn(env: Environment, pid = process.pid): Supervisor | undefined {
  if (!env.NOTIFY_SOCKET) return undefined
  const names = env.LISTEN_PID === String(pid) ? (env.LISTEN_FDNAMES ?? '').split(':') : []
  const place = names.indexOf('notify')
  const watched = env.WATCHDOG_PID === undefined || env.WATCHDOG_PID === String(pid)
  return {
    fd: place === -1 ? undefined : FIRST + place,
    watchdog: watched ? Math.trunc(Number(env.WATCHDOG_USEC || 0) / 1000) : 0,
  }
}

/** Tells systemd how it is with us, each after the one before; nobody else is told. Resolves when it has been told, or cannot be. */
export type Notify = (...states: string[]) => Promise<void>

/** Node.js has no datagrams of unix sockets: by the descriptor, where there is one, else by systemd's own command. */
export function createNotify(supervisor: Supervisor | undefined): Notify {
  let last = Promise.resolve()
  if (!supervisor) return () => last
  const { fd } = supervisor
  return (...states) => {
    last = last.then(() => (fd !== undefined && written(fd, states) ? undefined : byCommand(states)))
    return last
  }
}

function written(fd: number, states: string[]): boolean {
  try {
    writeSync(fd, states.join('\n'))
    return true
  } catch {
    return false
  }
}

const byCommand = (states: string[]): Promise<void> =>
  new Promise((resolve) => execFile('systemd-notify', states, { timeout: limits.vitalAnswer }, () => resolve()))

/** A start that goes on is not ended for its length, within `limits.longestStart`: rows may have to be brought up to date, thousands of trees be looked at. */
export function tellStart(notify: Notify) {
  const latest = Date.now() + limits.longestStart
  const tell = (what: string) => void notify(`STATUS=${what}`, `EXTEND_TIMEOUT_USEC=${3000 * limits.startSign}`)
  let status = 'Opening the database and asking the engine'
  let reconciled = (): void => {}
  const over = new Promise<void>((resolve) => {
    reconciled = resolve
  })
  const timer = setInterval(() => Date.now() < latest && tell(status), limits.startSign)
  const close = (): void => clearInterval(timer)
  void over.then(close)
  tell(status)
  return {
    reconciled,
    over,
    status(what: string) {
      status = what
      tell(what)
    },
    close,
  }
}

/** What is ours alone of the environment, and not our children's. */
export const own = [
  'NOTIFY_SOCKET',
  'WATCHDOG_USEC',
  'WATCHDOG_PID',
  'LISTEN_PID',
  'LISTEN_FDS',
  'LISTEN_FDNAMES',
  'CREDENTIALS_DIRECTORY',
] as const
