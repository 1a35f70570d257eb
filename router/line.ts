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
  http2?: boolean | undefined
  /** `unknown` without TLS, else such as `tls1.3`. */
  tls: string
  /** User-Agent, where it matters who it was (H31). */
  agent?: string | undefined
}

export const formatAccount = (account: Account): string => format(account, PLAIN)

/** The same line as the inside of a JSON string, in ASCII. Written so at once, because to look through every line again costs more. */
export const formatAccountInJson = (account: Account): string => format(account, IN_JSON)

interface Script {
  quote: string
  /** What others have written, so that it cannot end where it stands. */
  quoted(text: string): string
}

const PLAIN: Script = { quote: '"', quoted: (text) => (text.includes('"') ? text.replaceAll('"', '%22') : text) }
const IN_JSON: Script = { quote: '\\"', quoted: (text) => (HARMLESS.test(text) ? text : inJson(PLAIN.quoted(text))) }

/** What is in a JSON string as it is. */
const HARMLESS = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/

/** As the inside of a JSON string, in ASCII. */
export const inJson = (text: string): string =>
  JSON.stringify(text)
    .slice(1, -1)
    .replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)

function format(a: Account, script: Script): string {
  const { quote, quoted } = script
  const protocol = a.http2 ? 'http2.0' : a.minor === 1 ? 'http1.1' : 'http1.0'
  const agent = a.agent === undefined ? '' : ` agent=${quote}${quoted(a.agent.slice(0, FORWARDED))}${quote}`
  const from = a.forwarded.length > FORWARDED ? a.forwarded.slice(-FORWARDED) : a.forwarded
  return `${prefix(a, script)} method=${a.method} path=${quote}${quoted(a.path)}${quote} host=${a.host} request_id=${a.requestId} fwd=${quote}${quoted(from)}${quote} ${dynoPart(a, script)} protocol=${protocol} tls=${a.tls === 'unknown' ? 'false' : `true tls_version=${a.tls}`}${agent}`
}

/**
 * What has not been is empty, as in Heroku's examples: everything where no dyno had to do with it, the time and the bytes of a response
 * when none was reached, the status when the router itself had to go.
 */
function dynoPart({ code, dyno, connect, service, status, bytes }: Account, { quoted }: Script): string {
  if (code !== null && problem(code).early) return `dyno= connect= service= status=${status} bytes=`
  const took = `dyno=${quoted(dyno)} connect=${ms(connect)} service=${ms(service)}`
  const sent = code !== null && service === undefined ? '' : bytes
  return `${took} status=${code === 'H24' ? '' : status} bytes=${sent}`
}

/** A client may claim what it likes; its own address is at the end of what it was forwarded for. */
const FORWARDED = 1000

function prefix({ code, cause }: Account, { quote, quoted }: Script): string {
  if (code === null) return 'at=info'
  const { at, desc, sock } = problem(code)
  const full = code === 'H25' ? `${desc}: ${quoted(cause)}` : desc
  const because = code === 'H26' ? ` cause=${quote}${quoted(cause)}${quote}` : ''
  return `${sock === undefined ? '' : `sock=${sock} `}at=${at} code=${code} desc=${quote}${full}${quote}${because}`
}

const ms = (time: number | undefined): string => (time === undefined ? '' : `${Math.round(time)}ms`)
