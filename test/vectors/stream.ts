import type { Dice } from './dice.ts'

/** Streams of requests and of responses by a grammar, and then damaged: what a fuzz run feeds. Strings are latin1. */

const ODD = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '\x0b',
  '\x0c',
  '+',
  '-',
  '0',
  'x',
  '_',
  '"',
  '\\',
  '\x7f',
  '\x80',
  '\xa0',
  '\xff',
  '#',
  '\r\n\r\n',
  '\n\n',
  '1',
  'chunked',
  'HTTP/1.1',
]

/** Something small is put in, left out, doubled or moved; mostly near the line ends and colons, where parsers differ. */
function damage(dice: Dice, text: string): string {
  const at = dice.chance(60) ? near(dice, text) : dice.below(text.length + 1)
  switch (dice.below(6)) {
    case 0:
      return text.slice(0, at) + dice.of(ODD) + text.slice(at)
    case 1:
      return text.slice(0, at) + text.slice(at + 1 + dice.below(3))
    case 2:
      return text.slice(0, at) + dice.of(ODD) + text.slice(at + 1)
    case 3: {
      const lines = text.split('\r\n')
      const line = dice.below(lines.length)
      lines.splice(dice.below(lines.length), 0, lines[line] ?? '')
      return lines.join('\r\n')
    }
    case 4: {
      const lines = text.split('\r\n')
      lines.splice(dice.below(lines.length), 1)
      return lines.join('\r\n')
    }
    default:
      return (
        text.slice(0, at).replace(/\r\n(?=[^\n]*$)/, dice.of(['\n', '\r', '\r\r\n', '\n\r', '\r\n '])) + text.slice(at)
      )
  }
}

function near(dice: Dice, text: string): number {
  const places = [...text.matchAll(/[\r\n:;]/g)].map((match) => match.index)
  return places.length === 0 ? 0 : dice.of(places) + dice.below(2)
}

function damaged(dice: Dice, text: string): string {
  let out = text
  if (dice.chance(40)) for (let i = dice.below(3); i >= 0; i--) out = damage(dice, out)
  return out
}

const letters = (dice: Dice, most: number): string =>
  dice
    .some(most, () => dice.of(['a', 'B', '0', '-', '\r\n', '0\r\n\r\n', 'GET / HTTP/1.1\r\n', '\n', '\0', '\xe9']))
    .join('')

/** Tabs are rare, because nginx takes them for a part of the value. */
const blanks = (dice: Dice): string =>
  dice.chance(1) ? dice.of(['\t', ' \t', '\t ']) : dice.of(['', ' ', ' ', ' ', '  '])

const cased = (dice: Dice, name: string): string =>
  dice.of([
    name,
    name,
    name,
    name.toLowerCase(),
    name.toUpperCase(),
    dice.chance(20) ? name.replaceAll('-', '_') : name,
  ])

const line = (dice: Dice, name: string, value: string): string =>
  `${cased(dice, name)}:${blanks(dice)}${value}${dice.of(['', '', '', blanks(dice)])}\r\n`

const plain = (dice: Dice): string => line(dice, ...dice.of(dice.chance(80) ? HARMLESS : TELLING))

const HARMLESS: [string, string][] = [
  ['X-A', '1'],
  ['X-A', ''],
  ['X-B', 'a, b'],
  ['X-C', '\xe9\x80'],
  ['Cookie', 'a=b; c="d"'],
  ['Accept', '*/*'],
  ['Connection', 'keep-alive'],
  ['Connection', 'X-A, keep-alive'],
  ['Keep-Alive', '5'],
  ['TE', 'trailers'],
  ['Trailer', 'X-T'],
  ['Expect', '100-continue'],
  ['X-Forwarded-For', '6.6.6.6'],
  ['X-Request-Id', 'aaaaaaaaaaaaaaaaaaaa'],
  ['Via', '1.0 x'],
  ['Proxy-Connection', 'close'],
]

/** Those that can make a request a refused one, or the last. */
const TELLING: [string, string][] = [
  ['Connection', 'close'],
  ['Connection', 'Content-Length'],
  ['Connection', 'Transfer-Encoding, Host'],
  ['Connection', 'upgrade'],
  ['Upgrade', 'h2c'],
  ['Upgrade', 'websocket'],
  ['Transfer-Encoding', 'identity'],
  ['Content-Length', '0'],
]

