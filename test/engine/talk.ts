import { Writable } from 'node:stream'
import type { LogChunk, Process, Terminal } from '../../daemon/engine/engine.ts'
import { type Channel, createChannel } from './channel.ts'

/** What a scripted process sees of the client that holds its input and output. */
export interface Talk {
  /** With a terminal it may change. */
  terminal: Terminal
  /** Ends with the client's input. */
  input: AsyncIterable<Buffer>
  /** Resolves when there is room for more, as a write to a pipe does. */
  print(data: string | Buffer, stream?: 'stdout' | 'stderr'): Promise<void>
  /** Called with each change of the size. */
  resized: () => void
}

interface Scripted {
  prints: LogChunk[]
  talks: ((talk: Talk) => Promise<number>) | undefined
  end(exitCode: number): void
  ended: Promise<number>
  hangup(): Promise<void>
}

type Chunk = { stream: 'stdout' | 'stderr'; data: Buffer }

/** So much may be printed before somebody reads. */
const ROOM = 64 * 1024

/** The client's end of a scripted process. */
export function createTalk(terminal: Terminal, scripted: Scripted): Process {
  const input = createChannel<Buffer>()
  const output = createPipe()
  for (const { stream, data } of scripted.prints) void output.put({ stream, data })
  const talk: Talk = {
    terminal,
    input: input.read(),
    print: (data, stream = 'stdout') =>
      output.put({ stream: terminal.kind === 'tty' ? 'stdout' : stream, data: Buffer.from(data) }),
    resized: () => {},
  }
  void scripted.talks?.(talk).then(scripted.end)
  void scripted.ended.then(() => {
    input.close()
    output.close()
  })
  return {
    input: new Writable({
      write(chunk: Buffer, _, written) {
        input.put(chunk)
        written()
      },
      final(ended) {
        if (terminal.kind === 'pipes') input.close()
        ended()
      },
    }),
    output: output.read(),
    async resize(columns, rows) {
      if (talk.terminal.kind === 'pipes') return
      talk.terminal = { kind: 'tty', columns, rows }
      talk.resized()
    },
    exit: Promise.all([scripted.ended, output.finished]).then(([code]) => code),
    async hangup() {
      output.discard()
      await scripted.hangup()
    },
  }
}

/** A channel that is full at times. */
function createPipe() {
  const chunks: Channel<Chunk> = createChannel()
  let held = 0
  let room: (() => void)[] = []
  let finish = () => {}
  const finished = new Promise<void>((resolve) => {
    finish = resolve
  })
  const release = () => {
    for (const go of room) go()
    room = []
  }
  let discarding = false
  return {
    finished,
    async put(chunk: Chunk): Promise<void> {
      chunks.put(chunk)
      held += chunk.data.length
      if (held > ROOM && !discarding)
        await new Promise<void>((resolve) => {
          room.push(resolve)
        })
    },
    close: chunks.close,
    discard() {
      discarding = true
      release()
      chunks.close()
      finish()
    },
    async *read(): AsyncGenerator<Chunk> {
      try {
        for await (const chunk of chunks.read()) {
          held -= chunk.data.length
          if (held <= ROOM) release()
          yield chunk
        }
      } finally {
        finish()
      }
    },
  }
}
