import { EngineError, type Process, type Terminal } from '../../engine/engine.ts'
import { messageOf, UserError, withoutPaths } from '../../errors.ts'
import type { Line } from './channel.ts'

const END_OF_TRANSMISSION = Buffer.from([4])
/** What ssh itself exits with when it is not the command that failed. */
const BROKEN = 255

/**
 * Puts a client and a process in touch until one of them ends: the process's exit status is the channel's, and a client that goes away
 * is a hang-up. With `merged` the process's stderr is sent as stdout; without `status` nothing is said of how it ended.
 */
export async function converse(
  line: Line,
  terminal: Terminal,
  { merged, open, status = true }: { merged: boolean; open(signal: AbortSignal): Promise<Process>; status?: boolean },
): Promise<void> {
  try {
    const process = await open(line.gone)
    const hangup = () => void process.hangup().catch(() => {})
    if (line.gone.aborted) return hangup()
    line.gone.addEventListener('abort', hangup)
    process.exit.catch(() => {})
    listen(line, terminal, process)
    for await (const { stream, data } of process.output)
      if (!(await line.write(data, merged ? 'stdout' : stream))) return
    const code = await process.exit
    line.end(status ? code : undefined)
    line.gone.removeEventListener('abort', hangup)
  } catch (error) {
    if (!status) return line.end()
    await line.write(` !     ${wordsOf(error)}${terminal.kind === 'tty' ? '\r\n' : '\n'}`, merged ? 'stdout' : 'stderr')
    line.end(BROKEN)
  }
}

/** What the client sends; its end is the end of file. */
function listen({ channel }: Line, { kind }: Terminal, { input }: Process): void {
  input.on('error', () => {})
  channel.pipe(input, { end: kind === 'pipes' })
  if (kind === 'tty')
    channel.once('end', () => {
      if (input.writable) input.write(END_OF_TRANSMISSION)
    })
}

/** The client reads what was meant for users, and of the rest only that it happened. */
export const wordsOf = (error: unknown): string =>
  error instanceof UserError || error instanceof EngineError
    ? withoutPaths(messageOf(error))
    : 'Something went wrong here, and it is not your fault. Try again.'
