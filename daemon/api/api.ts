import type { IncomingMessage, ServerResponse } from 'node:http'
import Koa from 'koa'
import type { Daemon } from '../daemon.ts'
import { messageOf } from '../errors.ts'
import { authentication } from './authentication.ts'
import type { State } from './context.ts'
import { missing } from './missing.ts'
import { refusal } from './refusal.ts'
import { representation } from './representation.ts'
import { requestId } from './request-id.ts'
import { createRoutes } from './routes.ts'
import { version } from './version.ts'

/** Heroku's Platform API v3 over HTTP, as a listener for any server. */
export function createApi(d: Daemon): (req: IncomingMessage, res: ServerResponse) => void {
  const { open, closed } = createRoutes(d)
  const koa = new Koa<State>()
  koa.on('error', (error) => d.log.warn('an answer was cut off', { error: messageOf(error) }))
  koa.use(representation).use(requestId(d)).use(refusal(d))
  koa.use(open.routes())
  koa.use(version).use(authentication(d)).use(missing(closed)).use(closed.routes())
  const listener = koa.callback()
  return (req, res) => void listener(req, res)
}
