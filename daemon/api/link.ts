import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Config } from '../config.ts'
import { hostsOf } from '../names.ts'
import type { Context } from './context.ts'

/** Where the client reaches the API, which may be through a tunnel: so from the request, not from the settings. */
export type Place = Pick<Context, 'protocol' | 'host'>

export const apiUrl = (ctx: Place): string => `${ctx.protocol}://${ctx.host}`

/** The same for those who do not ask. */
export const placeOf = ({ names, router, api }: Config): Place =>
  names === undefined
    ? { protocol: 'http', host: `localhost:${api.port}` }
    : { protocol: 'https', host: `${names.api}${router.tlsPort === 443 ? '' : `:${router.tlsPort}`}` }

/** Of a link that the client passes on to somebody else, who may be anywhere. */
export const publicUrl = (ctx: Place, config: Config): string =>
  apiUrl(config.names === undefined || byName(ctx, config) ? ctx : placeOf(config))

/** Whether the client came by one of the platform's names, and so through a router. */
export const byName = ({ host }: Place, { names }: Pick<Config, 'names'>): boolean =>
  hostsOf(names).includes(host.replace(/\.?(:\d+)?$/, '').toLowerCase())

/** Where git pushes go; clients always write https for it. */
export function gitUrl(ctx: Place, { names }: Pick<Config, 'names'>, app: { name: string }): string {
  const host = names !== undefined && byName(ctx, { names }) ? ctx.host.replace(/^[^:]+/, names.git) : ctx.host
  return `https://${host}/${app.name}.git`
}

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
