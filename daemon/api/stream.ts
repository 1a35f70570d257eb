import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { Daemon } from '../daemon.ts'
import { notFound } from '../errors.ts'
import { outcome } from '../release/outcome.ts'
import { readKey } from '../store/seal.ts'
import { type Context, param, type Routes } from './context.ts'
import { createCapabilities } from './link.ts'

/** The link to a transcript; `api` is the API's address as the client sees it. */
export type StreamUrl = (api: string, transcript: string) => Promise<string>

/** The official CLI gives a stream up after 60 s of silence; a NUL shows nothing on a terminal. */
const KEEP_ALIVE = 20_000
const NUL = Buffer.from([0])

/** Output of builds and release commands: from the start, following until its end. Links outlive the daemon: their key is kept. */
export function streamRoutes(routes: Routes, d: Daemon): StreamUrl {
  const capabilities = readKey(join(d.config.data, 'stream.key')).then(createCapabilities)
  capabilities.catch(() => {})
  routes.get('/streams/:stream', async (ctx) => {
    const id = (await capabilities).redeem(param(ctx, 'stream'))
    if (id === undefined || !(await d.transcripts.has(id))) throw notFound('stream', 'stream')
    send(ctx, (signal) => untilSettled(d, id, signal))
  })
  return async (api, transcript) => `${api}/streams/${(await capabilities).issue(transcript)}`
}

/**
 * Clients look at the status when the stream has ended, so it must be final by then. That of a build is set
 * before its transcript ends; a release is awaited, also when it goes on after its command.
 */
async function* untilSettled(d: Daemon, id: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  yield* d.transcripts.follow(id, signal)
  const [, release] = /^release-(.*)$/.exec(id) ?? []
  if (release !== undefined && !signal.aborted) await outcome(d, release, signal).catch(() => {})
}

function send(ctx: Context, follow: (signal: AbortSignal) => AsyncIterable<Buffer>): void {
  const gone = new AbortController()
  ctx.res.once('close', () => gone.abort())
  ctx.set('Content-Type', 'text/plain; charset=utf-8')
  ctx.set('Cache-Control', 'no-cache')
  ctx.status = 200
  if (ctx.method === 'HEAD') return
  ctx.body = Readable.from(keepAlive(follow(gone.signal), KEEP_ALIVE), { objectMode: false })
  ctx.flushHeaders()
}

/** The chunks of `source`, and a sign of life whenever it has been silent for `every` ms: a NUL, unless the reader wants another. */
export async function* keepAlive(source: AsyncIterable<Buffer>, every: number, sign = NUL): AsyncGenerator<Buffer> {
  const chunks = source[Symbol.asyncIterator]()
  try {
    let next = chunks.next()
    while (true) {
      const result = await silence(next, every)
      if (result === 'silent') {
        yield sign
        continue
      }
      if (result.done) return
      yield result.value
      next = chunks.next()
    }
  } finally {
    await chunks.return?.()
  }
}

async function silence<T>(next: Promise<T>, ms: number): Promise<T | 'silent'> {
  let timer: NodeJS.Timeout | undefined
  const silent = new Promise<'silent'>((resolve) => {
    timer = setTimeout(resolve, ms, 'silent')
  })
  try {
    return await Promise.race([next, silent])
  } finally {
    clearTimeout(timer)
  }
}
