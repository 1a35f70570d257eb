import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { type Agent, request as httpRequest, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http'
import { join, resolve } from 'node:path'
import { createSession, type Session } from '../cli/kept.ts'
import { type Command, type Outcome, run } from './command.ts'
import { openTerminal, type Terminal } from './terminal.ts'

/** A refusal by the API, in its own words. */
export class Refusal extends Error {
  readonly status: number
  readonly id: string
  constructor(status: number, id: string, message: string) {
    super(message)
    this.status = status
    this.id = id
  }
}

/** Calls the Platform API as the administrator; rejects with a Refusal. */
export async function callApi<Answer>(
  target: { port: number; token: string },
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${target.port}${path}`, {
    method,
    headers: {
      accept: 'application/vnd.heroku+json; version=3',
      authorization: `Bearer ${target.token}`,
      'content-type': 'application/json',
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(60_000),
  })
  const text = await response.text()
  const json = text === '' ? undefined : JSON.parse(text)
  if (response.ok) return json as Answer
  throw new Refusal(response.status, json?.id ?? '', json?.message ?? text)
}

export interface Reply {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

export interface Asked {
  method?: string
  headers?: OutgoingHttpHeaders
  body?: string
  agent?: Agent | false
  timeout?: number
  /** Where to, when it is not the router (default: 127.0.0.1). */
  server?: string
}

/** One request to the router for `host`. Rejects when the connection breaks, or when nothing came for `timeout` ms. */
export const requestHost = (port: number, host: string, path: string, asked: Asked = {}): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const { method = 'GET', agent = false, timeout = 60_000, server = '127.0.0.1' } = asked
    const headers = { host: `${host}:${port}`, ...asked.headers }
    const sent = httpRequest({ host: server, port, path, method, agent, timeout, headers }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
      })
      response.on('error', reject)
      response.on('aborted', () => reject(new Error('the answer broke off')))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
    })
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${timeout} ms`)))
    sent.on('error', reject)
    sent.end(asked.body)
  })

/** The official CLI, `sluice` and git as a user of this platform has them, in a home directory of their own. */
export interface Tools {
  /**
   * A command line of the CLI that needs neither input nor an environment of its own and ends by itself, in a process that is kept warm, because
   * most of the time of `cli` is the loading. Each begins when the one before it has ended. Of one that fails the code is not that of `cli`.
   */
  heroku(args: string[], cwd?: string): Promise<Outcome>
  cli(args: string[], options?: { input?: string; cwd?: string; env?: NodeJS.ProcessEnv }): Command
  /** The same at a terminal, where what it writes has `\r\n`, and stays as long as the test does not end its input. */
  cliAtTerminal(args: string[], options?: { cwd?: string; env?: NodeJS.ProcessEnv }): Command
  /** `sluice` as who runs the platform has it. */
  sluice(args: string[], options?: { input?: string | null; cwd?: string }): Command
  git(dir: string, ...args: string[]): Command
  /** A terminal in which `heroku` and `sluice` are commands; whoever opens one closes it. */
  terminal(cwd: string, size?: { columns: number; rows: number }): Promise<Terminal>
  /** Ends what is kept warm. */
  close(): void
}

const heroku = resolve(import.meta.dirname, '..', '..', '..', 'node_modules', 'heroku', 'bin', 'run.js')
const sluice = resolve(import.meta.dirname, '..', '..', 'cli', 'main.js')

export async function createTools(target: { port: number; token: string; data: string; home: string }): Promise<Tools> {
  const { port, token, data, home } = target
  const cache = join(home, '.cache', 'heroku')
  await mkdir(cache, { recursive: true })
  await writeFile(join(cache, 'terms-of-service'), '')
  const bundle = join(home, 'ca.pem')
  await writeFile(bundle, `${await hostBundle()}\n${await readFile(join(data, 'tls', 'ca.pem'), 'utf8')}`)
  const url = `http://localhost:${port}`
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    TERM: 'dumb',
    LANG: 'C.UTF-8',
    HEROKU_HOST: url,
    HEROKU_API_KEY: token,
    HEROKU_PARTICLEBOARD_URL: url,
    HEROKU_BUILDPACK_REGISTRY_URL: url,
    HEROKU_EXEC_URL: `https://localhost:${port}/`,
    DISABLE_TELEMETRY: 'true',
    HEROKU_DISABLE_AUTOUPDATE: '1',
    HEROKU_SKIP_NEW_VERSION_CHECK: '1',
    NODE_EXTRA_CA_CERTS: bundle,
    GIT_TERMINAL_PROMPT: '0',
    SLUICE_DATA: data,
    SLUICE_PORT: String(port),
    ...gitSettings({
      [`http.https://localhost:${port}/.sslCAInfo`]: bundle,
      [`credential.https://localhost:${port}.helper`]:
        '!f() { test "$1" = get && echo username=heroku && echo "password=$HEROKU_API_KEY"; }; f',
      'user.name': 'Test',
      'user.email': 'test@example.com',
    }),
  }
  const sessions = new Map<string, Session>()
  const sessionIn = (cwd: string): Session => {
    const session = sessions.get(cwd) ?? createSession('session.js', cwd, () => env)
    sessions.set(cwd, session)
    return session
  }
  return {
    async heroku(args, cwd = home) {
      const { code, out, err } = await sessionIn(cwd).run(args)
      return { code, stdout: out, stderr: err, output: `${err}${out}` }
    },
    close() {
      for (const session of sessions.values()) session.close()
    },
    cli: (args, options) =>
      run([process.execPath, '--no-deprecation', heroku, ...args], { ...options, env: { ...env, ...options?.env } }),
    cliAtTerminal: (args, options) => {
      const line = [process.execPath, '--no-deprecation', heroku, ...args].map(quote).join(' ')
      return run(['script', '-qfec', line, '/dev/null'], {
        ...options,
        env: { ...env, TERM: 'xterm', ...options?.env },
        input: null,
      })
    },
    sluice: (args, options) =>
      // it knows the platform's authority by itself
      run([process.execPath, sluice, ...args], { ...options, env: { ...env, NODE_EXTRA_CA_CERTS: '' } }),
    git: (cwd, ...args) => run(['git', ...args], { cwd, env }),
    terminal: (cwd, size) => openTerminal(env, { cli: heroku, cwd, ...size }),
  }
}

/** What the caller's Node.js trusts beside its own list. */
async function hostBundle(): Promise<string> {
  const path = process.env.NODE_EXTRA_CA_CERTS
  return path ? readFile(path, 'utf8') : ''
}

const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`

const gitSettings = (settings: Record<string, string>): NodeJS.ProcessEnv =>
  Object.fromEntries([
    ['GIT_CONFIG_COUNT', String(Object.keys(settings).length)],
    ...Object.entries(settings).flatMap(([key, value], index) => [
      [`GIT_CONFIG_KEY_${index}`, key],
      [`GIT_CONFIG_VALUE_${index}`, value],
    ]),
  ])
