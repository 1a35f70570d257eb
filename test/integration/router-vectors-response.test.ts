import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { get } from '../vectors/head.ts'
import { badBodies, badHeads, cutBodies, passedResponses } from '../vectors/response.ts'
import { client, type Dyno, eventually, type Rig, rawDyno, startRig } from './router-rig.ts'

/** What a dyno answers, whole and one byte at a time, and what a client may see of it. */

let rig: Rig
let dyno: Dyno
/** What the dyno answers; `ends`: and closes then. */
let says = { text: '', ends: false, dribbles: false }

test.before(async () => {
  rig = await startRig()
  dyno = await rawDyno((socket) => {
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('data', async () => {
      const { text, ends, dribbles } = says
      if (!dribbles) socket.write(text, 'latin1')
      else
        for (const byte of text) {
          if (socket.destroyed) return
          socket.write(byte, 'latin1')
          await new Promise(setImmediate)
        }
      if (ends) socket.end()
    })
  })
})

test.before.each(() => {
  rig.lines.length = 0
  rig.serve({ backends: [] })
  rig.serve({ backends: [dyno.route()] })
})

test.after(async () => {
  dyno.close()
  await rig.close()
})

const ways = (text: string) => (text.length < 1000 ? [false, true] : [false])

/** Asks twice, so that nothing of one answer is taken for the next. */
async function ask(text: string, how: { ends: boolean; dribbles: boolean }) {
  says = { text, ...how }
  rig.lines.length = 0
  const asked = client(rig.port).write(get())
  await eventually(
    () => rig.lines.length === 1,
    () => `the first log line after ${asked.text}`,
  )
  asked.write(get())
  return asked
}

for (const { what, send, code } of badHeads)
  test(`a response with ${what} is ${code}, and nothing of it passes`, async () => {
    for (const dribbles of ways(send)) {
      const asked = await ask(send, { ends: false, dribbles })
      const finals = () => [...asked.text.matchAll(/HTTP\/1\.1 ([2-5]\d\d) /g)].map((match) => match[1])
      await eventually(
        () => rig.lines.length === 2 && finals().length >= 2,
        () => `two answers in ${asked.text}`,
      )
      for (const line of rig.lines)
        assert.match(line, new RegExp(`^at=error code=${code} .* status=${code === 'H25' ? 502 : 503} bytes=0 `))
      assert.equal(finals(), code === 'H25' ? ['502', '502'] : ['503', '503'])
      assert.match(asked.text, /Content-Type: text\/plain/)
      asked.socket.destroy()
    }
  })

for (const { what, send } of badBodies)
  test(`a chunked body with ${what} breaks off, and never looks complete`, async () => {
    for (const dribbles of ways(send)) {
      const asked = await ask(send, { ends: false, dribbles })
      await asked.untilClosed()
      assert.is(rig.lines.length, 1)
      assert.match(rig.lines[0] ?? '', /code=H17/)
      assert.not.match(asked.text, /\r\n0+\r\n/)
      assert.is(asked.text.split('HTTP/1.1').length <= 2, true)
    }
  })

for (const { what, send } of cutBodies)
  test(`a dyno that closes before ${what} has come breaks the response off`, async () => {
    for (const dribbles of ways(send)) {
      const asked = await ask(send, { ends: true, dribbles })
      await asked.untilClosed()
      assert.match(rig.lines[0] ?? '', /code=H18/)
      assert.not.match(asked.text, /\r\n0+\r\n/)
      assert.is(asked.text.split('HTTP/1.1').length <= 2, true)
    }
  })

for (const { what, send, sees, body } of passedResponses)
  test(`${what} of a dyno: what the client sees`, async () => {
    const one = `${sees}Connection: keep-alive\r\nVia: 1.1 sluice\r\n\r\n${body}`
    for (const dribbles of ways(send)) {
      const asked = await ask(send, { ends: false, dribbles })
      await eventually(
        () => rig.lines.length === 2 && asked.text.length >= 2 * one.length,
        () => `two answers in ${asked.text}`,
      )
      assert.is(asked.text, one + one)
      asked.socket.destroy()
    }
  })

test.run()
