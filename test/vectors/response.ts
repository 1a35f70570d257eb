import { head } from './head.ts'

const ok = (...lines: string[]): string => head('HTTP/1.1 200 OK', ...lines)

/** Responses of a dyno that no client may see (RFC 9112 4, 5, 6): it gets a page of ours with this code. */
export interface BadHead {
  what: string
  send: string
  code: 'H17' | 'H25'
}

const each = (code: BadHead['code'], what: string, values: string[], send: (value: string) => string): BadHead[] =>
  values.map((value) => ({ what: `${what} ${JSON.stringify(value.slice(0, 40))}`, send: send(value), code }))

export const badHeads: BadHead[] = [
  ...each(
    'H17',
    'the status line',
    [
      ...[
        'HTTP/1.1 200',
        'HTTP/1.1  200 OK',
        'HTTP/1.1 20 OK',
        'HTTP/1.1 2000 OK',
        'HTTP/1.1 099 OK',
        'HTTP/1.1 +20 OK',
      ],
      ...[
        'HTTP/1.1 2x0 OK',
        'HTTP/1.1\t200 OK',
        'HTTP/2.0 200 OK',
        'HTTP/0.9 200 OK',
        'HTTP/1.2 200 OK',
        'HTTP/1.10 200 OK',
      ],
      ...[
        'http/1.1 200 OK',
        ' HTTP/1.1 200 OK',
        'HTTP/1.1 200 O\0K',
        'HTTP/1.1 200 O\rK',
        'ICY 200 OK',
        'HTTPS/1.1 200 OK',
        '200 OK',
        '',
      ],
    ],
    (line) => head(line, 'Content-Length: 2').concat('ok'),
  ),
  ...each(
    'H17',
    'the line',
    [
      ...[
        'X : 1',
        ' X: 1',
        'X',
        ': 1',
        'X Y: 1',
        'X\0: 1',
        'X: a\0',
        'X: a\rb',
        'X: a\nb',
        'X: 1\r\n folded',
        'X: \x7f',
        '\xe9: 1',
      ],
      ...['Content-Length : 2', 'Transfer-Encoding : chunked', 'Transfer-Encoding:\r\n chunked'],
    ],
    (line) => ok(line, 'Content-Length: 2').concat('ok'),
  ),
  ...each(
    'H17',
    'Transfer-Encoding',
    [
      'gzip',
      'gzip, chunked',
      'chunked, gzip',
      'identity',
      '',
      ',',
      '"chunked"',
      'chunked;x',
      'chun ked',
      'chunked, chunked',
      '\xa0chunked',
    ],
    (value) => ok(`Transfer-Encoding: ${value}`).concat('0\r\n\r\n'),
  ),
  ...each(
    'H25',
    'Content-Length',
    ['+2', '-2', '0x2', '2, 2', '2 2', '', '1e1', '2.0', '1234567890123456', '"2"', 'x'],
    (value) => ok(`Content-Length: ${value}`).concat('ok'),
  ),
  {
    what: 'chunks in HTTP/1.0',
    send: head('HTTP/1.0 200 OK', 'Transfer-Encoding: chunked').concat('0\r\n\r\n'),
    code: 'H17',
  },
  {
    what: 'chunks twice',
    send: ok('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked').concat('0\r\n\r\n'),
    code: 'H25',
  },
  { what: 'two different lengths', send: ok('Content-Length: 2', 'Content-Length: 3').concat('ok'), code: 'H25' },
  { what: 'two equal lengths', send: ok('Content-Length: 2', 'Content-Length: 2').concat('ok'), code: 'H25' },
  {
    what: 'length and chunks',
    send: ok('Content-Length: 5', 'Transfer-Encoding: chunked').concat('0\r\n\r\n'),
    code: 'H25',
  },
  {
    what: 'chunks and length',
    send: ok('Transfer-Encoding: chunked', 'Content-Length: 5').concat('0\r\n\r\n'),
    code: 'H25',
  },
  { what: 'a cookie above 8192', send: ok(`Set-Cookie: ${'a'.repeat(8193)}`, 'Content-Length: 0'), code: 'H25' },
  { what: 'a status line above 8192', send: head(`HTTP/1.1 200 ${'a'.repeat(8192)}`), code: 'H25' },
  {
    what: 'a head above 512 KiB',
    send: ok(...Array.from({ length: 70 }, () => `X: ${'a'.repeat(8000)}`)),
    code: 'H25',
  },
  { what: 'a head above 512 KiB that does not end', send: `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(530_000)}`, code: 'H25' },
  { what: 'more than 1000 headers', send: ok(...Array.from({ length: 1001 }, () => 'X: 1')), code: 'H25' },
  {
    what: 'more than 100 names in Connection',
    send: ok(`Connection: ${'a,'.repeat(101)}`, 'Content-Length: 0'),
    code: 'H25',
  },
  {
    what: 'a 101 that nobody asked for',
    send: head('HTTP/1.1 101 Switching Protocols', 'Upgrade: x', 'Connection: Upgrade'),
    code: 'H25',
  },
  {
    what: '33 informational responses',
    send: head('HTTP/1.1 103 Early Hints').repeat(33).concat(ok('Content-Length: 0')),
    code: 'H17',
  },
  { what: 'a bad informational response', send: head('HTTP/1.1 103').concat(ok('Content-Length: 0')), code: 'H17' },
  { what: 'a bare line feed', send: 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok', code: 'H17' },
  { what: 'a bare line feed as the blank line', send: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok', code: 'H17' },
  { what: 'a blank line ahead', send: `\r\n${ok('Content-Length: 2')}ok`, code: 'H17' },
]

const chunks = ok('Transfer-Encoding: chunked')

/** Heads that pass with bodies that break: what the client gets must not look complete. */
export const badBodies: { what: string; send: string }[] = [
  ...['+1', '0x1', '1 ', ' 1', '', 'g', '-1', '1;a\0', '1;', '0000000000001'].map((size) => ({
    what: `the size line ${JSON.stringify(size)}`,
    send: `${chunks}5\r\nhello\r\n${size}\r\na\r\n0\r\n\r\n`,
  })),
  { what: 'a bare line feed behind the size', send: `${chunks}5\r\nhello\r\n1\na\r\n0\r\n\r\n` },
  { what: 'a bare line feed behind the data', send: `${chunks}5\r\nhello\n0\r\n\r\n` },
  { what: 'data that is too long', send: `${chunks}5\r\nhellohello\r\n0\r\n\r\n` },
  { what: 'a bad trailer', send: `${chunks}5\r\nhello\r\n0\r\nX : 1\r\n\r\n` },
  { what: 'a bare line feed as the end', send: `${chunks}5\r\nhello\r\n0\r\n\n` },
]

/** Where the dyno closes too early. */
export const cutBodies: { what: string; send: string }[] = [
  { what: 'a counted body', send: `${ok('Content-Length: 6')}hello` },
  { what: 'a chunk', send: `${chunks}6\r\nhello` },
  { what: 'the end of a chunk', send: `${chunks}5\r\nhello` },
  { what: 'the last chunk', send: `${chunks}5\r\nhello\r\n` },
  { what: 'the last chunk’s blank line', send: `${chunks}5\r\nhello\r\n0\r\n` },
  { what: 'trailers', send: `${chunks}5\r\nhello\r\n0\r\nX: 1\r\n` },
]

/** What passes, and what the client sees of it; `Connection` and `Via` follow the fields. */
export const passedResponses: { what: string; send: string; sees: string; body: string; closes?: boolean }[] = [
  {
    what: 'fields as they are, but for hop-by-hop ones and those that Connection names',
    send: `${ok('x-a:1', 'Server: b', 'Connection: X-C, keep-alive', 'X-C: 2', 'Keep-Alive: 5', 'TE: x', 'Proxy-Connection: x', 'Upgrade: h2c', 'Content-Length: 2')}ok`,
    sees: 'HTTP/1.1 200 OK\r\nx-a: 1\r\nServer: b\r\nContent-Length: 2\r\n',
    body: 'ok',
  },
  {
    what: 'an empty reason',
    send: `${head('HTTP/1.1 299 ', 'Content-Length: 2')}ok`,
    sees: 'HTTP/1.1 299 \r\nContent-Length: 2\r\n',
    body: 'ok',
  },
  {
    what: 'chunks',
    send: `${chunks}2;a=b\r\nok\r\n000\r\nX: 1\r\nSet-Cookie: a\r\n\r\n`,
    sees: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n',
    body: '2;a=b\r\nok\r\n0\r\nX: 1\r\n\r\n',
  },
  {
    what: 'a 204 that claims a body',
    send: `${head('HTTP/1.1 204 No Content', 'Content-Length: 2')}ok`,
    sees: 'HTTP/1.1 204 No Content\r\n',
    body: '',
  },
  {
    what: 'a 304 that claims a body',
    send: `${head('HTTP/1.1 304 Not Modified', 'Content-Length: 2')}ok`,
    sees: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n',
    body: '',
  },
  {
    what: 'informational responses',
    send: `${head('HTTP/1.1 100 Continue')}${head('HTTP/1.1 103 Early Hints', 'Link: x', 'Connection: close', 'Content-Length: 5')}${ok('Content-Length: 2')}ok`,
    sees: 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n',
    body: 'ok',
  },
  {
    what: 'a second response that nobody asked for',
    send: `${ok('Content-Length: 2')}ok${ok('Content-Length: 4')}evil`,
    sees: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n',
    body: 'ok',
  },
]
