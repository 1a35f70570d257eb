import { connect, type Socket } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { get, post } from '../vectors/head.ts'
import { type Child, startChild } from './router-child.ts'
import { client, type Dyno, eventually, httpDyno, rawDyno } from './router-rig.ts'

/** A router process under clients and dynos that mean it harm: it goes on to serve, in bounded memory. */

const KiB = 1024
const MiB = 1024 * KiB
const closing: (() => unknown)[] = []

test.after.each(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function against(dyno: Dyno, files?: number): Promise<Child> {
  closing.push(() => dyno.close())
  const child = await startChild([dyno.route()], files)
  closing.push(() => child.close())
  return child
}

const hello = () =>
  httpDyno((req, res) => {
    req.resume()
    req.on('end', () => res.end('hello'))
  })

function attacker(port: number): Socket {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {})
  closing.push(() => socket.destroy())
  return socket
}

/** Writes `piece` again and again until `most` bytes are taken or nothing is taken for `patience` ms; how many were. */
async function pour(socket: Socket, piece: string | Buffer, most: number, patience = 300): Promise<number> {
  let taken = 0
  let moved = Date.now()
  while (taken < most && !socket.destroyed && Date.now() - moved < patience) {
    if (socket.writableLength < 256 * KiB) {
      socket.write(piece, 'latin1')
      taken += piece.length
      moved = Date.now()
    }
    await new Promise((resolve) => setTimeout(resolve, socket.writableLength > 0 ? 1 : 0))
  }
  return taken
}

async function serves(child: Child): Promise<void> {
  assert.ok(child.alive())
  await client(child.port).write(get()).until(/hello/)
}

async function below(child: Child, most: number): Promise<void> {
  const grown = await child.grown()
  assert.ok(grown < most, `it has grown by ${grown.toFixed(0)} MiB`)
}

test('clients that do not read get a bounded part of what dynos have for them', async () => {
  const piece = Buffer.alloc(256 * KiB)
  const child = await against(
    await httpDyno((req, res) => {
      const more = () => {
        while (res.write(piece));
      }
      if (req.url === '/') res.end('hello')
      else res.on('drain', more) && more()
    }),
  )
  const sockets = Array.from({ length: 40 }, () => attacker(child.port).pause())
  for (const socket of sockets) socket.write(get().replace('/', '/endless'))
  await new Promise((resolve) => setTimeout(resolve, 1500))
  await serves(child)
  await below(child, 160)
})

test('a dyno that does not read gets a bounded part of what clients have for it', async () => {
  const child = await against(await rawDyno((socket) => socket.pause()))
  const sockets = Array.from({ length: 20 }, () => attacker(child.port))
  for (const socket of sockets) socket.write(post(`Content-Length: ${1024 * MiB}`))
  const poured = await Promise.all(sockets.map((socket) => pour(socket, Buffer.alloc(64 * KiB), 64 * MiB)))
  assert.ok(Math.max(...poured) < 64 * MiB, 'somebody was not held up')
  await below(child, 100)
})

test('a flood of pipelined requests whose answers nobody reads is held up, ours and the dynos’', async () => {
  const child = await against(await hello())
  for (const request of [get(), get().replace('a.localhost', 'nobody.localhost')]) {
    const sockets = Array.from({ length: 8 }, () => attacker(child.port).pause())
    const poured = await Promise.all(sockets.map((socket) => pour(socket, request.repeat(1000), 16 * MiB)))
    assert.ok(Math.max(...poured) < 16 * MiB, `somebody was not held up: ${poured}`)
  }
  await serves(child)
  await below(child, 160)
})

test('a client that reads the answers to a long pipeline late gets every one of them', async () => {
  const child = await against(await hello())
  const socket = attacker(child.port).pause()
  const many = 20_000
  socket.write(get().replace('a.localhost', 'nobody.localhost').repeat(many))
  socket.end()
  await new Promise((resolve) => setTimeout(resolve, 300))
  let text = ''
  for await (const chunk of socket) text += chunk
  assert.is(text.match(/HTTP\/1\.1 404 /g)?.length, many)
})

test('heads that never end', async () => {
  const child = await against(await hello())
  const sockets = Array.from({ length: 300 }, () => attacker(child.port))
  for (const socket of sockets)
    socket.write(get(...Array.from({ length: 7 }, () => `X: ${'a'.repeat(8000)}`)).slice(0, -4))
  for (let i = 0; i < 50; i++) {
    for (const socket of sockets) socket.write('a')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await serves(child)
  await below(child, 120)
})

test('thousands of idle connections', async () => {
  const child = await against(await hello())
  const sockets = Array.from({ length: 2000 }, () => attacker(child.port))
  await eventually(
    () => sockets.every((socket) => !socket.connecting),
    () => 'all to be connected',
  )
  await serves(child)
  await below(child, 100)
})

test('as many connections as there are files: it neither spins nor ends, and serves when there is room', async () => {
  const child = await against(await hello(), 256)
  const before = await child.ticks()
  const sockets = Array.from({ length: 400 }, () => attacker(child.port))
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const spent = (await child.ticks()) - before
  assert.ok(spent < 70, `it computes for ${spent} hundredths of a second`)
  assert.ok(child.alive())
  for (const socket of sockets) socket.destroy()
  let text = ''
  await eventually(
    () => {
      if (text === '') {
        text = ' '
        client(child.port)
          .write(get('Connection: close'))
          .untilClosed()
          .then((all) => {
            text = all.includes('hello') ? all : ''
          })
      }
      return text.includes('hello')
    },
    () => 'an answer',
  )
})

test('a body in chunks of one byte, and one of nothing but extensions', async () => {
  const child = await against(await hello())
  const tiny = attacker(child.port)
  tiny.write(post('Transfer-Encoding: chunked'))
  const chunks = '1\r\na\r\n'.repeat(10_000)
  assert.is(await pour(tiny, chunks, 100 * chunks.length, 10_000), 100 * chunks.length)
  const flood = client(child.port).write(post('Transfer-Encoding: chunked'))
  await pour(flood.socket, `1;${'a'.repeat(200)}\r\na\r\n`.repeat(1000), 8 * MiB)
  assert.match(await flood.untilClosed(), /^HTTP\/1.1 400 /)
  await serves(child)
  await below(child, 120)
})

test('a dyno that sends informational responses without end', async () => {
  const child = await against(
    await rawDyno((socket) => {
      socket.on('error', () => {})
      socket.once('data', (chunk) => {
        if (!String(chunk).includes('/endless')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello')
        else pour(socket, 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n'.repeat(1000), 256 * MiB)
      })
    }),
  )
  const sockets = Array.from({ length: 10 }, () => attacker(child.port).pause())
  for (const socket of sockets) socket.write(get().replace('/', '/endless'))
  const mine = client(child.port).write(get().replace('/', '/endless'))
  await mine.until(/HTTP\/1.1 503 /)
  await serves(child)
  await below(child, 80)
})

test('a client that goes on sending behind an answer of ours sees a proper end, not a reset', async () => {
  const child = await against(await hello())
  for (let i = 0; i < 10; i++) {
    const bad = client(child.port)
    let failure: Error | undefined
    bad.socket.on('error', (error) => {
      failure = error
    })
    bad.write(`GET / HTTP/9.9\r\n\r\n${'x'.repeat(512 * KiB)}`)
    assert.match(await bad.untilClosed(), /^HTTP\/1.1 505 [\s\S]*not supported\.\n$/)
    await eventually(
      () => bad.socket.closed,
      () => 'the end of what the client sends',
    )
    assert.is(failure, undefined)
  }
})

test.run()
