import { ask } from '../api.ts'
import { appOf } from '../app.ts'
import { say, warn } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { appCommand, at } from './command.ts'
import { showLogs } from './log-session.ts'
import { createProgress } from './progress.ts'
import { attach } from './run-attach.ts'

/** A dyno as it is when it has been asked for. */
interface Dyno {
  name: string
  state: string
  attach_url: string | null
}

interface Wanted {
  exitCode: boolean
  size?: string | undefined
  type?: string | undefined
  env?: string | undefined
  /** False with --no-tty. */
  tty: boolean
}

export function register(program: Program): void {
  sized(program, 'run', 'run a one-off process in a dyno of its own')
    .option('-x, --exit-code', "end with the command's exit code", false)
    .option('--no-tty', 'give the command no terminal')
    .option('--no-notify', 'ring no bell when the dyno took more than 20 seconds to start')
    .action(async (words, options) => {
      const app = await appOf(options)
      await run(app, commandOf(words), options, options.notify)
    })
  sized(program, 'run:detached', 'run a one-off process whose output goes to the logs')
    .option('-t, --tail', 'show the logs of it', false)
    .action(async (words, options) => detached(await appOf(options), commandOf(words), options))
  appCommand(program, 'run:inside', 'run a process inside a dyno that is there')
    .argument('<dyno_name>', 'name of the dyno')
    .argument('<command...>', 'command to run')
    .allowUnknownOption()
    .option('-x, --exit-code', "end with the command's exit code", false)
    .option('--no-launcher', 'there is none on this platform')
    .action(async (dyno, words, options) => {
      const app = await appOf(options)
      const wanted = { ...options, tty: true, inside: dyno }
      await inside(app, commandOf(words), wanted)
    })
}

const sized = (program: Program, name: string, description: string) =>
  appCommand(program, name, description)
    .argument('[command...]', 'command to run')
    .allowUnknownOption()
    .option('-s, --size <size>', 'dyno size')
    .option('--type <type>', 'process type; run by default')
    .option('-e, --env <env>', "environment variables to set (';' between them)")
    .option('--no-launcher', 'there is none on this platform')

/** One word is taken as it is written, several are quoted where a shell would break them. */
export function commandOf(words: string[]): string {
  const [only, ...more] = words
  if (only === undefined) throw new Failure('Usage: sluice run COMMAND\n\nExample: sluice run bash')
  if (more.length === 0) return only
  return words.map((word) => (/[ "]/.test(word) ? `"${word.replaceAll('"', '\\"')}"` : word)).join(' ')
}

/** What the app's runtime is told of this end, and what --env adds. */
function environment(text: string | undefined): Record<string, string | number | undefined> {
  const pairs = (text ?? '').split(';').filter((pair) => pair !== '')
  const entries = pairs.flatMap((pair) => {
    const [, name, value = ''] = /^\s*([\w.-]+)\s*=\s*([\s\S]*?)\s*$/.exec(pair) ?? []
    if (name === undefined) warn(`env flag ${pair} appears invalid. Avoid using ';' in values.`)
    return name === undefined ? [] : [[name, value]]
  })
  const { columns, rows, isTTY } = process.stdout
  const size = isTTY ? { COLUMNS: columns, LINES: rows } : {}
  return { ...Object.fromEntries(entries), TERM: process.env.TERM, ...size }
}

/** The exit code comes behind a mark in the output. */
const marked = (command: string, { exitCode }: { exitCode: boolean }): string =>
  exitCode ? `${command} ; echo "\uFFFF heroku-command-exit-status: $?"` : command

const LONG = 20_000

async function run(app: string, command: string, wanted: Wanted, notify: boolean): Promise<void> {
  const { size, type, tty } = wanted
  const body = { command: marked(command, wanted), env: environment(wanted.env), size, type, force_no_tty: !tty }
  const began = Date.now()
  const dyno = await ask<Dyno>('POST', at('apps', app, 'dynos'), { body: { ...body, attach: true } })
  const code = await attached(`Running ${command} on ${app}`, dyno, {
    ...wanted,
    up: () => notify && Date.now() - began > LONG && process.stderr.isTTY && process.stderr.write('\u0007'),
  })
  if (code !== 0) throw new Failure(`Process exited with code ${code}`, code)
}

async function inside(app: string, command: string, wanted: Omit<Wanted, 'env'> & { inside: string }): Promise<void> {
  const dyno = await ask<Dyno>('POST', at('apps', app, 'dynos', wanted.inside), {
    body: { command: marked(command, wanted), env: environment(undefined) },
    headers: { accept: 'application/vnd.heroku+json; version=3.run-inside' },
  })
  const code = await attached(`Running ${command} on ${app}`, { ...dyno, name: wanted.inside }, wanted)
  if (code !== 0) throw new Failure('', code)
}

interface Attached {
  exitCode: boolean
  tty: boolean
  up?(): void
}

async function attached(message: string, { name, attach_url }: Dyno, wanted: Attached): Promise<number> {
  if (attach_url === null) throw new Failure('The platform gave no address to attach to.')
  const progress = createProgress(message)
  return attach(attach_url, {
    ...wanted,
    tell: (state) => progress.tell(`${state}, ${name}`),
    up() {
      progress.end(`up, ${name}`)
      wanted.up?.()
    },
  })
}

interface Detached {
  size?: string | undefined
  type?: string | undefined
  env?: string | undefined
  tail: boolean
}

async function detached(app: string, command: string, { size, type, env, tail }: Detached): Promise<void> {
  const body = { command, env: environment(env), size, type, attach: false }
  const { name } = await ask<Dyno>('POST', at('apps', app, 'dynos'), { body })
  createProgress(`Running ${command} on ${app}`).end(`done, ${name}`)
  if (tail) await showLogs(app, { dyno: name, tail: true })
  else say(`Run sluice logs --app ${app} --dyno ${name} to view the output.\n`)
}
