import { createHash } from 'node:crypto'
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocketServer } from 'ws'
import { systemClock } from '../../daemon/clock.ts'
import { createLog } from '../../daemon/log.ts'
import { DAY } from '../../daemon/route/certificate.ts'
import { createRouters } from '../../daemon/route/control.ts'
import { openOwnCertificate } from '../../daemon/route/own-certificate.ts'
import { waitFor } from '../e2e/wait.ts'
import { leavePlace, makePlace, type Place, startRouter } from './router-process-rig.ts'

/** The platform's certificate over more than a year of a daemon that is never restarted, with a real router process. */

let place: Place
test.before(async () => {
  place = await makePlace()
  await chmod(place.data, 0o710)
  await writeFile(join(place.data, 'metrics.token'), 'secret\n', { mode: 0o600 })
})
test.after(() => leavePlace(place))

/** Of the certificate that this port serves. */
const fingerprint = (port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', servername: 'none.localhost', rejectUnauthorized: false }, () => {
      resolve(createHash('sha256').update(socket.getPeerCertificate().raw).digest('hex'))
      socket.destroy()
    })
    socket.once('error', reject)
  })

const fingerprintOf = (pem: string): string => {
  const [, base64 = ''] = /-----BEGIN CERTIFICATE-----([^-]+)-----END/.exec(pem) ?? []
  return createHash('sha256').update(Buffer.from(base64, 'base64')).digest('hex')
}

const serves = (pem: string) =>
  waitFor('the router to serve it', async () => (await fingerprint(place.https)) === fingerprintOf(pem))

test('a daemon and a router that run for more than a year serve a certificate that is good all the time', async () => {
  const now = Date.now()
  let days = 0
  const said: string[] = []
  const log = createLog((line) => said.push(line))
  const clock = { ...systemClock, now: () => now + days * DAY }
  const sources = {
    routes: async () => [],
    pairs: async () => new Map(),
    challenges: () => [],
    changed() {},
    logLine() {},
  }
  const routers = createRouters({ clock: systemClock, log }, sources)
  const sockets = new WebSocketServer({ port: place.api, host: '127.0.0.1', path: '/routers' })
  sockets.on('connection', (socket) => routers.accept(socket))
  const config = { data: place.data, domain: 'example.com', api: { hosts: [] as string[] } }
  const own = await openOwnCertificate({ config: config as never, clock, log, routers })
  try {
    const first = own.served
    await startRouter(place).up()
    await waitFor('the router to connect', () => routers.connected === 1)
    const served: string[] = []
    const look = () => own.renew(({ cert }) => served.push(cert))
    days = 200
    await look()
    assert.equal(served, [])
    await serves(first.cert)

    days = 380
    await look()
    await look()
    assert.equal(served, [own.served.cert])
    assert.is.not(own.served.cert, first.cert)
    await serves(own.served.cert)
    assert.is((await stat(join(place.data, 'tls', 'cert.pem'))).mode & 0o777, 0o640)
    assert.equal((await readdir(join(place.data, 'tls'))).sort(), ['ca.key', 'ca.pem', 'cert.pem', 'key.pem'])
    assert.ok(said.some((line) => line.includes("the platform's certificate was renewed")))
    assert.not(said.join('').includes((await readFile(join(place.data, 'tls', 'key.pem'), 'utf8')).slice(30, 80)))
  } finally {
    routers.close()
    for (const socket of sockets.clients) socket.terminate()
    sockets.close()
  }
})

test.run()
