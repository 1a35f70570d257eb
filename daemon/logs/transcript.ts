import { mkdirSync } from 'node:fs'
import { access, type FileHandle, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import type { Log } from '../log.ts'

/**
 * The stored output of one build or release command, in `transcripts/<id>`. While it is written it is open; one whose writer died
 * with the daemon is ended, because nobody has it open.
 */
export interface Transcript {
  /** Never waits; what goes beyond the bound is left out, and the last line says so. */
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

const MAX_BYTES = 16 * 1024 * 1024
const CUT = Buffer.from('\n !     The rest of this output is not stored: it is too long.\n')

interface Live {
  pending: Buffer[]
  size: number
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
    if (live.ended || live.size > MAX_BYTES || chunk.length === 0) return
    const room = MAX_BYTES - live.size
    live.pending.push(chunk.length <= room ? chunk : Buffer.concat([chunk.subarray(0, room), CUT]))
    live.size += chunk.length
    live.writing ??= flush(live).finally(() => {
      live.writing = undefined
    })
  }

  const end = async (id: string, live: Live): Promise<void> => {
    if (live.ended) return
    live.ended = true
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
      const live: Live = { pending: [], size, ended: false, readers: new Set(), writing: undefined, file }
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

const bytes = (chunk: string | Buffer): Buffer => (typeof chunk === 'string' ? Buffer.from(chunk) : chunk)
