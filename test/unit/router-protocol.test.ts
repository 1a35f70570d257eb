import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseDown, parseTable, parseUp } from '../../router/protocol.ts'

test('a table that an earlier version has kept names no certificates', () => {
  const app = { id: 'a', name: 'a', hosts: ['a.localhost'], maintenance: false, empty: 'none', backends: [] }
  assert.equal(parseTable({ version: 1, apps: [app] }).apps[0]?.certificates, [])
})

test('a backend without a port that there is makes no table', () => {
  const app = { id: 'a', name: 'a', hosts: ['a.localhost'], maintenance: false, empty: 'none' }
  const backend = { id: 'd', dyno: 'web.1', address: '10.0.0.1', mode: 'serve' }
  for (const port of [0, -1, 65_536, 1.5])
    assert.throws(() => parseTable({ version: 1, apps: [{ ...app, backends: [{ ...backend, port }] }] }), /port/)
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

test('what a router says of itself is short and plain, because it is kept and shown', () => {
  const hello = (router: object) => () =>
    parseUp(JSON.stringify({ kind: 'hello', protocol: 5, applied: 0, certificates: [], router }))
  assert.throws(hello({ id: 'x'.repeat(256) }), /router.id is not a short text/)
  assert.throws(hello({ id: 'a', host: 'a\u001b[2J' }), /router.host is not a short text/)
  assert.not.throws(hello({ id: 'a', host: 'edge-1.example.com' }))
})

const app = { id: 'a', name: 'a', hosts: ['a.localhost'], maintenance: false, empty: 'none', backends: [] }

test('what a router says of checks is of a kind that there is', () => {
  const up = (message: object) => parseUp(JSON.stringify(message))
  const failing = { backend: 'd', check: 'liveness', reason: 'GET /, it answered 500' }
  assert.equal(up({ kind: 'check', ...failing }), { kind: 'check', ...failing })
  assert.equal(up({ kind: 'check', ...failing, reason: null }), { kind: 'check', ...failing, reason: null })
  assert.equal(up({ kind: 'failing', checks: [failing] }), { kind: 'failing', checks: [failing] })
  assert.throws(() => up({ kind: 'check', ...failing, check: 'startup' }), /check is none of readiness, liveness/)
  assert.throws(() => up({ kind: 'failing', checks: [{ ...failing, reason: null }] }), /reason is not a string/)
})

test('a change leads from one version to a newer one, and has each app once', () => {
  const change = { version: 3, base: 2, apps: [{ ...app, certificates: [] }], gone: ['b'], challenges: [] }
  const parse = (more: object) => parseDown(JSON.stringify({ kind: 'change', change: { ...change, ...more } }))
  assert.equal(parse({}), { kind: 'change', change })
  assert.throws(() => parse({ base: 3 }), /does not lead to a newer table/)
  assert.throws(() => parse({ base: undefined }), /base is not an integer/)
  assert.throws(() => parse({ gone: ['a'] }), /an app is twice in a change/)
  assert.throws(() => parse({ apps: [app, app] }), /an app is twice in a change/)
  assert.throws(() => parse({ gone: undefined }), /gone is not a list/)
  assert.throws(() => parse({ gone: [1] }), /gone is not a string/)
})

test('every part of an app is looked at', () => {
  const backend = { id: 'd', dyno: 'web.1', address: '127.0.0.1', port: 1, mode: 'serve' }
  const parse = (more: object) => parseTable({ version: 1, apps: [{ ...app, ...more }], challenges: [] })
  const whole = { affinity: true, errorPage: 'https://x.example.com/', hsts: 1, backends: [backend] }
  assert.equal(parse(whole).apps[0], { ...app, certificates: [], ...whole })
  const startup = { path: '/healthz', timeout: 5000, content: 'ok' }
  const readiness = { ...startup, interval: 10_000, attempts: 3 }
  const checks = { host: 'demo.localhost', startup, readiness, liveness: readiness }
  assert.equal(parse({ backends: [{ ...backend, checks }] }).apps[0]?.backends, [{ ...backend, checks }])
  const checked = (checks: unknown) => ({ backends: [{ ...backend, checks }] })
  const broken: [object, RegExp][] = [
    [{ id: 1 }, /app.id is not a string/],
    [{ name: null }, /app.name is not a string/],
    [{ hosts: [1] }, /host is not a string/],
    [{ hosts: 'a.localhost' }, /hosts is not a list/],
    [{ certificates: [{ id: 'c' }] }, /hosts is not a list/],
    [{ certificates: [{ hosts: [] }] }, /certificate.id is not a string/],
    [{ maintenance: 'no' }, /maintenance is not true or false/],
    [{ affinity: 1 }, /affinity is not true or false/],
    [{ errorPage: 1 }, /errorPage is not a string/],
    [{ hold: '5' }, /hold is not an integer/],
    [{ empty: 'full' }, /empty is none of/],
    [{ backends: [{ ...backend, port: '1' }] }, /port is not an integer/],
    [{ backends: [{ ...backend, mode: 'gone' }] }, /mode is none of/],
    [{ backends: [{ ...backend, address: undefined }] }, /address is not a string/],
    [checked('/'), /checks is not an object/],
    [checked({ ...checks, host: 'a\r\nb' }), /checks.host is not a short text/],
    [checked({ ...checks, startup: { ...startup, path: '/ HTTP/1.1' } }), /check.path is no path/],
    [checked({ ...checks, startup: { ...startup, timeout: '5' } }), /check.timeout is not an integer/],
    [checked({ ...checks, startup: { ...startup, content: 1 } }), /check.content is not a string/],
    [checked({ ...checks, liveness: startup }), /check.interval is not an integer/],
    [checked({ ...checks, readiness: { ...readiness, interval: 0 } }), /check.interval is not above 0/],
  ]
  for (const [more, reason] of broken) assert.throws(() => parse(more), reason)
})

test.run()
