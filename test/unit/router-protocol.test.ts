import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseDown, parseTable, parseUp } from '../../router/protocol.ts'

test('a table that an earlier version has kept names no certificates', () => {
  const app = { id: 'a', name: 'a', hosts: ['a.localhost'], maintenance: false, empty: 'none', backends: [] }
  assert.equal(parseTable({ version: 1, apps: [app] }).apps[0]?.certificates, [])
})

test('a certificate has an id, a chain and a key, and no error repeats them', () => {
  const certificate = { id: 'a', chain: 'c', key: 'SECRET' }
  assert.equal(parseDown(JSON.stringify({ kind: 'certificate', certificate })), { kind: 'certificate', certificate })
  const broken = [
    `{"kind":"certificate","certificate":{"key":"SECRET"`,
    JSON.stringify({ kind: 'certificate', certificate: { key: ['SECRET'] } }),
  ]
  for (const text of broken) {
    assert.throws(
      () => parseDown(text),
      (error: Error) => error instanceof TypeError && !error.message.includes('SECRET'),
    )
  }
})

test('a router of protocol 1 says hello without certificates, so that it can be told what this daemon speaks', () => {
  assert.equal(parseUp('{"kind":"hello","protocol":1,"applied":3}'), {
    kind: 'hello',
    protocol: 1,
    applied: 3,
    certificates: [],
    router: { id: '', host: '', pid: 0, workers: 0 },
  })
})

test.run()
