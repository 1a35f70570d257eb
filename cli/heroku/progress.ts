import { printable } from '../output.ts'

/**
 * What goes on for a while, on stderr: `Running bash on shop... starting, run.1234`. On a terminal its line is written over; elsewhere each
 * step has a line.
 */
export interface Progress {
  tell(status: string): void
  /** The last step. */
  end(status: string): void
}

const CLEAR = '\r\u001b[K'

export function createProgress(message: string): Progress {
  let last = ''
  const write = (status: string, end: boolean): void => {
    const line = printable(`${message}... ${status}`)
    if (process.stderr.isTTY) process.stderr.write(`${CLEAR}${line}${end ? '\n' : ''}`)
    else if (status !== last) process.stderr.write(`${line}\n`)
    last = status
  }
  return { tell: (status) => write(status, false), end: (status) => write(status, true) }
}
