import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { hostEnvironment } from '../config.ts'

export interface CommandOptions {
  signal?: AbortSignal
  /** What the signal sends it (default: SIGKILL). */
  killSignal?: NodeJS.Signals
  /** Added to the host's own. Secrets go here, never into `args`. */
  env?: Record<string, string>
  cwd?: string
  /** Its stdout counts whatever it exits with. */
  anyExit?: boolean
}

const MOST_OUTPUT = 64 * 1024

/** Runs a program of the host, without a shell, and returns the beginning of its stdout. Throws with the end of its stderr. */
export function run(
  program: string,
  args: string[],
  { signal, killSignal = 'SIGKILL', env = {}, cwd, anyExit = false }: CommandOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      ...(cwd === undefined ? {} : { cwd }),
      ...(signal ? { signal, killSignal } : {}),
      env: { ...hostEnvironment(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    stepBack(child)
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk: Buffer) => {
      if (stdout.length < MOST_OUTPUT) stdout += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString()).slice(-2000)
    })
    child.on('error', (error) => reject(signal?.aborted ? signal.reason : error))
    child.on('close', (code) => {
      if (signal?.aborted) reject(signal.reason)
      else if (code === 0 || anyExit) resolve(stdout)
      else reject(new Error(`${program} ended with ${code}: ${stderr.trim()}`))
    })
  })
}

/** As the containers of builds have it. */
const OOM_SCORE = '500'

/** What the host does for builds goes after the daemon's own work, and ends before it, which is protected, when memory runs out. */
export function stepBack({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL)
    writeFileSync(`/proc/${pid}/oom_score_adj`, OOM_SCORE)
  } catch {
    // It has ended.
  }
}
