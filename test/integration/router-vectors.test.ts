import { once } from 'node:events'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { badBodies } from '../vectors/body.ts'
import { bounds, framing, get, hosts, post, type Refused, syntax } from '../vectors/head.ts'
import { type Passed, passed, seen } from '../vectors/passed.ts'
import { type Client, client, type Dyno, eventually, httpDyno, type Rig, rawDyno, startRig } from './router-rig.ts'

/** Each vector whole, one byte at a time, and behind a good request: what the client gets, and what the dyno saw. */

let rig: Rig
let dyno: Dyno
/** Of each connection that the dyno has accepted. */
let saw: string[] = []

const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

test.before(async () => {
  rig = await startRig()
  dyno = await rawDyno((socket) => {
    const at = saw.push('') - 1
    let open = ''
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      saw[at] += chunk.toString('latin1')
      open += chunk.toString('latin1')
      for (let end = complete(open); end > 0; end = complete(open)) {
        open = open.slice(end)
        socket.write(answer)
      }
    })
  })
})

test.before.each(() => {
  saw = []
  rig.lines.length = 0
  rig.serve({ backends: [] })
  rig.serve({ backends: [dyno.route()] })
})

test.after(async () => {
  dyno.close()
  await rig.close()
})

/** Where the first request of what the router sends ends; 0 when it is not whole. */
function complete(text: string): number {
  const end = text.indexOf('\r\n\r\n') + 4
  if (end === 3) return 0
  const length = /\r\nContent-Length: (\d+)/.exec(text.slice(0, end))
  if (length) return text.length >= end + Number(length[1]) ? end + Number(length[1]) : 0
  if (!/\r\nTransfer-Encoding: chunked/.test(text.slice(0, end))) return end
  const last = /(?:^|\r\n)0\r\n(?:[^\r\n]+\r\n)*\r\n/.exec(text.slice(end))
  return last ? end + last.index + last[0].length : 0
}

/** Every byte in a segment of its own: the router, in this process, reads it before the next leaves. */
async function dribble(to: Client, text: string): Promise<Client> {
  if (to.socket.connecting) await once(to.socket, 'connect')
  for (const byte of text) {
    to.write(byte)
    await new Promise(setImmediate)
    if (to.closed) break
  }
  return to
}

const statuses = (text: string): number[] => [...text.matchAll(/HTTP\/1\.1 (\d+) /g)].map((match) => Number(match[1]))

/** Long ones are about bounds, which do not depend on cuts. */
const short = (text: string): boolean => text.length < 1000

for (const { what, send, status } of [...framing, ...syntax, ...hosts, ...bounds] satisfies Refused[])
  test(`${what}: ${status}, the end, and nothing for the dyno`, async () => {
    const refused = await client(rig.port).write(send).write(get()).untilClosed()
    assert.equal(statuses(refused), [status])
    assert.match(refused, /\r\nConnection: close\r\n/)
    if (short(send)) assert.equal(statuses(await (await dribble(client(rig.port), send)).untilClosed()), [status])
    assert.equal(saw, [])
    const behind = await client(rig.port).write(get()).write(send).write(get()).untilClosed()
    assert.equal(statuses(behind), [200, status])
    assert.is(saw.length, 1)
    assert.is(saw[0]?.split('HTTP/1.1\r\n').length, 2)
  })

for (const { what, body } of badBodies)
  test(`a chunked body with ${what}: 400, and no end of a body for the dyno`, async () => {
    const send = `${post('Transfer-Encoding: chunked')}5\r\nhello\r\n${body}`
    const whole = await client(rig.port).write(send).write(get()).untilClosed()
    assert.equal(statuses(whole), [400])
    if (short(send)) assert.equal(statuses(await (await dribble(client(rig.port), send)).untilClosed()), [400])
    const behind = await client(rig.port).write(get()).write(send).write(get()).untilClosed()
    assert.equal(statuses(behind), [200, 400])
    await eventually(
      () => rig.lines.length === (short(send) ? 4 : 3),
      () => `a line for each request, not ${rig.lines.length}`,
    )
    const ends = saw.map((text) => text.slice(complete(text) === 0 || text.startsWith('POST') ? 0 : complete(text)))
    for (const text of ends) {
      assert.is(complete(text), 0, JSON.stringify(text))
      assert.not.match(text, /\r\n0+[\r\n;]/)
    }
  })

const fixed = (text: string): string =>
  text
    .replaceAll(/X-Forwarded-Port: \d+/g, 'X-Forwarded-Port: PORT')
    .replaceAll(/X-Request-Id: [\w-]{36}/g, 'X-Request-Id: ID')
    .replaceAll(/X-Request-Start: \d{13}/g, 'X-Request-Start: NOW')

for (const one of passed satisfies Passed[])
  test(`${one.what}: passes, and the dyno sees exactly what it should`, async () => {
    await client(rig.port).write(one.send).until(/ok$/)
    assert.is(fixed(saw.join('')), seen(one))
    if (short(one.send)) {
      saw = saw.map(() => '')
      await (await dribble(client(rig.port), one.send)).until(/ok$/)
      assert.is(fixed(saw.join('')), seen(one))
    }
    saw = saw.map(() => '')
    const three = client(rig.port).write(get()).write(one.send).write(one.send)
    await eventually(
      () => statuses(three.text).filter((status) => status === 200).length === 3,
      () => `three answers in ${three.text}`,
    )
    assert.is(rig.lines.length, short(one.send) ? 5 : 4)
    assert.ok(fixed(saw.join('')).endsWith(seen(one) + seen(one)))
  })

test('behind an upgrade that the dyno did not follow its connection takes no other request', async () => {
  const node = await httpDyno((req, res) => {
    req.resume()
    req.on('end', () => res.end('ok'))
  })
  rig.serve({ backends: [node.route()] })
  const upgrade = post('Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 1')
  const three = client(rig.port)
  for (let i = 1; i <= 3; i++) await three.write(`${upgrade}a`).until(new RegExp(`(ok[\\s\\S]*){${i}}`))
  assert.is(node.accepted, 3)
  node.close()
})

test.run()
