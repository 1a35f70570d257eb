import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { adopting, changeBetween, editionOf, ordersFor, tableAfter } from '../../router/edition.ts'
import type { Commit, Order } from '../../router/orders.ts'
import type { AppRoute, Certificates, Table } from '../../router/protocol.ts'
import { Router } from '../../router/router.ts'

const app = (id: string, more: Partial<AppRoute> = {}): AppRoute => ({
  ...{ id, name: id, hosts: [`${id}.localhost`], certificates: [], maintenance: false, empty: 'none', backends: [] },
  ...more,
})
const table = (version: number, apps: AppRoute[]): Table => ({ version, apps, challenges: [] })
const certificates = (...ids: string[]): Certificates => new Map(ids.map((id) => [id, { id, chain: id, key: id }]))
const bound = (id: string, certificate: string): AppRoute =>
  app(id, { certificates: [{ id: certificate, hosts: [`${id}.localhost`] }] })
const backend = (id: string, mode: 'serve' | 'drain' = 'serve') => ({
  ...{ id, dyno: 'web.1', address: '127.0.0.1', port: 1, mode },
})

const challenge = { host: 'a.localhost', token: 't', authorization: 't.k' }

function commitOf(orders: Order[]): Commit {
  const commit = orders.find((order): order is Commit => order.kind === 'commit')
  if (commit === undefined) throw new Error('no commit')
  return commit
}
const routesIn = (text: string): AppRoute[] => JSON.parse(text)
const sent = (orders: Order[]) =>
  orders.flatMap((order) => {
    if (order.kind === 'apps') return routesIn(order.text).map(({ id }) => id)
    return order.kind === 'certificates' ? order.certificates.map(({ id }) => `certificate ${id}`) : []
  })

test('workers get what changed: apps and certificates that are new or other, and the ids of those that went', () => {
  const before = editionOf(table(1, [app('a'), app('b'), bound('c', 'x')]), certificates('x'))
  const next = table(2, [app('a'), app('b', { maintenance: true }), bound('d', 'y')])
  const after = editionOf(adopting(next, before.table), certificates('x', 'y'), before)
  const orders = ordersFor(7, after, before)
  assert.equal(sent(orders), ['certificate y', 'b', 'd'])
  const { whole, serial, version, gone, forgotten } = commitOf(orders)
  assert.equal([whole, serial, version, gone, forgotten], [false, 7, 2, ['c'], ['x']])
  assert.is(orders.at(-1)?.kind, 'commit')
})

test('a worker that is new gets everything, in pieces', () => {
  const apps = Array.from({ length: 450 }, (_, i) => app(`app${i}`))
  const orders = ordersFor(1, editionOf(table(3, apps), certificates()))
  assert.equal(
    orders.map((order) => (order.kind === 'apps' ? routesIn(order.text).length : order.kind)),
    [200, 200, 50, 'commit'],
  )
  assert.is(commitOf(orders).whole, true)
})

test('a table in which two claim the same is refused before anybody gets it', () => {
  const refused = (...apps: AppRoute[]) => {
    try {
      editionOf(table(1, apps), certificates())
      return ''
    } catch (error) {
      return String(error)
    }
  }
  assert.match(refused(app('a'), app('b', { hosts: ['a.localhost'] })), /two apps claim the host a.localhost/)
  assert.match(refused(app('a'), app('a')), /app a is twice/)
  assert.match(
    refused(app('a'), app('b', bound('a', 'x') && { certificates: [{ id: 'x', hosts: ['a.localhost'] }] })),
    /claim/,
  )
  assert.match(
    refused(app('a', { backends: [backend('d')] }), app('b', { backends: [backend('d')] })),
    /backend d is twice/,
  )
  assert.is(refused(app('a', { hosts: ['x', 'x'] }), app('b')), '')
})

