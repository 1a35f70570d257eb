import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Routed, routeOf } from '../../daemon/route/table.ts'

const dyno = (id: string, release: string, state: Routed['dynos'][number]['state'], crashes = 0) => ({
  id,
  ordinal: 1,
  release,
  state,
  crashes,
  address: '10.0.0.2',
  port: 5000,
  checks: null,
})

const app = (over: Partial<Routed>): Routed => ({
  id: 'app',
  name: 'demo',
  maintenance: false,
  wishes: {},
  domains: [],
  release: 'v2',
  candidate: null,
  web: 1,
  dynos: [],
  ...over,
})

const modes = (routed: Routed): Record<string, string> =>
  Object.fromEntries(routeOf(routed, 'localhost').backends.map(({ id, mode }) => [id, mode]))

test('an app answers to its own name and its domains, with the certificates that these are bound to', () => {
  const domains = [
    { hostname: '*.example.com', certificate: 'one' },
    { hostname: 'example.com', certificate: 'one' },
    { hostname: 'example.org', certificate: null },
  ]
  const { hosts, certificates } = routeOf(app({ domains }), 'localhost')
  assert.equal(hosts, ['demo.localhost', '*.example.com', 'example.com', 'example.org'])
  assert.equal(certificates, [{ id: 'one', hosts: ['*.example.com', 'example.com'] }])
})

test('what an app asks of the routers is in its route, and nothing that it does not ask', () => {
  const wishes = { affinity: true, hold: 5000, errorPage: 'https://example.com/' }
  const { affinity, hold, errorPage } = routeOf(app({ wishes }), 'localhost')
  assert.equal({ affinity, hold, errorPage }, wishes)
  const bare = ['id', 'name', 'hosts', 'certificates', 'maintenance', 'empty', 'backends']
  assert.equal(Object.keys(routeOf(app({}), 'localhost')), bare)
})

test('while a candidate boots only the serving release gets requests', () => {
  const dynos = [dyno('old', 'v2', 'up'), dyno('new', 'v3', 'up'), dyno('newer', 'v3', 'starting')]
  assert.equal(modes(app({ candidate: 'v3', dynos })), { old: 'serve', new: 'probe', newer: 'probe' })
})

test('a dyno is asked for its health by the name of its app and by its own release, until it drains', () => {
  const old = { readiness: { path: '/healthz', timeout: 5000, interval: 10_000, attempts: 3 } }
  const young = { startup: { path: '/up', timeout: 5000, content: 'ok' } }
  const dynos = [
    { ...dyno('serves', 'v2', 'up'), checks: old },
    { ...dyno('boots', 'v3', 'starting'), checks: young },
    { ...dyno('drains', 'v2', 'draining'), checks: old },
  ]
  const { backends } = routeOf(app({ candidate: 'v3', dynos }), 'localhost')
  const host = 'demo.localhost'
  assert.equal(
    backends.map(({ checks }) => checks),
    [{ host, ...old }, { host, ...young }, undefined],
  )
})

test('in cutover only the candidate gets new requests', () => {
  const dynos = [dyno('old', 'v2', 'up'), dyno('new', 'v3', 'up')]
  assert.equal(modes(app({ release: 'v3', candidate: 'v3', dynos })), { old: 'drain', new: 'serve' })
})

test('a draining dyno finishes its requests, a stopping or crashed one is gone', () => {
  const dynos = [dyno('a', 'v2', 'draining'), dyno('b', 'v2', 'stopping'), dyno('c', 'v2', 'crashed')]
  assert.equal(modes(app({ dynos })), { a: 'drain' })
})

test('a dyno without an address is no backend', () => {
  assert.equal(modes(app({ dynos: [{ ...dyno('a', 'v2', 'starting'), address: null }] })), {})
})

test('why nobody serves: blank before the first deploy, none at scale 0, crashed, else starting', () => {
  const empty = (over: Partial<Routed>) => routeOf(app(over), 'localhost').empty
  assert.is(empty({ release: null }), 'blank')
  assert.is(empty({ web: 0 }), 'none')
  assert.is(empty({ dynos: [dyno('a', 'v2', 'crashed', 2)] }), 'crashed')
  assert.is(empty({ dynos: [dyno('a', 'v2', 'crashed', 1)] }), 'starting')
  assert.is(empty({ dynos: [dyno('a', 'v2', 'crashed', 2), dyno('b', 'v2', 'starting')] }), 'starting')
  assert.is(empty({}), 'starting')
})

test.run()
