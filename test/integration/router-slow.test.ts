import { connect } from 'node:net'
import type { Readable } from 'node:stream'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Limits } from '../../router/limits.ts'
import { get, post } from '../vectors/head.ts'
import { request, startSecureRig } from './router-http2-rig.ts'
import { client, type Dyno, eventually, httpDyno, type Rig, rawDyno, startRig } from './router-rig.ts'

/** Clients that are slow on purpose. */

async function within(limits: Partial<Limits>, dyno: Dyno, run: (rig: Rig) => Promise<void>): Promise<void> {
  const rig = await startRig(limits)
  try {
    rig.serve({ backends: [dyno.route()] })
    await run(rig)
  } finally {
    await rig.close()
    dyno.close()
  }
}

/** Writes it a byte at a time, with pauses, until the client's connection ends; stops the process from waiting for it. */
function dribble(to: ReturnType<typeof client>, text: string, pause: number): void {
  let at = 0
  const timer = setInterval(() => {
    if (to.closed || at === text.length) clearInterval(timer)
    else to.write(text[at++] ?? '')
  }, pause)
}

test('a head that dribbles in has no more time than any other', async () =>
  within({ head: 500, idle: 10_000 }, await httpDyno((_, res) => res.end('hello')), async (rig) => {
    const slow = client(rig.port)
    dribble(slow, get(`X: ${'a'.repeat(5000)}`), 5)
    assert.match(await slow.untilClosed(), /^HTTP\/1.1 408 /)
    const blank = client(rig.port)
    dribble(blank, '\r', 1)
    assert.match(await blank.untilClosed(), /^HTTP\/1.1 408 /)
  }))

test('the second head of a connection has no more time than the first', async () =>
  within({ head: 500, idle: 10_000 }, await httpDyno((_, res) => res.end('hello')), async (rig) => {
    const slow = client(rig.port)
    await slow.write(get()).until(/hello/)
    dribble(slow, get(`X: ${'a'.repeat(5000)}`), 5)
    assert.match(await slow.untilClosed(), /hello[\s\S]*HTTP\/1.1 408 /)
  }))

test('a body that trickles is H28 although it never stands still', async () =>
  within({ idle: 300, firstByte: 10_000 }, await rawDyno((socket) => socket.resume()), async (rig) => {
    for (const length of ['Content-Length: 100000', 'Transfer-Encoding: chunked']) {
      const slow = client(rig.port).write(post(length))
      dribble(slow, '1\r\na\r\n'.repeat(1000), 10)
      assert.is(await slow.untilClosed(), '')
    }
    await eventually(
      () =>
        rig.lines.length === 2 &&
        rig.lines.every((line) => /^sock=client at=warning code=H28 .* status=499 /.test(line)),
      () => `two of H28 in ${rig.lines}`,
    )
  }))

/** Reads a response of so many bytes, a little at a time, and tells how much came before it was closed. */
async function sip(from: Readable, most: number, pause: number): Promise<number> {
  let received = 0
  let closed = false
  from.on('error', () => {})
  from.on('close', () => {
    closed = true
  })
  from.pause()
  while (!closed && received < most) {
    const chunk: Buffer | null = from.read()
    received += chunk?.length ?? 0
    await new Promise((resolve) => setTimeout(resolve, pause))
  }
  return received
}

/** So much that what the kernel takes in one go is little of it. */
const MUCH = 16 * 1024 * 1024

test('a client that reads slowly gets all of it, however long the dyno waits for it', async () => {
  const size = MUCH + 8_000_000
  const dyno = await httpDyno((_, res) => res.end(Buffer.alloc(size)))
  await within({ idle: 600, responseBuffer: MUCH }, dyno, async (rig) => {
    const slow = connect({ port: rig.port, host: '127.0.0.1' })
    slow.write(get())
    assert.ok((await sip(slow, size, 4)) >= size, rig.lines.join())
    slow.destroy()
  })
})

test('the same over HTTP/2', async () => {
  const size = 3_000_000
  const rig = await startSecureRig({ idle: 800 })
  const dyno = await httpDyno((_, res) => res.end(Buffer.alloc(size)))
  try {
    rig.serve({ backends: [dyno.route()] })
    const session = await rig.http2()
    assert.is(await sip(request(session), size, 30), size, rig.lines.join())
  } finally {
    await rig.close()
    dyno.close()
  }
})

test('a dyno that takes a body slowly is waited for', async () => {
  const size = MUCH + 8_000_000
  const dyno = await rawDyno(async (socket) => {
    await sip(socket, size, 4)
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok')
  })
  await within({ idle: 600, firstByte: 600, requestBuffer: MUCH }, dyno, async (rig) => {
    const fast = client(rig.port).write(post(`Content-Length: ${size}`))
    fast.socket.write(Buffer.alloc(size))
    await fast.until(/^HTTP\/1.1 200 OK/)
  })
})

test('who reads slowly from a tunnel gets all of it', async () => {
  const size = MUCH + 8_000_000
  const dyno = await rawDyno((socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
      socket.write(Buffer.alloc(size))
    })
  })
  await within({ idle: 600, requestBuffer: MUCH }, dyno, async (rig) => {
    const slow = connect({ port: rig.port, host: '127.0.0.1' })
    slow.write(get('Connection: Upgrade', 'Upgrade: x'))
    assert.ok((await sip(slow, size, 4)) >= size, rig.lines.join())
    slow.destroy()
  })
})

test('a body that comes on slowly, and one of a conversation, go on', async () => {
  const dyno = await httpDyno((req, res) => {
    if (req.url === '/talk') res.write('go on')
    let bytes = 0
    req.on('data', (chunk) => {
      bytes += chunk.length
    })
    req.on('end', () => res.end(`${bytes} bytes`))
  })
  await within({ idle: 400, bodyProgress: 5 }, dyno, async (rig) => {
    const slow = client(rig.port).write(post('Content-Length: 100'))
    dribble(slow, 'a'.repeat(100), 15)
    const talk = client(rig.port).write(post('Transfer-Encoding: chunked').replace('/', '/talk'))
    await talk.until(/go on/)
    dribble(talk, '1\r\na\r\n0\r\n\r\n', 150)
    await slow.until(/100 bytes/)
    await talk.until(/1 bytes/)
  })
})

test.run()
