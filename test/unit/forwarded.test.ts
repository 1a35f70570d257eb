import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { believe, clientOf, proofOf } from '../../daemon/forwarded.ts'

const proof = proofOf('token')

function asked(headers: Record<string, string>): IncomingMessage {
  const socket = new Socket()
  Object.defineProperty(socket, 'remoteAddress', { value: '127.0.0.1' })
  const request = new IncomingMessage(socket)
  request.headers = headers
  return request
}

const claims = {
  'x-forwarded-for': '192.0.2.1, 198.51.100.7',
  'x-forwarded-proto': 'https',
  'x-forwarded-host': 'evil',
}

test('a router’s word is taken: of addresses the last, which is the connection’s own', () => {
  const request = asked({ ...claims, 'sluice-router': proof, host: 'api.example.com' })
  assert.ok(believe(request, proof))
  assert.is(clientOf(request), '198.51.100.7')
  assert.equal(request.headers, {
    host: 'api.example.com',
    'x-forwarded-for': '198.51.100.7',
    'x-forwarded-proto': 'https',
  })
})

test('without the proof, or with another, nothing that is claimed is left', () => {
  for (const more of [
    {},
    { 'sluice-router': 'x' },
    { 'sluice-router': proofOf('other') },
    { 'sluice-router': `x, ${proof}` },
  ]) {
    const request = asked({ ...claims, ...more, accept: '*/*' })
    assert.not(believe(request, proof))
    assert.equal(request.headers, { accept: '*/*' })
    assert.is(clientOf(request), '127.0.0.1')
  }
})

test('the proof does not tell the routers’ token', () => {
  assert.not.match(proofOf('token'), /token/)
  assert.is.not(proofOf('token'), proofOf('other'))
})

test.run()
