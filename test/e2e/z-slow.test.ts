import { once } from 'node:events'
import { request } from 'node:http'
import type { Socket } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { early } from './early.ts'
import { describe, startLoad } from './load.ts'
import { startPlatform } from './platform.ts'
import { web } from './source.ts'
import { waitFor } from './wait.ts'

const platform = await startPlatform()
test.after(() => platform.stop())

early('Z2: an app that listens after twenty seconds takes over only then, and no request fails', async () => {
  const source = await platform.deploy('slow-boot')
  const load = startLoad(platform.ports.http, 'slow-boot.localhost')
  await source.version('v2', { web: `BOOT_DELAY=20 ${web}` })
  const began = Date.now()
  const { code, output } = await platform.push(source, 'slow-boot')
  assert.is(code, 0, output)
  await waitFor('the new release to answer', () => load.seen('v2 web.1\n'))
  const result = await load.stop()
  assert.is(result.failures.length, 0, describe(result))
  const first = load.seen('v2 web.1\n')?.first ?? 0
  assert.ok(first - began >= 20_000, `v2 answered after ${first - began} ms`)
})

early('Z3: a request under way at the cutover is answered by the dyno that has it', async () => {
  const source = await platform.deploy('long-request')
  const answer = platform.request('long-request', '/slow?s=15')
  await source.version('v2')
  const { code, output } = await platform.push(source, 'long-request')
  assert.is(code, 0, output)
  assert.match((await platform.request('long-request')).body, /^v2 /)
  const { status, body } = await answer
  assert.is(status, 200)
  assert.match(body, /^v1 /)
})

early('Z3: a WebSocket works, outlives the cutover, and is closed when the drain time is over', async () => {
  const source = await platform.deploy('websocket')
  const socket = await upgrade('websocket')
  assert.is(await echoed(socket, 'before'), 'before')
  const closed = once(socket, 'close')
  await source.version('v2')
  const before = Date.now()
  const { code, output } = await platform.push(source, 'websocket')
  assert.is(code, 0, output)
  assert.is(await echoed(socket, 'after'), 'after')
  await closed
  const open = Date.now() - before
  assert.ok(open > 30_000, `closed ${open} ms after the push began`)
})

function upgrade(app: string): Promise<Socket> {
  const { http: port } = platform.ports
  return new Promise((resolve, reject) => {
    const headers = {
      host: `${app}.localhost:${port}`,
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    }
    const sent = request({ host: '127.0.0.1', port, path: '/', headers }, ({ statusCode }) =>
      reject(new Error(`the upgrade was answered with ${statusCode}`)),
    )
    sent.on('error', reject)
    sent.on('upgrade', (_reply, socket) => {
      socket.on('error', () => undefined)
      resolve(socket as Socket)
    })
    sent.end()
  })
}

async function echoed(socket: Socket, text: string): Promise<string> {
  const heard = once(socket, 'data')
  socket.write(text)
  const [bytes] = await heard
  return String(bytes)
}

test.run()
