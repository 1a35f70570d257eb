import { randomBytes } from 'node:crypto'
import type { Process } from '../../engine/engine.ts'

/** Starts a shell command line in one dyno, with pipes. */
export type Run = (command: string, signal: AbortSignal) => Promise<Process>

/** More is not skipped of what the app's profile scripts print before a command of ours. */
const NOISE = 64 * 1024

/**
 * Starts a command that says a line of its own before its output: `mark` and then words. Resolves to those words and to the process with
 * the output that follows; to `undefined` when it ends without them.
 */
export async function announced(
  run: Run,
  commandOf: (mark: string) => string,
  signal: AbortSignal,
): Promise<{ words: string[]; process: Process } | undefined> {
  const mark = randomBytes(16).toString('hex')
  const process = await run(commandOf(mark), signal)
  process.exit.catch(() => {})
  process.input.on('error', () => {})
  const hangup = () => void process.hangup().catch(() => {})
  signal.addEventListener('abort', hangup)
  if (signal.aborted) hangup()
  try {
    const found = await findMark(process, mark)
    if (!found) hangup()
    return found
  } finally {
    signal.removeEventListener('abort', hangup)
  }
}

async function findMark(process: Process, mark: string) {
  const chunks = process.output[Symbol.asyncIterator]()
  let seen = Buffer.alloc(0)
  for (;;) {
    const { value, done } = await chunks.next()
    if (done) return undefined
    if (value.stream === 'stderr') continue
    seen = Buffer.concat([seen, value.data])
    const start = seen.indexOf(`${mark} `)
    const end = start < 0 ? -1 : seen.indexOf('\n', start)
    if (end >= 0) {
      const words = seen.toString('utf8', start, end).split(' ').slice(1)
      return { words, process: withOutput(process, after(seen.subarray(end + 1), chunks)) }
    }
    if (seen.length > NOISE) return undefined
  }
}

const withOutput = (process: Process, output: Process['output']): Process => ({
  input: process.input,
  output,
  exit: process.exit,
  resize: (columns, rows) => process.resize(columns, rows),
  hangup: () => process.hangup(),
})

type Chunk = { stream: 'stdout' | 'stderr'; data: Buffer }

async function* after(first: Buffer, chunks: AsyncIterator<Chunk>): AsyncGenerator<Chunk> {
  try {
    if (first.length > 0) yield { stream: 'stdout', data: first }
    for (;;) {
      const { value, done } = await chunks.next()
      if (done) return
      yield value
    }
  } finally {
    await chunks.return?.()
  }
}

/** Reads a process to its end, as it must be before it counts as ended. */
export async function drain(process: Process): Promise<void> {
  process.input.end()
  for await (const _ of process.output);
}

/** One word for a shell. */
export const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
