import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { platform, trusted } from '../platform.ts'
import { Failure } from '../settings.ts'
import { bridgeTo } from './bridge.ts'
import { createOutput, type Output } from './run-output.ts'

/*
 * Two ways to a process in a dyno, by the form of the address that the platform gives:
 *
 *   rendezvous://HOST:PORT/SECRET   TLS; the secret in a line of its own, a greeting, and then bytes both ways
 *   https://HOST:PORT/attach/SECRET HTTP that is upgraded to a connection on which SSH is spoken, by the ssh of this machine
 */

export interface Attaching {
  /** Whether the output ends with the exit code behind a mark. */
  exitCode: boolean
  tty: boolean
  tell(state: string): void
  /** The process can be spoken to. */
  up(): void
}

/** Puts this process's input and output in touch with it; its exit code, or 0 where that is not asked for. */
export async function attach(url: string, how: Attaching): Promise<number> {
  const output = createOutput({ marked: how.exitCode, lines: !process.stdout.isTTY })
  const address = new URL(url)
  how.tell('starting')
  const told =
    address.protocol === 'rendezvous:' ? await rendezvous(address, how, output) : await overSsh(address, how, output)
  if (!how.exitCode) return 0
  const code = output.exitCode() ?? told
  if (code === undefined) throw new Failure('No exit code returned')
  return code
}

/** ms; nothing has been said either way for so long. */
const IDLE = 3_600_000

async function rendezvous(
  { hostname, port, pathname, search }: URL,
  how: Attaching,
  output: Output,
): Promise<undefined> {
  const { connect } = await import('node:tls')
  const socket = connect({
    host: hostname,
    port: Number(port),
    servername: hostname,
    ...(await trusted(await platform())),
  })
  socket.setTimeout(IDLE, () => socket.destroy(new Failure('timed out')))
  try {
    await once(socket, 'secureConnect')
    socket.write(`${pathname.slice(1)}${search}\r\n`)
    how.tell('connecting')
    await converse(socket, how, output)
  } catch (error) {
    throw error instanceof Failure ? error : new Failure(`The dyno cannot be reached: ${(error as Error).message}`)
  } finally {
    socket.destroy()
    release()
  }
}

const GREETING = '\r\n'

async function converse(socket: Socket, how: Attaching, output: Output): Promise<void> {
  let greeting: string | undefined = ''
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    let bytes = chunk
    if (greeting !== undefined) {
      greeting += chunk.toString('latin1')
      const end = greeting.indexOf(GREETING)
      if (end === -1) continue
      bytes = Buffer.from(greeting.slice(end + GREETING.length), 'latin1')
      greeting = undefined
      how.up()
      feed(socket, how)
    }
    await show(output.push(bytes))
  }
  await show(output.end())
}

async function show(bytes: Buffer): Promise<void> {
  if (bytes.length > 0 && !process.stdout.write(bytes)) await once(process.stdout, 'drain')
}

const EOT = '\u0004'
const INTERRUPT = '\u0003'
/** Ctrl-C so often in a second leaves a process that does not listen. */
const ENOUGH = 4

/** Input: each key as it is typed at a terminal, else bytes and, in a message of its own, their end. */
function feed(socket: Socket, { tty }: Attaching): void {
  const { stdin } = process
  if (!tty || !stdin.isTTY) {
    stdin.on('data', (chunk: Buffer) => {
      stdin.pause()
      socket.write(chunk, () => stdin.resume())
    })
    stdin.once('end', () => socket.write(EOT))
    return
  }
  stdin.setRawMode(true)
  process.once('exit', release)
  let pressed: number[] = []
  stdin.on('data', (key: Buffer) => {
    socket.write(key)
    if (key.toString() === INTERRUPT) pressed.push(Date.now())
    pressed = pressed.filter((at) => at > Date.now() - 1000)
    if (pressed.length >= ENOUGH) socket.destroy(new Failure('forcing dyno disconnect'))
  })
}

/** The terminal is the shell's again, and input that nobody reads keeps the command from ending no longer. */
function release(): void {
  const { stdin } = process
  if (stdin.isTTY) stdin.setRawMode(false)
  stdin.removeAllListeners('data').pause()
  stdin.unref?.()
}

/** What ssh ends with: the exit code, but for 255, which it has for itself. */
async function overSsh(address: URL, how: Attaching, output: Output): Promise<number | undefined> {
  const bridge = await bridgeTo(address)
  how.up()
  try {
    return await ssh(bridge.port, how, output)
  } finally {
    bridge.close()
  }
}

/** The secret has authenticated both, and the connection is inside TLS, so that a host key that nobody knows is in order. */
const OPTIONS = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'ServerAliveInterval=20', 'LogLevel=ERROR']

const FAILED = 255

function ssh(port: number, { exitCode }: Attaching, output: Output): Promise<number | undefined> {
  const terminal = exitCode && process.stdout.isTTY ? ['-t'] : []
  const options = OPTIONS.flatMap((option) => ['-o', option])
  const child = spawn('ssh', ['127.0.0.1', '-p', String(port), ...options, ...terminal], {
    stdio: ['inherit', exitCode ? 'pipe' : 'inherit', 'inherit'],
  })
  child.stdout?.on('data', (chunk: Buffer) => process.stdout.write(output.push(chunk)))
  return new Promise((resolve, reject) => {
    child.once('error', ({ message }) => reject(new Failure(`ssh is needed to attach to a dyno here: ${message}`)))
    child.once('close', (code) => {
      process.stdout.write(output.end())
      resolve(code === null || code === FAILED ? undefined : code)
    })
  })
}
