import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type WebSocket, WebSocketServer } from 'ws'
import { systemClock } from '../../daemon/clock.ts'
import { limits } from '../../daemon/limits.ts'
import { createLog } from '../../daemon/log.ts'
import { ensureCertificates } from '../../daemon/route/certificate.ts'
import { createRouters } from '../../daemon/route/control.ts'
import type { Routers } from '../../daemon/route/routers.ts'
import type { AppRoute } from '../../router/protocol.ts'
import { freePort } from '../e2e/ports.ts'
import { startLoad } from './router-load.ts'
import { leavePlace, makePlace, type Place, startRouter } from './router-process-rig.ts'
import { client, eventually, get, tableOf } from './router-rig.ts'

/** Several router processes at the daemon's own end of the connection, one of which can be cut off. */

interface Network {
  routers: Routers
  /** Ends the connections of routers that come with this token, and takes none. */
  cut(token: string | undefined): void
  close(): void
}

function network(port: number, route: () => AppRoute): Network {
  let unreachable: string | undefined
  const sockets = new Map<WebSocket, string | undefined>()
  const log = createLog(() => {})
  const routers = createRouters(
    { clock: systemClock, log },
    { routes: async () => [route()], pairs: async () => new Map(), challenges: () => [], changed() {}, logLine() {} },
  )
  const server = new WebSocketServer({
    ...{ port, host: '127.0.0.1' },
    verifyClient: ({ req }: { req: IncomingMessage }) => req.headers.authorization !== unreachable,
  })
  server.on('connection', (socket, req) => {
    sockets.set(socket, req.headers.authorization)
    socket.on('close', () => sockets.delete(socket))
    routers.accept(socket, req.socket.remoteAddress)
  })
  return {
    routers,
    cut(token) {
      unreachable = token && `Bearer ${token}`
      for (const [socket, bearer] of sockets) if (bearer === unreachable) socket.terminate()
    },
    close() {
      routers.close()
      server.close()
    },
  }
}

const states = ({ routers }: Network) => routers.list().map(({ state, behind }) => `${state} ${behind}`)

const said = (net: Network, wanted: string[]) =>
  eventually(
    () => states(net).join() === wanted.join(),
    () => `${wanted} in ${states(net)}`,
  )

/** What a test has begun, however it goes. */
const ends: (() => Promise<void>)[] = []
test.after.each(async () => {
  for (const end of ends.splice(0)) await end()
})

/** Two that follow the route; the second is cut off by its token. */
async function startBoth(route: (places: { one: Place; two: Place }) => AppRoute) {
  const one = await makePlace()
  const two = { ...(await makePlace({ token: 'second' })), api: one.api }
  const net = network(one.api, () => route({ one, two }))
  await net.routers.publish()
  startRouter(one)
  await eventually(
    () => net.routers.connected === 1,
    () => 'the first router',
  )
  startRouter(two)
  await said(net, ['connected 0', 'connected 0'])
  ends.push(async () => {
    net.close()
    for (const place of [one, two]) await leavePlace(place)
  })
  return { one, two, net }
}

test('a cutover waits for a router that is cut off, by which requests come, until it is back: none fails', async () => {
  Object.assign(limits, { routerReturn: 100_000 })
  let isCutOver = false
  const { one, two, net } = await startBoth(({ one, two }) => {
    const backends = isCutOver
      ? [two.dyno.route('serve', 'new'), one.dyno.route('drain', 'old')]
      : [one.dyno.route('serve', 'old')]
    return tableOf(1, { backends }).apps[0] as AppRoute
  })
  const load = startLoad(two.http, 20)
  ends.unshift(() => load.stop())
  const more = (count: number) => {
    const wanted = load.answered + count
    return eventually(
      () => load.answered >= wanted || load.failures.length > 0,
      () => `${wanted} answers in ${load.answered}`,
    )
  }
  await more(20)
  net.cut('second')
  await said(net, ['connected 0', 'awaited 0'])
  isCutOver = true
  await net.routers.publish('app')
  await said(net, ['connected 0', 'awaited 1'])
  await eventually(
    () => net.routers.receipts.of('old') !== null,
    () => 'the drain by the first',
  )
  await more(20)
  assert.not.ok(net.routers.acknowledged('app'))
  assert.not.ok(net.routers.drained('old'))
  net.cut(undefined)
  await eventually(
    () => net.routers.acknowledged('app') && net.routers.drained('old'),
    () => 'the word of the second',
  )
  one.dyno.close()
  await more(20)
  await load.stop()
  assert.equal(load.failures, [])
})

