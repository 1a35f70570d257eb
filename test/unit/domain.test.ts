import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseHostname } from '../../daemon/route/domain.ts'

const accepted: [string, string][] = [
  ['test-domain.example.com', 'test-domain.example.com'],
  [`${'a'.repeat(63)}.example.com`, `${'a'.repeat(63)}.example.com`],
  ['3com.com', '3com.com'],
  ['w3.example.com', 'w3.example.com'],
  ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
  ['bücher.example', 'xn--bcher-kva.example'],
  ['*.example.com', '*.example.com'],
  ['MYDOMAIN.NET', 'mydomain.net'],
  ['example.com.', 'example.com'],
]

for (const [name, hostname] of accepted)
  test(`accepts ${name.slice(0, 40)}`, () => {
    assert.is(parseHostname(name, 'localhost'), hostname)
  })

const refused = [
  'this_is_an.invalid.domain',
  `${'a'.repeat(64)}.example.com`,
  '-a.example.com',
  'a-.example.com',
  'example.123',
  'example',
  '',
  '*.com.*',
  'a..example.com',
  'app.localhost',
  '*.localhost',
  'x.app.localhost',
  'exa mple.com',
  'example.com/path',
  `${'a.'.repeat(127)}com`,
]

for (const name of refused)
  test(`refuses ${JSON.stringify(name.slice(0, 40))}`, () => {
    assert.throws(() => parseHostname(name, 'localhost'), /not a valid domain name|platform's own domain/)
  })

test.run()
