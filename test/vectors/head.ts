/**
 * Requests that a router must answer itself, because two parsers could read them in two ways (RFC 9112, RFC 9110) or because they are
 * beyond a bound. Strings are latin1. The host is always one that an app has.
 */
export interface Refused {
  what: string
  send: string
  status: number
}

export const head = (...lines: string[]): string => [...lines, '', ''].join('\r\n')
export const get = (...lines: string[]): string => head('GET / HTTP/1.1', 'Host: a.localhost', ...lines)
export const post = (...lines: string[]): string => head('POST / HTTP/1.1', 'Host: a.localhost', ...lines)

const each = (status: number, what: string, values: string[], send: (value: string) => string): Refused[] =>
  values.map((value) => ({ what: `${what} ${JSON.stringify(value.slice(0, 40))}`, send: send(value), status }))

/** RFC 9112 6: where the body ends. */
export const framing: Refused[] = [
  { what: 'length, then chunks', send: post('Content-Length: 3', 'Transfer-Encoding: chunked'), status: 400 },
  { what: 'chunks, then length', send: post('Transfer-Encoding: chunked', 'Content-Length: 3'), status: 400 },
  { what: 'chunks and length 0', send: post('Transfer-Encoding: chunked', 'Content-Length: 0'), status: 400 },
  { what: 'two different lengths', send: post('Content-Length: 3', 'Content-Length: 4'), status: 400 },
  { what: 'lengths that differ in a zero', send: post('Content-Length: 3', 'Content-Length: 03'), status: 400 },
  { what: 'two codings', send: post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'), status: 400 },
  {
    what: 'a coding and identity',
    send: post('Transfer-Encoding: chunked', 'Transfer-Encoding: identity'),
    status: 400,
  },
  {
    what: 'an empty coding and a good one',
    send: post('Transfer-Encoding:', 'Transfer-Encoding: chunked'),
    status: 400,
  },
  ...each(
    400,
    'Content-Length',
    [
      '3, 3',
      '3,3',
      '+3',
      '-1',
      '-0',
      '0x3',
      '3 3',
      '3\t3',
      '1e1',
      '3.0',
      '',
      ' ',
      '1234567890123456',
      '3;',
      '"3"',
      '\xb3',
      'a',
    ],
    (value) => post(`Content-Length: ${value}`),
  ),
  ...each(
    400,
    'Transfer-Encoding',
    [
      ...[
        'gzip, chunked',
        'chunked, chunked',
        'chunked, gzip',
        'identity',
        'chunked, identity',
        '',
        ',',
        ',chunked',
        'chunked,',
      ],
      ...[
        '"chunked"',
        "'chunked' x",
        'chunked;q=1',
        'chunked; x',
        '\x0bchunked',
        '\x0cchunked',
        'chunked\0',
        'chun ked',
        'chunked\x7f',
      ],
      ...['\xa0chunked', 'chunked\x0b', '(chunked)', 'chunked\x00x'],
    ],
    (value) => post(`Transfer-Encoding: ${value}`),
  ),
  ...each(501, 'Transfer-Encoding', ['gzip', 'xchunked', 'cow', 'chunke'], (value) =>
    post(`Transfer-Encoding: ${value}`),
  ),
  {
    what: 'chunks in HTTP/1.0',
    send: head('POST / HTTP/1.0', 'Host: a.localhost', 'Transfer-Encoding: chunked'),
    status: 400,
  },
  ...each(
    400,
    'the line',
    [
      ...['Transfer-Encoding : chunked', 'Transfer-Encoding\t: chunked', ' Transfer-Encoding: chunked'],
      ...[
        '\tTransfer-Encoding: chunked',
        'Content-Length : 3',
        ' Content-Length: 3',
        'Content Length: 3',
        'Content-Length\0: 3',
      ],
      ...[
        'Content-Length\x0b: 3',
        'X: 1\r\n Content-Length: 3',
        'X: 1\r\n\tTransfer-Encoding: chunked',
        'X:\r\n chunked',
      ],
      ...[
        'Transfer-Encoding:\r\n chunked',
        'X: 1\nContent-Length: 3',
        'X: 1\rContent-Length: 3',
        'X: 1\n\rContent-Length: 3',
      ],
      ...['X: 1\r\r\nContent-Length: 3', 'Content-Length', ': 3', 'Transfer-\xc4ncoding: chunked'],
    ],
    (line) => post(line),
  ),
]

/** RFC 9112 3, 5; RFC 9110 5.5. */
export const syntax: Refused[] = [
  ...each(
    400,
    'the request line',
    [
      ...[
        'GET  / HTTP/1.1',
        'GET /  HTTP/1.1',
        ' GET / HTTP/1.1',
        'GET / HTTP/1.1 ',
        'GET\t/ HTTP/1.1',
        'GET /\tHTTP/1.1',
      ],
      ...[
        'GET / HTTP/1.1\t',
        'GET /',
        'GET',
        'GET / ',
        'GET  HTTP/1.1',
        '/ HTTP/1.1',
        'GET / http/1.1',
        'GET / HTTP/1.10',
      ],
      ...[
        'GET / HTTP/11',
        'GET / HTTP/1',
        'GET / HTTP/1.',
        'GET / HTTP/ 1.1',
        'GET / HTTP/+1.1',
        'GET / HTTPS/1.1',
        'GET / ICY/1.1',
      ],
      ...[
        'GET / HTTP/01.1',
        'G(T / HTTP/1.1',
        'GET\0 / HTTP/1.1',
        'G\xc9T / HTTP/1.1',
        'GET: / HTTP/1.1',
        'GET /#a HTTP/1.1',
      ],
      ...[
        'GET /\xe9 HTTP/1.1',
        'GET /a\0b HTTP/1.1',
        'GET /a b HTTP/1.1',
        'GET /\x7f HTTP/1.1',
        'GET /a\rb HTTP/1.1',
        'GET a HTTP/1.1',
      ],
      ...[
        'GET * HTTP/1.1',
        'GET ? HTTP/1.1',
        'GET \\ HTTP/1.1',
        'GET a.localhost:80 HTTP/1.1',
        'GET http://b.localhost/ HTTP/1.1',
      ],
      ...[
        'GET http://u@a.localhost/ HTTP/1.1',
        'GET ftp://a.localhost/ HTTP/1.1',
        'GET http:///x HTTP/1.1',
        'GET http:/x HTTP/1.1',
      ],
      ...['GET http://a.localhost:80/ HTTP/1.1', 'GET http://a.localhost\\@b/ HTTP/1.1', 'OPTIONS *x HTTP/1.1'],
    ],
    (line) => head(line, 'Host: a.localhost'),
  ),
  ...each(505, 'the version of', ['GET / HTTP/0.9', 'GET / HTTP/2.0', 'PRI * HTTP/2.0', 'GET / HTTP/3.1'], (line) =>
    head(line, 'Host: a.localhost'),
  ),
  ...each(405, 'the method of', ['CONNECT a.localhost:80 HTTP/1.1', 'CONNECT / HTTP/1.1', 'TRACE / HTTP/1.1'], (line) =>
    head(line, 'Host: a.localhost'),
  ),
  ...each(
    400,
    'the line',
    [
      ...[
        'X',
        ': x',
        ' X: 1',
        'X : 1',
        'X\t: 1',
        'X Y: 1',
        'X(: 1',
        'X\0: 1',
        'X\x7f: 1',
        '\xe9: 1',
        'X: a\0b',
        'X: a\x7fb',
        'X: a\rb',
      ],
      ...[
        'X: a\nY: b',
        'X: a\x01',
        'X: \x1b[2J',
        'X: 1\r\n folded',
        'X: 1\r\n\tfolded',
        'X: 1\r\r\n',
        '=: 1',
        'X;Y: 1',
        '"X": 1',
      ],
    ],
    (line) => get(line),
  ),
  { what: 'a first line that is folded', send: 'GET / HTTP/1.1\r\n Host: a.localhost\r\n\r\n', status: 400 },
  { what: 'bare line feeds', send: 'GET / HTTP/1.1\nHost: a.localhost\n\n', status: 400 },
  { what: 'a bare line feed behind the request line', send: 'GET / HTTP/1.1\nHost: a.localhost\r\n\r\n', status: 400 },
  { what: 'a bare line feed as the blank line', send: 'GET / HTTP/1.1\r\nHost: a.localhost\r\n\n', status: 400 },
  { what: 'bare carriage returns', send: 'GET / HTTP/1.1\rHost: a.localhost\r\r\n\r\n', status: 400 },
  { what: 'two blank lines ahead', send: `\r\n\r\n${get()}`, status: 400 },
  { what: 'a bare line feed ahead', send: `\n${get()}`, status: 400 },
  { what: 'a NUL ahead', send: `\0${get()}`, status: 400 },
  { what: 'a TLS hello', send: '\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n', status: 400 },
  { what: 'a PROXY header', send: `PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n${get()}`, status: 400 },
  { what: 'an upgrade to nothing', send: get('Connection: upgrade'), status: 400 },
  ...each(417, 'Expect', ['200-ok', '100 continue', '100-continue, 100-continue', ''], (value) =>
    get(`Expect: ${value}`),
  ),
]

/** RFC 9112 3.2: whose request it is. */
export const hosts: Refused[] = [
  { what: 'no Host', send: head('GET / HTTP/1.1'), status: 400 },
  { what: 'no Host in HTTP/1.0', send: head('GET / HTTP/1.0'), status: 400 },
  { what: 'no Host beside an absolute form', send: head('GET http://a.localhost/ HTTP/1.1'), status: 400 },
  { what: 'no Host beside an absolute form in HTTP/1.0', send: head('GET http://a.localhost/ HTTP/1.0'), status: 400 },
  { what: 'two equal Hosts', send: get('Host: a.localhost'), status: 400 },
  { what: 'two Hosts', send: get('Host: b.localhost'), status: 400 },
  { what: 'two Hosts of which one is empty', send: get('Host:'), status: 400 },
  { what: 'two Hosts of other case', send: get('HOST: a.localhost'), status: 400 },
  ...each(
    400,
    'Host',
    [
      ...[
        '',
        'a b',
        'a,b',
        'a@b',
        'a.localhost:',
        'a.localhost:x',
        'a.localhost:80x',
        'a.localhost:123456',
        'a/b',
        '[::1',
        'a:1:2',
        '::1',
      ],
      ...[
        'http://a.localhost',
        'a.localhost/',
        'a.localhost?x',
        'a.localhost#x',
        'a\\b',
        '\xe4.localhost',
        'a%2e',
        '[a]x',
        '[]',
        'a.localhost, a.localhost',
      ],
    ],
    (host) => head('GET / HTTP/1.1', `Host: ${host}`),
  ),
]

/** Bounds of Heroku's where it has one. */
export const bounds: Refused[] = [
  { what: 'a method of 128 letters', send: head(`${'A'.repeat(128)} / HTTP/1.1`, 'Host: a.localhost'), status: 400 },
  {
    what: 'a request line above 8192',
    send: head(`GET /${'a'.repeat(8192)} HTTP/1.1`, 'Host: a.localhost'),
    status: 414,
  },
  { what: 'a header line above 8192', send: get(`X: ${'a'.repeat(8190)}`), status: 431 },
  { what: 'a header name above 1000', send: get(`${'X'.repeat(1001)}: 1`), status: 431 },
  { what: '1001 headers', send: get(...Array.from({ length: 1000 }, (_, i) => `X${i}: 1`)), status: 431 },
  { what: 'a head above 64 KiB', send: get(...Array.from({ length: 9 }, () => `X: ${'a'.repeat(8000)}`)), status: 431 },
  {
    what: 'a head above 64 KiB that does not end',
    send: get(...Array.from({ length: 9 }, () => `X: ${'a'.repeat(8000)}`)).slice(0, -4),
    status: 431,
  },
  { what: 'more than 100 names in Connection', send: get(`Connection: ${'a,'.repeat(101)}`), status: 431 },
]