function chunked(dice: Dice): string {
  let out = ''
  for (const data of dice.some(4, () => letters(dice, 6))) {
    if (data === '') continue
    const size = data.length.toString(16)
    out += `${dice.of([size, size, size.toUpperCase(), `0${size}`])}${extension(dice)}\r\n${data}\r\n`
  }
  const trailers = dice.chance(20) ? dice.of(['X-T: 1\r\n', 'Content-Length: 5\r\n', 'X-T:\t2 \r\nHost: b\r\n']) : ''
  return `${out}${dice.of(['0', '0', '00'])}${extension(dice)}\r\n${trailers}\r\n`
}

const extension = (dice: Dice): string => (dice.chance(15) ? dice.of([';a', ';a=b', ';a="b c"', ';a;b=c']) : '')

/** The fields that frame a body, and the body. */
function framed(dice: Dice): [fields: string, body: string] {
  const body = letters(dice, 8)
  const length = line(dice, 'Content-Length', String(body.length))
  const coding = line(dice, 'Transfer-Encoding', dice.of(['chunked', 'chunked', 'Chunked', 'gzip, chunked']))
  switch (dice.below(10)) {
    case 0:
    case 1:
    case 2:
      return [length, body]
    case 3:
    case 4:
    case 5:
      return [coding, chunked(dice)]
    case 6:
      return dice.of<[string, string]>([
        [length + length, body],
        [length + coding, chunked(dice)],
        [coding + length, chunked(dice)],
        [length + line(dice, 'Content-Length', dice.of(['1', '+1', '1, 1', '01'])), body],
      ])
    default:
      return ['', '']
  }
}

function request(dice: Dice): string {
  const method = dice.of(['GET', 'GET', 'POST', 'POST', 'PUT', 'HEAD', 'OPTIONS', 'DELETE', 'PATCH', 'PUT'])
  const target = dice.of([
    '/',
    '/',
    '/a?b=c',
    '/a;b',
    '//',
    '/%41%20',
    '*',
    'http://a.localhost/x?y',
    'HTTP://A.LOCALHOST',
    '/\\',
    '/a"b',
    '/?a=/../',
  ])
  const version = dice.chance(95) ? '1.1' : dice.of(['1.0', '1.0', '1.2'])
  const host = line(
    dice,
    'Host',
    dice.of(['a.localhost', 'a.localhost', 'A.localhost', 'a.localhost:80', 'a.localhost.']),
  )
  const [fields, body] = framed(dice)
  const others = [host, fields, ...dice.some(4, () => plain(dice))]
  if (dice.chance(30)) others.reverse()
  return `${dice.chance(5) ? '\r\n' : ''}${method} ${target} HTTP/${version}\r\n${others.join('')}\r\n${body}`
}

export const requestStream = (dice: Dice): string =>
  damaged(dice, [request(dice), ...dice.some(3, () => request(dice))].join(''))

/** Node takes `chunked` with a tab behind it for another coding. What the router makes of it has no tab. */
export const hasTabbedCoding = (stream: string): boolean => /^transfer-encoding:[^\n]*\t/im.test(stream)

/** An answer to `method`; mostly without a body where there is none. */
export function responseStream(dice: Dice, method: string): string {
  const status = dice.chance(85)
    ? dice.of(['200 OK', '200 OK', '404 Not Found', '204 No Content', '304 Not Modified', '299 '])
    : dice.of(['101 Switching', '100 Continue', '103 Early Hints', '200', '099 Odd'])
  const [fields, body] = framed(dice)
  const others = [fields, ...dice.some(3, () => plain(dice))]
  const hint = dice.chance(10) ? 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n' : ''
  const bodiless = method === 'HEAD' || status.startsWith('204') || status.startsWith('304')
  const sent = bodiless && dice.chance(90) ? '' : body
  return damaged(dice, `${hint}HTTP/1.${dice.chance(95) ? 1 : 0} ${status}\r\n${others.join('')}\r\n${sent}`)
}
