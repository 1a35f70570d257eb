import { formatTime, type Line } from '../line.ts'

/**
 * Lines as syslog messages (RFC 5424), each after its length in bytes (RFC 6587, octet counting), as receivers know them from Heroku:
 *
 *   syslog   82 <190>1 2026-11-23T06:57:42.358000+00:00 d.9173ea1f-6f14-4976-9cf0-7cd0dafdcdbc app web.1 - - hello
 *   HTTP     71 <190>1 2026-11-23T06:57:42.358000+00:00 host app web.1 - hello
 *
 * Over HTTP the token is in a header, and structured data is left out: not RFC 5424, but what parsers of Heroku's drains expect
 * (https://github.com/heroku/logplex/blob/master/doc/README.http_drains.md). Each message ends with a newline that counts.
 */
export const syslogFrame = (line: Line, token: string): Buffer => frame(line, token, '- -')

export const httpFrame = (line: Line): Buffer => frame(line, 'host', '-')

function frame(line: Line, host: string, rest: string): Buffer {
  const text = line.text.replace(/[\r\n]+/g, ' ')
  const head = `<${priority(line)}>1 ${formatTime(line.at)} ${host} ${line.source} ${field(line.dyno)} ${rest}`
  const message = Buffer.from(`${head} ${text}\n`)
  return Buffer.concat([Buffer.from(`${message.length} `), message])
}

const LOCAL = 16
const WARNING = 4
const NOTICE = 5
const INFO = 6
const code = (facility: number, severity: number): number => facility * 8 + severity

/** As in samples of Heroku's drains: its own words under `syslog`, the router local3, the API local0, the app local7. */
export function priority({ source, dyno }: Line): number {
  if (source === 'app') return dyno === 'api' ? code(LOCAL, NOTICE) : code(LOCAL + 7, INFO)
  if (dyno === 'router') return code(LOCAL + 3, INFO)
  return dyno === 'logplex' ? code(LOCAL + 5, WARNING) : code(5, NOTICE)
}

/** PROCID: 1 to 128 printable characters (RFC 5424, 6). */
const field = (text: string): string => text.replace(/[^\x21-\x7e]/g, '_').slice(0, 128) || '-'
