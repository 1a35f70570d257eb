import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { hostOf, isRelated } from '../../cli/introduction.ts'
import { json } from '../../cli/output.ts'
import { trusted } from '../../cli/platform.ts'

/** What the command believes of a platform, which others run. */
test('what a platform says of its git host gets into git’s settings only as one host', () => {
  for (const host of ['git.example.com', 'localhost:5000', '127.0.0.1:443', '[::1]:5000']) assert.is(hostOf(host), host)
  for (const told of ['*', '*.com', 'a/b', 'a b', 'a\nb', 'user@host', '', 'host:port', null, 7])
    assert.throws(() => hostOf(told), /is no host/, String(told))
})

test('a platform’s repositories are taken to be its own on its host, below it, and under a name that was registered with it', () => {
  const own = [
    ['api.example.com', 'api.example.com'],
    ['git.api.example.com', 'api.example.com'],
    ['git.example.com', 'api.example.com'],
    ['git.localhost', 'localhost'],
    ['git.example.co.uk', 'api.example.co.uk'],
    ['192.0.2.1', '192.0.2.1'],
  ]
  const foreign = [
    ['github.com', 'api.example.com'],
    ['git.example.org', 'api.example.com'],
    ['example.com', 'example.org'],
    ['notexample.com', 'example.com'],
    ['git.other.co.uk', 'api.example.co.uk'],
    ['other.com', 'api.other.com.example.net'],
    ['192.0.2.1', '198.51.2.1'],
    ['b.localhost', 'a.localhost'],
  ]
  for (const [host = '', platform = ''] of own) assert.ok(isRelated(host, platform), `${host} ${platform}`)
  for (const [host = '', platform = ''] of foreign) assert.not.ok(isRelated(host, platform), `${host} ${platform}`)
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
