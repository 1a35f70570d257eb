import ssh2 from 'ssh2'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parsePublicKey } from '../../daemon/account/key.ts'
import { makeSshKey } from '../api/ssh-key.ts'

const refusal = (text: string): string => {
  try {
    parsePublicKey(text)
    return 'it was taken'
  } catch (error) {
    return (error as Error).message
  }
}

test('keys of the three usual types are read, with their comment', () => {
  const made = [
    makeSshKey('me@host'),
    ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256, comment: 'me@host' }),
    ssh2.utils.generateKeyPairSync('rsa', { bits: 2048, comment: 'me@host' }),
  ]
  for (const { public: text } of made) {
    const { line, comment, fingerprint } = parsePublicKey(`${text}\n`)
    assert.is(line, text)
    assert.is(comment, 'me@host')
    assert.match(fingerprint, /^([0-9a-f]{2}:){15}[0-9a-f]{2}$/)
  }
})

test('the fingerprint is that of ssh-keygen -E md5', () => {
  const text = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIeL8cpNnGfEeuKpw+pnOC2qUakaU6hJlJq9e+24ohka me@host'
  assert.is(parsePublicKey(text).fingerprint, '89:22:43:55:4d:e2:45:a6:4e:dc:d3:f9:00:65:c6:7f')
})

test('a comment may be missing, long or strange', () => {
  const [type, data] = makeSshKey().public.split(' ')
  assert.is(parsePublicKey(`${type} ${data}`).comment, '')
  assert.is(parsePublicKey(`${type} ${data} ${'x'.repeat(1000)}`).comment.length, 200)
  assert.is(parsePublicKey(`${type} ${data} a  b`).line, `${type} ${data} a b`)
})

test('a private key is not taken, and said to be one', () => {
  const { private: secret } = makeSshKey()
  assert.match(refusal(secret), 'private key')
})

test('what is no key, or a weak one, is refused', () => {
  const text = makeSshKey().public
  for (const no of [
    '',
    'x',
    'ssh-rsa',
    'ssh-rsa !!!!',
    text.slice(0, -20),
    `${text}\n${text}`,
    `${text} ${'x'.repeat(20_000)}`,
  ])
    assert.match(refusal(no), 'Key is invalid', no.slice(0, 60))
  assert.match(refusal(ssh2.utils.generateKeyPairSync('rsa', { bits: 1024 }).public), 'at least 2048 bits')
})

test.run()
