import { type ChildProcess, spawn } from 'node:child_process'

export interface Outcome {
  stdout: string
  stderr: string
  /** stdout and stderr as they came. */
  output: string
  code: number | null
}

export interface Command extends Promise<Outcome> {
  child: ChildProcess
  /** What it has written so far, stdout and stderr as they came. */
  sofar(): string
}

/** Runs a program to its end and keeps what it writes; never rejects because of its exit code. With `input: null` its input stays open. */
export function run(
  argv: [string, ...string[]],
  options: { cwd?: string; env: NodeJS.ProcessEnv; input?: string | null; timeout?: number },
): Command {
  const [file, ...args] = argv
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: options.env,
    timeout: options.timeout ?? 180_000,
    killSignal: 'SIGKILL',
    stdio: 'pipe',
    detached: true,
  })
  const seen = { stdout: '', stderr: '', output: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      seen[name] += chunk
      seen.output += chunk
    })
  child.stdin.on('error', () => undefined)
  if (options.input !== null) child.stdin.end(options.input ?? '')
  const ended = new Promise<Outcome>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ ...seen, code }))
  })
  return Object.assign(ended, { child, sofar: () => seen.output })
}

/** As Ctrl-C in a terminal: the signal goes to the program and to those that it started. */
export function interrupt({ child }: Command, signal: NodeJS.Signals = 'SIGINT'): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // It ended by itself in the meantime.
  }
}
