import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { listen } from '../../router/listener.ts'
import { client, get, portOf, startRig } from './router-rig.ts'

/** Clients and dynos with addresses of version 6. */

const echo = createServer((req, res) => res.end(`<${req.headers['x-forwarded-for']}>`)).listen(0, '::')
await once(echo, 'listening')
const { port } = echo.address() as AddressInfo
const rig = await startRig()
const door = await listen(rig.router, { host: '::1', port: 0 })
test.after(async () => {
  door.close()
  echo.closeAllConnections()
  echo.close()
  await rig.close()
})

async function askFrom6(...lines: string[]): Promise<string> {
  const socket = connect({ host: '::1', port: portOf(door) })
  socket.end(get('Connection: close', ...lines))
  let text = ''
  for await (const chunk of socket) text += chunk
  return text
}

const backend = (address: string) => ({ id: address, dyno: 'web.1', address, port, mode: 'serve' as const })

test('a dyno at an address of version 6 serves clients of both', async () => {
  rig.serve({ backends: [backend('::1')] })
  await client(rig.port)
    .write(get())
    .until(/<127\.0\.0\.1>/)
  assert.match(await askFrom6(), /^HTTP\/1.1 200 [\s\S]*<::1>/)
})

test('a dyno may be named instead', async () => {
  rig.serve({ backends: [backend('localhost')] })
  assert.match(await askFrom6(), /<::1>/)
})

test('a name that there is not is a dyno that refuses', async () => {
  rig.serve({ hold: 0, backends: [backend('nowhere.invalid')] })
  assert.match(await askFrom6(), /^HTTP\/1.1 503 /)
  assert.match(rig.lines.at(-1) ?? '', 'code=H21')
})

test('the client’s address is bare in the log line and behind what it claims', async () => {
  rig.serve({ backends: [backend('::1')] })
  assert.match(await askFrom6('X-Forwarded-For: 2001:db8::7'), /<2001:db8::7, ::1>/)
  assert.match(rig.lines.at(-1) ?? '', ' host=a.localhost ')
  assert.match(rig.lines.at(-1) ?? '', ' fwd="2001:db8::7, ::1" dyno=web.1 ')
})

test.run()
