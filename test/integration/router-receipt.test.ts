import type { ServerResponse } from 'node:http'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Client, client, type Dyno, eventually, get, httpDyno, type Rig, startRig } from './router-rig.ts'

let rig: Rig
/** Streams what it is told to, to each request by its path. */
let dyno: Dyno
let responses: Map<string, ServerResponse>
test.before.each(async () => {
  rig = await startRig()
  responses = new Map()
  dyno = await httpDyno((req, res) => {
    res.write('begun ')
    responses.set(req.url ?? '', res)
  })
  rig.serve({ backends: [dyno.route()] })
})
test.after.each(async () => {
  await rig.close()
  dyno.close()
})

async function ask(path: string): Promise<Client> {
  const asking = client(rig.port).write(get().replace('/', path))
  await asking.until(/begun /)
  return asking
}

test('a receipt says of each request that ran when the drain began how it ended', async () => {
  const before = await ask('/before')
  responses.get('/before')?.end()
  await before.until(/0\r\n\r\n$/)
  const [whole, , gone] = [await ask('/whole'), await ask('/broken'), await ask('/gone')]
  rig.serve({ backends: [dyno.route('drain')] })
  responses.get('/whole')?.end('done')
  await whole.until(/done/)
  responses.get('/broken')?.socket?.resetAndDestroy()
  assert.equal(rig.drained, [])
  gone.socket.resetAndDestroy()
  await eventually(
    () => rig.drained.length === 1,
    () => 'the drain',
  )
  assert.equal(rig.receipts.get('dyno-1'), { inFlight: 3, finished: 2, cut: 0, failed: 1 })
})

test('a receipt is the same with each later table, and begins anew when the backend has served again', async () => {
  await ask('/one')
  const drain = () => rig.serve({ backends: [dyno.route('drain')] })
  drain()
  drain()
  responses.get('/one')?.end()
  await eventually(
    () => rig.drained.length === 1,
    () => 'the drain',
  )
  const first = { inFlight: 1, finished: 1, cut: 0, failed: 0 }
  assert.equal(rig.receipts.get('dyno-1'), first)
  drain()
  assert.is(rig.drained.length, 2)
  assert.equal(rig.receipts.get('dyno-1'), first)
  rig.serve({ backends: [dyno.route()] })
  drain()
  assert.equal(rig.receipts.get('dyno-1'), { inFlight: 0, finished: 0, cut: 0, failed: 0 })
})

test('requests that outlast the drain are in a receipt that is told when the last has ended', async () => {
  const [slow] = [await ask('/slow'), await ask('/killed')]
  rig.serve({ backends: [dyno.route('drain')] })
  rig.serve({})
  responses.get('/slow')?.end('done')
  await slow.until(/done/)
  assert.equal(rig.drained, [])
  responses.get('/killed')?.socket?.destroy()
  await eventually(
    () => rig.drained.length === 1,
    () => 'the receipt',
  )
  assert.equal(rig.receipts.get('dyno-1'), { inFlight: 2, finished: 1, cut: 0, failed: 1 })
})

test.run()
