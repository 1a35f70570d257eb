import { mkdirSync } from 'node:fs'
import { access, type FileHandle, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'

/**
 * The stored output of one build or release command, in `transcripts/<id>`. While it is written it is open; one whose writer died
 * with the daemon is ended, because nobody has it open.
 */
export interface Transcript {
  /** Never waits. Of what goes beyond limits.transcript only the end is stored, where a failure has its reason; a line says so. */
  write(chunk: string | Buffer): void
  /** Resolves when all is stored; followers end then. */
  end(): Promise<void>
}

export interface Transcripts {
  /** Begins a transcript, or goes on with one. */
  open(id: string): Promise<Transcript>
  /** From the start; ends when it was ended, or at its end when nobody has it open. Missing ones are empty. */
  follow(id: string, signal: AbortSignal): AsyncIterable<Buffer>
  has(id: string): Promise<boolean>
  remove(id: string): Promise<void>
}

const CUT = Buffer.from('\n !     This output is too long: of what follows only the end is stored.\n\n')

interface Live {
  pending: Buffer[]
  size: number
  /** What is beyond the bound, as far as it may be the end. */
  tail: Tail
  ended: boolean
  readers: Set<() => void>
  /** Resolves when everything so far is in the file. */
  writing: Promise<void> | undefined
  file: FileHandle
}

export function createTranscripts(config: Pick<Config, 'data'>, log: Log): Transcripts {
  const folder = join(config.data, 'transcripts')
  const opened = new Map<string, Live>()

  /** Ids come from URLs too, so nothing but the two forms may become a path. */
  const pathOf = (id: string): string => {
    if (!/^(build|release)-[0-9a-f-]{36}$/.test(id)) throw new TypeError(`not a transcript id: ${JSON.stringify(id)}`)
    return join(folder, id)
  }

  const flush = async (live: Live): Promise<void> => {
    while (live.pending.length > 0) {
      const batch = Buffer.concat(live.pending)
      live.pending = []
      await live.file.appendFile(batch).catch((error) => log.error('output could not be stored', { error }))
      for (const wake of live.readers) wake()
    }
  }

  const write = (live: Live, chunk: Buffer): void => {
    if (live.ended || chunk.length === 0) return
    const room = Math.max(limits.transcript - live.size, 0)
    const beyond = live.size > limits.transcript
    live.size += chunk.length
    if (chunk.length <= room) return store(live, chunk)
    live.tail.push(chunk.subarray(room))
    if (!beyond) store(live, Buffer.concat([chunk.subarray(0, room), CUT]))
  }

  const store = (live: Live, chunk: Buffer): void => {
    live.pending.push(chunk)
    live.writing ??= flush(live).finally(() => {
      live.writing = undefined
    })
  }

  const end = async (id: string, live: Live): Promise<void> => {
    if (live.ended) return
    live.ended = true
    const tail = live.tail.take()
    if (tail.length > 0) store(live, tail)
    while (live.writing) await live.writing
    if (opened.get(id) === live) opened.delete(id)
    await live.file.close()
    for (const wake of live.readers) wake()
  }

  async function* follow(id: string, signal: AbortSignal): AsyncGenerator<Buffer> {
    const file = await open(pathOf(id), 'r').catch(() => undefined)
    if (!file) return
    let wake = (): void => {}
    const rouse = (): void => wake()
    const live = opened.get(id)
    live?.readers.add(rouse)
    signal.addEventListener('abort', rouse)
    try {
      while (!signal.aborted) {
        // Looked at before reading: what is read after the end is all there is.
        const ended = live === undefined || opened.get(id) !== live
        const next = new Promise<void>((resolve) => {
          wake = resolve
        })
        const { bytesRead, buffer } = await file.read({ buffer: Buffer.allocUnsafe(64 * 1024) })
        if (bytesRead > 0) yield buffer.subarray(0, bytesRead)
        else if (ended) return
        else await next
      }
    } finally {
      live?.readers.delete(rouse)
      signal.removeEventListener('abort', rouse)
      await file.close()
    }
  }

  return {
    async open(id) {
      const path = pathOf(id)
      mkdirSync(folder, { recursive: true })
      const file = await open(path, 'a', 0o600)
      const before = opened.get(id)
      if (before) {
        await file.close()
        return { write: (chunk) => write(before, bytes(chunk)), end: () => end(id, before) }
      }
      const { size } = await file.stat()
      const tail = createTail(limits.transcriptEnd)
      const live: Live = { pending: [], size, tail, ended: false, readers: new Set(), writing: undefined, file }
      opened.set(id, live)
      return { write: (chunk) => write(live, bytes(chunk)), end: () => end(id, live) }
    },
    follow,
    has: (id) =>
      access(pathOf(id)).then(
        () => true,
        () => false,
      ),
    async remove(id) {
      const live = opened.get(id)
      if (live) await end(id, live)
      await rm(pathOf(id), { force: true })
    },
  }
}

interface Tail {
  push(chunk: Buffer): void
  /** The last bytes of all that was pushed, from the beginning of a line on when something is missing before it. */
  take(): Buffer
}

function createTail(most: number): Tail {
  let chunks: Buffer[] = []
  let size = 0
  let cut = false
  const last = (): Buffer => {
    cut ||= size > most
    return Buffer.concat(chunks).subarray(-most)
  }
  return {
    push(chunk) {
      chunks.push(chunk)
      size += chunk.length
      // Seldom, so that little is copied, whatever the size of the chunks.
      if (size <= 2 * most) return
      chunks = [last()]
      size = most
    },
    take() {
      const end = last()
      return cut ? end.subarray(end.indexOf(0x0a) + 1) : end
    },
  }
}

const bytes = (chunk: string | Buffer): Buffer => (typeof chunk === 'string' ? Buffer.from(chunk) : chunk)
