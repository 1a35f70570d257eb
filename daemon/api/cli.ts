import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Daemon } from '../daemon.ts'
import { notFound, UserError } from '../errors.ts'
import { version } from '../version.ts'
import { createCliPackage } from './cli-package.ts'
import { type Context, param, type Routes, reply } from './context.ts'
import { installScript } from './install-script.ts'
import { apiUrl, gitUrl } from './link.ts'
import { names, tagOf } from './representation.ts'

/**
 * Sluice's own, without a token: the `sluice` command for a laptop, and what it has to know of this platform before anybody is logged in.
 * The authority is the certificate that clients are told to trust, never its key.
 */
export function cliRoutes(open: Routes, d: Daemon): void {
  const made = createCliPackage()
  open.get(
    '/cli/platform',
    reply(async (ctx) => ({
      version: version,
      git_host: new URL(gitUrl(ctx, d.config, { name: 'app' })).host,
      authority: await readFile(join(d.config.data, 'tls', 'ca.pem'), 'utf8').catch(() => null),
    })),
  )
  open.get('/cli/install.sh', async (ctx) => {
    const url = placeOf(ctx)
    const { bytes, digest } = await made()
    send(
      ctx,
      'text/x-shellscript; charset=utf-8',
      installScript({ url, bytes, name: `${version}-${digest.slice(0, 12)}` }),
    )
  })
  open.get('/cli/:package', async (ctx) => {
    if (param(ctx, 'package') !== `sluice-${version}.tgz`) throw notFound('file', 'file')
    send(ctx, 'application/gzip', (await made()).bytes)
  })
}

/** The API as this client reaches it; it is written into a script, so it must be nothing but a host and a port. */
function placeOf(ctx: Context): string {
  if (!/^(?:[\w-]+(?:\.[\w-]+)*|\[[\da-f:]+\])(?::\d{1,5})?$/i.test(ctx.host))
    throw new UserError('bad_request', 'The Host of this request is no name that a platform has.')
  return apiUrl(ctx)
}

function send(ctx: Context, type: string, body: string | Buffer): void {
  const tag = tagOf(body)
  ctx.body = body
  ctx.type = type
  ctx.set('ETag', tag)
  ctx.set('Cache-Control', 'public, no-cache')
  if (names(ctx.get('If-None-Match'), tag)) ctx.status = 304
}
