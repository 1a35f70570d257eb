import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import Router from '@koa/router'
import Koa from 'koa'
import { openDatabase } from '../../daemon/store/database.ts'

/** What Node.js alone takes: `/constant` is `node:http` with a fixed answer, `/apps/:name` a bare koa route over one row of the same database. */
export async function startPeer(data: string): Promise<{ url: string; stop(): void }> {
  const child = fork(import.meta.filename, [data], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const [url] = (await once(child, 'message')) as [string]
  return { url, stop: () => void child.kill() }
}

const [, file, data] = process.argv
if (file === import.meta.filename && data !== undefined) {
  const db = await openDatabase(join(data, 'sluice.db'))
  const router = new Router()
  router.get('/apps/:name', async (ctx) => {
    ctx.body = await db
      .selectFrom('apps')
      .selectAll()
      .where('name', '=', String(ctx.params.name))
      .executeTakeFirstOrThrow()
  })
  const koa = new Koa().use(router.routes()).callback()
  const constant = JSON.stringify({ id: 'x'.repeat(800) })
  const server = createServer((req, res) => {
    if (req.url !== '/constant') return void koa(req, res)
    res.setHeader('content-type', 'application/json')
    res.end(constant)
  })
  server.listen(0, '127.0.0.1', () => process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
  process.once('disconnect', () => process.exit())
}
