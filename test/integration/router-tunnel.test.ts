import type { Socket } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Limits } from '../../router/limits.ts'
import { drained, endOf, raw } from './router-drain-rig.ts'
import { eventually, type Rig, rawDyno, startRig } from './router-rig.ts'

let rig: Rig
const begin = async (limits: Partial<Limits> = {}) => {
  rig = await startRig({ grace: 60_000, ...limits })
}
test.after.each(() => rig.close())

/** A dyno of another protocol; `socket` is its last connection. */
async function other(hello = '') {
  const dyno = await rawDyno((socket) => {
    self.socket = socket
    self.end = endOf(socket)
    socket.once('data', () => {
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n${hello}`)
      socket.on('data', (chunk) => {
        self.heard += chunk
      })
      if (self.polite) socket.on('end', () => socket.end())
    })
  })
  const self = { dyno, heard: '', polite: true, socket: null as Socket | null, end: { ended: false, error: '' } }
  return self
}

test('another tunnel gets a half-close both ways after its grace, and what was sent before is whole', async () => {
  await begin()
  const self = await other('first words')
  rig.serve({ backends: [self.dyno.route()] })
  const tunnel = await raw(rig, 'x')
  const end = endOf(tunnel.socket)
  await tunnel.write('last words').until(/first words/)
  await eventually(
    () => self.heard !== '',
    () => 'the last words',
  )
  rig.serve({ grace: 0, backends: [self.dyno.route('drain')] })
  await tunnel.untilClosed()
  await drained(rig)
  await eventually(
    () => self.end.ended,
    () => 'the end of the dyno\u2019s side',
  )
  assert.equal(
    [end, self.end],
    [
      { ended: true, error: '' },
      { ended: true, error: '' },
    ],
  )
  assert.is(self.heard, 'last words')
  assert.equal(rig.receipts.get('dyno-1'), { inFlight: 1, finished: 0, cut: 1, failed: 0 })
  self.dyno.close()
})

test('a tunnel whose dyno never ends is ended in bounded time', async () => {
  await begin({ tunnelClose: 20, linger: 20 })
  const self = await other('hi')
  self.polite = false
  rig.serve({ backends: [self.dyno.route()] })
  const tunnel = await raw(rig, 'x')
  rig.serve({ grace: 0, backends: [self.dyno.route('drain')] })
  await drained(rig)
  await tunnel.untilClosed()
  await eventually(
    () => self.end.ended,
    () => 'the half-close to the dyno',
  )
  self.dyno.close()
})

test('a tunnel that its dyno breaks while it drains has failed', async () => {
  await begin()
  const self = await other()
  rig.serve({ backends: [self.dyno.route()] })
  await raw(rig, 'x')
  rig.serve({ backends: [self.dyno.route('drain')] })
  self.socket?.resetAndDestroy()
  await drained(rig)
  assert.equal(rig.receipts.get('dyno-1'), { inFlight: 1, finished: 0, cut: 0, failed: 1 })
  self.dyno.close()
})

test.run()
