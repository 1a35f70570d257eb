import { spawn } from 'node:child_process'

/** What became of one test file. `problem` is set when more is wrong than tests that failed. */
export interface Verdict {
  passed: number
  failed: number
  skipped: number
  problem: string | undefined
}

export interface Outcome extends Verdict {
  output: string
  ms: number
  /** The process that it ran in, which is gone. */
  pid: number
}

interface Ended {
  output: string
  pid: number
  code: number | null
  /** Why the runner had to kill it. */
  killed: string | undefined
}

const OUTPUT_BYTES = 1024 * 1024
/** From uvu's last line to the end of the process. */
const LINGER = 10_000

/**
 * Runs one compiled test file as a process group of its own and kills what is left of it at its end. uvu 0.5.6 alone does not do as a
 * judge: it exits 0 when a `before` hook throws or `test.run()` is forgotten, and waits for ever for what a test left open.
 */
export async function runFile(path: string, deadline: number, signal?: AbortSignal): Promise<Outcome> {
  const started = performance.now()
  const ended = await end(path, deadline, signal)
  return { ...judge(ended), output: ended.output, pid: ended.pid, ms: performance.now() - started }
}

function end(path: string, deadline: number, signal: AbortSignal | undefined): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--enable-source-maps', path], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined },
    })
    let output = ''
    let killed: string | undefined
    let lingering: NodeJS.Timeout | undefined
    const kill = (why: string): void => {
      killed ??= why
      killGroup(child.pid)
    }
    const interrupt = (): void => kill('interrupted')
    signal?.addEventListener('abort', interrupt)
    const late = setTimeout(kill, deadline, `did not end within ${deadline / 1000} s`)
    const hear = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-OUTPUT_BYTES)
      if (!lingering && TOTAL.test(output) && /^ *Duration: /m.test(output))
        lingering = setTimeout(
          kill,
          LINGER,
          `did not exit within ${LINGER / 1000} s of its last test: something is open`,
        )
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    child.on('error', (error) => {
      output += `${error}\n`
    })
    // Children of the test may hold its pipes open: they must go before `close` can come.
    child.on('exit', () => killGroup(child.pid))
    child.on('close', (code) => {
      clearTimeout(late)
      clearTimeout(lingering)
      signal?.removeEventListener('abort', interrupt)
      resolve({ output, pid: child.pid ?? 0, code, killed })
    })
  })
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // The whole group has ended.
  }
}

const TOTAL = /^ *Total: +(\d+)$/m

/** A file has passed when it ran at least one test, all passed, and it exited with 0. */
export function judge({ output, code, killed }: Omit<Ended, 'pid'>): Verdict {
  const count = (name: string): number | undefined => {
    const last = [...output.matchAll(new RegExp(`^ *${name}: +(\\d+)$`, 'gm'))].at(-1)
    return last && Number(last[1])
  }
  const total = count('Total')
  const passed = count('Passed') ?? 0
  const skipped = count('Skipped') ?? 0
  const problem = problemOf({ total, passed, code, killed })
  const failed = (total ?? 0) - passed
  return { passed, failed: problem ? Math.max(1, failed) : failed, skipped, problem }
}

function problemOf(of: { total: number | undefined; passed: number; code: number | null; killed: string | undefined }) {
  if (of.killed !== undefined) return of.killed
  if (of.total === undefined) return `ended (exit ${of.code}) before its tests did; is test.run() called?`
  if (of.total === 0) return 'has no test'
  if (of.passed === of.total && of.code !== 0) return `passed its tests, then exited with ${of.code}`
  return undefined
}

const ERROR_LENGTH = 400

/** One line for each test that failed: its name and how its error begins. */
export function failuresOf({ failed, problem, output }: Verdict & { output: string }): string[] {
  if (failed === 0) return []
  const named = [...output.matchAll(/^ *FAIL +(?:".*" )?"(.*)"\n([\s\S]*?)\n *at /gm)].map(
    ([, name, error = '']) => `${name}: ${error.trim().replace(/\s+/g, ' ').slice(0, ERROR_LENGTH)}`,
  )
  return problem === undefined && named.length > 0 ? named : [...named, problem ?? `${failed} failed`]
}
