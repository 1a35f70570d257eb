import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { waitFor } from '../e2e/wait.ts'
import { certificate, type Receiver, type Rig, startReceiver, startRig } from './drain-rig.ts'

const folder = await mkdtemp(join(tmpdir(), 'sluice-drain-tls-'))
const { key, cert, ca } = await certificate(folder)
test.after(() => rm(folder, { recursive: true, force: true }))

let rig: Rig | undefined
let receiver: Receiver
test.before.each(async () => {
  receiver = await startReceiver({ key, cert })
})
test.after.each(async () => {
  await rig?.close()
  await receiver.vanish()
})

const told = (start: Rig) => waitFor('an error to be told', () => start.told()[0])

test('a certificate of an authority in the operator’s bundle is trusted, for a name and for an address', async () => {
  const start = await startRig({ caBundle: ca })
  rig = start
  start.open(`syslog+tls://127.0.0.1:${receiver.port}`)
  start.open(`syslog+tls://localhost:${receiver.port}`)
  start.say('hello')
  await waitFor('both lines', () => receiver.texts().length === 2)
  assert.equal(start.told(), [])
})

test('a certificate of an unknown authority is L14, and nothing is sent', async () => {
  const start = await startRig()
  rig = start
  const { token } = start.open(`syslog+tls://127.0.0.1:${receiver.port}`)
  start.open(`https://user:hunter2@127.0.0.1:${receiver.port}/path`, { app: 'b' })
  start.say('hello')
  start.say('hello', 'b')
  const reason = 'bad certificate: self signed cert in chain'
  assert.is(
    await told(start),
    `Error L14 (certificate validation): error="${reason}" uri="syslog+tls://127.0.0.1:${receiver.port}/" drain=${token}`,
  )
  await waitFor('the other app to be told', () => start.told('b')[0]?.includes('Error L14'))
  assert.equal(receiver.messages, [])
})

test('a certificate for another host name is L14', async () => {
  await receiver.vanish()
  const other = await mkdtemp(join(folder, 'other-'))
  const theirs = await certificate(other)
  receiver = await startReceiver(theirs)
  const start = await startRig({ caBundle: theirs.ca, allow: '127.0.0.0/8' })
  rig = start
  start.open(`syslog+tls://127.0.0.2:${receiver.port}`)
  await receiver.vanish()
  receiver.host = '127.0.0.2'
  await receiver.listen()
  start.say('hello')
  assert.match(
    await told(start),
    'L14 (certificate validation): error="bad certificate: the certificate is for another host name"',
  )
})

test('a name is judged by the address that is connected to', async () => {
  const start = await startRig({ allow: '', caBundle: ca })
  rig = start
  assert.ok(await start.drains.refuses('localhost'))
  assert.ok(await start.drains.refuses('127.0.0.1'))
  assert.not(await start.drains.refuses('192.0.2.1'))
  // As if it had had another address when it was added.
  start.open(`syslog+tls://localhost:${receiver.port}`)
  start.say('hello')
  assert.match(await told(start), 'L13 (delivery error): error="the address is not one that drains may have')
  assert.is(receiver.connections, 0)
})

test('a name that the operator allows may be anywhere', async () => {
  const start = await startRig({ allow: 'localhost', caBundle: ca })
  rig = start
  assert.not(await start.drains.refuses('localhost'))
  assert.ok(await start.drains.refuses('127.0.0.1'))
  start.open(`syslog+tls://localhost:${receiver.port}`)
  start.say('hello')
  await waitFor('the line', () => receiver.texts().includes('hello'))
})

test.run()
