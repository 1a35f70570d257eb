import { randomUUID } from 'node:crypto'
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
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

/** Changes what is known; nobody else on the machine can read it, and a crash leaves the old or the new. */
export async function changeLogins(change: (logins: Logins) => void): Promise<void> {
  const logins = await readLogins()
  change(logins)
  await mkdir(folder(), { recursive: true, mode: 0o700 })
  await chmod(folder(), 0o700)
  await writeWhole(file(), `${JSON.stringify(logins, null, 2)}\n`)
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
