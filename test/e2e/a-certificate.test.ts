import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { make } from '../integration/chains.ts'
import { startPlatform } from './platform.ts'
import { waitFor } from './wait.ts'

const platform = await startPlatform({ SLUICE_DRAIN_ALLOW: '127.0.0.1' })
const received: string[] = []
let silent = false
const receiver = createServer((req, res) => {
  let text = ''
  req.on('data', (chunk) => {
    text += chunk
  })
  req.on('end', () => {
    received.push(JSON.parse(text).webhook_metadata.event.id)
    if (!silent) res.end()
  })
})
receiver.listen(0, '127.0.0.1')
await once(receiver, 'listening')
test.after(async () => {
  receiver.close()
  receiver.closeAllConnections()
  await platform.stop()
})

/** Whose certificate the router shows to a client that asks for this name. */
async function shownFor(servername: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: platform.ports.tls, servername, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  return String(subject.CN)
}

const shows = (subject: string) =>
  waitFor(`the router to show ${subject}`, async () => (await shownFor('www.secured.example')) === subject)

async function bodyOf(subject: string) {
  const { cert, key } = await make({ subject: `CN=${subject}`, names: ['www.secured.example'] })
  return { certificate_chain: cert, private_key: key }
}

test('a domain’s certificate is served, replaced and removed without a restart, and outlives both programs', async () => {
  await platform.createApp('secured')
  const endpoints = '/apps/secured/sni-endpoints'
  const { name } = await platform.api<{ name: string }>('POST', endpoints, await bodyOf('first'))
  await platform.api('POST', '/apps/secured/domains', { hostname: 'www.secured.example', sni_endpoint: name })
  await shows('first')
  await platform.api('PATCH', `${endpoints}/${name}`, await bodyOf('second'))
  await shows('second')
  // what the router has said that it follows is on its disk
  await waitFor('the router to follow the newest table', async () => {
    const [router] = await platform.api<{ behind: number }[]>('GET', '/sluice/routers')
    return router?.behind === 0
  })
  await platform.daemon.kill('SIGKILL')
  await platform.router.kill('SIGKILL')
  platform.router.start()
  await waitFor('the router to answer', async () => (await shownFor('www.secured.example')).length > 0)
  assert.is(await shownFor('www.secured.example'), 'second')
  await platform.startDaemon()
  await platform.api('DELETE', `${endpoints}/${name}`)
  await shows('Sluice')
})

test('a webhook that a killed daemon has not delivered is delivered by the next', async () => {
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`
  await platform.createApp('hooked')
  await platform.api('POST', '/apps/hooked/webhooks', { url, level: 'sync', include: ['api:release'] })
  silent = true
  await platform.api('PATCH', '/apps/hooked/config-vars', { A: '1' })
  await waitFor('the request', async () => received.length === 1)
  // committed, and waiting behind the first
  await platform.api('PATCH', '/apps/hooked/config-vars', { A: '2' })
  await platform.daemon.kill('SIGKILL')
  silent = false
  receiver.closeAllConnections()
  await platform.startDaemon()
  await waitFor('both events', async () => new Set(received).size === 2)
  const [first, again] = received
  assert.is(again, first)
})

test.run()
