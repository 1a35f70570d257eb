import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type WebSocket, WebSocketServer } from 'ws'
import { type Control, createControl } from '../../router/control.ts'
import { Batches, batchOf } from '../../router/lines.ts'
import { parseUp, type Table, type Up } from '../../router/protocol.ts'
import { eventually, tableOf } from './router-rig.ts'

/** The router's end of the connection to the daemon, against a daemon that only speaks the protocol. */

let folder = ''
let server: WebSocketServer
let control: Control | undefined
let sockets: WebSocket[] = []
let heard: Up[] = []
let warnings: string[] = []
let batches: Batches

test.before.each(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-control-'))
  await writeFile(join(folder, 'token'), 'secret\n')
  sockets = []
  heard = []
  warnings = []
  batches = new Batches(1000)
  server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  server.on('connection', (socket) => {
    sockets.push(socket)
    socket.on('message', (data) => heard.push(parseUp(String(data))))
  })
})

test.after.each(async () => {
  await control?.close()
  for (const socket of server.clients) socket.terminate()
  server.close()
  await rm(folder, { recursive: true, force: true })
})

function dial(apply: (table: Table) => Promise<void> = async () => {}): void {
  control = createControl({
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tokenFile: join(folder, 'token'),
    limits: { redial: 5, redialMost: 20 },
    router: { id: 'one', host: 'host', pid: 1, workers: 1 },
    table: () => ({ version: 7, apps: [], challenges: [] }),
    batches,
    certificates: new Map(),
    apply,
    report() {},
    warn: (sentence) => warnings.push(sentence),
  })
}

/** Each has said hello. */
const connections = (count: number) =>
  eventually(
    () => heard.filter(({ kind }) => kind === 'hello').length >= count,
    () => `${count} connections, not ${sockets.length}`,
  )

const send = (socket: WebSocket | undefined, version: number) =>
  socket?.send(JSON.stringify({ kind: 'table', table: tableOf(version, {}) }))

const versions = () => heard.flatMap((message) => (message.kind === 'applied' ? [message.version] : []))

test('a table that is in force only after its connection has ended is not acknowledged over the next, whose daemon may count anew', async () => {
  const begun: number[] = []
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  dial(async ({ version }) => {
    begun.push(version)
    if (version === 8) await held
  })
  await connections(1)
  send(sockets[0], 8)
  await eventually(
    () => begun.includes(8),
    () => 'table 8',
  )
  sockets[0]?.terminate()
  await connections(2)
  release()
  send(sockets[1], 9)
  await eventually(
    () => versions().includes(9),
    () => 'table 9',
  )
  assert.equal(versions(), [9])
})

test('a router that is sent away for its protocol says why, once', async () => {
  server.on('connection', (socket) => socket.on('message', () => socket.close(1002, 'this daemon speaks protocol 4')))
  dial()
  await connections(4)
  assert.equal(warnings, [
    'The daemon has sent this router away: this daemon speaks protocol 4. The last table stays in force.',
  ])
})

test('a token that is missing or is none is said, and read again', async () => {
  await writeFile(join(folder, 'token'), 'one\ntwo\n')
  dial()
  await eventually(
    () => warnings.length > 0,
    () => 'the sentence',
  )
  assert.match(warnings.join(), /^There is no token in \S+token; copy the daemon's\. The last table stays in force\.$/)
  await writeFile(join(folder, 'token'), 'secret\n')
  await connections(1)
})

test('lines go to the daemon as they come, and those that came without one when there is one again', async () => {
  const told = () => heard.flatMap((message) => (message.kind === 'log' ? message.lines.map(({ text }) => text) : []))
  const add = (text: string) => batches.add(batchOf([{ app: 'a', at: 1, text }], 0))
  add('before')
  dial()
  await eventually(
    () => told().length === 1,
    () => 'the line that came before',
  )
  add('now')
  await eventually(
    () => told().length === 2,
    () => 'the line that came later',
  )
  // More than a connection takes at once.
  const many = Array.from({ length: 100 }, (_, n) => `${n}`.padEnd(60_000, '.'))
  for (const text of many) add(text)
  await eventually(
    () => told().length === 2 + many.length,
    () => `${many.length} long lines, not ${told().length - 2}`,
  )
  assert.equal(told(), ['before', 'now', ...many])
})

test.run()
