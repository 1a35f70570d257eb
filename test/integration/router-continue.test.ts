import type { Socket } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Limits } from '../../router/limits.ts'
import type { AppRoute } from '../../router/protocol.ts'
import { type Client, client, type Dyno, eventually, get, type Rig, rawDyno, startRig } from './router-rig.ts'

/** `Expect: 100-continue` from end to end, and dynos that get each request on a connection of its own. */

interface Talk {
  rig: Rig
  dyno: Dyno
  /** All that the dyno has got, and its newest connection. */
  seen(): string
  socket(): Socket
}

async function within(app: Partial<AppRoute>, limits: Partial<Limits>, body: (talk: Talk) => Promise<void>) {
  const rig = await startRig(limits)
  let seen = ''
  let newest: Socket | undefined
  const dyno = await rawDyno((socket) => {
    newest = socket
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      seen += chunk
    })
  })
  rig.serve({ ...app, backends: [dyno.route()] })
  const talk = { rig, dyno, seen: () => seen, socket: () => newest as Socket }
  await body(talk).finally(async () => {
    dyno.close()
    await rig.close()
  })
}

const upload = (rig: Rig): Client =>
  client(rig.port).write(get('Expect: 100-continue', 'Content-Length: 3').replace('GET', 'POST'))

const arrives = ({ seen }: Talk, what: string) =>
  eventually(
    () => seen().includes(what),
    () => `${JSON.stringify(what)} in ${JSON.stringify(seen())}`,
  )

const passing = { passContinue: true }

test('without the feature the router gives the leave, and the dyno is not asked', () =>
  within({}, {}, async (talk) => {
    const { rig, seen, socket } = talk
    const sender = upload(rig)
    await sender.until(/^HTTP\/1.1 100 Continue\r\n\r\n$/)
    await arrives(talk, '\r\n\r\n')
    assert.not.match(seen(), /expect/i)
    socket().write('HTTP/1.1 100 Continue\r\n\r\n')
    sender.write('abc')
    await arrives(talk, 'abc')
    socket().write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    assert.is((await sender.until(/ok$/)).match(/100 Continue/g)?.length, 1)
  }))

test('with it the dyno is asked, and its leave is passed on without its fields', () =>
  within(passing, {}, async (talk) => {
    const { rig, socket } = talk
    const sender = upload(rig)
    await arrives(talk, '\r\nExpect: 100-continue\r\n')
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.is(sender.text, '')
    socket().write('HTTP/1.1 100 Go On\r\nX-Secret: 1\r\nConnection: close\r\n\r\n')
    assert.is(await sender.until(/\r\n\r\n/), 'HTTP/1.1 100 Continue\r\n\r\n')
    sender.write('abc')
    await arrives(talk, 'abc')
    socket().write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    assert.match(await sender.until(/ok$/), /\r\nConnection: keep-alive\r\n/)
  }))

test('a final answer without leave ends the client’s connection, since its body may or may not come', () =>
  within(passing, {}, async (talk) => {
    const sender = upload(talk.rig)
    await arrives(talk, '\r\n\r\n')
    talk.socket().write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
    const text = await sender.untilClosed()
    assert.match(text, /^HTTP\/1.1 403 [\s\S]*\r\nConnection: close\r\n[\s\S]*no$/)
  }))

test('two leaves are no HTTP', () =>
  within(passing, {}, async (talk) => {
    const sender = upload(talk.rig)
    await arrives(talk, '\r\n\r\n')
    talk.socket().write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n')
    await sender.until(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 503 /)
    assert.match(talk.rig.lines.at(-1) ?? '', 'code=H17')
  }))

test('a dyno that does not answer in time is at fault, not the client that waits for its leave', () =>
  within(passing, { firstByte: 50, idle: 60_000 }, async (talk) => {
    await upload(talk.rig).until(/^HTTP\/1.1 503 /)
    assert.match(talk.rig.lines.at(-1) ?? '', 'code=H12')
  }))

test('a client that was given leave and sends nothing is at fault', () =>
  within(passing, { firstByte: 60_000, idle: 50 }, async (talk) => {
    const sender = upload(talk.rig)
    await arrives(talk, '\r\n\r\n')
    talk.socket().write('HTTP/1.1 100 Continue\r\n\r\n')
    await sender.untilClosed()
    assert.match(talk.rig.lines.at(-1) ?? '', 'code=H28')
  }))

test('a request on a connection of its own says so, and no other follows it, whatever the dyno says', async () => {
  const answer = 'HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok'
  for (const [fresh, connections] of [
    [true, 3],
    [false, 1],
  ] as const)
    await within({ fresh }, {}, async (talk) => {
      const { rig, dyno, seen, socket } = talk
      const keep = client(rig.port)
      for (let n = 1; n <= 3; n++) {
        keep.write(get().replace('/', `/${n}`))
        await arrives(talk, `GET /${n} `)
        socket().write(answer)
        await keep.until(new RegExp(`(ok[\\s\\S]*){${n}}$`))
      }
      assert.is(dyno.accepted, connections)
      assert.is(seen().match(/\r\nConnection: close\r\n/g)?.length ?? 0, fresh ? 3 : 0)
      assert.not.match(keep.text, 'Connection: close')
    })
})

test('an upgrade on a connection of its own stays one', () =>
  within({ fresh: true }, {}, async (talk) => {
    const { rig, seen, socket } = talk
    const tunnel = client(rig.port).write(get('Connection: Upgrade', 'Upgrade: x'))
    await arrives(talk, '\r\n\r\n')
    assert.match(seen(), /\r\nConnection: Upgrade\r\nUpgrade: x\r\n/)
    assert.not.match(seen(), 'Connection: close')
    socket().write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello')
    await tunnel.until(/hello$/)
    tunnel.socket.resetAndDestroy()
  }))

test.run()