test('a route that says the same stays the same object, whatever differs is another', () => {
  const before = table(1, [bound('a', 'x'), app('b', { backends: [backend('b1')] }), app('c'), app('d', { hold: 1 })])
  const next = table(2, [
    ...[bound('a', 'x'), app('b', { backends: [backend('b1', 'drain')] }), app('c', { hold: 1 }), app('d'), app('e')],
  ])
  const { apps, version } = adopting(next, before)
  assert.is(version, 2)
  assert.equal(apps, next.apps)
  assert.equal(
    apps.map((route, i) => route === before.apps[i]),
    [true, false, false, false, false],
  )
})

test('a change makes the table that it was made from, and touches no other app', () => {
  const before = editionOf(table(1, [app('a'), app('b'), app('c')]), certificates())
  const next = { ...table(2, [app('a'), app('c', { maintenance: true }), app('d')]), challenges: [challenge] }
  const change = changeBetween(before, editionOf(adopting(next, before.table), certificates(), before))
  assert.equal([change.base, change.version, change.apps.map(({ id }) => id), change.gone], [1, 2, ['c', 'd'], ['b']])
  const after = tableAfter(before.table, [change])
  assert.equal(after, next)
  assert.is(after.apps[0], before.table.apps[0])
})

test('what a change claims is compared with all that did not change', () => {
  const before = editionOf(
    table(1, [bound('a', 'x'), app('b', { backends: [backend('b1')] }), app('c')]),
    certificates(),
  )
  const refused = (...apps: AppRoute[]) => {
    const change = { base: 1, version: 2, apps, gone: [], challenges: [] }
    try {
      editionOf(tableAfter(before.table, [change]), certificates(), before)
      return ''
    } catch (error) {
      return String(error)
    }
  }
  assert.match(refused(app('new', { hosts: ['b.localhost'] })), /two apps claim the host b.localhost/)
  assert.match(
    refused(app('c', { certificates: [{ id: 'y', hosts: ['a.localhost'] }] })),
    /two apps claim the host a.localhost/,
  )
  assert.match(refused(app('new', { backends: [backend('b1')] })), /backend b1 is twice/)
  assert.is(refused(app('b', { hosts: ['x'], backends: [backend('b1')] }), app('new', { hosts: ['b.localhost'] })), '')
})

test('what is prepared gets no request before the change, and keeps what the app had', async () => {
  const { router, follow } = routerWith()
  follow(table(1, [app('a', { backends: [backend('a1')] })]))
  const known = router.find('a.localhost')
  router.prepare([app('a', { backends: [backend('a1'), backend('a2')] })])
  router.prepare([app('b')])
  assert.is(router.find('a.localhost'), known)
  assert.is(router.find('b.localhost'), undefined)
  router.commit({ whole: false, gone: [], challenges: [] })
  const now = router.find('a.localhost')
  assert.is(now?.backlog, known?.backlog)
  assert.is(now?.serving[0], known?.serving[0])
  assert.is(now?.serving.length, 2)
  assert.ok(router.find('b.localhost'))
  await router.close()
})

function routerWith(): { router: Router; follow(next: Table): void; drained: string[] } {
  const drained: string[] = []
  const router = new Router({ drained: (id) => drained.push(id), line() {} })
  let now = editionOf(table(0, []), certificates())
  return {
    router,
    drained,
    follow(next) {
      const edition = editionOf(adopting(next, now.table), certificates(), now)
      const orders = ordersFor(next.version, edition, now)
      for (const order of orders) if (order.kind === 'apps') router.prepare(routesIn(order.text))
      router.commit(commitOf(orders))
      now = edition
    },
  }
}

