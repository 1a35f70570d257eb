import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { get as httpsGet } from 'node:https'
import { createServer } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ensureCertificates } from '../../daemon/route/certificate.ts'
import { fakeDaemon, heard, leavePlace, makePlace, type Place, startRouter, waitFor } from './router-process-rig.ts'
import { client, eventually, get, httpDyno, tableOf } from './router-rig.ts'

/** The real process, against a daemon that only speaks the protocol. */

let place: Place

test.before.each(async () => {
  place = await makePlace()
})

test.after.each(() => leavePlace(place))

const start = () => startRouter(place)

test('it says hello with its token, follows the table, answers, probes, drains, and hands up log lines', async () => {
  const daemon = fakeDaemon(place.api)
  start()
  await waitFor(daemon, 'hello')
  assert.equal(daemon.tokens, ['Bearer secret'])
  const [hello] = heard(daemon, 'hello')
  const id = (await readFile(join(place.data, 'router', 'id'), 'utf8')).trim()
  const router = { id, host: hostname(), pid: hello?.router.pid, workers: 2 }
  assert.equal(heard(daemon, 'hello'), [{ kind: 'hello', protocol: 5, applied: 0, certificates: [], router }])
  daemon.send(tableOf(7, { empty: 'starting', backends: [place.dyno.route('probe')] }))
  await waitFor(daemon, 'health')
  assert.equal(heard(daemon, 'health')[0], { kind: 'health', backend: 'dyno-1', up: true, reason: '' })
  daemon.send(tableOf(8, { backends: [place.dyno.route()] }))
  await waitFor(daemon, 'applied', 2)
  await client(place.http).write(get()).until(/hello/)
  await waitFor(daemon, 'log')
  assert.match(
    heard(daemon, 'log')[0]?.lines[0]?.text ?? '',
    /^at=info method=GET path="\/" host=a.localhost .* status=200 bytes=5/,
  )
  assert.is(heard(daemon, 'log')[0]?.lines[0]?.app, 'app')
  daemon.send(tableOf(9, { backends: [place.dyno.route('drain')] }))
  await waitFor(daemon, 'drained')
  assert.equal(
    heard(daemon, 'applied').map(({ version }) => version),
    [7, 8, 9],
  )
  daemon.close()
})

test('a table that it cannot apply is refused with the reason', async () => {
  const daemon = fakeDaemon(place.api)
  start()
  await waitFor(daemon, 'hello')
  const table = tableOf(2, {})
  daemon.send({ ...table, version: 2, apps: [...table.apps, ...table.apps.map((app) => ({ ...app, id: 'other' }))] })
  await waitFor(daemon, 'refused')
  assert.match(heard(daemon, 'refused')[0]?.reason ?? '', /two apps claim the host a.localhost/)
  daemon.close()
})

test('killed and started without a daemon, it serves from its snapshot, and tells the version when the daemon is back', async () => {
  const daemon = fakeDaemon(place.api)
  const first = start()
  await waitFor(daemon, 'hello')
  daemon.send(tableOf(5, { backends: [place.dyno.route()] }))
  await waitFor(daemon, 'applied')
  daemon.close()
  first.child.kill('SIGKILL')
  await once(first.child, 'exit')
  const second = start()
  await eventually(
    () => second.said().includes('listens'),
    () => `the router in ${second.said()}`,
  )
  await client(place.http).write(get()).until(/hello/)
  const back = fakeDaemon(place.api)
  await waitFor(back, 'hello')
  assert.is(heard(back, 'hello')[0]?.applied, 5)
  await waitFor(back, 'log')
  back.close()
})

test('a damaged snapshot does not keep it from starting', async () => {
  await mkdir(join(place.data, 'router'))
  await writeFile(join(place.data, 'router', 'snapshot.json'), '{"kind":')
  const { said } = start()
  await eventually(
    () => said().includes('listens'),
    () => `the router in ${said()}`,
  )
  assert.match(said(), /The kept table cannot be used/)
})

test('it comes back by itself when the daemon goes away, with the token of that moment', async () => {
  const daemon = fakeDaemon(place.api)
  start()
  await waitFor(daemon, 'hello')
  await writeFile(join(place.data, 'router.token'), 'other')
  daemon.cut()
  await waitFor(daemon, 'hello', 2)
  assert.equal(daemon.tokens, ['Bearer secret', 'Bearer other'])
  daemon.send(tableOf(3, { backends: [place.dyno.route('drain')] }))
  await waitFor(daemon, 'drained')
  daemon.close()
})

test('SIGTERM lets the running request end and exits with 0', async () => {
  const slow = await httpDyno((_, res) => void setTimeout(() => res.end('slow'), 300))
  const daemon = fakeDaemon(place.api)
  const { child } = start()
  await waitFor(daemon, 'hello')
  daemon.send(tableOf(1, { backends: [slow.route()] }))
  await waitFor(daemon, 'applied')
  const request = client(place.http).write(get())
  await eventually(
    () => slow.accepted === 1,
    () => 'the request',
  )
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit')
  assert.is(code, 0)
  assert.match(await request.untilClosed(), /Connection: close[\s\S]*slow$/)
  await waitFor(daemon, 'log')
  assert.is(heard(daemon, 'log').length, 1)
  slow.close()
  daemon.close()
})

test('a taken port is one sentence and exit code 1', async () => {
  const taken = createServer().listen(place.http, '127.0.0.1')
  await once(taken, 'listening')
  const { child, said } = start()
  const [code] = await once(child, 'exit')
  assert.is(code, 1)
  assert.match(said(), new RegExp(`^<3>Port ${place.http} on 127.0.0.1 is taken by another program; [^\n]*\n$`))
  taken.close()
})

test('it serves TLS once the daemon has made a certificate', async () => {
  const daemon = fakeDaemon(place.api)
  start()
  await waitFor(daemon, 'hello')
  await ensureCertificates({ data: place.data, domain: 'localhost', api: { hosts: [] } })
  daemon.send(tableOf(1, { backends: [place.dyno.route()] }))
  await waitFor(daemon, 'applied')
  const ca = await readFile(join(place.data, 'tls', 'ca.pem'))
  const options = {
    host: '127.0.0.1',
    port: place.https,
    servername: 'localhost',
    ca,
    headers: { host: 'a.localhost' },
  }
  const [res] = await once(httpsGet(options), 'response')
  assert.is(res.statusCode, 200)
  await waitFor(daemon, 'log')
  assert.match(heard(daemon, 'log')[0]?.lines[0]?.text ?? '', / tls=true tls_version=tls1\.3$/)
  daemon.close()
})

test('the snapshot is the whole table', async () => {
  const daemon = fakeDaemon(place.api)
  start()
  await waitFor(daemon, 'hello')
  const table = tableOf(4, { backends: [place.dyno.route()] })
  daemon.send(table)
  await waitFor(daemon, 'applied')
  assert.equal(JSON.parse(await readFile(join(place.data, 'router', 'snapshot.json'), 'utf8')), {
    kind: 'table',
    table,
  })
  daemon.close()
})

test.run()
