import { type Code, problem } from './page.ts'

/** What one request's log line says; Heroku's Router 2.0 format (https://devcenter.heroku.com/articles/http-routing#heroku-router-log-format). */
export interface Account {
  code: Code | null
  /** Which rule of H25 or H26 was broken. */
  cause: string
  method: string
  path: string
  host: string
  requestId: string
  /** `X-Forwarded-For`, as the dyno gets it: what the client claims, then its address. */
  forwarded: string
  /** Empty when no dyno was reached. */
  dyno: string
  /** ms; undefined when it did not come to that. */
  connect: number | undefined
  service: number | undefined
  status: number
  bytes: number
  minor: number
  /** `unknown` without TLS, else such as `tls1.3`. */
  tls: string
}

export function formatAccount(a: Account): string {
  return `${prefix(a)} method=${a.method} path="${quoted(a.path)}" host=${a.host} request_id=${a.requestId} fwd="${quoted(a.forwarded.slice(-FORWARDED))}" dyno=${a.dyno} connect=${ms(a.connect)} service=${ms(a.service)} status=${a.status} bytes=${a.code !== null && a.dyno === '' ? '' : a.bytes} protocol=http1.${a.minor} tls=${a.tls === 'unknown' ? 'false' : `true tls_version=${a.tls}`}`
}

/** A client may claim what it likes; its own address is at the end. */
const FORWARDED = 1000

const quoted = (text: string): string => text.replaceAll('"', '%22')

function prefix({ code, cause }: Account): string {
  if (code === null) return 'at=info'
  const { at, desc, sock } = problem(code)
  const full = code === 'H25' ? `${desc}: ${cause}` : desc
  return `${sock === undefined ? '' : `sock=${sock} `}at=${at} code=${code} desc="${full}"${code === 'H26' ? ` cause="${cause}"` : ''}`
}

const ms = (time: number | undefined): string => (time === undefined ? '' : `${Math.round(time)}ms`)