test('a router that does not come back serves on by its table and is told apart; a cutover waits for the other alone', async () => {
  Object.assign(limits, { routerReturn: 500 })
  let hosts = ['a.localhost']
  const { one, two, net } = await startBoth(
    ({ one }) => tableOf(1, { hosts, backends: [one.dyno.route()] }).apps[0] as AppRoute,
  )
  assert.is(new Set(net.routers.list().map(({ id }) => id)).size, 2)
  net.cut('second')
  await said(net, ['connected 0', 'lost 0'])
  hosts = ['a.localhost', 'b.localhost']
  await net.routers.publish('app')
  await eventually(
    () => net.routers.acknowledged('app'),
    () => 'the acknowledgement of the first',
  )
  await said(net, ['connected 0', 'lost 1'])
  const b = get('Connection: close').replace('a.localhost', 'b.localhost')
  assert.match(await client(two.http).write(get('Connection: close')).untilClosed(), /hello/)
  assert.match(await client(two.http).write(b).untilClosed(), /404/)
  assert.match(await client(one.http).write(b).untilClosed(), /hello/)
  net.cut(undefined)
  await said(net, ['connected 0', 'connected 0'])
  assert.match(await client(two.http).write(b).untilClosed(), /hello/)
})

test('two routers that share a copied data directory push each other out slowly, and say so', async () => {
  const place = await makePlace()
  const net = network(place.api, () => tableOf(1, { backends: [place.dyno.route()] }).apps[0] as AppRoute)
  const first = startRouter(place)
  await eventually(
    () => net.routers.connected === 1,
    () => 'the first router',
  )
  startRouter({ ...place, http: await freePort(), https: await freePort() })
  const sentence = /<4>Another router has connected with the identity of this one; was its data directory copied\?\n/
  await eventually(
    () => sentence.test(first.said()),
    () => `the sentence in ${first.said()}`,
  )
  assert.is(net.routers.list().length, 1)
  net.close()
  await leavePlace(place)
})

test('a router elsewhere comes by TLS, and shows its token to nobody whose certificate it does not trust', async () => {
  const place = await makePlace()
  await ensureCertificates({ data: place.data, domain: 'localhost', api: { hosts: [] } })
  const file = (name: string) => join(place.data, 'tls', name)
  const https = createServer({ key: await readFile(file('key.pem')), cert: await readFile(file('cert.pem')) })
  https.listen(place.api, '127.0.0.1')
  const server = new WebSocketServer({ server: https, path: '/routers' })
  const tokens: (string | undefined)[] = []
  server.on('connection', (_, req) => tokens.push(req.headers.authorization))
  const refused = new Promise((resolve) => https.once('tlsClientError', resolve))
  const SLUICE_DAEMON_URL = `wss://localhost:${place.api}`
  const stranger = startRouter(place, { SLUICE_DAEMON_URL, NODE_EXTRA_CA_CERTS: undefined })
  await refused
  assert.equal(tokens, [])
  stranger.child.kill('SIGKILL')
  await once(stranger.child, 'exit')
  startRouter(place, { SLUICE_DAEMON_URL, NODE_EXTRA_CA_CERTS: file('ca.pem') })
  await eventually(
    () => tokens.length === 1,
    () => 'the router',
  )
  assert.equal(tokens, ['Bearer secret'])
  for (const socket of server.clients) socket.terminate()
  server.close()
  https.close()
  await leavePlace(place)
})

test.run()
