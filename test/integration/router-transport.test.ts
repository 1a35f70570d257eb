import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { blockOf, kept, lend, takeBlock } from '../../router/block.ts'
import { handles } from '../../router/handle.ts'
import { Session } from '../../router/session.ts'
import { client, eventually, get, rawDyno, startRig } from './router-rig.ts'

/** The two things that carry connections: Node's handles, and its sockets. */

test('this Node has the handles, so that all other tests run on them', () => {
  assert.ok(handles)
})

for (const name of ['flow', 'codes', 'cutover', 'affinity'])
  test(`plain sockets do the same: router-${name}`, async () => {
    const file = join(import.meta.dirname, `router-${name}.test.js`)
    const child = spawn(process.execPath, [file], {
      env: { ...process.env, SLUICE_ROUTER_TRANSPORT: 'net' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let said = ''
    child.stdout.on('data', (chunk) => {
      said += chunk
    })
    const [code] = await once(child, 'exit')
    assert.is(code, 0, said)
    assert.match(said, /Passed: +[1-9]/)
  })

test('a chunk is its receiver’s during the call, and a copy of it longer', () => {
  const block = takeBlock()
  block.bytes.write('first')
  let copy: Buffer = Buffer.alloc(0)
  lend(block, 5, {
    data(chunk) {
      assert.is(blockOf(chunk), block)
      assert.is(blockOf(Buffer.from('own')), null)
      copy = kept(chunk)
    },
  })
  block.bytes.write('other')
  assert.is(copy.toString(), 'first')
  assert.is(blockOf(block.bytes), null)
})

test('a body that a slow client leaves with the router comes whole, while others read into the same memory', async () => {
  const rig = await startRig()
  const bodyOf = (letter: string): string =>
    Array.from({ length: 1_000_000 }, (_, i) => letter + String(i).padStart(7, '0'))
      .join('')
      .repeat(3)
  const dyno = await rawDyno((socket) =>
    socket.on('data', (chunk) => {
      const [, letter = ''] = /GET \/(\w)/.exec(chunk.toString()) ?? []
      const body = bodyOf(letter)
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
    }),
  )
  rig.serve({ backends: [dyno.route()] })
  const clients = [...'abc'].map((letter) => {
    const one = client(rig.port)
    one.socket.pause()
    one.write(get().replace('GET /', `GET /${letter}`))
    return { one, letter }
  })
  const buffered = () => [...rig.router.sessions].map((one) => (one instanceof Session ? one.conn.buffered : 0))
  // how much is left is the kernel's to say: no more than where the dyno is stopped, and it may be little of that
  let before: number[] = []
  await eventually(
    () => {
      const now = buffered()
      const still = now.length === clients.length && now.every((bytes, at) => bytes > 0 && bytes === before[at])
      before = now
      return still
    },
    () => 'every client to have left something with the router',
  )
  for (const { one, letter } of clients) {
    one.socket.resume()
    const body = bodyOf(letter)
    await eventually(
      () => one.text.length > body.length,
      () => `the body of ${letter}; ${one.text.length} bytes came`,
    )
    assert.ok(one.text.endsWith(`\r\n\r\n${body}`), `the body of ${letter}`)
    one.socket.destroy()
  }
  dyno.close()
  await rig.close()
})

test('a request that comes in pieces is read as one, while others read into the same memory', async () => {
  const rig = await startRig()
  const seen: string[] = []
  const dyno = await rawDyno((socket) => {
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
      if (!text.includes('\r\n\r\n')) return
      seen.push(text)
      text = ''
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    })
  })
  rig.serve({ backends: [dyno.route()] })
  const slow = client(rig.port).write('GET /slow HTTP/1.1\r\nHost: a.local')
  for (let i = 0; i < 5; i++) {
    const other = client(rig.port)
    await other.write(get('X-Fill: zzzzzzzzzzzzzzzzzzzzzzzzzzz')).until(/200 OK/)
    other.socket.destroy()
  }
  await slow.write('host\r\nX-End: 1\r\n\r\n').until(/200 OK/)
  assert.match(seen.at(-1) ?? '', /^GET \/slow HTTP\/1.1\r\nHost: a.localhost\r\nX-End: 1\r\n/)
  slow.socket.destroy()
  dyno.close()
  await rig.close()
})

test.run()
