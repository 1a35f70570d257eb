import { type Duplex, Writable } from 'node:stream'
import type { Process, Terminal } from './engine.ts'
import { type Frame, frames } from './frames.ts'
import { createCut } from './mark.ts'

/** What the engine offers for a process: a stream both ways, and calls. */
export interface Wire {
  socket: Duplex
  /** The end of its output: see mark.ts. */
  mark: string
  /** Its exit code, when it has ended. Rejects with EngineError. */
  ended(): Promise<number>
  resize(columns: number, rows: number): Promise<void>
  /** Ends all of its processes; resolves when they have. */
  hangup(): Promise<void>
}

/** A process whose end of the engine's stream we hold. The stream is read as far as the output is consumed, and no further. */
export function createProcess(terminal: Terminal, wire: Wire): Process {
  const { socket } = wire
  // What became of the process is told by its exit; the stream only ends.
  socket.on('error', () => {})
  let finish = (_told?: number) => {}
  const finished = new Promise<number | undefined>((resolve) => {
    finish = resolve
  })
  const exit = finished.then((told) => told ?? wire.ended())
  exit.catch(() => {})
  const size = terminal.kind === 'tty' ? createSize(wire) : undefined
  let begun = false
  const output = outputOf(terminal, wire, {
    begin() {
      begun = true
    },
    printed: () => size?.again(),
    finish,
  })
  return {
    input: inputOf(terminal, socket),
    output,
    resize: async (columns, rows) => size?.set(columns, rows),
    exit,
    async hangup() {
      // Read to the end by nobody: the engine (20.10) takes an exec whose stream is closed for one that has ended.
      void output.return(undefined)
      if (!begun) {
        socket.resume()
        finish()
      }
      await wire.hangup()
    },
  }
}

/** What is written after the end of the process is dropped: nobody could read it. */
const inputOf = ({ kind }: Terminal, socket: Duplex): Writable =>
  new Writable({
    write(chunk, _, written) {
      if (socket.writableEnded || socket.destroyed) written()
      else socket.write(chunk, () => written())
    },
    final(ended) {
      // The engine takes the end of a terminal's input for a wish to see no more of its output.
      if (kind === 'pipes') socket.end()
      ended()
    },
  })

async function* outputOf(
  { kind }: Terminal,
  { socket, mark }: Wire,
  on: { begin(): void; printed(): void; finish(exitCode: number | undefined): void },
): AsyncGenerator<Frame> {
  on.begin()
  const cuts = { stdout: createCut(mark), stderr: createCut(mark) }
  const source = socket.iterator({ destroyOnReturn: false })
  try {
    for await (const { stream, data } of kind === 'pipes' ? frames(source) : plain(source)) {
      const own = cuts[stream].take(data)
      if (own.length > 0) {
        on.printed()
        yield { stream, data: own }
      }
      if (cuts.stdout.exitCode !== undefined && (kind === 'tty' || cuts.stderr.exitCode !== undefined)) break
    }
    for (const stream of ['stdout', 'stderr'] as const) {
      const rest = cuts[stream].rest()
      if (rest.length > 0) yield { stream, data: rest }
    }
  } catch (error) {
    if (!isStreamError(error)) throw error
  } finally {
    // What comes after the mark, or nobody wants: the process must not wait for it to be read.
    socket.resume()
    on.finish(cuts.stdout.exitCode)
  }
}

async function* plain(source: AsyncIterable<Buffer>): AsyncGenerator<Frame> {
  for await (const data of source) yield { stream: 'stdout', data }
}

/** The connection broke, or was closed by us. */
const isStreamError = (error: unknown): boolean =>
  typeof (error as { code?: unknown } | null)?.code === 'string' || (error as Error | null)?.name === 'AbortError'

/**
 * The launch script sets the size that was known at the start. A size that comes before the process prints anything may come before that,
 * and is set once more when it does.
 */
function createSize({ resize }: Wire) {
  let early: [number, number] | undefined
  let printed = false
  return {
    set(columns: number, rows: number): Promise<void> {
      if (!printed) early = [columns, rows]
      return resize(columns, rows)
    },
    again(): void {
      printed = true
      if (early) resize(...early).catch(() => {})
      early = undefined
    },
  }
}
