import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { hostOf } from '../../cli/introduction.ts'
import { json } from '../../cli/output.ts'
import { trusted } from '../../cli/platform.ts'

/** What the command believes of a platform, which others run. */
test('what a platform says of its git host gets into git’s settings only as one host', () => {
  for (const host of ['git.example.com', 'localhost:5000', '127.0.0.1:443', '[::1]:5000']) assert.is(hostOf(host), host)
  for (const told of ['*', '*.com', 'a/b', 'a b', 'a\nb', 'user@host', '', 'host:port', null, 7])
    assert.throws(() => hostOf(told), /is no host/, String(told))
})

test('beside a platform’s own authority those of everybody are trusted: its certificate may come from either', async () => {
  assert.equal(await trusted({}), {})
  const { ca = [] } = await trusted({ ca: 'own' })
  assert.ok(ca.includes('own') && ca.length > 50)
})

test('JSON gives a terminal no orders', () => {
  const { write } = process.stdout
  let written = ''
  process.stdout.write = (text: string | Uint8Array) => {
    written += text
    return true
  }
  try {
    json({ name: 'a\u009b31m\u007f\u001b[31m\u00e9' })
  } finally {
    process.stdout.write = write
  }
  assert.is(written, '{\n  "name": "a\\u009b31m\\u007f\\u001b[31m\u00e9"\n}\n')
})

test.run()
