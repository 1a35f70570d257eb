import { createWriteStream, existsSync, rmSync } from 'node:fs'
import { basename } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { list } from '../api.ts'
import { appOf } from '../app.ts'
import { guarded, INTERRUPTED, inFront } from '../guard.ts'
import { action, header, json, say, styled } from '../output.ts'
import type { Program } from '../program.ts'
import { Failure } from '../settings.ts'
import { examples } from '../usage.ts'
import { appCommand, at } from './command.ts'
import { askExec, type Ssh, withSsh } from './dyno-ssh.ts'
import { commandOf } from './run.ts'
import { grid } from './table.ts'

/** Ways into dynos that run: a shell, a file, their ports. */
export function registerExec(program: Program): void {
  intoDyno(program, 'ps:exec', 'open a shell in a dyno, or run a command there')
    .argument('[command...]', 'command to run; a shell without one')
    .allowUnknownOption()
    .option('--ssh', "use the system's ssh, as is done anyway", false)
    .option('--status', 'list the dynos that can be entered', false)
    .option('--json', 'output the status in json format', false)
    .addHelpText(...examples('$ sluice ps:exec -a shop', '$ sluice ps:exec -a shop -d worker.1 -- node -i'))
    .action(async (words, options) => {
      const app = await appOf(options)
      if (options.status) await status(app, options.json)
      else await exec(app, options.dyno, words)
    })
  intoDyno(program, 'ps:copy', 'copy a file from a dyno to this machine')
    .argument('<file>', 'file in the dyno, from /app on')
    .option('-o, --output <file>', 'name of the file here; by default its own')
    .action(async (file, options) => copy(await appOf(options), options.dyno, file, options.output ?? basename(file)))
  intoDyno(program, 'ps:forward', 'have ports of this machine lead to ports of a dyno')
    .argument('<port>', 'port, or LOCAL:REMOTE; several with commas between them')
    .addHelpText(...examples('$ sluice ps:forward 4000,9000:9001 -a shop'))
    .action(async (ports, options) => forward(await appOf(options), options.dyno, ports.split(',').map(mapping)))
  intoDyno(program, 'ps:socks', 'launch a SOCKS proxy into a dyno')
    .option('--port <port>', 'the port of this machine that it listens on', '1080')
    .action(async (options) => socks(await appOf(options), options.dyno, port(options.port)))
}

const intoDyno = (program: Program, name: string, description: string) =>
  appCommand(program, name, description).option('-d, --dyno <dyno>', 'the dyno to connect to', 'web.1')

async function exec(app: string, dyno: string, words: string[]): Promise<void> {
  const command = words.length === 0 ? [] : [commandOf(words)]
  const terminal = process.stdin.isTTY && process.stdout.isTTY ? ['-t'] : ['-T']
  const { code, interrupted } = await withSsh(app, dyno, (ssh) => inFront(ssh(terminal, command, 'inherit')))
  if (code !== 0) throw new Failure('', interrupted ? INTERRUPTED : (code ?? 1))
}

async function status(app: string, asJson: boolean): Promise<void> {
  const [dynos, entries] = await Promise.all([
    list<{ name: string; state: string }>(at('apps', app, 'dynos')),
    askExec<{ dyno_name: string }[]>(app, 'GET', '/api/v2'),
  ])
  if (asJson) return json(entries)
  header(`Heroku Exec ${app}`)
  if (entries.length === 0) throw new Failure('Heroku Exec is not running. Check dyno status with sluice ps.', 2)
  const stateOf = (name: string) => dynos.find((dyno) => dyno.name === name)?.state ?? 'missing!'
  const coloured = (state: string) => styled(state === 'up' ? 'green' : 'yellow', state)
  grid(
    {
      Dyno: ({ dyno_name }) => dyno_name,
      'Dyno Status': ({ dyno_name }) => coloured(stateOf(dyno_name)),
      'Proxy Status': () => 'running',
    },
    entries,
  )
}

/** What was begun and did not come whole is removed. */
async function copy(app: string, dyno: string, file: string, target: string): Promise<void> {
  say(`Copying ${file} to ${target}`)
  if (existsSync(target)) throw new Failure(`The local file ${target} already exists`, 2)
  let partial = false
  const tidy = () => {
    if (partial) rmSync(target, { force: true })
  }
  await withSsh(app, dyno, (ssh) =>
    guarded(tidy, async () => {
      const child = ssh(['-T'], [`exec cat -- ${quoted(file)}`], ['ignore', 'pipe', 'inherit'])
      const ended = inFront(child)
      await action(`Downloading ${file}`, async (tell) => {
        const written = createWriteStream(target, { flags: 'wx' }).once('open', () => {
          partial = true
        })
        await pipeline(child.stdout as Readable, counted(tell), written)
        const { code, interrupted } = await ended
        partial = code !== 0
        if (interrupted) throw new Failure('', INTERRUPTED)
        if (partial) throw new Failure('Could not transfer the file. Make sure the filename is correct.', 2)
      })
    }),
  )
}

/** As one word of a shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

const counted = (tell: (word: string) => void) =>
  async function* (source: AsyncIterable<Buffer>) {
    let size = 0
    for await (const chunk of source) {
      size += chunk.length
      tell(`${size.toLocaleString('en')} bytes`)
      yield chunk
    }
  }

interface Mapping {
  local: number
  remote: number
}

function mapping(text: string): Mapping {
  const [local = '', remote = local, ...more] = text.split(':')
  if (more.length > 0) throw new Failure(`${text} is no port, nor LOCAL:REMOTE.`, 2)
  return { local: port(local), remote: port(remote) }
}

function port(text: string): number {
  const number = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (number < 1 || number > 0xffff) throw new Failure(`${text || 'Nothing'} is no port: 1 to 65535.`, 2)
  return number
}

async function forward(app: string, dyno: string, mappings: Mapping[]): Promise<void> {
  const args = mappings.flatMap(({ local, remote }) => ['-L', `localhost:${local}:127.0.0.1:${remote}`])
  await withSsh(app, dyno, (ssh) =>
    open(ssh, args, () => {
      for (const { local, remote } of mappings) say(`Listening on ${local} and forwarding to ${dyno}:${remote}`)
      say('Use CTRL+C to stop port forwarding')
    }),
  )
}

async function socks(app: string, dyno: string, local: number): Promise<void> {
  await withSsh(app, dyno, (ssh) =>
    open(ssh, ['-D', `localhost:${local}`], () => {
      say(`SOCKSv5 proxy server started on port ${local}`)
      say('Use CTRL+C to stop the proxy')
    }),
  )
}

/**
 * Has ssh listen until Ctrl-C. Once it does it runs a command here, which prints the first that comes from it; one in the dyno that waits for
 * this end keeps the connection, which without a process would be closed as idle.
 */
async function open(ssh: Ssh, args: string[], listening: () => void): Promise<void> {
  const told = ['-o', 'PermitLocalCommand=yes', '-o', 'LocalCommand=echo']
  const child = ssh(['-T', ...told, ...args], ['exec cat'], ['pipe', 'pipe', 'inherit'])
  child.stdout?.once('data', listening)
  const { code, interrupted } = await inFront(child)
  if (!interrupted) throw new Failure('The connection to the dyno has ended.', code || 1)
}
