import { post } from './head.ts'

/** Chunked bodies that end as bad (RFC 9112 7.1): the client reads 400, and no dyno sees the end of a body. */
export interface BadBody {
  what: string
  body: string
}

const size = (...values: string[]): BadBody[] =>
  values.map((value) => ({
    what: `the size line ${JSON.stringify(value.slice(0, 40))}`,
    body: `${value}\r\na\r\n0\r\n\r\n`,
  }))

export const badBodies: BadBody[] = [
  ...size(
    '+1',
    '-1',
    '0x1',
    '1 ',
    ' 1',
    '\t1',
    '1\t',
    '1_0',
    '',
    'g',
    '1h',
    '0000000000001',
    '1,1',
    '1\0',
    '1\x0b',
    '1\r',
    '\xb9',
    '1;a\rb',
  ),
  ...size(
    '1;a\0',
    '1;a\x7f',
    '1 ;a',
    '1;',
    '1; a',
    '1;a ',
    '1;=b',
    '1;a=',
    '1;a="b',
    '1;a="b"c',
    '1;a b',
    '1;;a',
    `1;${'a'.repeat(300)}`,
  ),
  ...size('ffffffffffffff', '7fffffffffffffff1'),
  { what: 'a bare line feed behind the size', body: '1\na\r\n0\r\n\r\n' },
  { what: 'a bare line feed in the extension', body: '1;a\nb\r\na\r\n0\r\n\r\n' },
  { what: 'a bare line feed behind the data', body: '1\r\na\n0\r\n\r\n' },
  { what: 'nothing behind the data', body: '1\r\na0\r\n\r\n' },
  { what: 'data that is too long', body: '1\r\nab\r\n0\r\n\r\n' },
  { what: 'data that is too short', body: '3\r\na\r\n0\r\n\r\n\r\n' },
  { what: 'a bare line feed behind the last chunk', body: '1\r\na\r\n0\n\r\n' },
  { what: 'a bare line feed as the end', body: '1\r\na\r\n0\r\n\n' },
  { what: 'a bare carriage return behind the last chunk', body: '1\r\na\r\n0\r\r\n\r\n' },
  { what: 'a carriage return that nothing follows', body: '1\r\na\r\n0\r\n\rX: 1\r\n\r\n' },
  { what: 'a trailer with a blank before the colon', body: '0\r\nX : 1\r\n\r\n' },
  { what: 'a trailer without a name', body: '0\r\n: 1\r\n\r\n' },
  { what: 'a folded trailer', body: '0\r\nX: 1\r\n 2\r\n\r\n' },
  { what: 'a trailer that begins with a blank', body: '0\r\n X: 1\r\n\r\n' },
  { what: 'a bare line feed in the trailers', body: '0\r\nX: 1\nY: 2\r\n\r\n' },
  { what: 'a NUL in the trailers', body: '0\r\nX: \0\r\n\r\n' },
  { what: 'trailers above 8 KiB', body: `0\r\n${`X: ${'a'.repeat(100)}\r\n`.repeat(100)}\r\n` },
  { what: 'a request in the place of trailers', body: `0\r\n${post()}` },
]
