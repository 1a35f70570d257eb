import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'

/** Where the platform of this host is; the same variables as daemon and router read, with the same defaults (daemon/README.md). */
export interface Settings {
  data: string
  apiPort: number
  httpPort: number
  tlsPort: number
  domain: string
}

export const settings: Settings = {
  data: resolve(process.env.SLUICE_DATA || '.sluice'),
  apiPort: Number(process.env.SLUICE_PORT || 5000),
  httpPort: Number(process.env.SLUICE_HTTP_PORT || 8080),
  tlsPort: Number(process.env.SLUICE_TLS_PORT || 8443),
  domain: process.env.SLUICE_DOMAIN || 'localhost',
}

export const packageRoot = resolve(import.meta.dirname, '..', '..')

export const apiUrl = `http://localhost:${settings.apiPort}`

/** Of a command that somebody has to log in for, as the official CLI's. */
export const NOT_LOGGED_IN = 100

/** A sentence for the user, or nothing when all was said; the command ends with it and this exit code. */
export class Failure extends Error {
  readonly code: number

  constructor(message: string, code = 1) {
    super(message)
    this.code = code
  }
}

/** The operator's token, made by the daemon at its first start. */
export async function adminToken(): Promise<string> {
  const file = join(settings.data, 'admin.token')
  const unreadable = ({ code }: NodeJS.ErrnoException): string => {
    if (code === 'EACCES' || code === 'EPERM')
      throw new Failure(`You may not read ${file}. Run this as root, or as who runs the platform.`)
    return ''
  }
  const text = process.env.SLUICE_ADMIN_TOKEN || (await readFile(file, 'utf8').catch(unreadable))
  if (!text.trim())
    throw new Failure(`There is no token below ${settings.data} yet. Start the platform first: ${startLine()}.`)
  return text.trim()
}

/** Of an installed release, which has a Node.js of its own, or of a checkout. */
const startLine = (): string => (existsSync(join(packageRoot, 'bin', 'node')) ? 'systemctl start sluiced' : 'npm start')

/** Whether the API answers to the operator's token. */
export async function answers(): Promise<boolean> {
  try {
    const headers = { authorization: `Bearer ${await adminToken()}`, accept: 'application/vnd.heroku+json; version=3' }
    const response = await fetch(`${apiUrl}/account`, { headers, signal: AbortSignal.timeout(2000) })
    return response.ok
  } catch {
    return false
  }
}