test('changes one after the other come to the same as whole tables: hosts, certificates and backends that move', async () => {
  const { router, follow } = routerWith()
  const names = ['a', 'b', 'c'].flatMap((id) => [`${id}.localhost`, `x.${id}.localhost`])
  const tables = [
    [bound('a', 'one'), app('b', { backends: [backend('b1')] })],
    [
      app('a', { hosts: ['b.localhost'] }),
      app('b', { hosts: ['a.localhost'], backends: [backend('b1'), backend('b2')] }),
    ],
    [app('a', { hosts: ['*.b.localhost'] }), bound('c', 'two'), app('b', { backends: [backend('b2', 'drain')] })],
    [app('c', { hosts: ['*.c.localhost', 'c.localhost'], backends: [backend('b2')] })],
    [],
  ]
  for (const [version, apps] of tables.entries()) {
    follow(table(version + 1, apps))
    const whole = new Router({ drained() {}, line() {} })
    whole.apply(table(version + 1, apps))
    const seen = (one: Router) =>
      names.map((name) => {
        const found = one.find(name)
        return [name, found?.route.id, found?.serving.map(({ id, mode }) => `${id} ${mode}`), one.certificateOf(name)]
      })
    assert.equal(seen(router), seen(whole), `table ${version + 1}`)
    await whole.close()
  }
  await router.close()
})

test('a change of more apps than there are, or of fewer, leaves the others as they were', async () => {
  const { router, follow } = routerWith()
  const names = Array.from({ length: 6 }, (_, i) => `n${i}`)
  const many = (maintenance: boolean) => names.map((id) => app(id, { maintenance, backends: [backend(`of-${id}`)] }))
  follow(table(1, [app('a', { backends: [backend('a1')] }), bound('b', 'x'), app('c')]))
  const [a1] = router.find('a.localhost')?.serving ?? []
  const seen = () =>
    ['a', 'b', 'c', ...names].map((id) => {
      const found = router.find(`${id}.localhost`)
      return `${found?.route.id} ${found?.route.maintenance} ${router.certificateOf(`${id}.localhost`)}`
    })
  const expected = (...rows: string[]) => rows.map((row) => (row === '' ? 'undefined undefined null' : row))
  const ones = (maintenance: boolean) => names.map((id) => `${id} ${maintenance} null`)
  follow(table(2, [app('a', { backends: [backend('a1')] }), bound('b', 'x'), ...many(false)]))
  assert.equal(seen(), expected('a false null', 'b false x', '', ...ones(false)))
  follow(table(3, [app('a', { backends: [backend('a1')] }), bound('b', 'x'), ...many(true)]))
  assert.equal(seen(), expected('a false null', 'b false x', '', ...ones(true)))
  follow(table(4, [app('a', { backends: [backend('a1')] }), app('b'), ...many(true)]))
  assert.equal(seen(), expected('a false null', 'b false null', '', ...ones(true)))
  assert.is(router.find('a.localhost')?.serving[0], a1)
  await router.close()
})

test('a backend that goes to another app keeps its connections, and follows that one', async () => {
  const { router, follow } = routerWith()
  follow(table(1, [app('a', { backends: [backend('d')] })]))
  const [d] = router.find('a.localhost')?.serving ?? []
  follow(table(2, [app('b', { backends: [backend('d', 'drain')] })]))
  assert.is(d?.mode, 'drain')
  follow(table(3, [app('c', { backends: [backend('d')] })]))
  assert.is(router.find('c.localhost')?.serving[0], d)
  assert.is(d?.mode, 'serve')
  await router.close()
})

test('a backend that a change does not touch stays the same, with its connections; one that goes is gone', async () => {
  const { router, follow } = routerWith()
  follow(table(1, [app('a', { backends: [backend('a1')] }), app('b', { backends: [backend('b1')] })]))
  const [a1] = router.find('a.localhost')?.serving ?? []
  const [b1] = router.find('b.localhost')?.serving ?? []
  follow(table(2, [app('a', { maintenance: true, backends: [backend('a1')] })]))
  assert.is(router.find('a.localhost')?.serving[0], a1)
  assert.is(a1?.mode, 'serve')
  assert.is(b1?.mode, 'gone')
  await router.close()
})

test.run()
