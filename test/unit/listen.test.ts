import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { listenersIn } from '../../daemon/engine/listen.ts'

const line = (n: number, local: string, state: string) =>
  `   ${n}: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000        0 1234 1 0000000000000000 100 0 0 10 0`
const header = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'
const table = (...lines: string[]) => [header, ...lines, ''].join('\n')

test('sockets that listen are found, with whether they are for the dyno itself only', () => {
  const v4 = table(line(0, '00000000:1F90', '0A'), line(1, '0100007F:0BB8', '0A'), line(2, '0200A8C0:0050', '0A'))
  assert.equal(listenersIn(v4), [
    { port: 8080, local: false },
    { port: 3000, local: true },
    { port: 80, local: false },
  ])
  const v6 = table(
    line(0, '00000000000000000000000000000000:1F90', '0A'),
    line(1, '00000000000000000000000001000000:1F91', '0A'),
    line(2, '0000000000000000FFFF00000100007F:1F92', '0A'),
  )
  assert.equal(listenersIn(v6), [
    { port: 8080, local: false },
    { port: 8081, local: true },
    { port: 8082, local: true },
  ])
})

test('connections and the engine’s name server are not listeners', () => {
  assert.equal(listenersIn(table(line(0, '0100007F:0BB8', '01'), line(1, '0B00007F:9C40', '0A'))), [])
  assert.equal(listenersIn(''), [])
})

test.run()
