import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageRoot } from '../../daemon/config.ts'
import { createSession, type Result } from './kept.ts'

export interface Options {
  env?: Record<string, string>
  input?: string
  cwd?: string
  /** Is given what it prints, as it comes. */
  hear?(text: string): void
}

/** The `sluice` command as a process, with a home of its own, in which nobody is logged in. */
export interface Person {
  home: string
  sluice(args: string[], options?: Options): Promise<Result>
  /** The same in a process that is kept warm, and looks for its platform once: loading is most of what a command takes. */
  warm(args: string[]): Promise<Result>
  /** The environment that the command has. */
  env: Record<string, string>
  close(): Promise<void>
}

export const main = join(packageRoot, 'dist', 'cli', 'main.js')

/** `folder` is where the warm one works, below the home. */
export async function startPerson(own: Record<string, string> = {}, folder = '.'): Promise<Person> {
  const home = await mkdtemp(join(tmpdir(), 'sluice-person-'))
  const env = { PATH: process.env.PATH ?? '', HOME: home, XDG_CONFIG_HOME: join(home, '.config'), ...own }
  const session = createSession('session-sluice.js', join(home, folder), () => env)
  return {
    home,
    env,
    warm: (args) => session.run(args),
    sluice: (args, { env: more = {}, cwd = home, ...rest } = {}) =>
      execute([process.execPath, main, ...args], { env: { ...env, ...more }, cwd, ...rest }),
    async close() {
      session.close()
      // a shell that was just ended may still write its history
      await rm(home, { recursive: true, force: true, maxRetries: 10 })
    },
  }
}

export function execute([command = '', ...args]: string[], { input = '', hear, ...options }: Options): Promise<Result> {
  const child = spawn(command, args, { stdio: 'pipe', ...options })
  // a command may have ended before it was given anything to read
  child.stdin.on('error', () => undefined).end(input)
  const result = { out: '', err: '' }
  child.stdout.on('data', (chunk) => {
    result.out += chunk
    hear?.(result.out)
  })
  child.stderr.on('data', (chunk) => {
    result.err += chunk
    hear?.(result.err)
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ ...result, code }))
  })
}
