import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { packageRoot } from '../../daemon/config.ts'
import { type Host, startHost } from '../api/host.ts'
import { createSession, type Result } from './kept.ts'

/** The official CLI, unmodified, with a home and a git repository of its own, against the API over a real database. */
export interface Rig {
  host: Host
  home: string
  /** Runs a command line that must succeed; what it printed, as a person sees it: `heroku('config:set A=b -a demo')`. */
  heroku(line: string, terminal?: Terminal): Promise<string>
  /** Runs one that must fail; what it printed, in one line. */
  refused(line: string, terminal?: Terminal): Promise<string>
  /** Runs one and leaves the judgement to the test. */
  run(line: string, terminal?: Terminal): Promise<Result>
  execute(command: string, args: string[], terminal?: Terminal): Promise<Result>
  close(): Promise<void>
}

/** What a person types, and has set. A command with one runs in a process of its own, others in one that is kept warm. */
export interface Terminal {
  input?: string
  env?: Record<string, string>
  /** Is given what it prints, as it comes. */
  hear?(text: string): void
  /** Stops the command once it has printed this, as Ctrl-C does. */
  until?: RegExp
}

const binary = join(packageRoot, 'node_modules', '.bin', 'heroku')

/** `settings` are the daemon's; one rig for a test file. Words of a line that hold spaces are put in double quotes. */
export async function startRig(settings: Record<string, string> = {}): Promise<Rig> {
  const host = await startHost(settings)
  const home = await mkdtemp(join(tmpdir(), 'sluice-cli-'))
  await mkdir(join(home, '.cache', 'heroku'), { recursive: true })
  await writeFile(join(home, '.cache', 'heroku', 'terms-of-service'), '')
  const execute: Rig['execute'] = (command, args, terminal = {}) => {
    const { env = {} } = terminal
    return ended(
      spawn(command, args, { cwd: home, stdio: 'pipe', env: { ...environment(host, home), ...env } }),
      terminal,
    )
  }
  const session = createSession('session.js', home, () => environment(host, home))
  const run: Rig['run'] = (line, terminal) =>
    terminal ? execute(binary, words(line), terminal) : session.run(words(line))
  await execute('git', ['init', '--quiet', '.'])
  return {
    host,
    home,
    run,
    execute,
    async heroku(line, terminal) {
      const { code, out, err } = await run(line, terminal)
      if (terminal?.until === undefined) assert.is(code, 0, `heroku ${line}\n${out}${err}`)
      return `${out}${err}`
    },
    async refused(line, terminal) {
      const { code, out, err } = await run(line, terminal)
      assert.is.not(code, 0, `heroku ${line}\n${out}`)
      return `${out}${err}`.replace(/[\s›]+/g, ' ')
    },
    async close() {
      session.close()
      await host.close()
      await rm(home, { recursive: true, force: true })
    },
  }
}

export const words = (line: string): string[] =>
  [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')

const environment = (host: Host, home: string): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH,
  HOME: home,
  HEROKU_HOST: host.url,
  HEROKU_API_KEY: host.token,
  HEROKU_PARTICLEBOARD_URL: host.url,
  HEROKU_LOGIN_HOST: host.url,
  HEROKU_BUILDPACK_REGISTRY_URL: host.url,
  DISABLE_TELEMETRY: 'true',
  HEROKU_DISABLE_AUTOUPDATE: '1',
  HEROKU_SKIP_NEW_VERSION_CHECK: '1',
  NO_PROXY: 'localhost',
  NO_COLOR: '1',
})

function ended(child: ReturnType<typeof spawn>, { input = '', hear, until }: Terminal): Promise<Result> {
  // a command may have ended before it was given anything to read
  child.stdin?.on('error', () => undefined).end(input)
  const result: Result = { code: null, out: '', err: '' }
  const read = (key: 'out' | 'err') => (chunk: Buffer) => {
    result[key] += chunk
    hear?.(String(chunk))
    if (until?.test(result[key])) child.kill('SIGINT')
  }
  child.stdout?.on('data', read('out'))
  child.stderr?.on('data', read('err'))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ ...result, code }))
  })
}
