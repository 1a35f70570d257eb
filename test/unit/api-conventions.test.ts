import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { tokenOf } from '../../daemon/api/authentication.ts'
import { createCapabilities } from '../../daemon/api/link.ts'
import { userError } from '../../daemon/api/refusal.ts'
import { firstId } from '../../daemon/api/request-id.ts'
import { keepAlive } from '../../daemon/api/stream.ts'
import { accepts } from '../../daemon/api/version.ts'
import { idOf } from '../../daemon/api/wire.ts'
import { notFound } from '../../daemon/errors.ts'

test('any variant of version 3 is accepted, and clients that take any JSON', () => {
  for (const header of [
    '',
    '*/*',
    'application/json',
    'application/*;q=0.8',
    'application/vnd.heroku+json; version=3',
    'application/vnd.heroku+json;version=3',
    'application/vnd.heroku+json; version=3.sdk',
    'application/vnd.heroku+json; version=3.account-quotas',
    'application/vnd.heroku+json',
    'text/html, application/json;q=0.5',
  ])
    assert.ok(accepts(header), header)
})

test('other versions and other types are not acceptable', () => {
  for (const header of [
    'application/vnd.heroku+json; version=2',
    'application/vnd.heroku+json; version=30',
    'text/html',
    'application/xml',
  ])
    assert.not.ok(accepts(header), header)
})

test('a token comes as Bearer, or as the password of Basic with any user', () => {
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
  assert.is(tokenOf('Bearer abc'), 'abc')
  assert.is(tokenOf('bearer  abc'), 'abc')
  assert.is(tokenOf(basic(':abc')), 'abc')
  assert.is(tokenOf(basic('heroku:abc')), 'abc')
  assert.is(tokenOf(basic('me@example.com:a:b')), 'a:b')
  assert.is(tokenOf(basic('abc:')), 'abc')
  assert.is(tokenOf(''), undefined)
  assert.is(tokenOf('Bearer'), undefined)
  assert.is(tokenOf(basic(':')), undefined)
  assert.is(tokenOf('Digest abc'), undefined)
})

test('the first of a growing list of request ids names the request', () => {
  assert.is(firstId('a-1, b-2, c-3'), 'a-1')
  assert.is(firstId('a-1,b'), 'a-1')
  assert.is(firstId(''), undefined)
  assert.is(firstId('a b'), undefined)
  assert.is(firstId('x'.repeat(65)), undefined)
})

test('an error for users keeps its id, sentence and resource', () => {
  const error = userError(notFound('app', 'app'), 'r')
  assert.equal([error.id, error.message, error.resource], ['not_found', "Couldn't find that app.", 'app'])
})

test('what nobody expected is told as a request id, never as its cause', () => {
  const error = userError(new Error('secret'), 'r-1')
  assert.is(error.id, 'internal_server_error')
  assert.match(error.message, 'r-1')
  assert.not.match(error.message, 'secret')
})

test('a body of the wrong shape is refused with the parameter in the sentence', () => {
  const { error } = z.object({ name: z.string() }).safeParse({ name: 3 })
  const refused = userError(error, 'r')
  assert.is(refused.id, 'invalid_params')
  assert.match(refused.message, 'Invalid parameter `name`')
})

test('only links that were issued with the key are redeemed', () => {
  const ours = createCapabilities(Buffer.alloc(32, 1))
  const others = createCapabilities(Buffer.alloc(32, 2))
  const link = ours.issue('build-1')
  assert.is(ours.redeem(link), 'build-1')
  assert.is(others.redeem(link), undefined)
  assert.is(ours.redeem(link.replace('build-1', 'build-2')), undefined)
  for (const text of ['', '.', 'build-1', 'build-1.', `${link}x`]) assert.is(ours.redeem(text), undefined, text)
})

test('a silent stream is kept alive with NULs, and what it says comes through', async () => {
  async function* slow() {
    yield Buffer.from('a')
    await delay(70)
    yield Buffer.from('b')
  }
  const chunks: string[] = []
  for await (const chunk of keepAlive(slow(), 20)) chunks.push(chunk.toString())
  assert.is(chunks[0], 'a')
  assert.is(chunks.at(-1), 'b')
  assert.ok(chunks.slice(1, -1).length >= 1)
  assert.ok(chunks.slice(1, -1).every((chunk) => chunk === '\0'))
})

test('ids of things without rows are UUIDs and do not change', () => {
  assert.match(idOf('region', 'us'), /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.is(idOf('region', 'us'), idOf('region', 'us'))
  assert.is.not(idOf('region', 'us'), idOf('stack', 'us'))
})

test.run()
