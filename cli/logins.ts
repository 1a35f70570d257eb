import { randomUUID } from 'node:crypto'
import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Failure } from './settings.ts'

/** The platforms that this person knows, by URL, and which of them commands are for. */
export interface Logins {
  current?: string | undefined
  platforms: Record<string, Known>
}

export interface Known {
  /** Absent when it is known, but nobody is logged in. */
  token?: string | undefined
  /** The token was there before the login, and may have other users: it is forgotten and not ended. */
  brought?: true | undefined
  /** Host, and port where it is not 443, of its git remotes. */
  git: string
  /** Its own authority, PEM; absent when Node trusts it anyway. */
  ca?: string | undefined
}

export const folder = (): string => join(process.env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'sluice')

const file = (): string => join(folder(), 'logins.json')

export async function readLogins(): Promise<Logins> {
  const text = await readFile(file(), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw new Failure(`${file()} cannot be read: ${error.message}`)
  })
  if (text === undefined) return { platforms: {} }
  const logins = parsed(text)
  if (!logins) throw new Failure(`${file()} is damaged. Remove it, and log in again: sluice login URL`)
  return logins
}

function parsed(text: string): Logins | undefined {
  try {
    const logins: Logins = JSON.parse(text)
    return typeof logins.platforms === 'object' && logins.platforms !== null ? logins : undefined
  } catch {
    return undefined
  }
}

/**
 * Changes what is known; nobody else on the machine can read it, a crash leaves the old or the new, and of two changes at once none is lost.
 */
export const changeLogins = (change: (logins: Logins) => void): Promise<void> =>
  alone(async () => {
    const logins = await readLogins()
    change(logins)
    await writeWhole(file(), `${JSON.stringify(logins, null, 2)}\n`)
  })

/** How old a lock gets before it is somebody's who died with it, and how often it is looked at, ms: a change takes some. */
const ABANDONED = 30_000
const LOOK = 20

/** Does what no other command of this person may do at the same time. */
export async function alone<Result>(work: () => Promise<Result>): Promise<Result> {
  await mkdir(folder(), { recursive: true, mode: 0o700 })
  await chmod(folder(), 0o700)
  const lock = `${file()}.lock`
  while (!(await taken(lock))) await pause(LOOK)
  try {
    return await work()
  } finally {
    await rm(lock, { force: true })
  }
}

async function taken(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, '', { flag: 'wx', mode: 0o600 })
    return true
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'EEXIST') throw new Failure(`${lock} cannot be written: ${message}`)
    const { mtimeMs } = await stat(lock).catch(() => ({ mtimeMs: Date.now() }))
    if (Math.abs(Date.now() - mtimeMs) > ABANDONED) await rm(lock, { force: true })
    return false
  }
}

/** Readable for its owner only. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}`
  try {
    await writeFile(temporary, text, { mode: 0o600, flush: true })
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw new Failure(`${path} cannot be written: ${(error as Error).message}`)
  }
}
