import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'

/** One of the platform's two processes, which a test may kill and start again. */
export interface Child {
  start(): void
  /** Resolves when it has ended; rejects when it took SIGKILL to end it. */
  kill(signal?: NodeJS.Signals): Promise<void>
  readonly pid: number
  readonly running: boolean
  /** All that it has written since the test began. */
  log(): string
}

const LONGEST_STOP = 20_000

/** `program` is a path below `dist`. The engine's `setpriv` sees to it that no process outlives a test that is killed. */
export function createChild(program: string, env: NodeJS.ProcessEnv): Child {
  let child: ChildProcess | undefined
  let log = ''
  const path = resolve(import.meta.dirname, '..', '..', program)
  return {
    start() {
      child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, path], {
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      for (const stream of [child.stdout, child.stderr])
        stream?.setEncoding('utf8').on('data', (text: string) => {
          log += text
        })
      child.on('exit', (code, signal) => {
        log += `-- ${program} ended: ${signal ?? code}\n`
      })
    },
    async kill(signal = 'SIGTERM') {
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill(signal)
      let late = false
      const timer = setTimeout(() => {
        late = true
        child?.kill('SIGKILL')
      }, LONGEST_STOP)
      await ended
      clearTimeout(timer)
      if (late) throw new Error(`${program} did not end within ${LONGEST_STOP / 1000} s of ${signal}`)
    },
    get pid() {
      return child?.pid ?? 0
    },
    get running() {
      return child !== undefined && child.exitCode === null && child.signalCode === null
    },
    log: () => log,
  }
}
