import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import Koa from 'koa'
import type { Daemon } from '../daemon.ts'
import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'
import { authentication } from './authentication.ts'
import type { State } from './context.ts'
import { counted } from './counted.ts'
import { methodOverride } from './method-override.ts'
import { scrape } from './metrics.ts'
import { missing } from './missing.ts'
import { precondition } from './precondition.ts'
import { rateLimit } from './rate-limit.ts'
import { refusal } from './refusal.ts'
import { representation } from './representation.ts'
import { requestId } from './request-id.ts'
import { createRoutes } from './routes.ts'
import { scope } from './scope.ts'
import { version } from './version.ts'

/** Heroku's Platform API v3 over HTTP, as a listener for any server. */
export function createApi(d: Daemon): (req: IncomingMessage, res: ServerResponse) => void {
  const { open, closed } = createRoutes(d)
  // what it is told of the client's address and protocol is true: forwarded.ts
  const koa = new Koa<State>({ proxy: true })
  koa.on('error', (error) => d.log.warn('an answer was cut off', { error: messageOf(error) }))
  koa.use(counted).use(representation).use(requestId(d)).use(refusal(d)).use(methodOverride)
  koa.use(open.routes()).use(scrape(d))
  koa.use(version).use(authentication(d)).use(rateLimit(d)).use(missing(open, closed)).use(scope)
  koa.use(precondition(closed)).use(closed.routes())
  const listener = koa.callback()
  return (req, res) => {
    const { socket } = req
    res.once('finish', () => {
      if (!req.complete) endUnless(req, socket, limits.bodyTime)
    })
    listener(req, res).then(() => {
      if (res.writableEnded && !res.writableFinished) endUnless(res, socket, limits.answerTime)
    })
  }
}

/** Ends the connection of a client that sends on what nobody reads, or does not take its finished answer, unless it is done in time. */
function endUnless(done: IncomingMessage | ServerResponse, socket: Socket, after: number): void {
  const late = setTimeout(() => socket.destroy(), after)
  done.once('close', () => clearTimeout(late))
}
