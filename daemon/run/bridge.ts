import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import type { Clock } from '../clock.ts'
import type { Daemon } from '../daemon.ts'
import type { Process } from '../engine/engine.ts'
import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'
import { createMessages } from './message.ts'
import type { Meeting } from './rendezvous.ts'
import { wordsOf } from './ssh/converse.ts'

/** What the client takes for the sign that it is connected; it drops the first event, so this must come alone. */
const GREETING = 'rendezvous\r\n'
const EOT = 0x04
/** What was held back is shown when nothing follows it for so long, ms. It shows nothing by itself, and a busy engine pauses for long. */
const HELD = 1000

/** Answers a client that came with a secret; one that nobody waits for is told so. */
export function meet(d: Pick<Daemon, 'rendezvous' | 'log' | 'clock'>, socket: Duplex, secret: string): void {
  socket.on('error', () => socket.destroy())
  const meeting = d.rendezvous.claim(secret)
  if (!meeting)
    return void socket.end(`${GREETING} !     This session is over or was never there. Run the command again.\r\n`)
  bridge(d, socket, meeting).catch((error: unknown) => {
    d.log.error('a one-off session broke', { app: meeting.app, dyno: meeting.dyno, error })
    socket.destroy()
  })
}

/**
 * Connects a client that speaks Heroku's rendezvous protocol with its process: raw bytes both ways, each side as fast as the other
 * reads. Ends the connection when the process has ended, and hangs the process up when the connection ends first.
 */
async function bridge({ log, clock }: Pick<Daemon, 'log' | 'clock'>, socket: Duplex, meeting: Meeting): Promise<void> {
  socket.write(GREETING)
  const gone = new AbortController()
  for (const event of ['end', 'close']) socket.once(event, () => gone.abort())
  let process: Process
  try {
    process = await meeting.open(meeting.terminal ?? { kind: 'pipes' })
  } catch (error) {
    log.warn('a one-off process could not be had', { app: meeting.app, dyno: meeting.dyno, error: messageOf(error) })
    socket.end(` !     ${wordsOf(error)}\r\n`)
    return
  }
  const hangup = () => void process.hangup().catch((error) => log.warn('a process was not hung up', { error }))
  if (gone.signal.aborted) return hangup()
  gone.signal.addEventListener('abort', hangup)
  feed(socket, process, meeting.terminal?.kind === 'pipes')
  try {
    await show(socket, process, { gone: gone.signal, clock })
  } catch (error) {
    if (!gone.signal.aborted)
      log.warn('the output of a process broke off', { dyno: meeting.dyno, error: messageOf(error) })
  } finally {
    gone.signal.removeEventListener('abort', hangup)
    socket.end()
    // what is still typed goes nowhere, and must not hold the connection open
    socket.resume()
  }
}

/** Input. The client says that its own has ended by an EOT in a message of its own; a terminal makes an end of file of it by itself. */
function feed(socket: Duplex, { input }: Process, pipes: boolean): void {
  input.on('error', () => {})
  for (const event of ['drain', 'close']) input.on(event, () => socket.resume())
  socket.on('data', (chunk: Buffer) => {
    if (pipes && chunk.length === 1 && chunk[0] === EOT) return void input.end()
    if (input.writableEnded || input.destroyed || input.write(chunk)) return
    // Read ahead: a client that has gone is noticed only once all that it has sent is read.
    if (input.writableLength > limits.inputAhead) socket.pause()
  })
}

/** Output, as far as the client reads it. */
async function show(
  socket: Duplex,
  { output }: Process,
  { gone, clock }: { gone: AbortSignal; clock: Clock },
): Promise<void> {
  const messages = createMessages()
  const write = async (piece: Buffer): Promise<void> => {
    if (!gone.aborted && !socket.write(piece)) await once(socket, 'drain', { signal: gone })
  }
  let cancel = (): void => {}
  try {
    for await (const { data } of output) {
      cancel()
      for (const piece of messages.push(data)) await write(piece)
      cancel = clock.at(clock.now() + HELD, () => {
        for (const piece of messages.end()) void socket.write(piece)
      })
    }
  } finally {
    cancel()
  }
  for (const piece of messages.end()) await write(piece)
}
