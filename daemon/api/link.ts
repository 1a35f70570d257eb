import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Config } from '../config.ts'
import type { Context } from './context.ts'

/** Where the client reaches the API, which may be through a tunnel: so from the request, not from the settings. */
export type Place = Pick<Context, 'protocol' | 'host'>

export const apiUrl = (ctx: Place): string => `${ctx.protocol}://${ctx.host}`

/** Where git pushes go; clients always write https for it. */
export const gitUrl = (ctx: Place, app: { name: string }): string => `https://${ctx.host}/${app.name}.git`

/** Where the routers serve the app. */
export const webUrl = ({ domain, router }: Config, app: { name: string }): string =>
  `http://${app.name}.${domain}${router.httpPort === 80 ? '' : `:${router.httpPort}`}/`

/** Names of transcripts that nobody can guess: whoever has the link may read, as clients fetch it without a token. */
export interface Capabilities {
  issue(id: string): string
  /** The id, or undefined when the name was not issued here. */
  redeem(name: string): string | undefined
}

export function createCapabilities(key: Buffer): Capabilities {
  const sign = (id: string) => createHmac('sha256', key).update(`transcript:${id}`).digest('base64url')
  return {
    issue: (id) => `${id}.${sign(id)}`,
    redeem(name) {
      const dot = name.indexOf('.')
      const id = name.slice(0, Math.max(dot, 0))
      const [given, wanted] = [Buffer.from(name.slice(dot + 1)), Buffer.from(sign(id))]
      return dot > 0 && given.length === wanted.length && timingSafeEqual(given, wanted) ? id : undefined
    },
  }
}
