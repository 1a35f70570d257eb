import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { waitFor } from './wait.ts'

/** A message as rsyslog has understood it. */
export interface Message {
  pri: string
  time: string
  host: string
  app: string
  proc: string
  msg: string
}

/** A real syslog server, with files of its own, that takes octet-counted messages over TCP and TLS. */
export interface Rsyslog {
  start(): Promise<void>
  stop(): Promise<void>
  /** What it has written so far, from both ports. */
  messages(): Promise<Message[]>
  remove(): Promise<void>
}

export async function createRsyslog(options: {
  plain: number
  tls: number
  certificate: { ca: string; cert: string; key: string }
}): Promise<Rsyslog> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-rsyslog-'))
  const output = join(folder, 'messages')
  const config = join(folder, 'rsyslog.conf')
  await writeFile(config, configuration(folder, output, options))
  let child: ChildProcess | undefined
  return {
    async start() {
      const command = ['--pdeathsig', 'KILL', 'rsyslogd', '-n', '-f', config, '-i', join(folder, 'pid')]
      child = spawn('setpriv', command, { stdio: ['ignore', 'inherit', 'inherit'] })
      for (const port of [options.plain, options.tls])
        await waitFor(`rsyslog to listen on ${port}`, () => listens(port))
    },
    async stop() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    },
    async messages() {
      const text = await readFile(output, 'utf8').catch(() => '')
      return text
        .split('\n')
        .filter((line) => line.endsWith('}'))
        .map((line) => JSON.parse(line) as Message)
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

const configuration = (
  folder: string,
  output: string,
  { plain, tls, certificate: { ca, cert, key } }: Parameters<typeof createRsyslog>[0],
): string => `
global(
  workDirectory="${folder}"
  maxMessageSize="64k"
  defaultNetstreamDriverCAFile="${ca}"
  defaultNetstreamDriverCertFile="${cert}"
  defaultNetstreamDriverKeyFile="${key}"
)
module(load="imtcp")
template(name="parts" type="list" option.jsonf="on") {
  property(outname="pri" name="pri" format="jsonf")
  property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="app" name="app-name" format="jsonf")
  property(outname="proc" name="procid" format="jsonf")
  property(outname="msg" name="msg" format="jsonf")
}
ruleset(name="all") { action(type="omfile" file="${output}" template="parts") }
input(type="imtcp" address="127.0.0.1" port="${plain}" ruleset="all")
input(
  type="imtcp" address="127.0.0.1" port="${tls}" ruleset="all"
  streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon"
)
`

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    socket
      .once('connect', () => socket.destroy())
      .once('close', () => resolve(socket.bytesRead >= 0 && !socket.errored))
    socket.once('error', () => resolve(false))
  })
