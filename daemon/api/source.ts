import type { FileHandle } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { opens } from '../build/source/link.ts'
import { createUpload, openUpload, receiveUpload } from '../build/source/upload.ts'
import type { Daemon } from '../daemon.ts'
import { notFound, UserError } from '../errors.ts'
import { type Context, created, param, type Routes, reply, withApp } from './context.ts'
import { apiUrl } from './link.ts'

/** A source to be built: made with a token, then sent and fetched by links that need none. */
export function sourceRoutes({ open, closed }: { open: Routes; closed: Routes }, d: Daemon): void {
  const create = async (ctx: Context) =>
    created(ctx, { source_blob: await createUpload(d, ctx.state.account, apiUrl(ctx)) })
  closed.post('/sources', reply(create))
  closed.post(
    '/apps/:app/sources',
    withApp(d, 'deploy', (_, ctx) => create(ctx)),
  )
  open.put('/sources/:source', async (ctx) => {
    requireLink(d, ctx, 'put')
    await receive(ctx, (archive, signal) => receiveUpload(d, param(ctx, 'source'), archive, signal))
  })
  open.get('/sources/:source', async (ctx) => {
    const found = await openUpload(d, `http://localhost${ctx.url}`)
    if (!found) throw notFound('source', 'source')
    await send(ctx, found.file)
  })
}

/** Throws 404 unless the request has the key of its link. */
export function requireLink(d: Daemon, ctx: Context, method: 'get' | 'put'): void {
  if (opens(d, method, ctx.path, String(ctx.query.key ?? ''))) return
  throw notFound('upload, or its link is too old. Ask for a new one', 'source')
}

/** After a refusal, for the rest of the body: a client reads the answer only when it has sent all. */
const LINGER = 5000

/**
 * Takes a body that is a file, and answers 200 when `take` has it safely on disk. The connection is not cut when it is refused, so that the
 * client can read why.
 */
export async function receive(
  ctx: Context,
  take: (archive: Readable, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const gone = new AbortController()
  const { req, res } = ctx
  res.once('close', () => gone.abort(interrupted()))
  const body = Readable.from(chunksOf(req), { objectMode: false })
  try {
    await take(body, gone.signal)
  } catch (error) {
    const late = setTimeout(() => req.complete || req.destroy(), LINGER).unref()
    req.once('close', () => clearTimeout(late)).on('error', () => undefined)
    req.resume()
    throw gone.signal.aborted || req.errored ? interrupted() : error
  }
  ctx.body = ''
  ctx.status = 200
}

/** Whoever stops reading them, for whatever reason, leaves the connection as it is. */
async function* chunksOf(req: IncomingMessage): AsyncGenerator<Buffer> {
  for await (const chunk of req.iterator({ destroyOnReturn: false })) yield chunk
}

const interrupted = () => new UserError('bad_request', 'The upload was interrupted.')

/** Answers with a stored archive, and closes it. */
async function send(ctx: Context, file: FileHandle): Promise<void> {
  const { size } = await file.stat()
  ctx.type = 'application/octet-stream'
  ctx.set('Cache-Control', 'private, no-store')
  if (ctx.method === 'HEAD') await file.close()
  else ctx.body = file.createReadStream()
  ctx.status = 200
  ctx.length = size
}
